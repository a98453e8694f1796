"""Everything that can be set from outside: one field a variable, read once at start.

A field is the lower-cased name of its environment variable. `docs/configuration.md` is generated from this file.
"""

import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from proofdesk import relay
from proofdesk.errors import Invalid


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "proofdesk"


def _only_proxies(text: str) -> str:
    if any(network.prefixlen == 0 for network in _networks(text)):
        raise ValueError("name the proxies: whoever is trusted may say what address and scheme a request has")
    return text


def _networks(text: str) -> list[IPv4Network | IPv6Network]:
    return [ip_network(name.strip()) for name in text.split(",") if name.strip()]


def _names_relay(url: SecretStr | None) -> SecretStr | None:
    if url is not None:
        relay.parse(url.get_secret_value())
    return url


def _names_sender(text: str | None) -> str | None:
    if text is not None:
        relay.sender(text)
    return text


_ORIGIN = re.compile(r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?")

Text = Annotated[str | None, BeforeValidator(_blank_is_unset)]
Secret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]
Number = Annotated[int | None, BeforeValidator(_blank_is_unset)]


class Settings(BaseSettings):
    """The effective configuration. Raises pydantic's `ValidationError`; `load` turns that into one line."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    # Where things are
    proofdesk_home: Path = Field(default_factory=_default_home, description="Folder of the embedded database.")
    database_url: Secret = Field(
        default=None, description="PostgreSQL 15+ with pgvector 0.8+. Unset: the embedded database."
    )
    host: str = Field(default="127.0.0.1", description="Address the server listens on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port the server listens on.")
    public_url: Text = Field(default=None, description="Address people use, for links and the Secure flag of cookies.")
    web_processes: int = Field(default=1, ge=1, le=64, description="Server processes.")
    database_pool_size: int = Field(default=10, ge=2, le=200, description="Database connections of one process.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto`: for people on a terminal, JSON lines elsewhere."
    )

    # Access
    auth_username: str = Field(default="owner", description="Name of the owner account that always exists.")
    auth_password: Secret = Field(
        default=None, description="Its password. Unset: made at the first start and shown once."
    )
    session_cookie_name: str = Field(default="sid", description="Name of the session cookie.")
    csrf_cookie_name: str = Field(default="csrf_token", description="Name of the CSRF cookie that scripts may read.")
    cookie_secure: bool | None = Field(
        default=None, description="Secure flag; unset: when `PUBLIC_URL` or the request is https."
    )
    cors_origin: str = Field(default="", description="Comma-separated origins that may call the API with credentials.")
    trusted_proxies: Annotated[str, AfterValidator(_only_proxies)] = Field(
        default="",
        description="Addresses or networks of proxies, comma-separated; their `X-Forwarded-*` headers are believed.",
    )
    login_rate_limit_max_attempts: int = Field(default=10, ge=1, le=10_000, description="Failed logins in the window.")
    login_rate_limit_window_minutes: int = Field(default=15, ge=1, le=1440, description="Length of that window.")

    # Signup and Telegram
    telegram_bot_token: Secret = Field(default=None, description="Token of the bot that sends PINs; unset: no signup.")
    telegram_webhook_secret: Secret = Field(
        default=None, description="What Telegram's calls must carry; 1 to 256 of `A-Z a-z 0-9 _ -`."
    )
    telegram_owner_id: Number = Field(
        default=None, ge=1, lt=2**63, description="Telegram id of the owner; unset: bound with a one-time code."
    )
    telegram_api_base_url: str = Field(default="https://api.telegram.org", description="Address of the Bot API.")
    signup_pin_secret: Secret = Field(
        default=None, description="Key under which PINs are stored; unset: made from the bot's token."
    )
    signup_pin_ttl_minutes: int = Field(default=10, ge=1, le=1440, description="How long a PIN works.")
    signup_pin_max_attempts: int = Field(default=8, ge=1, le=20, description="Tries of one PIN.")

    # Chatwoot
    chatwoot_base_url: Text = Field(default=None, description="Address of Chatwoot, without `/api`.")
    chatwoot_api_token: Secret = Field(default=None, description="Access token of an administrator of the account.")
    chatwoot_account_id: Number = Field(default=None, ge=1, description="Account bound on a project's first sync.")
    chatwoot_lookback_days: Number = Field(
        default=None, ge=1, le=36_500, description="Only conversations active since; unset: everything."
    )
    chatwoot_concurrency: int = Field(default=8, ge=1, le=64, description="Requests in flight.")
    chatwoot_recheck_minutes: int = Field(
        default=30, ge=0, le=10_080, description="Conversations active within are re-read for deletions."
    )
    chatwoot_reconcile_requests_per_minute: int = Field(
        default=1500, ge=1, le=600_000, description="Pace of the daily reconcile; Chatwoot's own limit is 3000."
    )
    chatwoot_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Longest wait for one answer.")

    # Mail
    smtp_url: Annotated[Secret, AfterValidator(_names_relay)] = Field(
        default=None,
        description="Mail relay: `smtp://user:password@host:587` (STARTTLS, unless it is on this machine or"
        " `?tls=none`), or `smtps://`. Unset: no e-mail.",
    )
    smtp_from: Annotated[Text, AfterValidator(_names_sender)] = Field(
        default=None, description="Who writes: `Studio <hello@example.com>`. Needed with `SMTP_URL`."
    )
    smtp_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Longest wait for one answer.")

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
        default=None, description="Unset: `openai` if a key is set, else `local`."
    )
    embedding_model: str = Field(default="text-embedding-3-small", description="Model of the `openai` provider.")
    embedding_dim: Number = Field(default=None, ge=2, le=4000, description="Dimension; unset: the model's own.")
    embedding_query_prefix: str = Field(default="", description="Put before queries, for models that want it (e5).")
    embedding_document_prefix: str = Field(default="", description="Put before texts, for models that want it (e5).")
    openai_api_key: Secret = Field(default=None, description="Key of OpenAI or of a compatible server.")
    openai_base_url: Text = Field(default=None, description="Address of a compatible server; unset: OpenAI.")
    openai_timeout_ms: int = Field(default=20_000, ge=100, le=600_000, description="Longest wait for one answer.")
    embed_batch_size: int = Field(default=100, ge=1, le=2048, description="Texts in one request.")
    embed_concurrency: int = Field(default=4, ge=1, le=64, description="Requests in flight.")
    embed_max_attempts: int = Field(
        default=5, ge=1, le=100, description="Tries of one request; also claims a chunk may outlive."
    )
    embed_stale_recovery_minutes: int = Field(
        default=30, ge=1, le=1440, description="Age at which a claim of a lost worker is taken back."
    )

    # Search
    search_hnsw_ef_search: int = Field(default=100, ge=1, le=1000, description="Breadth of the vector index search.")

    # Outbound
    outbound_four_eyes: bool = Field(default=False, description="Whoever drafts a message may not approve it.")
    outbound_concurrency: int = Field(default=16, ge=1, le=256, description="Messages on their way at once.")
    outbound_lease_seconds: float = Field(
        default=300,
        ge=1,
        le=86_400,
        description="Age at which an attempt without outcome counts as lost; a call is cut off at half of it.",
    )

    # Jobs
    job_wait_seconds: int = Field(default=25, ge=0, le=600, description="How long a job route waits for its result.")
    worker_interval_seconds: int = Field(default=60, ge=1, le=3600, description="Pause between looks at the schedule.")
    worker_tick_limit: int = Field(default=25, ge=1, le=100, description="Due jobs started in one look.")
    run_retention_days: int = Field(
        default=30, ge=1, le=3650, description="Days for which runs are kept; the last of each job type always is."
    )
    worker_concurrency: int = Field(default=2, ge=1, le=64, description="Jobs one worker runs at a time.")
    storage_budget_gb: float = Field(default=20, gt=0, description="Budget against which storage is shown.")

    @property
    def provider(self) -> Literal["openai", "local"]:
        """The embedding provider in effect."""
        return self.embedding_provider or ("openai" if self.openai_api_key else "local")

    @property
    def has_chatwoot(self) -> bool:
        """Whether it is said where Chatwoot is and how to get in."""
        return self.chatwoot_base_url is not None and self.chatwoot_api_token is not None

    @property
    def secure_cookies(self) -> bool | None:
        """Whether cookies carry the Secure flag; None when that depends on how each request came."""
        if self.cookie_secure is not None:
            return self.cookie_secure
        return True if (self.public_url or "").lower().startswith("https://") else None

    @property
    def cors_origins(self) -> list[str]:
        """The allowed origins, without trailing slashes."""
        return [o.strip().rstrip("/") for o in self.cors_origin.split(",") if o.strip()]

    @property
    def opt_out_words(self) -> list[str]:
        """The words that opt out, in small letters."""
        return sorted({w.strip().lower() for w in self.outbound_opt_out_words.split(",") if w.strip()})

    @property
    def proxies(self) -> list[IPv4Network | IPv6Network]:
        """The networks of proxies that are believed."""
        return _networks(self.trusted_proxies)


def load() -> Settings:
    """Read the environment.

    Raises `Invalid` with one line for each wrong variable: its name, its value (masked if secret) and what is allowed.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise Invalid("\n".join(_line(e["loc"], e["input"], e["msg"]) for e in error.errors())) from None
    for origin in settings.cors_origins:
        if not _ORIGIN.fullmatch(origin):
            allowed = "name origins such as https://app.example.com, since cookies are sent along with their requests"
            raise Invalid(_line(("cors_origin",), origin, allowed))
    if settings.smtp_url is not None and settings.smtp_from is None:
        raise Invalid(_line(("smtp_from",), "", "name who writes, such as Studio <hello@example.com>"))
    return settings


def shown(settings: Settings) -> dict[str, object]:
    """The effective settings by variable name, secrets masked."""
    return {name.upper(): _masked(getattr(settings, name)) for name in Settings.model_fields}


def is_secret(name: str) -> bool:
    """Whether the field of that name holds a secret."""
    return "SecretStr" in str(Settings.model_fields[name].annotation)


def _masked(value: object) -> object:
    if isinstance(value, SecretStr):
        return "********"
    return str(value) if isinstance(value, Path) else value


def _line(loc: tuple[int | str, ...], value: object, allowed: str) -> str:
    name = str(loc[0])
    value = "********" if is_secret(name) else repr(value)
    allowed = allowed.removeprefix("Value error, ")
    return f"{name.upper()}={value}: {allowed[:1].lower()}{allowed[1:]}."
