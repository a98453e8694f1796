"""The Telegram bot: it executes each update once and replies to it, and binds the owner's Telegram account.

Signup PINs go to the bound account, so a person who can bind their own account can create users.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from proofdesk import logging
from proofdesk.accounts import commands, quotas, signup_queries
from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.accounts.commands import BotCommand, BotDecision
from proofdesk.accounts.signup_queries import TelegramBinding
from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Denied, Invalid, Unavailable
from proofdesk.settings import Settings

log = logging.get_logger(__name__)

WEBHOOK_PATH = "/auth/telegram/webhook"
_SECRET_FORM = re.compile(r"[A-Za-z0-9_-]{1,256}")
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # without characters that look alike


class TelegramNotConfigured(Unavailable):
    """No bot is configured."""

    code = "telegram_not_configured"

    def __init__(self) -> None:
        super().__init__("No Telegram bot is configured: set TELEGRAM_BOT_TOKEN.", configured=False)


class InvalidWebhookSecret(Denied):
    """The call does not carry the webhook's secret."""

    code = "invalid_webhook_secret"


class WebhookRateLimited(Denied):
    """Too many calls of the webhook."""

    code = "webhook_rate_limited"


class OwnerSetByOperator(Conflict):
    """TELEGRAM_OWNER_ID sets the owner, so that a bind code has no effect."""

    code = "telegram_owner_fixed"


@dataclass(frozen=True)
class TelegramUpdate:
    """An update from Telegram. `message` is not validated; `proven`: the call carried the webhook's secret."""

    id: int
    message: object
    proven: bool
    request_id: str | None = None


def check_secret(settings: Settings, *presented: str | None) -> bool:
    """Return whether one of the presented values is the webhook's secret; False if no secret is set.

    The comparison takes constant time. Raises `InvalidWebhookSecret`.
    """
    if settings.telegram_webhook_secret is None:
        return False
    secret = settings.telegram_webhook_secret.get_secret_value().encode()
    matches = [hmac.compare_digest(secret, (text or "").encode("utf-8", "replace")) for text in presented]
    if not any(matches):
        raise InvalidWebhookSecret("The webhook secret is missing or wrong. Run `proofdesk telegram set-webhook`.")
    return True


async def admit_webhook_call(db: Database, settings: Settings, address: str, *presented: str | None) -> bool:
    """Admit a webhook call within its quota; return whether it carried the secret.

    Raises `InvalidWebhookSecret` or `WebhookRateLimited`.
    """
    try:
        proven = check_secret(settings, *presented)
    except InvalidWebhookSecret:
        await _count_call(db, proven=False, address=address)
        raise
    await _count_call(db, proven=proven, address=address)
    return proven


async def handle_update(db: Database, settings: Settings, bot: Bot, update: TelegramUpdate) -> bool:
    """Execute an update once and reply to its sender; return whether they are the bound owner now."""
    command = commands.parse_command(update.message, proven=update.proven)
    async with db.transaction() as conn:
        if not await signup_queries.record_update(conn, update.id) or command is None:
            return False
        await signup_queries.delete_expired(conn)
        if await quotas.count_hits_in(conn, (quotas.MESSAGES_OF_SENDER, str(command.sender_id))):
            return False
        decision = commands.decide(command, await signup_queries.fetch_binding(conn), settings.telegram_owner_id)
        decision = await _execute(conn, command, decision, update.request_id)
    log.info("telegram command", command=command.command[:32], act=decision.action, sender_id=command.sender_id)
    await _send_reply(bot, command.chat_id, decision.reply)
    return decision.action in ("bind", "redeem", "keep")


async def create_bind_code(db: Database, settings: Settings, by: Actor) -> tuple[str, datetime]:
    """Create a one-time code for /bind and return it with its expiry; earlier codes become invalid.

    Raises `TelegramNotConfigured` or `OwnerSetByOperator`.
    """
    if settings.telegram_bot_token is None:
        raise TelegramNotConfigured
    if reason := bind_code_problem(settings):
        raise OwnerSetByOperator(reason)
    code = "-".join("".join(secrets.choice(_CODE_ALPHABET) for _ in range(4)) for _ in range(3))
    async with db.transaction() as conn:
        stored = await signup_queries.replace_code(conn, _hash(code), commands.CODE_MINUTES)
        await events.record(conn, by, "auth.telegram_bind_code", "telegram_owner", None)
    return code, stored.expires_at


