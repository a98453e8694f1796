"""SQL of sources and of the claims that keep a source in one project."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Source:
    """A Chatwoot account (`inbox_id` is None) or inbox that is bound to a project."""

    id: UUID
    source_kind: str
    external_id: str
    account_id: int
    inbox_id: int | None
    created_at: datetime


async def list_sources(conn: Conn, scope: Scope) -> list[Source]:
    """Return the sources of the project, oldest first."""
    return await fetch_all(
        conn,
        Source,
        """
        SELECT id, source_kind, external_id, account_id, inbox_id, created_at FROM project_sources
        WHERE project_id = %(project)s ORDER BY created_at, external_id""",
        project=scope.project_id,
    )


async def may_bind(conn: Conn, actor: Actor) -> bool:
    """Return whether the actor is the owner, or a user whom the owner allows to bind sources."""
    return actor.is_owner or bool(
        await fetch_value(
            conn,
            "SELECT may_bind_sources FROM app_users WHERE id = %(user)s AND disabled_at IS NULL",
            user=actor.user_id,
        )
    )


async def takes_default_account(conn: Conn, scope: Scope) -> bool:
    """Return whether the project was created by the owner, or by a user who may bind sources."""
    return bool(
        await fetch_value(
            conn,
            """
            SELECT u.id IS NULL OR u.is_owner OR u.may_bind_sources
            FROM projects p LEFT JOIN app_users u ON u.id = p.created_by WHERE p.id = %(project)s""",
            project=scope.project_id,
        )
    )


async def lock_account(conn: Conn, account_id: int) -> None:
    """Serialize bindings of one account until the transaction ends."""
    await execute(
        conn,
        "SELECT pg_advisory_xact_lock(hashtextextended('chatwoot_account', %(account)s))",
        account=account_id,
    )


async def is_claimed_by_another(conn: Conn, scope: Scope, account_id: int, inbox_id: int | None) -> bool:
    """Return whether another project has claimed this source, the account that contains it, or an inbox in it."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM source_claims
            WHERE account_id = %(account)s AND claimed_by <> %(project)s
              AND (%(inbox)s::bigint IS NULL OR source_kind = 'chatwoot_account'
                   OR external_id = %(account)s::text || ':' || %(inbox)s::text))""",
        account=account_id,
        inbox=inbox_id,
        project=scope.project_id,
    )


async def claim(conn: Conn, scope: Scope, kind: str, external_id: str, account_id: int) -> bool:
    """Claim the source for the project. Return False if this project or another one has claimed it."""
    return bool(
        await execute(
            conn,
            """
            INSERT INTO source_claims (source_kind, external_id, account_id, claimed_by)
            VALUES (%(kind)s, %(external)s, %(account)s, %(project)s) ON CONFLICT DO NOTHING""",
            kind=kind,
            external=external_id,
            account=account_id,
            project=scope.project_id,
        )
    )


async def insert_source(
    conn: Conn, scope: Scope, kind: str, external_id: str, account_id: int, inbox_id: int | None
) -> Source:
    """Insert a claimed source."""
    return await fetch_one(
        conn,
        Source,
        """
        INSERT INTO project_sources (project_id, account_scope_id, source_kind, external_id, account_id, inbox_id)
        VALUES (%(project)s, %(account_scope)s, %(kind)s, %(external)s, %(account)s, %(inbox)s)
        RETURNING id, source_kind, external_id, account_id, inbox_id, created_at""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        kind=kind,
        external=external_id,
        account=account_id,
        inbox=inbox_id,
    )


async def lock_sources(conn: Conn, scope: Scope, account_id: int, inbox_ids: list[int] | None) -> int:
    """Lock sources of an account against unbinding until the transaction ends, and return their number."""
    return await execute(
        conn,
        """
        SELECT FROM project_sources
        WHERE project_id = %(project)s AND account_id = %(account)s
          AND (inbox_id = ANY(%(inboxes)s) OR (inbox_id IS NULL AND %(inboxes)s::bigint[] IS NULL))
        FOR KEY SHARE""",
        project=scope.project_id,
        account=account_id,
        inboxes=inbox_ids,
    )


async def record_first_binding(conn: Conn, scope: Scope) -> None:
    """Record when the project bound its first source."""
    await execute(
        conn,
        "UPDATE projects SET first_bound_at = now() WHERE id = %(project)s AND first_bound_at IS NULL",
        project=scope.project_id,
    )


async def was_ever_bound(conn: Conn, scope: Scope) -> bool:
    """Return whether the project has or had a source."""
    return await fetch_value(
        conn, "SELECT first_bound_at IS NOT NULL FROM projects WHERE id = %(project)s", project=scope.project_id
    )


async def delete_sources(conn: Conn, scope: Scope, source_id: UUID | None = None) -> list[Source]:
    """Delete a source, or all sources, with their claims, and return them."""
    return await fetch_all(
        conn,
        Source,
        """
        WITH deleted AS (
            DELETE FROM project_sources
            WHERE project_id = %(project)s AND (%(source)s::uuid IS NULL OR id = %(source)s)
            RETURNING id, source_kind, external_id, account_id, inbox_id, created_at),
        released AS (
            DELETE FROM source_claims c USING deleted d
            WHERE c.source_kind = d.source_kind AND c.external_id = d.external_id AND c.claimed_by = %(project)s)
        SELECT * FROM deleted ORDER BY created_at, external_id""",
        project=scope.project_id,
        source=source_id,
    )
