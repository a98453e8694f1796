"""Plain values of commitments for templates."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from proofdesk.commitments import register
from proofdesk.commitments.commitment_queries import ACTIVE, Commitment
from proofdesk.commitments.register import MAX_REASON_LENGTH, MAX_WHAT_LENGTH
from proofdesk.database.pool import Database
from proofdesk.http.web import view_models
from proofdesk.http.web.view_models import DisplayTime
from proofdesk.projects.scope import Scope

STATES = {
    "proposed": "To confirm",
    "open": "Open",
    "kept": "Kept",
    "broken": "Broken",
    "withdrawn": "Withdrawn",
    "superseded": "Superseded",
}
LANGUAGES = {"english": "English", "german": "German", "russian": "Russian", "spanish": "Spanish"}
_TONES = {"proposed": "warn", "open": "info", "kept": "good", "broken": "bad", "withdrawn": "", "superseded": ""}
_MOST_BESIDE = 20
"""The most commitments that the page of a contact or of a conversation shows."""


@dataclass(frozen=True)
class CommitmentView:
    """A commitment. `quote` is "" when `what` says the same; `suggestion` is what a later message suggests."""

    id: str
    url: str
    what: str
    quote: str
    author: str
    side: str
    contact: str
    contact_url: str
    said: DisplayTime
    thread_url: str
    due: str
    overdue: bool
    conditional: bool
    state: str
    state_label: str
    tone: str
    is_active: bool
    confidence: str
    reason: str
    proof_url: str
    suggested_state: str
    suggestion: str
    suggestion_url: str
    compose_url: str


def commitment_view(commitment: Commitment) -> CommitmentView:
    """Return a commitment for a template."""
    conversation, suggested = commitment.conversation_global_id, commitment.suggested_state or ""
    contact_id = commitment.contact_global_id
    return CommitmentView(
        id=str(commitment.id),
        url=f"/commitments/{commitment.id}",
        what=commitment.what,
        quote=commitment.quote if register.summarize(commitment.quote) != commitment.what else "",
        author=commitment.by_name or ("Agent" if commitment.by == "us" else "Contact"),
        side="We" if commitment.by == "us" else "They",
        contact=commitment.contact_name or "Unknown contact",
        contact_url=f"/contacts/{contact_id}" if contact_id else "",
        said=view_models.display_time(commitment.said_at),
        thread_url=view_models.thread_url(conversation, commitment.message_global_id),
        due=_day(commitment.due),
        overdue=commitment.overdue,
        conditional=commitment.conditional,
        state=commitment.state,
        state_label=STATES[commitment.state],
        tone=_TONES[commitment.state],
        is_active=commitment.state in ACTIVE,
        confidence=f"{commitment.confidence:.0%}",
        reason=commitment.reason or "",
        proof_url=_message_url(conversation, commitment.resolved_by_message_global_id),
        suggested_state=suggested,
        suggestion=STATES[suggested].lower() if suggested else "",
        suggestion_url=_message_url(conversation, commitment.suggested_by_message_global_id),
        compose_url=view_models.compose_url(f"commitment:{commitment.id}"),
    )


async def load_card(
    db: Database, scope: Scope, default_timezone: str, *, contact: str | None = None, conversation: str | None = None
) -> dict[str, Any]:
    """Return the values of the card with the commitments of a contact or of a conversation."""
    wanted = register.build_filter(contact_global_id=contact, conversation_global_id=conversation)
    rows, total = await register.list_commitments(db, scope, wanted, default_timezone, _MOST_BESIDE, 0)
    return limits() | {
        "rows": [commitment_view(row) for row in rows],
        "more": total - len(rows),
        "url": f"/commitments?{urlencode({'show': 'all', 'contact': contact})}" if contact else "",
    }


def limits() -> dict[str, int]:
    """Return the longest texts of the forms."""
    return {"longest_what": MAX_WHAT_LENGTH, "longest_reason": MAX_REASON_LENGTH}


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def _message_url(conversation_id: str, message_id: str | None) -> str:
    return view_models.thread_url(conversation_id, message_id) if message_id else ""
