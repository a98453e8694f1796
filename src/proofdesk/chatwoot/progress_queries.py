"""SQL of how far other packages have processed what was imported.

`chatwoot` owns `cw_conversations` and `sync_watermarks`. `indexing` and `outbound` write their progress with these
functions.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from psycopg import sql
from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute
from proofdesk.projects.scope import Scope

Index = Literal["chunks", "terms"]
_VERSION_COLUMNS: dict[Index, sql.Identifier] = {
    "chunks": sql.Identifier("chunked_version"),
    "terms": sql.Identifier("indexed_version"),
}


class ConversationVersion(Protocol):
    """A conversation and the version of its content that was indexed."""

    @property
    def account_id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def version(self) -> int: ...


async def adopt_rules(conn: Conn, scope: Scope, index: Index, rules: str) -> int:
    """Record the rules by which an index is built, and return how many conversations have to be indexed again.

    That is every indexed conversation when the rules changed, and none otherwise.
    """
    statement = sql.SQL(
        """
        WITH changed AS (
            INSERT INTO sync_watermarks (project_id, account_scope_id, source, meta)
            VALUES (%(project)s, %(account_scope)s, %(source)s, jsonb_build_object('rules', %(rules)s::text))
            ON CONFLICT (project_id, source) DO UPDATE SET meta = excluded.meta, updated_at = now()
            WHERE sync_watermarks.meta <> excluded.meta RETURNING source)
        UPDATE cw_conversations SET {version} = 0
        WHERE project_id = %(project)s AND {version} <> 0 AND EXISTS (SELECT FROM changed)"""
    )
    return await execute(
        conn,
        statement.format(version=_VERSION_COLUMNS[index]),
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        source=index,
        rules=rules,
    )


async def mark_indexed(conn: Conn, scope: Scope, index: Index, conversations: Sequence[ConversationVersion]) -> None:
    """Record which version of the content of conversations an index holds."""
    statement = sql.SQL(
        """
        UPDATE cw_conversations c SET {version} = i.version
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[], %(versions)s::bigint[])
            i (account_id, conversation_id, version)
        WHERE c.project_id = %(project)s AND c.account_id = i.account_id AND c.conversation_id = i.conversation_id"""
    )
    await execute(
        conn,
        statement.format(version=_VERSION_COLUMNS[index]),
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
        versions=[c.version for c in conversations],
    )


async def set_reading_progress(conn: Conn, scope: Scope, reader: str, until: datetime, meta: dict[str, Any]) -> None:
    """Record that a reader of stored messages has processed everything that was stored before `until`."""
    await execute(
        conn,
        """
        INSERT INTO sync_watermarks (project_id, account_scope_id, source, cursor_ts, meta)
        VALUES (%(project)s, %(account_scope)s, %(reader)s, %(until)s, %(meta)s)
        ON CONFLICT (project_id, source) DO UPDATE
        SET cursor_ts = EXCLUDED.cursor_ts, meta = EXCLUDED.meta, updated_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        reader=reader,
        until=until,
        meta=Jsonb(meta),
    )
