"""The stage that stores terms: the postings of each conversation in the keyword index."""

from collections import defaultdict
from collections.abc import Sequence

from proofdesk.database.rows import Conn
from proofdesk.indexing import documents, stemmer, term_queries
from proofdesk.indexing.documents import Document
from proofdesk.indexing.stage import IndexingStage, StoredRows
from proofdesk.indexing.term_queries import Postings
from proofdesk.indexing.transcript_queries import ConversationKey, StaleConversation
from proofdesk.indexing.transcripts import Transcript
from proofdesk.projects.scope import Scope

VERSION = 5
"""Increase it when `documents`, `languages`, `scripts`, `stemmer` or `tokenizer` change what is stored."""
WHOLE = ""
"""The term that every conversation with text has: its postings count conversations and hold their lengths."""


class TermStage(IndexingStage[Postings]):
    """Writes `search_postings`. A posting that did not change keeps its row."""

    index = "terms"

    def __init__(self) -> None:
        super().__init__()
        self.rules = str(VERSION)

    def prepare(self, transcript: Transcript) -> Postings:
        """Return the postings of a conversation and its contact."""
        conversation = transcript.conversation
        identity = conversation.contact_name, conversation.contact_email, conversation.contact_phone
        return _postings(conversation.key, documents.build_document(transcript.messages, identity))

    async def store(
        self, conn: Conn, scope: Scope, conversations: Sequence[StaleConversation], prepared: Sequence[Postings]
    ) -> StoredRows:
        """Store postings that are new or changed, and remove those that are gone."""
        stored = {p.key: p for p in await term_queries.stored_postings(conn, scope, conversations)}
        postings = {p.key: p for p in prepared}
        obsolete = [p for p in (old.without(postings[key].tf) for key, old in stored.items()) if p.tf]
        removed = await term_queries.delete_postings(conn, scope, obsolete) if obsolete else 0
        changed = [p for p in (new.changed_since(stored.get(key)) for key, new in postings.items()) if p.tf]
        return StoredRows(await term_queries.upsert_postings(conn, scope, changed) if changed else 0, removed)


def language_term(language: str) -> str:
    """Return the term whose postings count the conversations in a language."""
    return f":{language}"


def _postings(key: ConversationKey, document: Document) -> Postings:
    tf: dict[str, int] = defaultdict(int)
    if document.length:  # a conversation without text is not found by the name of its contact either
        for (language, word), weight in document.stemmed.items():
            for term in stemmer.word_terms(language, word):
                tf[term] += weight
        for token, weight in document.exact.items():
            tf[token] = max(tf[token], weight)
        for language in document.languages:
            tf[language_term(language)] = 1
        tf[WHOLE] = document.length
    return Postings(*key, document.length, tf, _places(document))


def _places(document: Document) -> dict[str, str]:
    """Return the messages of a long conversation that hold each term, as array literals of PostgreSQL."""
    places: dict[str, list[int]] = {}
    for token, messages in (document.places or {}).items():
        for term in (token,) if isinstance(token, str) else stemmer.word_terms(*token):
            places[term] = places[term] + messages if term in places else messages
    return {term: _array_literal(messages) for term, messages in places.items()}


def _array_literal(messages: list[int]) -> str:
    latest = messages if len(messages) == 1 else sorted(set(messages))[-documents.MOST_PLACES :]
    return f"{{{','.join(map(str, latest))}}}"
