"""What a digest says, section by section, and its text. Every line leads to what it is about."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo

from proofdesk.commitments import commitment_queries
from proofdesk.commitments.commitment_queries import ACTIVE, CommitmentFilter
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.digests import content_queries as queries
from proofdesk.digests.content_queries import DigestRow
from proofdesk.projects import timezones
from proofdesk.projects.scope import Scope

LENGTHS = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
HOUR = 7
"""The hour in the time zone of the project at which a digest is due: daily, and on Mondays."""
_DUE_WITHIN = {"daily": timedelta(days=2), "weekly": timedelta(days=7)}
_OURS = CommitmentFilter(states=ACTIVE, owner="us")
_MAX_LINES = 10


@dataclass(frozen=True)
class DigestLine:
    """A line of a digest, and the path of its evidence."""

    text: str
    path: str


@dataclass(frozen=True)
class DigestSection:
    """A section of a digest: how many items there are, the first of them, and where all of them are."""

    title: str
    total: int
    lines: list[DigestLine]
    path: str


@dataclass(frozen=True)
class Digest:
    """A digest. It has only sections with something in them."""

    cadence: str
    since: datetime
    until: datetime
    sections: list[DigestSection]


def last_end(cadence: str, now: datetime, zone: tzinfo) -> datetime:
    """Return the last time at which a digest was due."""
    end = now.astimezone(zone).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    end -= timedelta(days=1) if end > now else timedelta()
    end -= timedelta(days=end.weekday() if cadence == "weekly" else 0)
    return end.astimezone(UTC)


async def compose(db: Database, scope: Scope, cadence: str, until: datetime, default_timezone: str) -> Digest:
    """Return the digest of the day or week that ends at a time. All sections come from one transaction."""
    since = until - LENGTHS[cadence]
    async with db.scoped(scope, {"transaction_isolation": "repeatable read"}) as conn:
        period = (conn, scope, since, until, _MAX_LINES)
        today = until.astimezone(await timezones.load(conn, scope, default_timezone)).date()
        sections = [
            await _promises(conn, scope, replace(_OURS, is_overdue=True), today, "Promises overdue", "overdue"),
            await _promises(conn, scope, replace(_OURS, is_overdue=False, due_before=today + _DUE_WITHIN[cadence]),
                            today, "Promises due", "soon"),
            _section("Unanswered", "/conversations?status=open", await queries.list_unanswered(conn, scope, _MAX_LINES),
                     lambda row: DigestLine(f"{row.label} has waited for {_duration(until - row.at)}",
                                            f"/conversations/{row.key}/thread")),
            _section("Incidents", "/incidents", await queries.list_incidents(*period),
                     lambda row: DigestLine(f"{row.label} ({row.detail})", f"/incidents#incident-{row.key}")),
            _section("Blocked or failed", "/outbound?status=failed", await queries.list_unsent(*period),
                     lambda row: DigestLine(f"{row.label}: {row.detail}", f"/outbound/{row.key}")),
            _section("Bounced", "/suppressions", await queries.list_bounced(*period),
                     lambda row: DigestLine(f"{row.label}: {row.detail}",
                                            f"/outbound/{row.key}" if row.key else "/suppressions")),
            _section("Sent", "/outbound?status=sent", await queries.list_sent(*period),
                     lambda row: DigestLine(f"{row.label} by {row.detail}", f"/outbound/{row.key}")),
        ]  # fmt: skip
    return Digest(cadence, since, until, [section for section in sections if section.total])


def heading(digest: Digest, project: str) -> str:
    """Return one line: the project, the kind of digest and its last day."""
    return f"{project}: {digest.cadence} digest, {digest.until:%Y-%m-%d}"


def render(digest: Digest, public_url: str | None) -> str:
    """Return the text of a digest, with links."""
    base = public_url or ""
    blocks = [
        "\n".join(
            [f"{section.title} ({section.total})"]
            + [f"- {line.text}\n  {base}{line.path}" for line in section.lines]
            + ([f"- All: {base}{section.path}"] if section.total > len(section.lines) else [])
        )
        for section in digest.sections
    ]
    return "\n\n".join([*blocks, f"Change or stop this digest: {base}/digest"])


async def _promises(
    conn: Conn, scope: Scope, wanted: CommitmentFilter, today: date, title: str, show: str
) -> DigestSection:
    """Return the section of commitments of our side that match a filter."""
    total = await commitment_queries.count_commitments(conn, scope, wanted, today)
    rows = await commitment_queries.list_commitments(conn, scope, wanted, today, _MAX_LINES, 0)
    lines = [
        DigestLine(f"{row.what} (to {row.contact_name or 'a contact'}, due {row.due})", f"/commitments/{row.id}")
        for row in rows
    ]
    return DigestSection(title, total, lines, f"/commitments?owner=us&show={show}")


def _section(title: str, path: str, rows: list[DigestRow], line: Callable[[DigestRow], DigestLine]) -> DigestSection:
    return DigestSection(title, rows[0].total if rows else 0, [line(row) for row in rows], path)


def _duration(time: timedelta) -> str:
    hours = max(0, int(time.total_seconds() // 3600))
    number, unit = (hours // 24, "day") if hours >= 48 else (hours, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"
