"""SQL of the index of words."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.db.rows import Conn, many, run, value
from proofdesk.embeddings.cutting.queries import Conversation
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Taken(Conversation):
    """A conversation whose terms are out of date, with what its contact is called."""

    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None


@dataclass(frozen=True)
class Posting:
    """How often a conversation holds a term, and its length, both weighted and in tenths."""

    account_id: int
    conversation_id: int
    term: str
    tf: int
    length: int


async def adopt_rules(conn: Conn, scope: Scope, rules: str) -> int:
    """Note by which rules terms are made; when they changed, every conversation is to be indexed anew: how many."""
    return await run(
        conn,
        """
        WITH changed AS (
            INSERT INTO sync_watermarks (project_id, account_scope_id, source, meta)
            VALUES (%(project)s, %(account_scope)s, 'terms', jsonb_build_object('rules', %(rules)s::text))
            ON CONFLICT (project_id, source) DO UPDATE SET meta = excluded.meta, updated_at = now()
            WHERE sync_watermarks.meta <> excluded.meta RETURNING source)
        UPDATE cw_conversations SET indexed_version = 0
        WHERE project_id = %(project)s AND indexed_version <> 0 AND EXISTS (SELECT FROM changed)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        rules=rules,
    )


async def unindexed(conn: Conn, scope: Scope) -> int:
    """How many conversations are to be indexed."""
    return await value(
        conn,
        """
        SELECT count(*) FROM cw_conversations
        WHERE project_id = %(project)s AND content_version <> indexed_version""",
        project=scope.project_id,
    )


async def take_unindexed(conn: Conn, scope: Scope, most: int) -> list[Taken]:
    """Lock conversations that are to be indexed, leaving out those that somebody else has."""
    return await many(
        conn,
        Taken,
        """
        SELECT c.account_id, c.conversation_id, c.content_version AS version, '' AS inbox,
               p.name AS contact_name, p.email AS contact_email, p.phone_number AS contact_phone
        FROM cw_conversations c
        LEFT JOIN cw_contacts p ON p.project_id = c.project_id AND p.account_id = c.account_id
            AND p.contact_id = c.contact_id
        WHERE c.project_id = %(project)s AND c.content_version <> c.indexed_version
        LIMIT %(most)s FOR NO KEY UPDATE OF c SKIP LOCKED""",
        project=scope.project_id,
        most=most,
    )


async def drop_postings(
    conn: Conn, scope: Scope, conversations: Sequence[Conversation], postings: Sequence[Posting]
) -> int:
    """Remove the postings of conversations that are not among the given ones."""
    return await run(
        conn,
        """
        DELETE FROM search_postings p
        USING unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        WHERE p.project_id = %(project)s AND p.account_id = c.account_id AND p.conversation_id = c.conversation_id
          AND NOT EXISTS (
              SELECT FROM unnest(%(in_accounts)s::bigint[], %(in_conversations)s::bigint[], %(terms)s::text[])
                  n (account_id, conversation_id, term)
              WHERE n.account_id = p.account_id AND n.conversation_id = p.conversation_id AND n.term = p.term)""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
        in_accounts=[p.account_id for p in postings],
        in_conversations=[p.conversation_id for p in postings],
        terms=[p.term for p in postings],
    )


async def put_postings(conn: Conn, scope: Scope, postings: Sequence[Posting]) -> int:
    """Store postings; those that are stored already are left alone."""
    return await run(
        conn,
        """
        INSERT INTO search_postings AS p
            (project_id, account_scope_id, term, account_id, conversation_id, tf, length)
        SELECT %(project)s, %(account_scope)s, term, account_id, conversation_id, tf, length
        FROM unnest(%(terms)s::text[], %(accounts)s::bigint[], %(conversations)s::bigint[], %(tfs)s::int[],
            %(lengths)s::int[]) n (term, account_id, conversation_id, tf, length)
        ON CONFLICT (project_id, term, account_id, conversation_id)
            DO UPDATE SET tf = excluded.tf, length = excluded.length
            WHERE (p.tf, p.length) <> (excluded.tf, excluded.length)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        terms=[p.term for p in postings],
        accounts=[p.account_id for p in postings],
        conversations=[p.conversation_id for p in postings],
        tfs=[p.tf for p in postings],
        lengths=[p.length for p in postings],
    )


async def mark_indexed(conn: Conn, scope: Scope, conversations: Sequence[Conversation]) -> None:
    """Note which version of their content the terms of conversations were made of."""
    await run(
        conn,
        """
        UPDATE cw_conversations c SET indexed_version = done.version
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[], %(versions)s::bigint[])
            done (account_id, conversation_id, version)
        WHERE c.project_id = %(project)s AND c.account_id = done.account_id
          AND c.conversation_id = done.conversation_id""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
        versions=[c.version for c in conversations],
    )
