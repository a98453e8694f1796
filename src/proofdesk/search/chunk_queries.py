"""SQL that selects chunks of a conversation for ranking: all of a short one, a bounded number of a long one."""

from collections.abc import Sequence

from psycopg import sql

from proofdesk.search.queries import NO_FILTER, WeightedTerm

WHOLE_CONVERSATION = 48  # chunks; longer conversations are not read as a whole
# Chunks of a long conversation that are read for each reason: they are the latest, the nearest, or hold query words.
CHUNKS_PER_REASON = 16
CHUNKS_PER_MESSAGE = 16
INFORMATIVE_SHARE = 0.2  # words with less than this share of the best weight say nothing about a text: "the", "is"
MAX_INFORMATIVE_WORDS = 8  # so many of the best query words select chunks of long conversations

_CHUNKS = sql.SQL("""
    rag_chunks k WHERE k.project_id = %(project)s AND k.account_id = {alias}.account_id
              AND k.conversation_id = {alias}.conversation_id AND {chunk_filter}""")
# Most conversations are short. Selecting chunks of them would take as long as reading all.
_SELECTED_CHUNKS = sql.SQL("""(
        SELECT k.* FROM (SELECT count(*) > %(whole_conversation)s AS is_long
                         FROM (SELECT FROM {all} LIMIT %(whole_conversation)s + 1) bounded) size
        CROSS JOIN LATERAL (
            (SELECT {columns} FROM {chunks} AND NOT size.is_long LIMIT %(whole_conversation)s)
            UNION ALL
            (SELECT {columns} FROM {keys} keys CROSS JOIN LATERAL (
                 SELECT k.* FROM rag_chunks k
                 WHERE k.project_id = %(project)s AND k.account_id = {alias}.account_id
                   AND k.message_id = keys.message_id AND k.chunk_index = keys.chunk_index
                   AND k.conversation_id = {alias}.conversation_id AND {chunk_filter} LIMIT 1) k
             WHERE size.is_long)) k)""")
# A message that holds the words has its own chunks, or shares a chunk with the message before or after it.
_SELECTED_KEYS = sql.SQL("""(
        (SELECT k.message_id, k.chunk_index FROM {chunks}
         ORDER BY k.created_at DESC, k.message_id DESC, k.chunk_index DESC LIMIT {limit})
        UNION
        (SELECT n.message_id, n.chunk_index FROM near n
         WHERE n.account_id = {alias}.account_id AND n.conversation_id = {alias}.conversation_id
         ORDER BY n.distance LIMIT {limit})
        UNION
        SELECT k.message_id, k.chunk_index
        FROM (SELECT matches.message_id
              FROM (SELECT w.word, place.message_id, max(w.weight) AS weight
                    FROM query_terms w
                    CROSS JOIN LATERAL (
                        SELECT p.places FROM search_postings p
                        WHERE p.project_id = %(project)s AND p.term = w.term AND p.account_id = {alias}.account_id
                          AND p.conversation_id = {alias}.conversation_id LIMIT 1) p
                    CROSS JOIN LATERAL unnest(p.places) place (message_id)
                    WHERE w.informative GROUP BY w.word, place.message_id) matches
              GROUP BY matches.message_id ORDER BY sum(matches.weight) DESC, matches.message_id DESC LIMIT {limit}) m
        CROSS JOIN LATERAL (
            SELECT s.created_at FROM cw_messages s
            WHERE s.project_id = %(project)s AND s.account_id = {alias}.account_id AND s.message_id = m.message_id
            LIMIT 1) s
        CROSS JOIN LATERAL (
            (SELECT k.message_id, k.chunk_index FROM {chunks} AND k.created_at = s.created_at
               AND k.message_id = m.message_id LIMIT %(chunks_per_message)s)
            UNION ALL
            SELECT around.message_id, around.chunk_index FROM (
                (SELECT k.message_id, k.chunk_index, k.covers FROM {chunks} AND k.created_at <= s.created_at
                 ORDER BY k.created_at DESC, k.message_id DESC, k.chunk_index DESC LIMIT 2)
                UNION ALL
                (SELECT k.message_id, k.chunk_index, k.covers FROM {chunks} AND k.created_at > s.created_at
                 ORDER BY k.created_at, k.message_id, k.chunk_index LIMIT 1)) around
            WHERE m.message_id = ANY (around.covers)) k)""")


def conversation_chunks(alias: str, chunk_filter: sql.SQL) -> sql.Composed:
    """Return the chunks `k` of the conversation of a table alias."""
    return _CHUNKS.format(alias=sql.Identifier(alias), chunk_filter=chunk_filter)


def selected_chunks(alias: str, chunk_filter: sql.SQL, limit: sql.Composable, columns: str) -> sql.Composed:
    """Return the chunks `k` to read: all of a short conversation, of a long one at most `limit` for each reason.

    These are the latest, the nearest, and those that hold informative words. `columns` are columns of `k`. The
    surrounding statement provides `query_terms` and `near`.
    """
    chunks, name = conversation_chunks(alias, chunk_filter), sql.Identifier(alias)
    keys = _SELECTED_KEYS.format(alias=name, chunks=chunks, limit=limit)
    names = sql.SQL(", ").join(sql.Identifier("k", column) for column in columns.split())
    counted = conversation_chunks(alias, NO_FILTER)  # counting with filters could read very many chunks to find a few
    return _SELECTED_CHUNKS.format(
        alias=name, all=counted, chunks=chunks, keys=keys, chunk_filter=chunk_filter, columns=names
    )


def informative_terms(terms: Sequence[WeightedTerm]) -> list[bool]:
    """Return which terms select chunks of a long conversation: those of the few words with the most weight."""
    weights: dict[int, float] = {}
    for term in terms:
        weights[term.word] = max(term.weight, weights.get(term.word, 0.0))
    best = sorted(weights, key=lambda word: weights[word], reverse=True)[:MAX_INFORMATIVE_WORDS]
    return [term.word in best and weights[term.word] >= INFORMATIVE_SHARE * weights[best[0]] for term in terms]
