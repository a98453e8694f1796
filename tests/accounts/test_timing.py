"""The duration of a refused login does not reveal whether the account exists."""

import statistics
import time

from proofdesk.accounts import accounts, sessions
from proofdesk.accounts.sessions import LoginAttempt
from proofdesk.database.pool import Database
from proofdesk.errors import Denied
from proofdesk.settings import Settings

TRIES = 9


async def test_unknown_username_takes_as_long_as_a_known_one(db: Database):
    await accounts.create(db, "somebody", "a long enough password")
    settings = Settings(login_rate_limit_max_attempts=1000)
    took: dict[str, list[float]] = {"somebody": [], "nobody-here": []}
    for number in range(TRIES):
        for username, times in took.items():
            started = time.perf_counter()
            await _refused(db, settings, username, number)
            times.append(time.perf_counter() - started)
    known, unknown = (statistics.median(times) for times in took.values())
    # Without the hash for unknown names the ratio is far above ten.
    assert 1 / 2.5 < known / unknown < 2.5


async def _refused(db: Database, settings: Settings, username: str, number: int) -> None:
    try:
        await sessions.sign_in(db, settings, LoginAttempt(username, "not the password", f"192.0.2.{number}"))
    except Denied:
        return
    raise AssertionError("the login was not refused")
