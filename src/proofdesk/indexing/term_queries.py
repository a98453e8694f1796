"""SQL of the index of words."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.indexing.chunking.queries import Conversation
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Taken(Conversation):
    """A conversation whose terms are out of date, with what its contact is called."""

    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None


@dataclass(frozen=True)
class Postings:
    """How often a conversation holds each term, and its length; both weighted, in tenths.

    `places` are the messages that hold each, of a long conversation, as the database writes an array.
    """

    account_id: int
    conversation_id: int
    length: int
    tf: dict[str, int]
    places: dict[str, str]

    def without(self, terms: Container[str]) -> "Postings":
        """Those of other terms."""
        return replace(self, tf={term: n for term, n in self.tf.items() if term not in terms})

    def changed_since(self, before: "Postings | None") -> "Postings":
        """Those that are new, or were otherwise before."""
        if before is None or before.length != self.length:
            return self
        places = before.places
        changed = {
            term: n
            for term, n in self.tf.items()
            if before.tf.get(term) != n or places.get(term) != self.places.get(term)
        }
        return replace(self, tf=changed)


async def unindexed(conn: Conn, scope: Scope) -> int:
    """How many conversations are to be indexed."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM cw_conversations
        WHERE project_id = %(project)s AND content_version <> indexed_version""",
        project=scope.project_id,
    )


async def take_unindexed(conn: Conn, scope: Scope, most: int, but: Sequence[tuple[int, int]] = ()) -> list[Taken]:
    """Lock conversations that are to be indexed, leaving out those that somebody else has.

    `but` are others (by account and number) to leave out.
    """
    return await fetch_all(
        conn,
        Taken,
        """
        SELECT c.account_id, c.conversation_id, c.content_version AS version, '' AS inbox,
               p.name AS contact_name, p.email AS contact_email, p.phone_number AS contact_phone
        FROM cw_conversations c
        LEFT JOIN cw_contacts p ON p.project_id = c.project_id AND p.account_id = c.account_id
            AND p.contact_id = c.contact_id
        WHERE c.project_id = %(project)s AND c.content_version <> c.indexed_version
          AND (c.account_id, c.conversation_id) NOT IN (
              SELECT * FROM unnest(%(but_accounts)s::bigint[], %(but_conversations)s::bigint[]))
        LIMIT %(most)s FOR NO KEY UPDATE OF c SKIP LOCKED""",
        project=scope.project_id,
        most=most,
        but_accounts=[account for account, _ in but],
        but_conversations=[conversation for _, conversation in but],
    )


async def stored(conn: Conn, scope: Scope, conversations: Sequence[Conversation]) -> list[Postings]:
    """The postings that conversations have; those that have none are left out."""
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


async def drop_postings(conn: Conn, scope: Scope, postings: Sequence[Postings]) -> int:
    """Remove postings."""
    return await execute(
        conn,
        """
        DELETE FROM search_postings p
        USING jsonb_to_recordset(%(postings)s) gone (account_id bigint, conversation_id bigint, tf jsonb),
            jsonb_object_keys(gone.tf) t (term)
        WHERE p.project_id = %(project)s AND p.term = t.term AND p.account_id = gone.account_id
          AND p.conversation_id = gone.conversation_id""",
        project=scope.project_id,
        postings=Jsonb([vars(p) for p in postings]),
    )


async def put_postings(conn: Conn, scope: Scope, postings: Sequence[Postings]) -> int:
    """Store postings, in the order of their key: that is quicker. Those that are there take the new numbers."""
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
