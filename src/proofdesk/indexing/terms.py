"""The index of words follows the conversations: what changed is indexed anew, what did not is left alone.

A conversation that cannot be indexed is set aside with the reason, and tried again by the next run.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from proofdesk.chatwoot import progress_queries
from proofdesk.core.progress import ReportProgress, ignore_progress
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing import documents, stemmer, term_queries
from proofdesk.indexing.chunking import queries as cutting_queries
from proofdesk.indexing.documents import Document
from proofdesk.indexing.incremental import catch_up
from proofdesk.indexing.quarantine import SetAside
from proofdesk.indexing.term_queries import Postings, Taken
from proofdesk.indexing.transcripts import Said
from proofdesk.projects.scope import Scope

VERSION = (
    5  # of the rules here, in `documents`, `languages`, `scripts`, `stems`, `words`: a new number indexes all anew
)
BATCH = 200  # conversations a transaction
WHOLE = ""  # the term that stands for a conversation itself


async def refresh(db: Database, scope: Scope, report: ReportProgress = ignore_progress) -> int:
    """Index every conversation whose content or contact changed since it was indexed; how many there were.

    Several workers may do so at once: each takes conversations that nobody has. Reports conversations.
    """
    async with db.scoped(scope) as conn:
        await progress_queries.adopt_rules(conn, scope, "terms", str(VERSION))
        total = await term_queries.unindexed(conn, scope)
    aside = SetAside("terms")
    return await catch_up(db, lambda: _refresh_batch(db, scope, aside), total, report, "conversations indexed")


def language_term(language: str) -> str:
    """The term by which conversations in a language are counted."""
    return f":{language}"


async def _refresh_batch(db: Database, scope: Scope, aside: SetAside) -> int:
    async with db.scoped(scope) as conn:
        taken = await term_queries.take_unindexed(conn, scope, BATCH, aside.keys)
        if not taken:
            return 0

        async def work(part: Sequence[Taken]) -> None:
            said = await cutting_queries.said(conn, scope, part)
            postings = await asyncio.to_thread(_postings, part, said, aside)
            indexed = aside.without(part)
            await _store(conn, scope, indexed, postings)
            await progress_queries.mark_indexed(conn, scope, "terms", indexed)

        await aside.each(conn, scope, taken, work)
    return len(taken)


async def _store(conn: Conn, scope: Scope, taken: Sequence[Taken], postings: Sequence[Postings]) -> None:
    before = {_key(p): p for p in await term_queries.stored(conn, scope, taken)}
    wanted = {_key(p): p for p in postings}
    if gone := [p for p in (before[key].without(wanted[key].tf) for key in before) if p.tf]:
        await term_queries.drop_postings(conn, scope, gone)
    if changed := [p for p in (wanted[key].changed_since(before.get(key)) for key in wanted) if p.tf]:
        await term_queries.put_postings(conn, scope, changed)


def _postings(taken: Sequence[Taken], said: Sequence[Said], aside: SetAside) -> list[Postings]:
    threads: dict[tuple[int, int], list[Said]] = defaultdict(list)
    for message in said:
        threads[message.account_id, message.conversation_id].append(message)

    def postings(one: Taken) -> Postings:
        messages = threads[one.account_id, one.conversation_id]
        contact = one.contact_name, one.contact_email, one.contact_phone
        return _postings_of(documents.build(one.account_id, one.conversation_id, messages, contact))

    return aside.make(taken, postings)


def _postings_of(document: Document) -> Postings:
    tf: dict[str, int] = defaultdict(int)
    if document.length:  # else nothing was said: nothing to find
        for (language, word), weight in document.stemmed.items():
            for term in stemmer.of_word(language, word):
                tf[term] += weight
        for token, weight in document.exact.items():
            tf[token] = max(tf[token], weight)
        for language in document.languages:
            tf[language_term(language)] = 1
        tf[WHOLE] = document.length
    return Postings(document.account_id, document.conversation_id, document.length, tf, _places(document))


def _places(document: Document) -> dict[str, str]:
    """The messages of a long conversation that hold each term, as the database reads an array."""
    places: dict[str, list[int]] = {}
    for token, messages in (document.places or {}).items():
        for term in (token,) if isinstance(token, str) else stemmer.of_word(*token):
            places[term] = places[term] + messages if term in places else messages
    return {term: _latest(messages) for term, messages in places.items()}


def _latest(messages: list[int]) -> str:
    latest = messages if len(messages) == 1 else sorted(set(messages))[-documents.MOST_PLACES :]
    return f"{{{','.join(map(str, latest))}}}"


def _key(postings: Postings) -> tuple[int, int]:
    return postings.account_id, postings.conversation_id
