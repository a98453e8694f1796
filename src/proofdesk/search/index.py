"""The index of words follows the conversations: what changed is indexed anew, what did not is left alone."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from proofdesk.db.pool import Database
from proofdesk.db.rows import Conn
from proofdesk.embeddings.cutting import queries as cutting_queries
from proofdesk.embeddings.cutting.words import Said
from proofdesk.progress import Report, has_doubled, silent
from proofdesk.projects.scope import Scope
from proofdesk.search import documents, index_queries, words
from proofdesk.search.documents import Document
from proofdesk.search.index_queries import Posting, Taken

VERSION = 1  # of the rules in this file, `documents`, `languages` and `words`: a new number indexes everything anew
BATCH = 200  # conversations a transaction
WHOLE = ""  # the term that stands for a conversation itself

Pair = tuple[str, str]
Terms = dict[Pair, tuple[str, ...]]


async def refresh(db: Database, scope: Scope, report: Report = silent) -> int:
    """Index every conversation whose content or contact changed since it was indexed; how many there were.

    Several workers may do so at once: each takes conversations that nobody has. Reports conversations.
    """
    async with db.scoped(scope) as conn:
        await index_queries.adopt_rules(conn, scope, str(VERSION))
        total = await index_queries.unindexed(conn, scope)
    done, batches, known = 0, 0, Terms()
    while batch := await _refresh_batch(db, scope, known):
        done += batch
        batches += 1
        if has_doubled(batches):
            async with db.transaction() as conn:
                await cutting_queries.refresh_statistics(conn)
        report(done, max(total, done), "conversations")
    return done


def language_term(language: str) -> str:
    """The term by which conversations in a language are counted."""
    return f":{language}"


async def terms_of(conn: Conn, pairs: Iterable[Pair], known: Terms) -> Terms:
    """The terms under which (language, word) pairs are stored, added to those already `known`.

    A word with accents is stored as it is stemmed with them and without: "devolución" is found by "devolucion".
    """
    wanted = {pair for pair in pairs if pair not in known}
    if not wanted:
        return known
    asked = [*wanted, *{(language, words.fold(word)) for language, word in wanted if not word.isascii()}]
    stems = {(s.language, s.word): words.fold(s.stem) for s in await index_queries.stems(conn, asked)}
    for language, word in wanted:
        with_accents, without = stems[language, word], stems.get((language, words.fold(word)))
        known[language, word] = (with_accents,) if without in (None, with_accents) else (with_accents, without)
    return known


async def _refresh_batch(db: Database, scope: Scope, known: Terms) -> int:
    async with db.scoped(scope) as conn:
        taken = await index_queries.take_unindexed(conn, scope, BATCH)
        if not taken:
            return 0
        said = await cutting_queries.said(conn, scope, taken)
        built = await asyncio.to_thread(_documents, taken, said)
        await terms_of(conn, {pair for document in built for pair in document.stemmed}, known)
        postings = [posting for document in built for posting in _postings(document, known)]
        await index_queries.drop_postings(conn, scope, taken, postings)
        await index_queries.put_postings(conn, scope, postings)
        await index_queries.mark_indexed(conn, scope, taken)
    return len(taken)


def _documents(taken: Sequence[Taken], said: Sequence[Said]) -> list[Document]:
    threads: dict[Pair | tuple[int, int], list[Said]] = defaultdict(list)
    for message in said:
        threads[message.account_id, message.conversation_id].append(message)
    return [
        documents.build(
            one.account_id,
            one.conversation_id,
            threads[one.account_id, one.conversation_id],
            (one.contact_name, one.contact_email, one.contact_phone),
        )
        for one in taken
    ]


def _postings(document: Document, known: Terms) -> Iterator[Posting]:
    tf: dict[str, int] = defaultdict(int)
    for pair, weight in document.stemmed.items():
        for term in known[pair]:
            tf[term] += weight
    for token, weight in document.exact.items():
        tf[token] = max(tf[token], weight)
    for language in document.languages:
        tf[language_term(language)] = 1
    tf[WHOLE] = document.length
    if not document.length:
        return  # nothing was said: nothing to find
    for term, weight in tf.items():
        yield Posting(document.account_id, document.conversation_id, term, weight, document.length)
