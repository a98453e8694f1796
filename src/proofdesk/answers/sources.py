"""Find the messages that may answer a question: of the conversations that search finds, and of named contacts."""

from dataclasses import dataclass

from proofdesk.answers import message_queries, names
from proofdesk.answers.matching import Frequencies
from proofdesk.answers.message_queries import CitableMessage, ReadWindow
from proofdesk.answers.questions import Question
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.indexing.terms import WHOLE
from proofdesk.projects.scope import Scope
from proofdesk.search import diagnosis, results
from proofdesk.search.diagnosis import SearchDiagnosis
from proofdesk.search.query import SearchFilters, SearchQuery
from proofdesk.settings import Settings

_HITS = 20
_NAMED_CONVERSATIONS = 10
_MAX_PATTERNS = 40


@dataclass(frozen=True)
class Sources:
    """The messages of the conversations found, and how frequent the terms of the question are in the project.

    `diagnosis` tells why search found none, or none that is relevant.
    """

    messages: list[CitableMessage]
    frequencies: Frequencies
    diagnosis: SearchDiagnosis


async def find_sources(
    db: Database,
    scope: Scope,
    provider: EmbeddingProvider | None,
    settings: Settings,
    question: Question,
    filters: SearchFilters,
    include_private: bool,
) -> Sources:
    """Search for the question and read the conversations found."""
    query = SearchQuery(question.text, top_k=_HITS, filters=filters, is_literal=True)
    found = await results.search(db, scope, provider, settings, query)
    hits = [ids.parse(hit.conversation_global_id, "conversation") for hit in found.results]
    keys = dict.fromkeys((key.account_id, key.number) for key in hits)
    patterns = [pattern for word in question.words for pattern in names.name_patterns(word.word)][:_MAX_PATTERNS]
    window = ReadWindow([ids.parse(hit.message_global_id, "message").number for hit in found.results])
    async with db.scoped(scope) as conn:
        if patterns and not _selects_conversations(filters):
            named = await message_queries.list_named_conversations(conn, scope, patterns, _NAMED_CONVERSATIONS)
            keys |= dict.fromkeys((row.account_id, row.conversation_id) for row in named)
        messages = await message_queries.list_messages(conn, scope, list(keys), window, include_private=include_private)
        terms = sorted({WHOLE, *(term for word in question.words for term in word.terms)})
        frequencies = await message_queries.list_term_frequencies(conn, scope, terms)
        explanation = found.diagnosis or await diagnosis.diagnose(conn, scope, query, provider is not None, True)
    return Sources(
        [message for message in messages if _passes(filters, message)],
        {row.term: row.df for row in frequencies},
        explanation,
    )


def _selects_conversations(filters: SearchFilters) -> bool:
    selected = (filters.inbox_ids, filters.conversation, filters.contact, filters.labels, filters.status)
    return any(value is not None for value in selected)


def _passes(filters: SearchFilters, message: CitableMessage) -> bool:
    return (
        (filters.from_ is None or message.created_at >= filters.from_)
        and (filters.to is None or message.created_at <= filters.to)
        and (filters.sender is None or message.sender_type == filters.sender)
    )
