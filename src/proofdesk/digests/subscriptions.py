"""Who wants a digest. Nobody gets one without asking for it."""

from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.digests import queries
from proofdesk.digests.queries import DigestSubscription
from proofdesk.errors import Denied, Invalid
from proofdesk.outbound.channels.email.address import NotAnAddress, parse_address
from proofdesk.projects.scope import Scope


class InvalidDigest(Invalid):
    """A subscription has no cadence, no channel, or a wrong address."""

    code = "invalid_digest"


async def load(db: Database, scope: Scope) -> DigestSubscription | None:
    """Return how the actor gets the digest of the project; None if they do not."""
    if scope.actor.user_id is None:
        return None
    async with db.scoped(scope) as conn:
        return await queries.fetch_subscription(conn, scope, scope.actor.user_id)


async def subscribe(
    db: Database, scope: Scope, *, daily: Any, weekly: Any, email: Any = None, telegram: Any = False
) -> DigestSubscription:
    """Let the actor get a digest from the next one that is due. Values may be of any type: this validates them.

    Raises `InvalidDigest`, and `Denied` for Telegram unless the actor is the owner, whose account is bound.
    """
    subscription = _check(scope, daily, weekly, email, telegram)
    assert scope.actor.user_id is not None, "checked"
    async with db.scoped(scope) as conn:
        await queries.store_subscription(conn, scope, scope.actor.user_id, subscription)
        payload = {"daily": subscription.daily, "weekly": subscription.weekly, "telegram": subscription.telegram}
        payload |= {"email": subscription.email is not None}
        await events.record(conn, scope.actor, "digest.subscribed", "digest", None, scope=scope, payload=payload)
    return subscription


async def unsubscribe(db: Database, scope: Scope) -> None:
    """Send the actor no digest of the project any more."""
    if scope.actor.user_id is None:
        return
    async with db.scoped(scope) as conn:
        if await queries.delete_subscription(conn, scope, scope.actor.user_id):
            await events.record(conn, scope.actor, "digest.unsubscribed", "digest", None, scope=scope)


def _check(scope: Scope, daily: Any, weekly: Any, email: Any, telegram: Any) -> DigestSubscription:
    if scope.actor.user_id is None:
        raise InvalidDigest("Only a user can subscribe to a digest.")
    if not all(isinstance(value, bool) for value in (daily, weekly, telegram)):
        raise InvalidDigest("`daily`, `weekly` and `telegram` must be true or false.")
    if not isinstance(email, str | None) or len(email or "") > 320:
        raise InvalidDigest("`email` must be an e-mail address.")
    if not daily and not weekly:
        raise InvalidDigest("Choose the daily digest, the weekly one, or both.")
    if telegram and not scope.actor.is_owner:
        raise Denied("Only the owner has a Telegram account here. Use mail.", code="forbidden", status=403)
    if not (email or "").strip() and not telegram:
        raise InvalidDigest("Choose mail, with an address, or Telegram.")
    try:
        address = parse_address(email).shown if email and email.strip() else None
    except NotAnAddress as error:
        raise InvalidDigest(f"`email` must be an e-mail address. {error}") from None
    return DigestSubscription(daily, weekly, address, telegram)
