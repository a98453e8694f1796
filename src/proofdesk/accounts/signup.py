"""Signup: the owner receives a PIN in Telegram and passes it to the applicant, who creates the account with it."""

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4

from proofdesk import logging
from proofdesk.accounts import accounts, passwords, pins, queries, quotas, sessions, signup_queries, telegram
from proofdesk.accounts.accounts import UsernameTaken
from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.accounts.sessions import NewSession
from proofdesk.accounts.signup_queries import SignupRequest, TelegramBinding
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Denied, Invalid
from proofdesk.settings import Settings

log = logging.get_logger(__name__)


class OwnerNotBound(Conflict):
    """No Telegram account would receive the PIN."""

    code = "telegram_owner_not_bound"

    def __init__(self) -> None:
        super().__init__("The owner's Telegram account is not bound: the owner must send /bind to the bot.")


class SignupRateLimited(Denied):
    """Too many signups were started."""

    code = "signup_rate_limited"


class SignupRequestInvalid(Invalid):
    """The request does not exist, or it was used."""

    code = "signup_request_invalid"

    def __init__(self) -> None:
        super().__init__("This signup does not exist, or it was used. Start again.")


class PinExpired(Invalid):
    """The PIN has expired."""

    code = "pin_expired"


class InvalidPin(Denied):
    """The PIN is wrong."""

    code = "invalid_pin"


class PinAttemptsExceeded(Denied):
    """The attempts of this request, or of this address, are used up."""

    code = "pin_attempts_exceeded"


