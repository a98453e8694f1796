"""Rate limits of failed logins, by address and by username, shared by all processes."""

import hashlib
import ipaddress
from dataclasses import dataclass

from proofdesk.accounts import queries
from proofdesk.database.pool import Database
from proofdesk.errors import Denied
from proofdesk.settings import Settings


class LoginRateLimited(Denied):
    """Too many failed logins; `retry_after` is the number of seconds until the window ends."""

    code = "login_rate_limited"

    def __init__(self, retry_after: int):
        message = f"Too many failed logins. Try again in {-(-retry_after // 60)} minutes."
        super().__init__(message, status=429, retry_after=retry_after)


@dataclass(frozen=True)
class RateLimitSubjects:
    """The keys under which a login is counted."""

    address: str
    username: str


@dataclass(frozen=True)
class LoginWaitTimes:
    """Seconds until the next attempt, for the address and for the username; None below the limit."""

    address: int | None
    username: int | None


def rate_limit_subjects(address: str, username: str) -> RateLimitSubjects:
    """Return the keys: the address (the network of an IPv6 address), and a hash of the username as typed."""
    return RateLimitSubjects(_network(address), hashlib.sha256(username.lower().encode()).hexdigest())


async def count_attempt(db: Database, settings: Settings, subjects: RateLimitSubjects) -> LoginWaitTimes:
    """Count an attempt before it is made, so that simultaneous attempts cannot pass the limit together."""
    minutes, max_attempts = settings.login_rate_limit_window_minutes, settings.login_rate_limit_max_attempts
    async with db.transaction() as conn:
        counters = await queries.count_attempt(conn, subjects.address, subjects.username, minutes)
    wait_times = {c.purpose: max(1, c.seconds_left) for c in counters if c.hits > max_attempts}
    return LoginWaitTimes(wait_times.get("login.address"), wait_times.get("login.username"))


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))
