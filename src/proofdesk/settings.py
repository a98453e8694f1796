"""The settings: one field for each environment variable, read once at start.

A field is the lower-cased name of its environment variable. `docs/configuration.md` is generated from this file.
"""

import os
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from proofdesk.core import embedding_models, redaction, urls
from proofdesk.core.setting_types import (
    BaseUrl,
    Database,
    Endpoint,
    Home,
    Key,
    Mailbox,
    Name,
    Number,
    Origin,
    Origins,
    Password,
    Proxies,
    Relay,
    SecretUrl,
    Sender,
    Service,
    Text,
    WebhookSecret,
    Zone,
    default_home,
    networks,
    origins,
)
from proofdesk.errors import Invalid


class Settings(BaseSettings):
    """The effective settings. Raises pydantic's `ValidationError`; `load` converts it to one line."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    # Addresses
    proofdesk_home: Home = Field(
        default_factory=default_home, description="Folder of the embedded database and of the converted local model."
    )
    database_url: Database = Field(
        default=None, description="PostgreSQL 15+ with pgvector 0.8+. Unset: the embedded database."
    )
    host: Name = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port the server listens on.")
    public_url: Origin = Field(
        default=None,
        description="Address for users, such as `https://desk.example.com`: for links and the Secure flag of cookies.",
    )
    web_processes: int = Field(default=1, ge=1, le=64, description="Server processes.")
    database_pool_size: int = Field(default=10, ge=2, le=200, description="Database connections of one process.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Lowest level logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto`: text on a terminal, JSON lines elsewhere."
    )

    # Access
    auth_username: Name = Field(default="owner", description="Name of the owner account that always exists.")
    auth_password: Password = Field(
        default=None, description="Its password. Unset: generated at the first start and shown once."
    )
    session_cookie_name: Name = Field(default="sid", description="Name of the session cookie.")
    csrf_cookie_name: Name = Field(default="csrf_token", description="Name of the CSRF cookie that scripts may read.")
    cookie_secure: bool | None = Field(default=None, description="Secure flag; unset: as `PUBLIC_URL` or the request.")
    cors_origin: Origins = Field(default="", description="Origins that may call the API with credentials.")
    trusted_proxies: Proxies = Field(
        default="", description="Proxies whose `X-Forwarded-*` headers are trusted: addresses or networks, with commas."
    )
    login_rate_limit_max_attempts: int = Field(default=10, ge=1, le=10_000, description="Failed logins in the window.")
    login_rate_limit_window_minutes: int = Field(default=15, ge=1, le=1440, description="Length of that window.")

    # Signup and Telegram
    telegram_bot_token: Key = Field(default=None, description="Token of the bot that sends PINs; unset: no signup.")
    telegram_webhook_secret: WebhookSecret = Field(
        default=None, description="Secret that calls from Telegram must carry; 1 to 256 of `A-Z a-z 0-9 _ -`."
    )
    telegram_owner_id: Number = Field(
        default=None, ge=1, lt=2**63, description="Telegram id of the owner; unset: bound with a one-time code."
    )
    telegram_api_base_url: BaseUrl = Field(default="https://api.telegram.org", description="Address of the Bot API.")
    signup_pin_secret: Password = Field(
        default=None, description="Key for the hashes of PINs; unset: derived from the bot's token."
    )
    signup_pin_ttl_minutes: int = Field(default=10, ge=1, le=1440, description="Minutes for which a PIN is valid.")
    signup_pin_max_attempts: int = Field(default=8, ge=1, le=20, description="Attempts for one PIN.")

    # Chatwoot
    chatwoot_base_url: Service = Field(default=None, description="Address of Chatwoot, without `/api`.")
    chatwoot_api_token: Key = Field(default=None, description="Access token of an administrator of the account.")
    chatwoot_account_id: Number = Field(default=None, ge=1, description="Account bound at the first sync of a project.")
    chatwoot_lookback_days: Number = Field(
        default=None, ge=1, le=36_500, description="Only conversations active in these days are read; unset: all."
    )
    chatwoot_concurrency: int = Field(default=8, ge=1, le=64, description="Requests in flight.")
    chatwoot_recheck_minutes: int = Field(
        default=30,
        ge=0,
        le=10_080,
        description="Conversations active in these minutes are read again, to find deletions.",
    )
    chatwoot_reconcile_requests_per_minute: int = Field(
        default=1500, ge=1, le=600_000, description="Pace of the daily reconcile; Chatwoot's own limit is 3000."
    )
    chatwoot_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Longest wait for one answer.")

    # Mail
    smtp_url: Relay = Field(
        default=None,
        description="Mail relay: `smtp://user:password@host:587` (STARTTLS, unless it is on this machine or"
        " `?tls=none`), or `smtps://`. Unset: no e-mail.",
    )
    smtp_from: Sender = Field(
        default=None, description="Sender: `Studio <hello@example.com>`. Required with `SMTP_URL`."
    )
    smtp_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Longest wait for one answer.")

    # Notifications and commitments
    notify_email: Mailbox = Field(default=None, description="Who is notified of incidents by mail; unset: nobody.")
    notify_webhook_url: SecretUrl = Field(default=None, description="Where incidents are posted as JSON.")
    heartbeat_url: SecretUrl = Field(default=None, description="Requested after each good sync, for healthchecks.io.")
    project_timezone: Zone = Field(default="UTC", description="Time zone of the business; a project can have its own.")

    # Outbound
    outbound_opt_out_words: str = Field(
        default="stop, unsubscribe, opt out, стоп, отписаться, отпишите, отпишите меня, abmelden, abbestellen,"
        " désabonner, darse de baja, baja, disiscrivimi, descadastrar, afmelden",
        description="Whole messages by which a contact opts out, comma-separated.",
    )

    # Chunks and embeddings
    chunk_size: int = Field(default=1000, ge=100, le=20_000, description="Longest chunk in characters.")
    min_embed_chars: int = Field(default=30, ge=0, le=1000, description="Shorter messages are joined to neighbours.")
    embedding_provider: Literal["openai", "local"] | None = Field(
        default=None,
        description="Unset: that of `EMBEDDING_MODEL`, else `openai` if `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set,"
        " else `local`.",
    )
    embedding_model: Text = Field(
        default=None,
        description="Model of the server, or `local:e5-small` or `local:use`. Unset: `text-embedding-3-small`, or the"
        " best local one for this machine.",
    )
    embedding_dim: Number = Field(
        default=None, ge=2, le=4000, description="Dimension of the server's vectors; unset: the model's own."
    )
    embedding_query_prefix: str = Field(
        default="", description="Text before queries, for models of a server that require it."
    )
    embedding_document_prefix: str = Field(
        default="", description="Text before documents, for models of a server that require it."
    )
    openai_api_key: Key = Field(default=None, description="Key of OpenAI or of a compatible server.")
    openai_base_url: Endpoint = Field(
        default=None,
        description="Address of a compatible server, before `/embeddings`; unset: OpenAI. Azure:"
        " `https://….openai.azure.com/openai/deployments/…?api-version=…`.",
    )
    openai_timeout_ms: int = Field(default=20_000, ge=100, le=600_000, description="Longest wait for one answer.")
    embed_batch_size: int = Field(default=100, ge=1, le=2048, description="Texts in one request.")
    embed_concurrency: int = Field(default=4, ge=1, le=64, description="Requests in flight.")
    embed_max_attempts: int = Field(
        default=5, ge=1, le=100, description="Attempts for one request; also claims of one chunk before it fails."
    )
    embed_stale_recovery_minutes: int = Field(
        default=30, ge=1, le=1440, description="Age at which the claim of a lost worker is released."
    )

    # Search
    search_hnsw_ef_search: int = Field(default=100, ge=1, le=1000, description="Breadth of the vector index search.")

    # Answers
    answer_model: Text = Field(
        default=None, description="Chat model that writes answers; unset: answers quote messages, without a model."
    )
    answer_base_url: Endpoint = Field(
        default=None, description="Address of its server, before `/chat/completions`; unset: `OPENAI_BASE_URL`."
    )
    answer_api_key: Key = Field(default=None, description="Key of its server; unset: `OPENAI_API_KEY`.")
    answer_daily_tokens: int = Field(
        default=500_000, ge=1, le=10**12, description="Tokens that the answers of one project may use in a day (UTC)."
    )
    retention_days_answers: int = Field(
        default=365, ge=1, le=3650, description="Days for which asked questions and their answers are kept."
    )

    # Outbound
    outbound_four_eyes: bool = Field(default=False, description="The author of a draft may not approve it.")
    outbound_concurrency: int = Field(default=16, ge=1, le=256, description="Messages that are sent concurrently.")
    outbound_lease_seconds: float = Field(
        default=300, ge=1, le=86_400, description="Age at which an attempt counts as lost; calls end at half of it."
    )

    # Jobs
    job_wait_seconds: int = Field(default=25, ge=0, le=600, description="Longest wait of a job route, in seconds.")
    worker_interval_seconds: int = Field(
        default=60, ge=1, le=3600, description="Seconds between two checks of the schedule."
    )
    worker_tick_limit: int = Field(default=25, ge=1, le=100, description="Due jobs that one check starts.")
    run_retention_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days for which runs are kept; the last run of each job type is always kept.",
    )
    worker_concurrency: int = Field(default=2, ge=1, le=64, description="Jobs that one worker runs concurrently.")
    storage_budget_gb: float = Field(default=20, gt=0, description="Storage budget, for the display of usage.")

    @property
    def provider(self) -> Literal["openai", "local"]:
        """The effective embedding provider."""
        is_local = self.embedding_model in embedding_models.LOCAL or not (self.openai_api_key or self.openai_base_url)
        return self.embedding_provider or ("local" if is_local else "openai")

    @property
    def model(self) -> str:
        """The effective embedding model."""
        return self.embedding_model or embedding_models.default_model(self.provider)

    @property
    def has_chatwoot(self) -> bool:
        """Whether the address and the token of Chatwoot are set."""
        return self.chatwoot_base_url is not None and self.chatwoot_api_token is not None

    @property
    def secure_cookies(self) -> bool | None:
        """Whether cookies carry the Secure flag; None if that depends on the scheme of each request."""
        if self.cookie_secure is not None:
            return self.cookie_secure
        return True if (self.public_url or "").startswith("https://") else None

    @property
    def chatwoot_links(self) -> str | None:
        """The address of Chatwoot for links, without credentials."""
        return self.chatwoot_base_url and urls.without_credentials(self.chatwoot_base_url)

    @property
    def cors_origins(self) -> list[str]:
        """The allowed origins, without trailing slashes."""
        return origins(self.cors_origin)

    @property
    def opt_out_words(self) -> list[str]:
        """The words that opt out, in lower case."""
        return sorted({w.strip().lower() for w in self.outbound_opt_out_words.split(",") if w.strip()})

    @property
    def proxies(self) -> list[IPv4Network | IPv6Network]:
        """The networks of trusted proxies."""
        return networks(self.trusted_proxies)


def load() -> Settings:
    """Read the environment.

    Raises `Invalid` with one line for each wrong variable: its name, its value (masked if secret) and what is allowed.
    Afterwards no log line and no message of this process holds the secrets.
    """
    redaction.register_secrets(
        os.environ.get(name.upper(), "") for name in Settings.model_fields if _may_hold_secret(name)
    )
    try:
        settings = Settings()
    except ValidationError as error:
        raise Invalid("\n".join(_line(e["loc"], e["input"], e["msg"]) for e in error.errors())) from None
    if settings.smtp_url is not None and settings.smtp_from is None:
        raise Invalid(_line(("smtp_from",), "", "name the sender, such as Studio <hello@example.com>"))
    if settings.notify_email is not None and settings.smtp_url is None:
        raise Invalid(_line(("notify_email",), settings.notify_email, "set SMTP_URL too, which sends the mail"))
    if not embedding_models.is_model_of(settings.provider, settings.model):
        raise Invalid(_line(("embedding_model",), settings.model, embedding_models.ALLOWED))
    return settings


def effective_values(settings: Settings) -> dict[str, object]:
    """Return the effective settings by variable name, with masked secrets."""
    return {name.upper(): redaction.mask_setting(getattr(settings, name)) for name in Settings.model_fields}


def is_secret(name: str) -> bool:
    """Return whether the field holds a secret."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def _may_hold_secret(name: str) -> bool:
    return is_secret(name) or name.endswith("_base_url")


def _line(loc: tuple[int | str, ...], value: object, allowed: str) -> str:
    name = str(loc[0])
    return redaction.describe_wrong_value(name.upper(), value, allowed, secret=is_secret(name))
