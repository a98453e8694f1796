"""Validate, cite, resolve and search references to evidence.

The audit chain stores `source`, `ref` and `meta` of a reference. The snippet is stored in `evidence_items` only, which
loses it when the message is deleted.
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
"""References per event."""

_MAX_REF_LENGTH, _MAX_SNIPPET_LENGTH, _MAX_META_LENGTH = 500, 500, 4096  # characters
_TYPES = {
    "cw_messages": "message",
    "cw_conversations": "conversation",
    "rag_chunks": "chunk",
    "commitments": "commitment",
    "external": "external",
}
_COMMITMENT = "commitment:"
_EXTERNAL = CitedRow(None, None, None, None, None, erased=False)


class InvalidEvidenceRef(Invalid):
    """A reference is not of the form `{source, ref, snippet?, meta?}`, or the project does not have what it names."""

    code = "invalid_evidence_ref"


@dataclass(frozen=True)
class EvidenceReference:
    """A reference of valid form. `ref` is the global id of a row, or names something external."""

    source: str
    ref: str
    snippet: str | None
    meta: dict[str, Any]

    def without_snippet(self) -> EvidenceRef:
        """Return the reference for the audit event."""
        return EvidenceRef(self.source, self.ref, self.meta)


async def cite(conn: Conn, scope: Scope, refs: list[Any]) -> list[EvidenceRef]:
    """Validate references, store what they cite in `evidence_items`, and return them for the audit event.

    Raises `InvalidEvidenceRef`.
    """
    cited = await validate(conn, scope, refs)
    # Sorted, so that two transactions that cite the same items cannot deadlock.
    for reference, row in sorted(cited, key=lambda pair: (pair[0].source, pair[0].ref)):
        text = None if row.erased else reference.snippet or row.text
        snippet = text[:_MAX_SNIPPET_LENGTH] if text else None
        await queries.upsert_item(conn, scope, _TYPES[reference.source], reference.without_snippet(), row, snippet)
    return [reference.without_snippet() for reference, _ in cited]


async def validate(conn: Conn, scope: Scope, refs: list[Any]) -> list[tuple[EvidenceReference, CitedRow]]:
    """Return the references with the rows that they name. Raises `InvalidEvidenceRef`."""
    if len(refs) > MAX_REFERENCES:
        raise InvalidEvidenceRef(f"At most {MAX_REFERENCES} evidence references are allowed.")
    cited: list[tuple[EvidenceReference, CitedRow]] = []
    for index, ref in enumerate(refs):
        reference = _parse(ref, index)
        row = await _row(conn, scope, reference)
        if row is None:
            raise InvalidEvidenceRef(
                f"Evidence reference {index + 1} is not in this project: {reference.ref[:80]!r}.",
                details={"index": index},
            )
        cited.append((reference, row))
    return cited


async def load_cited(db: Database, scope: Scope, refs: list[Any]) -> list[tuple[EvidenceReference, CitedRow]]:
    """Return the references with the rows that they name, before they are cited. Raises `InvalidEvidenceRef`."""
    async with db.scoped(scope) as conn:
        return await validate(conn, scope, refs)


async def search(db: Database, scope: Scope, query: str, limit: int) -> list[EvidenceItem]:
    """Return cited items of the project whose snippet holds all words of the query; the latest for an empty query."""
    async with db.scoped(scope) as conn:
        if not query.strip():
            return await queries.list_latest_items(conn, scope, limit)
        return await queries.search_items(conn, scope, query, limit)


async def add_snippets(db: Database, scope: Scope, events: list[AuditEvent]) -> list[AuditEvent]:
    """Return the events with a `snippet` in each reference whose cited item has one."""
    refs = sorted({ref["ref"] for event in events for ref in event.evidence_refs})
    if not refs:
        return events
    async with db.scoped(scope) as conn:
        items = await queries.get_items(conn, scope, refs)
    return [replace(event, evidence_refs=_with_snippets(event.evidence_refs, items)) for event in events]


def _with_snippets(refs: list[dict[str, Any]], items: list[EvidenceItem]) -> list[dict[str, Any]]:
    snippets = {(item.source_table or "external", item.source_pk): item.snippet for item in items}
    return [ref | ({"snippet": text} if (text := snippets.get((ref["source"], ref["ref"]))) else {}) for ref in refs]


def _parse(ref_json: Any, index: int) -> EvidenceReference:
    fields = ref_json if isinstance(ref_json, dict) else {}
    source, ref, snippet, meta = (fields.get(name) for name in ("source", "ref", "snippet", "meta"))
    if (
        source not in _TYPES
        or not (isinstance(ref, str) and 0 < len(ref) <= _MAX_REF_LENGTH and ref.isprintable())
        or not (snippet is None or isinstance(snippet, str))
        or not (meta is None or (isinstance(meta, dict) and len(json.dumps(meta)) <= _MAX_META_LENGTH))
    ):
        raise InvalidEvidenceRef(
            f"Evidence reference {index + 1} must be {{source, ref, snippet?, meta?}}: `source` is one of "
            f"{', '.join(_TYPES)}; `ref` has at most {_MAX_REF_LENGTH} characters; `meta` is an object of at most "
            f"{_MAX_META_LENGTH} characters as JSON.",
            details={"index": index},
        )
    return EvidenceReference(source, ref, snippet, meta or {})


async def _row(conn: Conn, scope: Scope, reference: EvidenceReference) -> CitedRow | None:
    if reference.source == "external":
        return _EXTERNAL
    if reference.source == "commitments":
        return await _commitment(conn, scope, reference.ref)
    row_id, hash_sign, index = reference.ref.partition("#")
    is_chunk = reference.source == "rag_chunks"
    key = _parse_id(row_id, "conversation" if reference.source == "cw_conversations" else "message", scope.project_id)
    if key is None or bool(hash_sign) != is_chunk:
        return None
    if is_chunk:
        is_index = index.isascii() and index.isdigit() and len(index) <= 9
        return await queries.get_chunk(conn, scope, key.account_id, key.number, int(index)) if is_index else None
    get_row = queries.get_conversation if reference.source == "cw_conversations" else queries.get_message
    return await get_row(conn, scope, key.account_id, key.number)


async def _commitment(conn: Conn, scope: Scope, ref: str) -> CitedRow | None:
    """Return the message of a commitment, with its quote as the text. The reference is `commitment:` and the id."""
    try:
        number = UUID(ref.removeprefix(_COMMITMENT)) if ref.startswith(_COMMITMENT) else None
    except ValueError:
        number = None
    return await queries.get_commitment(conn, scope, number) if number else None


def _parse_id(text: str, kind: str, project_id: UUID) -> ids.GlobalId | None:
    try:
        key = ids.parse(text, kind)
    except Invalid:
        return None
    return key if key.project_id == project_id else None
