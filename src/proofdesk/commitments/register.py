"""The register of commitments, as people read and change it. What a person sets, no job changes again."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.commitments import commitment_queries as queries
from proofdesk.commitments.commitment_queries import ACTIVE, STATES, Commitment, CommitmentCounts, CommitmentFilter
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid, NotFound
from proofdesk.evidence import references
from proofdesk.projects import timezones
from proofdesk.projects.scope import Scope

MAX_WHAT_LENGTH = MAX_REASON_LENGTH = 500  # characters
_LATEST_YEARS = 50
_MOST_NAMES = 50
_MAX_SUMMARY_LENGTH = 200  # characters


class CommitmentNotFound(NotFound):
    """The project has no such commitment."""

    code = "commitment_not_found"


class InvalidCommitment(Invalid):
    """A filter or a change of a commitment is not valid."""

    code = "invalid_commitment"


@dataclass(frozen=True)
class CommitmentChange:
    """What a person sets. `values` holds the fields to change, by name: `state`, `due`, `what`, `reason`."""

    values: dict[str, Any]


async def list_commitments(
    db: Database, scope: Scope, wanted: CommitmentFilter, default_timezone: str, limit: int, offset: int
) -> tuple[list[Commitment], int]:
    """Return a page of commitments and how many match: active ones first, the earliest due first."""
    async with db.scoped(scope) as conn:
        today = await _today(conn, scope, default_timezone)
        total = await queries.count_commitments(conn, scope, wanted, today)
        return await queries.list_commitments(conn, scope, wanted, today, limit, offset), total


async def count_active(db: Database, scope: Scope, default_timezone: str) -> CommitmentCounts:
    """Return how many commitments are active, overdue, due soon, and wait for a person."""
    async with db.scoped(scope) as conn:
        return await queries.count_active(conn, scope, await _today(conn, scope, default_timezone))


async def list_names(db: Database, scope: Scope) -> list[str]:
    """Return the names of those who promised something that is active."""
    async with db.scoped(scope) as conn:
        return sorted(await queries.list_names(conn, scope, _MOST_NAMES))


async def get_commitment(db: Database, scope: Scope, commitment_id: str, default_timezone: str) -> Commitment:
    """Return a commitment. Raises `CommitmentNotFound`."""
    async with db.scoped(scope) as conn:
        return await _get(conn, scope, commitment_id, await _today(conn, scope, default_timezone))


async def change(
    db: Database, scope: Scope, commitment_id: str, wanted: CommitmentChange, default_timezone: str
) -> Commitment:
    """Change a commitment as a person decided, with an audit event that cites its message.

    Raises `CommitmentNotFound` and `InvalidCommitment`.
    """
    scope.require("editor")
    async with db.scoped(scope) as conn:
        today = await _today(conn, scope, default_timezone)
        number = (await _get(conn, scope, commitment_id, today)).id
        values = _validate(wanted.values)
        await queries.lock_commitment(conn, scope, number)
        before = await _get(conn, scope, commitment_id, today)
        changed = [name for name, value in values.items() if getattr(before, name) != value]
        decided = [name for name in ("state", "due", "what") if _is_decided(name, values, before)]
        ignores = values.get("state") == "open" and before.suggested_state is not None
        if not changed and not ignores and not (decided and before.source != "person"):
            return before
        kept = {name: values.get(name, getattr(before, name)) for name in ("state", "due", "what", "reason")}
        await queries.update_commitment(conn, scope, number, edited=decided, ignores_suggestion=ignores, **kept)
        await _record(conn, scope, before, values, changed)
        return await _get(conn, scope, commitment_id, today)


def build_filter(
    *,
    state: str | None = None,
    owner: str | None = None,
    contact_global_id: str | None = None,
    conversation_global_id: str | None = None,
    due_before: str | None = None,
    overdue: bool | None = None,
    language: str | None = None,
    by_name: str | None = None,
) -> CommitmentFilter:
    """Return the filter of a request; `state` may name several, separated by commas. Raises `InvalidCommitment`."""
    states = [part.strip() for part in state.split(",") if part.strip()] if state else None
    if states and (wrong := [name for name in states if name not in STATES]):
        raise InvalidCommitment(f"`state` must be one of {', '.join(STATES)}, not {wrong[0][:40]!r}.")
    if owner and owner not in ("us", "contact"):
        raise InvalidCommitment("`owner` must be `us` or `contact`.")
    contact = _parse_id("contact_global_id", contact_global_id, "contact")
    conversation = _parse_id("conversation_global_id", conversation_global_id, "conversation")
    named = contact or conversation
    return CommitmentFilter(
        states,
        owner or None,
        named.account_id if named else None,
        contact.number if contact else None,
        conversation.number if conversation else None,
        _parse_day("due_before", due_before) if due_before else None,
        overdue,
        language or None,
        by_name or None,
    )


def summarize(quote: str) -> str:
    """Return the words that stand for a quote until a person edits them."""
    return " ".join(quote.split()).rstrip(" .,;:!")[:_MAX_SUMMARY_LENGTH]


def _parse_id(name: str, text: str | None, kind: str) -> ids.GlobalId | None:
    try:
        return ids.parse(text, kind) if text else None
    except Invalid as error:
        raise InvalidCommitment(f"`{name}`: {error.message}") from error


def _validate(values: dict[str, Any]) -> dict[str, Any]:
    if not values:
        raise InvalidCommitment("Set at least one of `state`, `due`, `what` and `reason`.")
    checked = dict(values)
    if "state" in values and values["state"] not in STATES[1:]:
        raise InvalidCommitment(f"`state` must be one of {', '.join(STATES[1:])}.")
    if "due" in values:
        checked["due"] = None if values["due"] is None else _parse_day("due", values["due"])
    if "what" in values:
        checked["what"] = _text("what", values["what"], MAX_WHAT_LENGTH)
        if not checked["what"]:
            raise InvalidCommitment("`what` must not be empty.")
    if "reason" in values:
        checked["reason"] = _text("reason", values["reason"] or "", MAX_REASON_LENGTH) or None
    return checked


def _text(name: str, value: Any, longest: int) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else None
    if text is None or len(text) > longest:
        raise InvalidCommitment(f"`{name}` must be a text of at most {longest} characters.")
    return text


def _parse_day(name: str, value: Any) -> date:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value).strip()[:40])
    except ValueError:
        raise InvalidCommitment(f"`{name}` must be a day such as 2026-01-31.") from None
    if abs(day.year - datetime.now(UTC).year) > _LATEST_YEARS:
        raise InvalidCommitment(f"`{name}` must be within {_LATEST_YEARS} years.")
    return day


def _is_decided(name: str, values: dict[str, Any], before: Commitment) -> bool:
    """Return whether a person fixed a field. To keep a commitment open leaves it to later messages to close it."""
    if name not in values:
        return False
    return name != "state" or values["state"] != "open" or before.state not in ACTIVE


async def _get(conn: Conn, scope: Scope, commitment_id: str, today: date) -> Commitment:
    try:
        found = await queries.get_commitment(conn, scope, UUID(commitment_id), today)
    except ValueError:
        found = None
    if found is None:
        raise CommitmentNotFound("There is no such commitment.")
    return found


async def _today(conn: Conn, scope: Scope, default_timezone: str) -> date:
    return datetime.now(await timezones.load(conn, scope, default_timezone)).date()


async def _record(conn: Conn, scope: Scope, before: Commitment, values: dict[str, Any], changed: list[str]) -> None:
    payload: dict[str, Any] = {"changed": sorted(changed)}
    if "state" in values:
        payload["state"] = {"from": before.state, "to": values["state"]}
    if "due" in values:
        payload["due"] = {"from": before.due and str(before.due), "to": values["due"] and str(values["due"])}
    if values.get("reason"):
        payload["reason"] = values["reason"]
    await events.record(
        conn,
        scope.actor,
        "commitment.changed",
        "commitment",
        before.id,
        scope=scope,
        payload=payload,
        evidence_refs=await references.cite(
            conn, scope, [{"source": "cw_messages", "ref": before.message_global_id, "snippet": before.quote[:500]}]
        ),
    )
