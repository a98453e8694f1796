"""Diagnose why a search has no strong hits, with the checks of the runbook."""

from dataclasses import asdict, dataclass, replace

from proofdesk.database.rows import Conn
from proofdesk.projects.scope import Scope
from proofdesk.search import diagnosis_queries
from proofdesk.search.diagnosis_queries import IndexCounts
from proofdesk.search.query import SearchQuery
from proofdesk.search.syntax import QueryFilters

RUNBOOK = "search-returns-no-results"

MESSAGES = {
    "no_project_data": "This project holds no messages yet. Bind a Chatwoot source and run the Sync job.",
    "sync_pending": "Messages of this project are still being read or indexed. Let the Sync job finish, then retry.",
    "embeddings_missing": "No message of this project has an embedding yet. Run the Embeddings job; if it keeps "
    "failing, set EMBED_BATCH_SIZE=20 and retry. Text search does not need them.",
    "provider_not_configured": "No embedding provider is configured: set OPENAI_API_KEY, or EMBEDDING_PROVIDER=local. "
    "Text search works without one.",
    "no_match": "Nothing in this project matches. Try other or fewer words, or fewer filters.",
    "only_weak": "No strong match: the conversations may not hold this. The nearest messages are only weak matches.",
    "no_words": "The query holds no word or number to look for.",
    "only_filters": "The query holds only filters. Add a word to look for.",
}


@dataclass(frozen=True)
class SearchDiagnosis:
    """The cause of a result without strong hits: its code, what to do, the runbook, and counts of the project."""

    code: str
    message: str
    runbook: str
    counts: dict[str, int]


async def diagnose_weak(conn: Conn, scope: Scope, query: SearchQuery, has_provider: bool) -> SearchDiagnosis:
    """Return why a search has only weak hits."""
    cause = await diagnose(conn, scope, query, has_provider)
    return replace(cause, message=MESSAGES["only_weak"]) if cause.code == "no_match" else cause


async def diagnose(
    conn: Conn, scope: Scope, query: SearchQuery, has_provider: bool, has_terms: bool = True
) -> SearchDiagnosis:
    """Return the first cause that applies. `has_provider`: an embedding provider is configured."""
    counts = await diagnosis_queries.count_indexed(conn, scope)
    code = _code(counts, query, has_provider)
    without_terms = "only_filters" if query.parsed.filters != QueryFilters() else "no_words"
    message = MESSAGES[without_terms if code == "no_match" and not has_terms else code]
    return SearchDiagnosis(code, message, RUNBOOK, asdict(counts))


def _code(counts: IndexCounts, query: SearchQuery, has_provider: bool) -> str:
    if not counts.messages:
        return "sync_pending" if counts.syncs_pending or counts.conversations_unread else "no_project_data"
    if not counts.chunks or counts.conversations_unindexed == counts.conversations:
        return "sync_pending"
    if query.mode != "text" and not counts.embeddings_ready:
        return "embeddings_missing" if has_provider else "provider_not_configured"
    if query.mode == "vector" and not has_provider:
        return "provider_not_configured"
    return "no_match"