def bind_code_problem(settings: Settings) -> str:
    """Return why a code has no effect; empty if it has one."""
    if settings.telegram_bot_token is None:
        return TelegramNotConfigured().message
    if settings.telegram_owner_id is not None:
        return "TELEGRAM_OWNER_ID sets the owner: send /bind to the bot from that account, without a code."
    return ""


async def register_webhook(settings: Settings, bot: Bot | None, url: str | None) -> str:
    """Register the webhook at `url` or else at PUBLIC_URL; return its address.

    Raises `TelegramNotConfigured`, `Invalid` or `TelegramError`.
    """
    if bot is None:
        raise TelegramNotConfigured
    base = (url or settings.public_url or "").strip().rstrip("/")
    if not base:
        raise Invalid("The public address is unknown: give it, or set PUBLIC_URL.")
    secret = settings.telegram_webhook_secret.get_secret_value() if settings.telegram_webhook_secret else None
    if secret is None:
        log.warning("TELEGRAM_WEBHOOK_SECRET is not set: anyone can call the webhook in the name of Telegram")
    elif not _SECRET_FORM.fullmatch(secret):
        raise Invalid("TELEGRAM_WEBHOOK_SECRET=********: Telegram allows 1 to 256 characters of A-Z a-z 0-9 _ -.")
    address = base if base.endswith(WEBHOOK_PATH) else base + WEBHOOK_PATH
    await bot.set_webhook(address, secret)
    return address


async def fetch_owner_binding(db: Database, settings: Settings) -> TelegramBinding | None:
    """Return the owner's Telegram account, if one is bound and TELEGRAM_OWNER_ID does not name another."""
    async with db.transaction() as conn:
        binding = await signup_queries.fetch_binding(conn)
    return binding if commands.is_effective(binding, settings.telegram_owner_id) else None


async def unbind(db: Database, by: Actor) -> bool:
    """Delete the binding, open signups and the bind code; return False if no account was bound."""
    async with db.transaction() as conn:
        await signup_queries.delete_code(conn)
        unbound = await signup_queries.unbind(conn)
        await signup_queries.delete_requests(conn)
        if unbound:
            await events.record(conn, by, "auth.telegram_unbind", "telegram_owner", None)
    return unbound


async def _count_call(db: Database, *, proven: bool, address: str) -> None:
    quota, subject = quotas.PROVEN_CALLS, quotas.EVERYONE
    if not proven:
        quota, subject = quotas.OTHER_CALLS_OF_ADDRESS, quotas.subject_of_address(address)
    if wait := await quotas.count_hits(db, (quota, subject)):
        raise WebhookRateLimited("Too many calls of the webhook.", status=429, retry_after=wait)


async def _execute(conn: Conn, command: BotCommand, decision: BotDecision, request_id: str | None) -> BotDecision:
    if decision.action == "redeem" and not await signup_queries.use_code(conn, _hash(decision.code)):
        decision = BotDecision(
            "refuse", "This code is wrong, used or expired. " + commands.BIND_INSTRUCTIONS, reason="wrong_code"
        )
    if decision.action == "refuse":
        await _record(conn, command, "auth.telegram_bind_refused", request_id, decision.reason)
    if decision.action in ("bind", "redeem"):
        # A forged update must not divert the PINs: without the secret, the chat is the private one of the sender.
        chat_id = command.chat_id if command.proven or decision.action == "redeem" else command.sender_id
        await signup_queries.bind(conn, command.sender_id, chat_id, command.name)
        await signup_queries.delete_requests(conn)  # their PINs went to the previous account
        await _record(conn, command, "auth.telegram_bind", request_id)
    return decision


async def _record(conn: Conn, command: BotCommand, action: str, request_id: str | None, reason: str = "") -> None:
    payload = {"telegram_id": command.sender_id} | ({"reason": reason} if reason else {})
    status = "refused" if reason else "ok"
    actor = events.anonymous_actor(request_id)
    await events.record(conn, actor, action, "telegram_owner", command.sender_id, status=status, payload=payload)


async def _send_reply(bot: Bot, chat_id: int, text: str) -> None:
    try:
        await bot.send(chat_id, text)
    except TelegramError as error:
        # The update is executed; a repetition by Telegram would change nothing.
        log.warning("telegram answer not sent", error=error.message, status=error.status)


def _hash(code: str) -> bytes:
    return hashlib.sha256(re.sub(r"[\s-]", "", code).upper().encode()).digest()
