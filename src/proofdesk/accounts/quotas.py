"""Quotas of signups, PIN attempts and webhook calls, shared by all processes."""

from dataclasses import dataclass

from proofdesk.accounts import limits, signup_queries
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn

EVERYONE = "all"


@dataclass(frozen=True)
class Quota:
    """At most `max_hits` of one subject in `minutes`."""

    purpose: str
    max_hits: int
    minutes: int


# The quotas for everyone bound what many addresses can do together: a PIN has a million values, so an hour of guessing
# from many addresses succeeds with a probability of 1 in 6,600.
STARTS_OF_ADDRESS = Quota("signup.start.address", 10, 15)
STARTS = Quota("signup.start.all", 40, 60)
PINS_OF_ADDRESS = Quota("signup.pin.address", 30, 15)
PINS = Quota("signup.pin.all", 150, 60)
# Calls with the secret are counted separately, so that a flood of others does not block Telegram.
PROVEN_CALLS = Quota("webhook.proven", 600, 1)
OTHER_CALLS_OF_ADDRESS = Quota("webhook.address", 60, 1)
MESSAGES_OF_SENDER = Quota("telegram.sender", 20, 1)


async def count_hits(db: Database, *hits: tuple[Quota, str]) -> int | None:
    """Count one hit of each quota for its subject; return the seconds to wait if one is exceeded, else None."""
    async with db.transaction() as conn:
        return await count_hits_in(conn, *hits)


async def count_hits_in(conn: Conn, *hits: tuple[Quota, str]) -> int | None:
    """Do the same as `count_hits` in the caller's transaction."""
    quotas = {quota.purpose: quota for quota, _ in hits}
    counts = await signup_queries.count_hits(
        conn, [q.purpose for q, _ in hits], [subject for _, subject in hits], [q.minutes for q, _ in hits]
    )
    wait_times = [max(1, c.seconds_left) for c in counts if c.hits > quotas[c.purpose].max_hits]
    return max(wait_times, default=None)


def subject_of_address(address: str) -> str:
    """Return the subject of an address: the address itself, or its network for IPv6."""
    return limits.rate_limit_subjects(address, "").address
