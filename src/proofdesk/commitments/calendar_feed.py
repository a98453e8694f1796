"""The open commitments of a project as a calendar (RFC 5545), at an address with a secret token.

The token is shown once and only its hash is stored. A calendar program cannot sign in, so the address is the whole
secret; the project is part of it, so that row-level security holds as everywhere.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from proofdesk.audit import events
from proofdesk.audit.events import system_actor
from proofdesk.commitments import feed_queries, register
from proofdesk.commitments.commitment_queries import ACTIVE, Commitment, CommitmentFilter
from proofdesk.commitments.feed_queries import CalendarFeed
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.projects import projects
from proofdesk.projects import scope as scopes
from proofdesk.projects.scope import Scope

MAX_ENTRIES = 1000
_LINE = 75  # octets


class FeedNotFound(NotFound):
    """There is no calendar at this address."""

    code = "calendar_not_found"


async def load_feed(db: Database, scope: Scope) -> CalendarFeed | None:
    """Return who created the calendar of the project and when, None when it has none."""
    async with db.scoped(scope) as conn:
        return await feed_queries.fetch_feed(conn, scope)


async def create_feed(db: Database, scope: Scope) -> str:
    """Create a new address and return its path. An earlier address stops working."""
    scope.require("editor")
    token = secrets.token_urlsafe(32)
    async with db.scoped(scope) as conn:
        await feed_queries.store_feed(conn, scope, _hash(token), scope.actor.username or "")
        await events.record(conn, scope.actor, "commitment.calendar_created", "project", scope.project_id, scope=scope)
    return f"/calendar/{scope.project_id}/{token}.ics"


async def delete_feed(db: Database, scope: Scope) -> None:
    """Delete the calendar of the project: its address stops working."""
    scope.require("editor")
    async with db.scoped(scope) as conn:
        if await feed_queries.delete_feed(conn, scope):
            await events.record(
                conn, scope.actor, "commitment.calendar_deleted", "project", scope.project_id, scope=scope
            )


async def read_feed(db: Database, project_id: str, token: str, default_timezone: str, base_url: str) -> str:
    """Return the calendar at an address. Raises `FeedNotFound`."""
    number = projects.parse_id(project_id)
    try:
        scope = await scopes.enter(db, system_actor(), number) if number else None
    except NotFound:
        scope = None
    feed = await load_feed(db, scope) if scope else None
    if scope is None or feed is None or not hmac.compare_digest(feed.token_hash, _hash(token)):
        raise FeedNotFound("There is no calendar at this address. Create a new one on the page Commitments.")
    wanted = CommitmentFilter(states=ACTIVE)
    rows, _ = await register.list_commitments(db, scope, wanted, default_timezone, MAX_ENTRIES, 0)
    return render(rows, base_url, datetime.now(UTC))


def render(commitments: list[Commitment], base_url: str, now: datetime) -> str:
    """Return commitments with a day as a calendar with one entry for each, on its day."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Proofdesk//Commitments//EN", "X-WR-CALNAME:Commitments"]
    for commitment in commitments:
        lines += _entry(commitment, base_url, now)
    return "".join(f"{folded}\r\n" for line in [*lines, "END:VCALENDAR"] for folded in _fold(line))


def _entry(commitment: Commitment, base_url: str, now: datetime) -> list[str]:
    if commitment.due is None:
        return []
    side = "We" if commitment.by == "us" else commitment.contact_name or "Contact"
    description = f"{commitment.contact_name or 'Contact'}\n“{commitment.quote}”"
    return [
        "BEGIN:VEVENT",
        f"UID:{commitment.id}@proofdesk",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"LAST-MODIFIED:{commitment.updated_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{commitment.due:%Y%m%d}",
        f"DTEND;VALUE=DATE:{commitment.due + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{_escape(f'{side}: {commitment.what}')}",
        f"DESCRIPTION:{_escape(description)}",
        f"URL:{base_url}/commitments/{commitment.id}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _escape(text: str) -> str:
    plain = "".join(character for character in text if character == "\n" or character.isprintable())
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _fold(line: str) -> Iterator[str]:
    """Yield a line in parts of at most 75 octets; no part begins in the middle of a letter."""
    part, length = "", 0
    for character in line:
        size = len(character.encode())
        if length + size > _LINE:
            yield part
            part, length = " ", 1
        part, length = part + character, length + size
    yield part


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