@dataclass(frozen=True)
class SignupStatus:
    """Whether signup works. `missing` holds error codes in the order in which to fix them; `message` is a text."""

    has_telegram_token: bool
    owner_bound: bool
    missing: list[str]
    message: str

    @property
    def enabled(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class SignupApplication:
    """The requested account; `address` is the applicant's network address."""

    username: str
    password: str
    address: str
    request_id: str | None = None


@dataclass(frozen=True)
class StartedSignup:
    """A signup that waits for its PIN until `expires_at`."""

    signup_request_id: UUID
    username: str
    expires_at: datetime


@dataclass(frozen=True)
class SignupConfirmation:
    """A PIN for a request, from a network address; `replaces` is the token of an earlier session."""

    signup_request_id: str
    pin: str
    address: str
    replaces: str | None = None
    request_id: str | None = None


async def status(db: Database, settings: Settings) -> SignupStatus:
    """Return whether signup works, or what is missing."""
    return _status(settings, await telegram.fetch_owner_binding(db, settings))


async def start(db: Database, settings: Settings, bot: Bot | None, application: SignupApplication) -> StartedSignup:
    """Send a PIN to the owner. The password is hashed before the username is looked up, so that time reveals nothing.

    Raises `TelegramNotConfigured`, `OwnerNotBound`, `Invalid` (`invalid_username`, `invalid_password`),
    `SignupRateLimited`, `UsernameTaken` or `TelegramError`, which cancels the request.
    """
    if bot is None:
        raise TelegramNotConfigured
    if await telegram.fetch_owner_binding(db, settings) is None:
        raise OwnerNotBound
    username, password = (
        accounts.validate_username(application.username),
        accounts.validate_password(application.password),
    )
    subject = quotas.subject_of_address(application.address)
    if wait := await quotas.count_hits(db, (quotas.STARTS_OF_ADDRESS, subject), (quotas.STARTS, quotas.EVERYONE)):
        raise SignupRateLimited(f"Too many signups. Try again {_in_minutes(wait)}.", status=429, retry_after=wait)
    application = replace(application, username=username, password=await passwords.hash_password(password))
    pin = f"{secrets.randbelow(1_000_000):06}"
    started, chat_id = await _store_request(db, settings, application, pin)
    try:
        await bot.send(chat_id, _message(settings, application.address, started, pin))
    except TelegramError as error:
        log.warning("signup pin not sent", error=error.message, status=error.status)
        await _cancel_request(db, started.signup_request_id, application)
        raise
    return started


async def confirm(db: Database, settings: Settings, confirmation: SignupConfirmation) -> NewSession:
    """Create the account and sign in. Every attempt is counted before it is checked.

    Raises `SignupRequestInvalid`, `PinExpired`, `InvalidPin`, `PinAttemptsExceeded` or `UsernameTaken`.
    """
    try:
        request_id = UUID(confirmation.signup_request_id)
    except ValueError:
        raise SignupRequestInvalid from None
    subject = quotas.subject_of_address(confirmation.address)
    if wait := await quotas.count_hits(db, (quotas.PINS_OF_ADDRESS, subject), (quotas.PINS, quotas.EVERYONE)):
        raise PinAttemptsExceeded(
            f"Too many PIN attempts. Try again {_in_minutes(wait)}.", status=429, retry_after=wait
        )
    try:
        request = await _count_attempt(db, settings, request_id)
        if request.key_fingerprint not in (None, pins.key_fingerprint(settings)):
            raise PinExpired("The PIN is no longer valid: SIGNUP_PIN_SECRET has changed. Start the signup again.")
        if not hmac.compare_digest(request.pin_hash, pins.pin_hash(settings, request_id, confirmation.pin)):
            left = settings.signup_pin_max_attempts - request.attempts
            raise InvalidPin(
                f"The PIN is wrong, attempts left: {left}." if left else "The PIN is wrong, no attempts left."
            )
        return await _create_account(db, settings, request, confirmation)
    except (Invalid, Denied, Conflict) as error:
        async with db.transaction() as conn:
            await _record_failure(conn, confirmation, request_id, error.code)
        raise


async def _store_request(
    db: Database, settings: Settings, application: SignupApplication, pin: str
) -> tuple[StartedSignup, int]:
    """Store an application whose password is already hashed; return it with the chat that receives the PIN."""
    request_id, expires_at = uuid4(), None
    pin_hash = pins.pin_hash(settings, request_id, pin)
    request = SignupRequest(
        request_id,
        application.username,
        application.password,
        pin_hash,
        0,
        pins.key_fingerprint(settings),
        expired=False,
    )
    async with db.transaction() as conn:
        await signup_queries.delete_expired(conn)
        owner = await signup_queries.lock_binding(conn)
        if not _is_owner_name(settings, application.username):
            expires_at = await signup_queries.insert_request(
                conn, request, application.address, settings.signup_pin_ttl_minutes
            )
        if expires_at is None:
            await _record_failure(conn, application, None, UsernameTaken.code)
        else:
            payload = {"username": application.username, "address": application.address}
            stranger = events.anonymous_actor(application.request_id)
            await events.record(conn, stranger, "auth.signup_start", "signup_request", request_id, payload=payload)
    if owner is None:
        raise OwnerNotBound
    if expires_at is None:
        raise UsernameTaken(f"The username {application.username} is taken.")
    return StartedSignup(request_id, application.username, expires_at), owner.chat_id


async def _cancel_request(db: Database, request_id: UUID, application: SignupApplication) -> None:
    async with db.transaction() as conn:
        await signup_queries.delete_request(conn, request_id)
        await _record_failure(conn, application, request_id, TelegramError.code)


async def _count_attempt(db: Database, settings: Settings, request_id: UUID) -> SignupRequest:
    async with db.transaction() as conn:
        counted = await signup_queries.count_attempt(conn, request_id, settings.signup_pin_max_attempts)
        request = counted or await signup_queries.fetch_request(conn, request_id)
    if request is None:
        raise SignupRequestInvalid
    if counted is None and request.expired:
        raise PinExpired("The PIN has expired. Start the signup again.")
    if counted is None:
        raise PinAttemptsExceeded("This PIN had too many attempts. Start the signup again.", status=429)
    return counted


async def _create_account(
    db: Database, settings: Settings, request: SignupRequest, confirmation: SignupConfirmation
) -> NewSession:
    new_session = None
    async with db.transaction() as conn:
        # The second of two simultaneous confirmations waits here and then finds no request.
        request_deleted = await signup_queries.delete_request(conn, request.id)
        username_taken = _is_owner_name(settings, request.username) or await signup_queries.username_exists(
            conn, request.username
        )
        if request_deleted and not username_taken:
            account = await queries.insert_account(conn, request.username, request.password_hash, is_owner=False)
            if account is not None:
                new_session = await sessions.create_session(conn, account, confirmation.replaces)
                actor = Actor(account.username, account.id, False, confirmation.request_id)
                payload = {"signup_request_id": str(request.id), "address": confirmation.address}
                await events.record(conn, actor, "auth.signup_confirm", "user", account.id, payload=payload)
    if not request_deleted:
        raise SignupRequestInvalid
    if new_session is None:
        raise UsernameTaken(f"The username {request.username} has been taken meanwhile. Start again with another one.")
    return new_session


async def _record_failure(
    conn: Conn, attempt: SignupApplication | SignupConfirmation, request_id: UUID | None, reason: str
) -> None:
    # The quotas bound these events, so that nobody can flood the audit log.
    payload = {"reason": reason, "address": attempt.address}
    stranger = events.anonymous_actor(attempt.request_id)
    await events.record(
        conn, stranger, "auth.signup_failed", "signup_request", request_id, status="failed", payload=payload
    )


def _status(settings: Settings, owner: TelegramBinding | None) -> SignupStatus:
    has_token = settings.telegram_bot_token is not None
    missing, message = [], "Signup is open: for each new account the owner receives a PIN in Telegram."
    if owner is None:
        missing, message = [OwnerNotBound.code], OwnerNotBound().message
    if not has_token:
        missing, message = [TelegramNotConfigured.code, *missing], TelegramNotConfigured().message
    return SignupStatus(has_token, owner is not None, missing, message)


def _is_owner_name(settings: Settings, username: str) -> bool:
    return settings.auth_username.strip().lower() == username


def _message(settings: Settings, address: str, started: StartedSignup, pin: str) -> str:
    where = f" at {settings.public_url}" if settings.public_url else ""
    return (
        f"PIN {pin}\n\n"
        f"“{started.username}” requests an account in Proofdesk{where}, from address {address}.\n\n"
        f"Give them the PIN only if you know who they are. It works once, until {started.expires_at:%H:%M} UTC. "
        "Otherwise do nothing: without the PIN no account is created."
    )


def _in_minutes(seconds: int) -> str:
    return f"in {-(-seconds // 60)} minutes"
