"""Evidence: references to what a decision rests on, checked to exist, and found again by their words.

The chain of events keeps `source`, `ref` and `meta`. The snippet is kept in `evidence_items` only, from where it goes
when its message is deleted.
"""

import json
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from proofdesk.audit.events import EvidenceRef
from proofdesk.audit.queries import AuditEvent
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid
from proofdesk.evidence import queries
from proofdesk.evidence.queries import CitedRow, EvidenceItem
from proofdesk.projects.scope import Scope

MAX_REFERENCES = 50
"""References of one event."""

_LONGEST_REF, _LONGEST_SNIPPET, _LARGEST_META = 500, 500, 4096
_TYPES = {"cw_messages": "message", "cw_conversations": "conversation", "rag_chunks": "chunk", "external": "external"}
_OUTSIDE = CitedRow(None, None, None, None, None, erased=False)


class InvalidEvidenceRef(Invalid):
    """A reference has another form than `{source, ref, snippet?, meta?}`, or names nothing in the project."""

    code = "invalid_evidence_ref"


@dataclass(frozen=True)
class EvidenceReference:
    """A reference of the right form. `ref` names a row as its global id does, or something outside."""

    source: str
    ref: str
    snippet: str | None
    meta: dict[str, Any]


async def cite(conn: Conn, scope: Scope, refs: list[Any]) -> list[EvidenceRef]:
    """Check that references name something in the project, index them, and return them for the audit event.

    Raises `InvalidEvidenceRef`.
    """
    known = await validate(conn, scope, refs)
    # In one order, so that two transactions never wait for each other's items.
    for reference, row in sorted(known, key=lambda pair: (pair[0].source, pair[0].ref)):
        text = None if row.erased else reference.snippet or row.text
        snippet = text[:_LONGEST_SNIPPET] if text else None
        table = None if reference.source == "external" else reference.source
        kind = _TYPES[reference.source]
        await queries.upsert_item(conn, scope, kind, table, reference.ref, row, snippet, reference.meta)
    return [EvidenceRef(reference.source, reference.ref, reference.meta) for reference, _ in known]


async def validate(conn: Conn, scope: Scope, refs: list[Any]) -> list[tuple[EvidenceReference, CitedRow]]:
    """The references and the rows they name. Raises `InvalidEvidenceRef`."""
    if len(refs) > MAX_REFERENCES:
        raise InvalidEvidenceRef(f"At most {MAX_REFERENCES} evidence references can be given.")
    found: list[tuple[EvidenceReference, CitedRow]] = []
    for number, given in enumerate(refs):
        reference = _parsed(given, number)
        row = await _row(conn, scope, reference)
        if row is None:
            raise InvalidEvidenceRef(
                f"Evidence reference {number + 1} names nothing in this project: {reference.ref[:80]!r}.",
                details={"index": number},
            )
        found.append((reference, row))
    return found


async def load_cited(db: Database, scope: Scope, refs: list[Any]) -> list[tuple[EvidenceReference, CitedRow]]:
    """The references and the rows they name, for whoever is about to cite them. Raises `InvalidEvidenceRef`."""
    async with db.scoped(scope) as conn:
        return await validate(conn, scope, refs)


async def search(db: Database, scope: Scope, query: str, limit: int) -> list[EvidenceItem]:
    """What is cited in the project and holds all words of the question; without one, what was cited last."""
    async with db.scoped(scope) as conn:
        if not query.strip():
            return await queries.list_latest_items(conn, scope, limit)
        return await queries.search_items(conn, scope, query, limit)


async def add_snippets(db: Database, scope: Scope, events: list[AuditEvent]) -> list[AuditEvent]:
    """Return the events with their references resolved: each carries the snippet of what it cites, if there is one."""
    refs = sorted({ref["ref"] for event in events for ref in event.evidence_refs})
    if not refs:
        return events
    async with db.scoped(scope) as conn:
        items = await queries.get_items(conn, scope, refs)
    return [replace(event, evidence_refs=_with_snippets(event.evidence_refs, items)) for event in events]


def _with_snippets(refs: list[dict[str, Any]], items: list[EvidenceItem]) -> list[dict[str, Any]]:
    kept = {(item.source_table or "external", item.source_pk): item.snippet for item in items}
    return [ref | ({"snippet": text} if (text := kept.get((ref["source"], ref["ref"]))) else {}) for ref in refs]


def _parsed(given: Any, number: int) -> EvidenceReference:
    fields = given if isinstance(given, dict) else {}
    source, ref, snippet, meta = (fields.get(name) for name in ("source", "ref", "snippet", "meta"))
    if (
        source not in _TYPES
        or not (isinstance(ref, str) and 0 < len(ref) <= _LONGEST_REF and ref.isprintable())
        or not (snippet is None or isinstance(snippet, str))
        or not (meta is None or (isinstance(meta, dict) and len(json.dumps(meta)) <= _LARGEST_META))
    ):
        raise InvalidEvidenceRef(
            f"Evidence reference {number + 1} is not {{source, ref, snippet?, meta?}} with a source of "
            f"{', '.join(_TYPES)}, a ref of at most {_LONGEST_REF} characters and a small object as meta.",
            details={"index": number},
        )
    return EvidenceReference(source, ref, snippet, meta or {})


async def _row(conn: Conn, scope: Scope, reference: EvidenceReference) -> CitedRow | None:
    if reference.source == "external":
        return _OUTSIDE
    name, hash_sign, index = reference.ref.partition("#")
    is_chunk = reference.source == "rag_chunks"
    named = _named(name, "conversation" if reference.source == "cw_conversations" else "message", scope.project_id)
    if named is None or bool(hash_sign) != is_chunk:
        return None
    if is_chunk:
        small = index.isascii() and index.isdigit() and len(index) <= 9
        return await queries.get_chunk(conn, scope, named.account_id, named.number, int(index)) if small else None
    find_row = queries.get_conversation if reference.source == "cw_conversations" else queries.get_message
    return await find_row(conn, scope, named.account_id, named.number)


def _named(text: str, kind: str, project_id: UUID) -> ids.GlobalId | None:
    try:
        named = ids.parse(text, kind)
    except Invalid:
        return None
    return named if named.project_id == project_id else None
