"""Every route of the API: method, path, handler and who may call it."""

from proofdesk_simulators.chatwoot.routes import accounts, contacts, conversations, messages, webhooks
from proofdesk_simulators.chatwoot.routes.call import Handler

OPEN, USERS, BOTS = "open", "users", "users and bots"

SERVER: list[tuple[str, str, Handler, str]] = [
    ("GET", "/api", accounts.server, OPEN),
    ("GET", "/health", accounts.health, OPEN),
    ("GET", "/api/v1/profile", accounts.profile, USERS),
    ("POST", "/api/v1/profile/reset_access_token", accounts.reset_access_token, USERS),
]

# Paths below /api/v1/accounts/{account_id}.
ACCOUNT: list[tuple[str, str, Handler, str]] = [
    ("GET", "", accounts.show, USERS),
    ("GET", "/cache_keys", accounts.cache_keys, USERS),
    ("GET", "/inboxes", accounts.list_inboxes, USERS),
    ("GET", "/inboxes/{inbox_id:int}", accounts.show_inbox, USERS),
    ("GET", "/agents", accounts.list_agents, USERS),
    ("GET", "/labels", accounts.list_labels, USERS),
    ("GET", "/teams", accounts.list_teams, USERS),
    ("POST", "/actions/contact_merge", contacts.merge, USERS),
    ("POST", "/contact_inboxes/filter", contacts.find_by_address, USERS),
]

CONVERSATION = "/conversations/{conversation_id:int}"
CONVERSATIONS: list[tuple[str, str, Handler, str]] = [
    ("GET", f"{CONVERSATION}/messages", messages.index, USERS),
    ("POST", f"{CONVERSATION}/messages", messages.create, BOTS),
    ("PATCH", f"{CONVERSATION}/messages/{{message_id:int}}", messages.update, USERS),
    ("DELETE", f"{CONVERSATION}/messages/{{message_id:int}}", messages.delete, USERS),
    ("POST", f"{CONVERSATION}/messages/{{message_id:int}}/retry", messages.retry, USERS),
    ("GET", f"{CONVERSATION}/attachments", messages.list_attachments, USERS),
    ("GET", "/conversations", conversations.index, USERS),
    ("POST", "/conversations", conversations.create, BOTS),
    ("GET", "/conversations/meta", conversations.meta, USERS),
    ("POST", "/conversations/filter", conversations.filter_all, USERS),
    ("GET", CONVERSATION, conversations.show, BOTS),
    ("PATCH", CONVERSATION, conversations.update, BOTS),
    ("DELETE", CONVERSATION, conversations.delete, USERS),
    ("POST", f"{CONVERSATION}/toggle_status", conversations.toggle_status, BOTS),
    ("POST", f"{CONVERSATION}/toggle_priority", conversations.toggle_priority, BOTS),
    ("POST", f"{CONVERSATION}/custom_attributes", conversations.set_custom_attributes, BOTS),
    ("POST", f"{CONVERSATION}/update_last_seen", conversations.update_last_seen, USERS),
    ("POST", f"{CONVERSATION}/assignments", conversations.assign, BOTS),
    ("GET", f"{CONVERSATION}/labels", conversations.list_labels, BOTS),
    ("POST", f"{CONVERSATION}/labels", conversations.set_labels, BOTS),
]

CONTACT = "/contacts/{contact_id:int}"
CONTACTS: list[tuple[str, str, Handler, str]] = [
    ("GET", "/contacts", contacts.index, USERS),
    ("POST", "/contacts", contacts.create, USERS),
    ("GET", "/contacts/search", contacts.search, USERS),
    ("GET", CONTACT, contacts.show, USERS),
    ("PUT", CONTACT, contacts.update, USERS),
    ("PATCH", CONTACT, contacts.update, USERS),
    ("DELETE", CONTACT, contacts.delete, USERS),
    ("GET", f"{CONTACT}/conversations", contacts.list_conversations, USERS),
    ("GET", f"{CONTACT}/contactable_inboxes", contacts.contactable_inboxes, USERS),
    ("POST", f"{CONTACT}/contact_inboxes", contacts.create_contact_inbox, USERS),
]

WEBHOOKS: list[tuple[str, str, Handler, str]] = [
    ("GET", "/webhooks", webhooks.index, USERS),
    ("POST", "/webhooks", webhooks.create, USERS),
    ("PATCH", "/webhooks/{webhook_id:int}", webhooks.update, USERS),
    ("DELETE", "/webhooks/{webhook_id:int}", webhooks.delete, USERS),
]

BELOW_ACCOUNT = [*CONVERSATIONS, *CONTACTS, *ACCOUNT, *WEBHOOKS]
