"""SQL of the keyword index."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all
from proofdesk.indexing.transcript_queries import ConversationKey, StaleConversation
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Postings:
    """The term frequencies of a conversation and its length, both weighted, in tenths.

    `places` are the messages of a long conversation that hold each term, as array literals of PostgreSQL.
    """

    account_id: int
    conversation_id: int
    length: int
    tf: dict[str, int]
    places: dict[str, str]

    @property
    def key(self) -> ConversationKey:
        return self.account_id, self.conversation_id

    def without(self, terms: Container[str]) -> "Postings":
        """Return the postings of all other terms."""
        return replace(self, tf={term: n for term, n in self.tf.items() if term not in terms})

    def changed_since(self, before: "Postings | None") -> "Postings":
        """Return the postings that are new or differ from those before."""
        if before is None or before.length != self.length:
            return self
        places = before.places
        changed = {
            term: n
            for term, n in self.tf.items()
            if before.tf.get(term) != n or places.get(term) != self.places.get(term)
        }
        return replace(self, tf=changed)


async def stored_postings(conn: Conn, scope: Scope, conversations: Sequence[StaleConversation]) -> list[Postings]:
    """Return the stored postings of conversations; a conversation without postings is left out."""
    return await fetch_all(
        conn,
        Postings,
        """
        SELECT p.account_id, p.conversation_id, max(p.length) AS length, jsonb_object_agg(p.term, p.tf) AS tf,
               coalesce(jsonb_object_agg(p.term, p.places::text) FILTER (WHERE p.places IS NOT NULL), '{}') AS places
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        JOIN search_postings p USING (account_id, conversation_id)
        WHERE p.project_id = %(project)s GROUP BY 1, 2""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
    )


async def delete_postings(conn: Conn, scope: Scope, postings: Sequence[Postings]) -> int:
    """Delete postings and return how many."""
    return await execute(
        conn,
        """
        DELETE FROM search_postings p
        USING jsonb_to_recordset(%(postings)s) obsolete (account_id bigint, conversation_id bigint, tf jsonb),
            jsonb_object_keys(obsolete.tf) t (term)
        WHERE p.project_id = %(project)s AND p.term = t.term AND p.account_id = obsolete.account_id
          AND p.conversation_id = obsolete.conversation_id""",
        project=scope.project_id,
        postings=Jsonb([vars(p) for p in postings]),
    )


async def upsert_postings(conn: Conn, scope: Scope, postings: Sequence[Postings]) -> int:
    """Insert or update postings and return how many. Writing them in the order of their key is faster."""
    return await execute(
        conn,
        """
        INSERT INTO search_postings
            (project_id, account_scope_id, term, account_id, conversation_id, tf, length, places)
        SELECT %(project)s, %(account_scope)s, t.term, new.account_id, new.conversation_id, t.tf::int, new.length,
            (new.places ->> t.term)::bigint[]
        FROM jsonb_to_recordset(%(postings)s)
                 new (account_id bigint, conversation_id bigint, length int, tf jsonb, places jsonb),
             jsonb_each_text(new.tf) t (term, tf)
        ORDER BY t.term, new.account_id, new.conversation_id
        ON CONFLICT (project_id, term, account_id, conversation_id)
            DO UPDATE SET tf = excluded.tf, length = excluded.length, places = excluded.places""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        postings=Jsonb([vars(p) for p in postings]),
    )
