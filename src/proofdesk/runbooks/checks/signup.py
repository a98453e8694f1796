"""Signup disabled: the bot from its token to the owner's chat."""

import re
from typing import Any

from proofdesk.accounts import quotas, signup, telegram
from proofdesk.accounts.bot import BotIdentity, TelegramError, WebhookInfo
from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks import fixes, queries
from proofdesk.runbooks.checks import auth
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_SENT_WITHIN_MINUTES = 24 * 60
_EVENTS = 50


async def check_token_setting(context: RunbookContext) -> Observation:
    """Whether there is a bot."""
    there = context.settings.telegram_bot_token is not None
    return ok("TELEGRAM_BOT_TOKEN is set.") if there else fail("TELEGRAM_BOT_TOKEN is not set.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Whether Telegram answers."""
    identity = await context.load_once(load_bot_identity)
    if isinstance(identity, TelegramError) and (
        identity.status is None or identity.status >= 500 or identity.status == 429
    ):
        return fail(identity.message)
    return ok("Telegram answers.")


async def check_token(context: RunbookContext) -> Observation:
    """Whether Telegram knows the bot."""
    identity = await context.load_once(load_bot_identity)
    if isinstance(identity, BotIdentity):
        return ok(f"The bot is @{identity.username}.")
    return fail(identity.message) if identity.permanent else skip("Telegram does not answer.")


async def check_webhook(context: RunbookContext) -> Observation:
    """Whether Telegram knows where to send what people write to the bot."""
    hook = await context.load_once(_load_webhook)
    expected_url = (context.settings.public_url or "").rstrip("/") + telegram.WEBHOOK_PATH
    if not hook.url:
        return await _fail_if_owner_unbound(
            context, "Telegram has no address to send messages to: the webhook is not registered."
        )
    if not hook.url.split("?")[0].endswith(telegram.WEBHOOK_PATH):
        return await _fail_if_owner_unbound(
            context, f"Telegram sends messages to {hook.url}, which is not Proofdesk's webhook."
        )
    if context.settings.public_url and hook.url.split("?")[0] != expected_url:
        return await _fail_if_owner_unbound(context, f"Telegram sends messages to {hook.url}, not to {expected_url}.")
    return ok(f"Telegram sends messages to {hook.url.split('?')[0]}.")


async def check_webhook_secret(context: RunbookContext) -> Observation:
    """Whether Telegram's calls carry the secret that is expected; what it knows can only be told by what it is told."""
    hook, secret = await context.load_once(_load_webhook), context.settings.telegram_webhook_secret
    if secret is None:
        return warn("TELEGRAM_WEBHOOK_SECRET is not set: anybody may call the webhook in Telegram's name.")
    if not _SECRET.fullmatch(secret.get_secret_value()):
        return fail("TELEGRAM_WEBHOOK_SECRET holds characters that Telegram does not take.")
    if hook.last_error and "401" in hook.last_error:
        return await _fail_if_owner_unbound(context, f"Proofdesk refused Telegram's last call: {hook.last_error}.")
    return ok("No call of Telegram was refused for its secret.")


async def check_webhook_deliveries(context: RunbookContext) -> Observation:
    """Whether Telegram's calls get through."""
    hook = await context.load_once(_load_webhook)
    if hook.last_error and "401" not in hook.last_error:
        at = f" at {hook.last_error_at:%Y-%m-%d %H:%M} UTC" if hook.last_error_at else ""
        return await _fail_if_owner_unbound(context, f"{hook.last_error}{at}; {hook.pending} messages wait.")
    return ok(f"The last delivery had no error; {hook.pending} messages wait.")


async def check_owner(context: RunbookContext) -> Observation:
    """Whether somebody gets the PINs."""
    if await telegram.fetch_owner_binding(context.resources.db, context.settings) is not None:
        return ok("The owner's Telegram account is bound.")
    return fail("Nobody would get the PIN: `owner_bound` is false.")


async def check_limits(context: RunbookContext) -> Observation:
    """Whether too many signups were started or PINs tried."""
    limits = {q.purpose: q for q in (quotas.STARTS, quotas.STARTS_OF_ADDRESS, quotas.PINS, quotas.PINS_OF_ADDRESS)}
    async with context.resources.db.transaction() as conn:
        counted = await queries.list_rate_limits(conn, list(limits))
    full = [c for c in counted if c.hits > limits[c.purpose].max_hits and c.minutes < limits[c.purpose].minutes]
    if not full:
        return ok("No limit is reached.")
    left = max(limits[c.purpose].minutes - c.minutes for c in full)
    return fail(f"Used up: {', '.join(c.purpose for c in full)}, for {left:.0f} more minutes.")


async def check_last_pin(context: RunbookContext) -> Observation:
    """Whether the last PIN could be sent."""
    asked = AuditFilter("auth.*", None, None)
    found_events = await chain.list_events(
        context.resources.db, context.required_scope, context.actor, asked, _EVENTS, 0
    )
    failed = [e for e in found_events if e.payload.get("reason") == TelegramError.code]
    started = [e for e in found_events if e.action == "auth.signup_start"]
    failed_ids = {e.entity_id for e in failed}
    if failed and started and started[0].entity_id in failed_ids:
        minutes = (context.now() - failed[0].created_at).total_seconds() / 60
        if minutes < _SENT_WITHIN_MINUTES:
            return fail(f"The last PIN could not be sent, {minutes:.0f} minutes ago.")
    return ok("The last PIN, if there was one, was sent.")


async def load_bot_identity(context: RunbookContext) -> BotIdentity | TelegramError:
    """Who the bot is, or why Telegram does not say."""
    try:
        return await _bot(context).me()
    except TelegramError as error:
        return error


async def collect_signup_status(context: RunbookContext) -> Any:
    """What `GET /auth/signup/status` answers."""
    found = await signup.status(context.resources.db, context.settings)
    names = ("enabled", "has_telegram_token", "owner_bound", "missing", "message")
    return {name: getattr(found, name) for name in names}


async def collect_webhook_status(context: RunbookContext) -> Any:
    """What Telegram tells of the webhook."""
    hook = await context.load_once(_load_webhook)
    return {"url": hook.url.split("?")[0], "pending": hook.pending, "last_error": hook.last_error,
            "last_error_at": hook.last_error_at}  # fmt: skip


async def _load_webhook(context: RunbookContext) -> WebhookInfo:
    if isinstance(await context.load_once(load_bot_identity), TelegramError):
        raise CheckSkippedError("Telegram does not let us ask.")
    return await _bot(context).webhook()


async def _fail_if_owner_unbound(context: RunbookContext, observed: str) -> Observation:
    """The webhook serves to bind the owner: once he is bound, PINs go out without it."""
    if await telegram.fetch_owner_binding(context.resources.db, context.settings) is None:
        return fail(observed)
    return warn(f"{observed} The owner is bound already, so PINs are sent all the same.")


def _bot(context: RunbookContext) -> Any:
    if context.resources.bot is None:
        raise CheckSkippedError("There is no bot to ask.")
    return context.resources.bot


_SET_WEBHOOK = Fix("Register the webhook.", command="proofdesk telegram set-webhook")
_BIND = Fix("The owner sends /bind with a one-time code to the bot.", command="proofdesk telegram bind-code")
_START = Fix("Start the signup again.", "POST", "/auth/signup/start")

RUNBOOK = Runbook(
    slug="signup-disabled",
    title="Signup disabled / PIN flow unavailable",
    symptom="On `/login` no account can be created, or the PIN cannot be sent.",
    impact="New colleagues get no account; those who have one are not affected.",
    checks=(
        Check(
            "token",
            "TELEGRAM_BOT_TOKEN",
            "TELEGRAM_BOT_TOKEN is set (`has_telegram_token`).",
            "There is no Telegram bot: TELEGRAM_BOT_TOKEN is not set.",
            check_token_setting,
            (fixes.set_variable("TELEGRAM_BOT_TOKEN", "to the token of the bot, from @BotFather"),),
        ),
        Check(
            "reachable",
            "Telegram answers",
            "Telegram answers at TELEGRAM_API_BASE_URL.",
            "Telegram cannot be reached or is out of order.",
            check_reachable,
            (Fix("Check TELEGRAM_API_BASE_URL and the way there: name, firewall, proxy."),),
        ),
        Check(
            "bot",
            "Bot",
            "`getMe` knows the bot.",
            "Telegram does not know TELEGRAM_BOT_TOKEN: it is wrong or was revoked.",
            check_token,
            (fixes.set_variable("TELEGRAM_BOT_TOKEN", "to the token of the bot, from @BotFather"),),
        ),
        Check(
            "webhook",
            "Webhook",
            "`getWebhookInfo` names this Proofdesk.",
            "Telegram does not send us what people write to the bot, so /bind is never heard.",
            check_webhook,
            (_SET_WEBHOOK,),
        ),
        Check(
            "secret",
            "TELEGRAM_WEBHOOK_SECRET",
            "Telegram's calls carry TELEGRAM_WEBHOOK_SECRET.",
            "Telegram's calls carry another secret than TELEGRAM_WEBHOOK_SECRET, so they are refused.",
            check_webhook_secret,
            (Fix("Set TELEGRAM_WEBHOOK_SECRET (A-Z a-z 0-9 _ -), restart, and register the webhook again.",
                 command="proofdesk telegram set-webhook"),),
        ),
        Check(
            "deliveries",
            "Deliveries",
            "`getWebhookInfo` has no last error.",
            "Telegram cannot deliver to our webhook.",
            check_webhook_deliveries,
            (Fix("Let Telegram reach PUBLIC_URL: name, certificate, firewall, proxy."), _SET_WEBHOOK),
        ),
        Check(
            "owner",
            "Owner",
            "The owner's Telegram account is bound (`owner_bound`).",
            "The owner's Telegram account is not bound, so nobody would get the PIN.",
            check_owner,
            (_BIND,),
        ),
        Check(
            "limits",
            "Limits",
            "No limit of signups or PINs is reached.",
            "Too many signups were started or PINs tried.",
            check_limits,
            (Fix("Wait for the end of the window."), _START),
        ),
        Check(
            "pins",
            "PINs",
            "The last PIN was sent.",
            "The PIN could not be sent to the owner: he blocked the bot or deleted the chat.",
            check_last_pin,
            (Fix("The owner opens the chat with the bot and sends /start."), _START),
        ),
    ),
    evidence=(
        EvidenceSection("Signup status", collect_signup_status),
        EvidenceSection("Webhook delivery status", collect_webhook_status),
        EvidenceSection("Audit events about signing in and signing up", auth.collect_auth_events),
        EvidenceSection("Log of this process about signing in and signing up", auth.collect_auth_log),
    ),
    variables=(
        "TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_OWNER_ID", "TELEGRAM_API_BASE_URL", "PUBLIC_URL",
        "SIGNUP_PIN_SECRET", "SIGNUP_PIN_TTL_MINUTES", "SIGNUP_PIN_MAX_ATTEMPTS",
    ),
)  # fmt: skip
