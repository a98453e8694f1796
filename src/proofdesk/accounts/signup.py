"""Signup: somebody asks for an account, the owner gets a PIN in Telegram and hands it on, the PIN makes the account."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn
from uuid import UUID, uuid4

from proofdesk import logging
from proofdesk.accounts import accounts, passwords, queries, quotas, sessions, signup_queries, telegram
from proofdesk.accounts.accounts import UsernameTaken
from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.accounts.sessions import Opened
from proofdesk.accounts.signup_queries import Binding, SignupRequest
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Denied, Invalid
from proofdesk.settings import Settings

log = logging.get_logger(__name__)


class OwnerNotBound(Conflict):
    """Nobody would get the PIN."""

    code = "telegram_owner_not_bound"

    def __init__(self) -> None:
        super().__init__("The owner's Telegram account is not bound: the owner sends /bind to the bot.")


class SignupRateLimited(Denied):
    """Too many signups were started."""

    code = "signup_rate_limited"


class SignupRequestInvalid(Invalid):
    """There is no such request, or it was used."""

    code = "signup_request_invalid"


class PinExpired(Invalid):
    """The PIN came too late."""

    code = "pin_expired"


class InvalidPin(Denied):
    """It is another PIN."""

    code = "invalid_pin"


class PinAttemptsExceeded(Denied):
    """This request, or this address, has used up its tries."""

    code = "pin_attempts_exceeded"


@dataclass(frozen=True)
class Status:
    """Whether signup works. `missing` holds codes, in the order in which to mend them; `message` is for people."""

    has_telegram_token: bool
    owner_bound: bool
    missing: list[str]
    message: str

    @property
    def enabled(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class Wish:
    """The account that somebody wants; `address` is his network address."""

    username: str
    password: str
    address: str
    request_id: str | None = None


@dataclass(frozen=True)
class Started:
    """A signup that waits for its PIN until `expires_at`."""

    signup_request_id: UUID
    username: str
    expires_at: datetime


@dataclass(frozen=True)
class Confirmation:
    """A PIN for a request, by whoever is at `address`; `replaces` is the token of an earlier session."""

    signup_request_id: str
    pin: str
    address: str
    replaces: str | None = None
    request_id: str | None = None


async def status(db: Database, settings: Settings) -> Status:
    """Whether signup works, or what is missing."""
    return _status(settings, await telegram.bound(db, settings))


async def start(db: Database, settings: Settings, bot: Bot | None, wish: Wish) -> Started:
    """Send a PIN to the owner. The password is hashed before the name is looked up, so that time tells nothing more.

    Raises `TelegramNotConfigured`, `OwnerNotBound`, `Invalid` (`invalid_username`, `invalid_password`),
    `SignupRateLimited`, `UsernameTaken` or `TelegramError`; after the last the request is void.
    """
    if bot is None:
        raise TelegramNotConfigured
    if await telegram.bound(db, settings) is None:
        raise OwnerNotBound
    username, password = accounts.fit_username(wish.username), accounts.fit_password(wish.password)
    subject = quotas.network(wish.address)
    if wait := await quotas.used_up(db, (quotas.STARTS_OF_ADDRESS, subject), (quotas.STARTS, quotas.ALL)):
        raise SignupRateLimited(f"Too many signups. Try again {_in(wait)}.", status=429, retry_after=wait)
    wish = replace(wish, username=username, password=await passwords.hashed(password))
    pin = f"{secrets.randbelow(1_000_000):06}"
    started, chat_id = await _insert(db, settings, wish, pin)
    try:
        await bot.send(chat_id, _message(settings, wish.address, started, pin))
    except TelegramError as error:
        log.warning("signup pin not sent", error=error.message, status=error.status)
        await _void(db, started.signup_request_id, wish)
        raise
    return started


async def confirm(db: Database, settings: Settings, given: Confirmation) -> Opened:
    """Make the account and sign it in. Every try is counted before it is looked at.

    Raises `SignupRequestInvalid`, `PinExpired`, `InvalidPin`, `PinAttemptsExceeded` or `UsernameTaken`.
    """
    request_id = _as_id(given.signup_request_id)
    if request_id is None:
        _gone()
    subject = quotas.network(given.address)
    if wait := await quotas.used_up(db, (quotas.PINS_OF_ADDRESS, subject), (quotas.PINS, quotas.ALL)):
        raise PinAttemptsExceeded(f"Too many PINs were tried. Try again {_in(wait)}.", status=429, retry_after=wait)
    try:
        request = await _charged(db, settings, request_id)
        if not hmac.compare_digest(request.pin_hash, _pin_hash(settings, request_id, given.pin)):
            left = settings.signup_pin_max_attempts - request.attempts
            raise InvalidPin(f"The PIN is wrong, tries left: {left}." if left else "The PIN is wrong, no tries left.")
        return await _made(db, settings, request, given)
    except (Invalid, Denied, Conflict) as error:
        async with db.transaction() as conn:
            await _record_failure(conn, given, request_id, error.code)
        raise


async def _insert(db: Database, settings: Settings, wish: Wish, pin: str) -> tuple[Started, int]:
    """Store a wish whose password is a hash already; with it the chat that gets the PIN."""
    request_id, expires_at = uuid4(), None
    stored = (request_id, wish.username, wish.password, _pin_hash(settings, request_id, pin), wish.address)
    async with db.transaction() as conn:
        await signup_queries.purge(conn)
        owner = await signup_queries.binding_kept(conn)
        if not _is_owners(settings, wish.username):
            expires_at = await signup_queries.insert_request(conn, *stored, settings.signup_pin_ttl_minutes)
        if expires_at is None:
            await _record_failure(conn, wish, None, UsernameTaken.code)
        else:
            payload = {"username": wish.username, "address": wish.address}
            stranger = events.anonymous_actor(wish.request_id)
            await events.record(conn, stranger, "auth.signup_start", "signup_request", request_id, payload=payload)
    if owner is None:
        raise OwnerNotBound
    if expires_at is None:
        raise UsernameTaken(f"The username {wish.username} is taken.")
    return Started(request_id, wish.username, expires_at), owner.chat_id


async def _void(db: Database, request_id: UUID, wish: Wish) -> None:
    async with db.transaction() as conn:
        await signup_queries.delete_request(conn, request_id)
        await _record_failure(conn, wish, request_id, TelegramError.code)


async def _charged(db: Database, settings: Settings, request_id: UUID) -> SignupRequest:
    async with db.transaction() as conn:
        charged = await signup_queries.charge_try(conn, request_id, settings.signup_pin_max_attempts)
        found = charged or await signup_queries.request(conn, request_id)
    if found is None:
        _gone()
    if charged is None and found.expired:
        raise PinExpired("The PIN has expired. Start the signup again.")
    if charged is None:
        raise PinAttemptsExceeded("This PIN was tried too often. Start the signup again.", status=429)
    return charged


async def _made(db: Database, settings: Settings, request: SignupRequest, given: Confirmation) -> Opened:
    opened = None
    async with db.transaction() as conn:
        # Of two confirmations at once, the second waits here and then finds nothing.
        ours = await signup_queries.delete_request(conn, request.id)
        taken = _is_owners(settings, request.username) or await signup_queries.name_taken(conn, request.username)
        if ours and not taken:
            account = await queries.insert_account(conn, request.username, request.password_hash, is_owner=False)
            if account is not None:
                opened = await sessions.begin(conn, account, given.replaces)
                person = Actor(account.username, account.id, False, given.request_id)
                payload = {"signup_request_id": str(request.id), "address": given.address}
                await events.record(conn, person, "auth.signup_confirm", "user", account.id, payload=payload)
    if not ours:
        _gone()
    if opened is None:
        raise UsernameTaken(f"The username {request.username} is taken meanwhile. Start again with another one.")
    return opened


async def _record_failure(conn: Conn, by: Wish | Confirmation, request_id: UUID | None, reason: str) -> None:
    # Called within the quotas only, so nobody can fill the trail with failures.
    payload = {"reason": reason, "address": by.address}
    stranger = events.anonymous_actor(by.request_id)
    await events.record(
        conn, stranger, "auth.signup_failed", "signup_request", request_id, status="failed", payload=payload
    )


def _gone() -> NoReturn:
    raise SignupRequestInvalid("There is no such signup, or it was used. Start again.")


def _status(settings: Settings, owner: Binding | None) -> Status:
    has_token = settings.telegram_bot_token is not None
    missing, message = [], "Signup is open: the owner gets a PIN in Telegram for everybody who wants an account."
    if owner is None:
        missing, message = [OwnerNotBound.code], OwnerNotBound().message
    if not has_token:
        missing, message = [TelegramNotConfigured.code, *missing], TelegramNotConfigured().message
    return Status(has_token, owner is not None, missing, message)


def _is_owners(settings: Settings, username: str) -> bool:
    return settings.auth_username.strip().lower() == username


def _pin_hash(settings: Settings, request_id: UUID, pin: str) -> bytes:
    # A million PINs are tried in a second by whoever has the table and the key; so the key is never in the database.
    if settings.signup_pin_secret is not None:
        key = settings.signup_pin_secret.get_secret_value().encode()
    else:
        token = settings.telegram_bot_token.get_secret_value() if settings.telegram_bot_token else ""
        key = hashlib.sha256(b"proofdesk signup pin\0" + token.encode()).digest()
    return hmac.new(key, f"{request_id}:{pin.strip()}".encode(), hashlib.sha256).digest()


def _message(settings: Settings, address: str, started: Started, pin: str) -> str:
    where = f" at {settings.public_url}" if settings.public_url else ""
    return (
        f"PIN {pin}\n\n"
        f"“{started.username}” wants an account of Proofdesk{where}, from address {address}.\n\n"
        f"Hand the PIN on only if you know who that is. It works once, until {started.expires_at:%H:%M} UTC. "
        "Otherwise do nothing: without the PIN there will be no account."
    )


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _in(seconds: int) -> str:
    return f"in {-(-seconds // 60)} minutes"
