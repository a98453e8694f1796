"""Signup disabled: checks the Telegram bot, from its token to the owner's chat."""

import re
from typing import Any

from proofdesk.accounts import pins, quotas, signup, telegram
from proofdesk.accounts.bot import Bot, BotIdentity, TelegramError, WebhookInfo
from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks import fixes, queries
from proofdesk.runbooks.checks import auth, database
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_SENT_WITHIN_MINUTES = 24 * 60
_EVENTS = 50


async def check_token_setting(context: RunbookContext) -> Observation:
    """Check that TELEGRAM_BOT_TOKEN is set."""
    is_set = context.settings.telegram_bot_token is not None
    return ok("TELEGRAM_BOT_TOKEN is set.") if is_set else fail("TELEGRAM_BOT_TOKEN is not set.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Check that Telegram responds."""
    identity = await context.load_once(load_bot_identity)
    if isinstance(identity, TelegramError) and (
        identity.status is None or identity.status >= 500 or identity.status == 429
    ):
        return fail(identity.message)
    return ok("Telegram responds.")


async def check_token(context: RunbookContext) -> Observation:
    """Check that Telegram accepts the token."""
    identity = await context.load_once(load_bot_identity)
    if isinstance(identity, BotIdentity):
        return ok(f"The bot is @{identity.username}.")
    return fail(identity.message) if identity.permanent else skip("Telegram does not respond.")


async def check_webhook(context: RunbookContext) -> Observation:
    """Check that the webhook is registered and points to this installation."""
    hook = await context.load_once(_load_webhook)
    expected_url = (context.settings.public_url or "").rstrip("/") + telegram.WEBHOOK_PATH
    if not hook.url:
        return await _fail_if_owner_unbound(context, "No webhook is registered.")
    if not hook.url.split("?")[0].endswith(telegram.WEBHOOK_PATH):
        return await _fail_if_owner_unbound(
            context, f"Telegram sends messages to {hook.url}, which is not Proofdesk's webhook."
        )
    if context.settings.public_url and hook.url.split("?")[0] != expected_url:
        return await _fail_if_owner_unbound(context, f"Telegram sends messages to {hook.url}, not to {expected_url}.")
    return ok(f"Telegram sends messages to {hook.url.split('?')[0]}.")


async def check_webhook_secret(context: RunbookContext) -> Observation:
    """Check the secret of the webhook. Telegram does not reveal it, so rejected deliveries are the only sign."""
    hook, secret = await context.load_once(_load_webhook), context.settings.telegram_webhook_secret
    if secret is None:
        return warn("TELEGRAM_WEBHOOK_SECRET is not set: anybody can send requests to the webhook.")
    if not _SECRET.fullmatch(secret.get_secret_value()):
        return fail("TELEGRAM_WEBHOOK_SECRET contains characters that Telegram does not accept.")
    if hook.last_error and "401" in hook.last_error:
        return await _fail_if_owner_unbound(context, f"Proofdesk rejected Telegram's last delivery: {hook.last_error}.")
    return ok("Proofdesk did not reject a delivery for its secret.")


async def check_webhook_deliveries(context: RunbookContext) -> Observation:
    """Check that Telegram's deliveries arrive."""
    hook = await context.load_once(_load_webhook)
    if hook.last_error and "401" not in hook.last_error:
        at = f" at {hook.last_error_at:%Y-%m-%d %H:%M} UTC" if hook.last_error_at else ""
        return await _fail_if_owner_unbound(context, f"{hook.last_error}{at}; {hook.pending} messages wait.")
    return ok(f"The last delivery had no error; {hook.pending} messages wait.")


async def check_owner(context: RunbookContext) -> Observation:
    """Check that the owner's Telegram account is bound."""
    if await telegram.fetch_owner_binding(context.resources.db, context.settings) is not None:
        return ok("The owner's Telegram account is bound.")
    return fail("Nobody would receive the PIN: `owner_bound` is false.")


async def check_limits(context: RunbookContext) -> Observation:
    """Check that no limit of signups or PIN attempts is reached."""
    limits = {q.purpose: q for q in (quotas.STARTS, quotas.STARTS_OF_ADDRESS, quotas.PINS, quotas.PINS_OF_ADDRESS)}
    async with context.resources.db.transaction() as conn:
        counts = await queries.list_rate_limits(conn, list(limits))
    reached = [c for c in counts if c.hits > limits[c.purpose].max_hits and c.minutes < limits[c.purpose].minutes]
    if not reached:
        return ok("No limit is reached.")
    left = max(limits[c.purpose].minutes - c.minutes for c in reached)
    return fail(f"Limits reached: {', '.join(c.purpose for c in reached)}. Retry in {left:.0f} minutes.")


async def check_pin_secret(context: RunbookContext) -> Observation:
    """Check that every waiting signup has a PIN of the current key."""
    async with context.resources.db.transaction() as conn:
        other = await queries.count_pins_of_another_key(conn, pins.key_fingerprint(context.settings))
    if other:
        return fail(f"{other} signups wait for a PIN that was made with another SIGNUP_PIN_SECRET.")
    return ok("SIGNUP_PIN_SECRET has not changed since the waiting signups were started.")


async def check_last_pin(context: RunbookContext) -> Observation:
    """Check that the last PIN was sent."""
    event_filter = AuditFilter("auth.*", None, None)
    recent_events = await chain.list_events(
        context.resources.db, context.required_scope, context.actor, event_filter, _EVENTS, 0
    )
    failed = [e for e in recent_events if e.payload.get("reason") == TelegramError.code]
    started = [e for e in recent_events if e.action == "auth.signup_start"]
    failed_ids = {e.entity_id for e in failed}
    if failed and started and started[0].entity_id in failed_ids:
        minutes = (context.now() - failed[0].created_at).total_seconds() / 60
        if minutes < _SENT_WITHIN_MINUTES:
            return fail(f"The last PIN could not be sent, {minutes:.0f} minutes ago.")
    return ok("No PIN failed to be sent recently.")


async def load_bot_identity(context: RunbookContext) -> BotIdentity | TelegramError:
    """Return the identity of the bot, or the error of Telegram."""
    try:
        return await _bot(context).identity()
    except TelegramError as error:
        return error


async def collect_signup_status(context: RunbookContext) -> Any:
    """Return the content of `GET /auth/signup/status`."""
    status = await signup.status(context.resources.db, context.settings)
    names = ("enabled", "has_telegram_token", "owner_bound", "missing", "message")
    return {name: getattr(status, name) for name in names}


async def collect_webhook_status(context: RunbookContext) -> Any:
    """Return what Telegram reports about the webhook."""
    hook = await context.load_once(_load_webhook)
    return {"url": hook.url.split("?")[0], "pending": hook.pending, "last_error": hook.last_error,
            "last_error_at": hook.last_error_at}  # fmt: skip


async def _load_webhook(context: RunbookContext) -> WebhookInfo:
    if isinstance(await context.load_once(load_bot_identity), TelegramError):
        raise CheckSkippedError("Telegram does not accept requests of the bot.")
    return await _bot(context).webhook_info()


async def _fail_if_owner_unbound(context: RunbookContext, observed: str) -> Observation:
    """Fail while no owner is bound, else warn: binding needs the webhook, sending PINs does not."""
    if await telegram.fetch_owner_binding(context.resources.db, context.settings) is None:
        return fail(observed)
    return warn(f"{observed} The owner is bound, so PINs are still sent.")


def _bot(context: RunbookContext) -> Bot:
    if context.resources.bot is None:
        raise CheckSkippedError("No Telegram bot is configured.")
    return context.resources.bot


_SET_WEBHOOK = Fix("Register the webhook.", command="proofdesk telegram set-webhook")
_BIND = Fix("The owner sends /bind with a one-time code to the bot.", command="proofdesk telegram bind-code")

RUNBOOK = Runbook(
    slug="signup-disabled",
    title="Signup disabled / PIN flow unavailable",
    symptom="On `/login`, creating an account is disabled, or the PIN cannot be sent.",
    impact="New colleagues cannot create an account. Existing accounts are not affected.",
    checks=(
        database.USABLE,
        Check(
            "token",
            "TELEGRAM_BOT_TOKEN",
            "TELEGRAM_BOT_TOKEN is set (`has_telegram_token`).",
            "There is no Telegram bot: TELEGRAM_BOT_TOKEN is not set.",
            check_token_setting,
            fixes.set_variable("TELEGRAM_BOT_TOKEN", "to the token of the bot, from @BotFather"),
        ),
        Check(
            "reachable",
            "Connection",
            "Telegram responds at TELEGRAM_API_BASE_URL.",
            "Telegram cannot be reached or responds with server errors.",
            check_reachable,
            Fix("Check TELEGRAM_API_BASE_URL, DNS, firewall and proxy.", command='curl -sS "$TELEGRAM_API_BASE_URL"'),
        ),
        Check(
            "bot",
            "Bot",
            "`getMe` returns the bot.",
            "Telegram rejects TELEGRAM_BOT_TOKEN: it is wrong or was revoked.",
            check_token,
            fixes.set_variable("TELEGRAM_BOT_TOKEN", "to the token of the bot, from @BotFather"),
        ),
        Check(
            "webhook",
            "Webhook",
            "`getWebhookInfo` returns the URL of this Proofdesk.",
            "Telegram does not send messages to Proofdesk, so `/bind` has no effect.",
            check_webhook,
            _SET_WEBHOOK,
        ),
        Check(
            "secret",
            "TELEGRAM_WEBHOOK_SECRET",
            "Telegram's deliveries contain TELEGRAM_WEBHOOK_SECRET.",
            "Telegram's deliveries contain another secret than TELEGRAM_WEBHOOK_SECRET, so Proofdesk rejects them.",
            check_webhook_secret,
            Fix("Set TELEGRAM_WEBHOOK_SECRET (A-Z a-z 0-9 _ -), restart, and register the webhook again.",
                command="proofdesk telegram set-webhook"),
        ),
        Check(
            "deliveries",
            "Deliveries",
            "`getWebhookInfo` has no last error.",
            "Telegram cannot deliver to the webhook.",
            check_webhook_deliveries,
            Fix("Make PUBLIC_URL reachable for Telegram (DNS, certificate, firewall), then register the webhook again.",
                command="proofdesk telegram set-webhook"),
        ),
        Check(
            "owner",
            "Owner",
            "The owner's Telegram account is bound (`owner_bound`).",
            "The owner's Telegram account is not bound, so nobody would receive the PIN.",
            check_owner,
            _BIND,
        ),
        Check(
            "limits",
            "Limits",
            "No limit of signups or PIN attempts is reached.",
            "Too many signups were started, or too many PINs were entered.",
            check_limits,
            Fix("Wait until the window ends, then start the signup again.", "POST", "/auth/signup/start"),
        ),
        Check(
            "pin-secret",
            "SIGNUP_PIN_SECRET",
            "SIGNUP_PIN_SECRET is the same as when the waiting signups were started.",
            "SIGNUP_PIN_SECRET changed after a signup was started, or differs between server processes.",
            check_pin_secret,
            fixes.set_variable("SIGNUP_PIN_SECRET", "to one value for all servers, and start waiting signups again"),
        ),
        Check(
            "pins",
            "PINs",
            "The last PIN was sent.",
            "The PIN could not be sent to the owner: they blocked the bot or deleted the chat.",
            check_last_pin,
            Fix("The owner opens the chat with the bot and sends /start. Then start the signup again.", "POST",
                "/auth/signup/start"),
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
    per_project=False,
    watched=False,
)  # fmt: skip
