"""The minimum of an installation: account 1, its administrator, a bot and a platform token."""

from proofdesk_simulators.chatwoot.installation import ADMIN_TOKEN, Installation
from proofdesk_simulators.chatwoot.records import Account, AgentBot, Inbox, PlatformApp, User

BOT_TOKEN = "simulator-bot-token"  # noqa: S105, published on purpose
PLATFORM_TOKEN = "simulator-platform-token"  # noqa: S105, published on purpose
FOUNDED = 1_767_258_000.0  # 2026-01-01 09:00 UTC


def create_foundation(installation: Installation, name: str, administrator: str, email: str) -> Account:
    """Create account 1 with the tokens that tests and the demo use."""
    account = installation.add_account(1, name, created_at=FOUNDED)
    account.support_email = email
    admin = User(1, administrator, email, ADMIN_TOKEN, {1: "administrator"}, active_at=FOUNDED)
    installation.add_user(admin)
    bot = AgentBot(1, "Door bot", BOT_TOKEN, 1, "Greets and asks for an order number")
    installation.add_bot(bot)
    installation.add_platform_app(PlatformApp(1, "Platform app", PLATFORM_TOKEN))
    return account


def add_agent(
    installation: Installation, account: Account, user_id: int, name: str, email: str, role: str = "agent"
) -> User:
    """Add an agent with the token `simulator-agent-<id>`, without inbox memberships."""
    user = User(user_id, name, email, f"simulator-agent-{user_id}", {account.id: role}, inviter_id=1)
    return installation.add_user(user)


def add_inbox(installation: Installation, account: Account, name: str, channel_type: str) -> Inbox:
    """Add an inbox with the keys of its channel, as old as the account."""
    number = installation.inbox_ids.take()
    inbox = Inbox(number, account.id, name, channel_type, next(installation.channel_ids), FOUNDED, FOUNDED)
    _describe(inbox)
    return installation.add_inbox(account, inbox)


def _describe(inbox: Inbox) -> None:
    if inbox.channel_type == "Channel::WebWidget":
        inbox.channel = {
            "allowed_domains": "",
            "widget_color": "#1f6f5c",
            "website_url": "https://www.example.com",
            "hmac_mandatory": False,
            "welcome_title": "Hello",
            "welcome_tagline": "",
            "web_widget_script": "<script>/* widget */</script>",
            "website_token": f"simulator-website-{inbox.id}",
            "selected_feature_flags": ["attachments", "emoji_picker", "end_conversation"],
            "reply_time": "in_a_few_hours",
            "pre_chat_form_enabled": False,
            "pre_chat_form_options": {},
            "continuity_via_email": True,
        }
        inbox.secrets = {"hmac_token": f"simulator-hmac-{inbox.id}"}
    elif inbox.channel_type == "Channel::Email":
        inbox.channel = {"email": "mail@example.com", "forwarding_enabled": False}
        inbox.secrets = MAIL_SERVER | {"imap_login": "mail@example.com"}
    elif inbox.channel_type == "Channel::Api":
        inbox.channel = {
            "hmac_mandatory": False,
            "inbox_identifier": f"simulator-inbox-{inbox.id}",
            "additional_attributes": {},
        }
        inbox.secrets = {"hmac_token": f"simulator-hmac-{inbox.id}"}
        inbox.secret = f"simulator-inbox-secret-{inbox.id}"


MAIL_SERVER: dict[str, object] = {
    "imap_login": "",
    "imap_password": "simulator-mail-password",
    "imap_address": "imap.example.com",
    "imap_port": 993,
    "imap_enabled": True,
    "imap_enable_ssl": True,
    "imap_authentication": "plain",
    "reauthorization_required": False,
    "smtp_login": "",
    "smtp_password": "",
    "smtp_address": "",
    "smtp_port": 0,
    "smtp_enabled": False,
    "smtp_domain": "",
    "smtp_enable_ssl_tls": False,
    "smtp_enable_starttls_auto": True,
    "smtp_openssl_verify_mode": "none",
    "smtp_authentication": "login",
}
