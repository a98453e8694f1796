"""Subscriptions of an account to events."""

from urllib.parse import urlsplit

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import Account, Attributes, Webhook
from proofdesk_simulators.chatwoot.refusals import invalid_record

DEFAULT_EVENTS = (
    "conversation_status_changed",
    "conversation_updated",
    "conversation_created",
    "contact_created",
    "contact_updated",
    "message_created",
    "message_updated",
    "webwidget_triggered",
)
EVENTS = (
    *DEFAULT_EVENTS,
    "conversation_typing_on",
    "conversation_typing_off",
    "inbox_created",
    "inbox_updated",
)


def create(installation: Installation, account: Account, values: Attributes) -> Webhook:
    """Create a subscription, by default to eight events. The secret signs the deliveries."""
    number = installation.other_ids.take()
    webhook = Webhook(number, account.id, "", list(DEFAULT_EVENTS), f"simulator-webhook-secret-{number}")
    update(account, webhook, values)
    return installation.add_webhook(account, webhook)


def update(account: Account, webhook: Webhook, values: Attributes) -> Webhook:
    """Update a subscription. Raises ChatwootRefusal 422 for an invalid or taken URL, or unknown events."""
    url = str(values.get("url", webhook.url))
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid_record("Url is invalid", "url")
    if any(other is not webhook and other.url == url for other in account.webhooks.values()):
        raise invalid_record("Url has already been taken", "url")
    subscriptions = values.get("subscriptions", webhook.subscriptions)
    if not isinstance(subscriptions, list) or not subscriptions or set(subscriptions) - set(EVENTS):
        raise invalid_record("Subscriptions Invalid events", "subscriptions")
    webhook.url = url
    webhook.subscriptions = [str(name) for name in subscriptions]
    name = values.get("name", webhook.name)
    webhook.name = None if name is None else str(name)
    return webhook


def view(webhook: Webhook) -> Attributes:
    """Return the view for administrators, with the secret."""
    fields: Attributes = {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "account_id": webhook.account_id,
        "subscriptions": webhook.subscriptions,
        "secret": webhook.secret,
    }
    if webhook.inbox is not None:
        fields["inbox"] = {"id": webhook.inbox.id, "name": webhook.inbox.name}
    return fields
