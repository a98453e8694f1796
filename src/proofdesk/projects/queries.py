"""SQL of projects, their members and sources."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from proofdesk.audit.trail import Actor
from proofdesk.db.rows import Conn, many, maybe, one, run, value

if TYPE_CHECKING:
    from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Project:
    """A project as its members see it."""

    id: UUID
    name: str
    account_scope_id: UUID
    created_at: datetime


@dataclass(frozen=True)
class Member:
    """Somebody who may enter a project, the owner of the installation apart."""

    username: str
    role: str
    added_at: datetime


@dataclass(frozen=True)
class User:
    """Somebody who has an account."""

    id: UUID
    username: str


@dataclass(frozen=True)
class Source:
    """A Chatwoot account (`inbox_id` is None) or inbox that a project reads."""

    id: UUID
    source_kind: str
    external_id: str
    account_id: int
    inbox_id: int | None
    created_at: datetime


async def see_as(conn: Conn, actor: Actor) -> None:
    """Let the transaction see the memberships of the actor."""
    await run(conn, "SELECT set_config('proofdesk.user_id', %(user)s, true)", user=str(actor.user_id or ""))


async def visible_projects(conn: Conn, actor: Actor) -> list[Project]:
    """All projects the actor may enter, oldest first."""
    await see_as(conn, actor)
    return await many(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects p
        WHERE archived_at IS NULL
          AND (%(owner)s OR EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = %(user)s))
        ORDER BY created_at, id""",
        owner=actor.is_owner,
        user=actor.user_id,
    )


async def visible_project(conn: Conn, actor: Actor, project_id: UUID) -> Project | None:
    """One project, when the actor may enter it."""
    await see_as(conn, actor)
    return await maybe(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects p
        WHERE id = %(project)s AND archived_at IS NULL
          AND (%(owner)s OR EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = %(user)s))
        """,
        project=project_id,
        owner=actor.is_owner,
        user=actor.user_id,
    )


async def named_projects(conn: Conn, name: str) -> list[Project]:
    """All projects of exactly that name that are not archived."""
    return await many(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects
        WHERE name = %(name)s AND archived_at IS NULL ORDER BY created_at""",
        name=name,
    )


async def ensure_account_scope(conn: Conn, key: str, name: str) -> UUID:
    """The account scope of that key, made when it does not exist yet."""
    return await value(
        conn,
        """
        INSERT INTO account_scopes (scope_key, name) VALUES (%(key)s, %(name)s)
        ON CONFLICT (scope_key) DO UPDATE SET scope_key = EXCLUDED.scope_key RETURNING id""",
        key=key,
        name=name,
    )


async def insert_project(conn: Conn, account_scope_id: UUID, name: str, created_by: UUID | None) -> Project:
    """A new project; its scheduled jobs come with it."""
    return await one(
        conn,
        Project,
        """
        INSERT INTO projects (account_scope_id, name, created_by) VALUES (%(account_scope)s, %(name)s, %(by)s)
        RETURNING id, name, account_scope_id, created_at""",
        account_scope=account_scope_id,
        name=name,
        by=created_by,
    )


async def go_into(conn: Conn, project: Project) -> None:
    """Let the rest of the transaction see the project, which it has just made."""
    await run(conn, "SELECT set_config('proofdesk.project_id', %(project)s, true)", project=str(project.id))


async def hold(conn: Conn, scope: "Scope") -> bool:
    """Keep the project from being archived until the transaction ends; False when it is already."""
    return bool(
        await value(
            conn,
            "SELECT true FROM projects WHERE id = %(project)s AND archived_at IS NULL FOR SHARE",
            project=scope.project_id,
        )
    )


async def rename(conn: Conn, scope: "Scope", name: str) -> str | None:
    """Give the project another name; the one it had, or None when it is archived."""
    return await value(
        conn,
        """
        WITH old AS (
            SELECT id, name FROM projects WHERE id = %(project)s AND archived_at IS NULL FOR NO KEY UPDATE)
        UPDATE projects p SET name = %(name)s FROM old WHERE p.id = old.id RETURNING old.name""",
        project=scope.project_id,
        name=name,
    )


async def archive(conn: Conn, scope: "Scope") -> bool:
    """Put the project away; False when it is already."""
    return bool(
        await run(
            conn,
            "UPDATE projects SET archived_at = now() WHERE id = %(project)s AND archived_at IS NULL",
            project=scope.project_id,
        )
    )


async def keeps(conn: Conn, actor: Actor, project_id: UUID) -> bool:
    """Whether the actor looks after the project: as owner of the installation, or because he made it."""
    return actor.is_owner or bool(
        await value(
            conn,
            "SELECT true FROM projects WHERE id = %(project)s AND created_by = %(user)s",
            project=project_id,
            user=actor.user_id,
        )
    )


# Members ----------------------------------------------------------------------------------------------------------


async def members(conn: Conn, scope: "Scope") -> list[Member]:
    """Who may enter the project, in the order in which they came."""
    return await many(
        conn,
        Member,
        """
        SELECT u.username, m.role, m.added_at FROM project_members m JOIN app_users u ON u.id = m.user_id
        WHERE m.project_id = %(project)s ORDER BY m.added_at, u.username""",
        project=scope.project_id,
    )


async def user(conn: Conn, username: str) -> User | None:
    """The account of that name as written, or else in small letters."""
    return await maybe(
        conn,
        User,
        """
        SELECT id, username FROM app_users WHERE username IN (%(name)s, lower(%(name)s))
        ORDER BY username = %(name)s DESC LIMIT 1""",
        name=username,
    )


async def add_member(conn: Conn, project_id: UUID, account_scope_id: UUID, user_id: UUID) -> bool:
    """Make somebody a member; False when he is one."""
    return bool(
        await run(
            conn,
            """
            INSERT INTO project_members (project_id, account_scope_id, user_id)
            VALUES (%(project)s, %(account_scope)s, %(user)s) ON CONFLICT DO NOTHING""",
            project=project_id,
            account_scope=account_scope_id,
            user=user_id,
        )
    )


async def remove_member(conn: Conn, scope: "Scope", user_id: UUID) -> bool:
    """Let a member go; False when he is none."""
    return bool(
        await run(
            conn,
            "DELETE FROM project_members WHERE project_id = %(project)s AND user_id = %(user)s",
            project=scope.project_id,
            user=user_id,
        )
    )


# Sources ----------------------------------------------------------------------------------------------------------


async def sources(conn: Conn, scope: "Scope") -> list[Source]:
    """What the project reads, oldest first."""
    return await many(
        conn,
        Source,
        """
        SELECT id, source_kind, external_id, account_id, inbox_id, created_at FROM project_sources
        WHERE project_id = %(project)s ORDER BY created_at, external_id""",
        project=scope.project_id,
    )


async def lock_account(conn: Conn, account_id: int) -> None:
    """Bindings of one account are made one after the other, until the end of the transaction."""
    await run(
        conn,
        "SELECT pg_advisory_xact_lock(hashtextextended('chatwoot_account', %(account)s))",
        account=account_id,
    )


async def claimed_by_another(conn: Conn, scope: "Scope", account_id: int, inbox_id: int | None) -> bool:
    """Whether another project owns this source, the whole account around it, or an inbox inside it."""
    return await value(
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


async def claim(conn: Conn, scope: "Scope", kind: str, external_id: str, account_id: int) -> bool:
    """Take the source for the project; False when it is taken already, by this project or another."""
    return bool(
        await run(
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
    conn: Conn, scope: "Scope", kind: str, external_id: str, account_id: int, inbox_id: int | None
) -> Source:
    """Record a claimed source among the project's."""
    return await one(
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


async def hold_sources(conn: Conn, scope: "Scope", account_id: int, inbox_ids: list[int] | None) -> int:
    """Keep sources of an account from being let go until the transaction ends; how many of them there are."""
    return await run(
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


async def note_bound(conn: Conn, scope: "Scope") -> None:
    """Remember that the project has had a source."""
    await run(
        conn,
        "UPDATE projects SET first_bound_at = now() WHERE id = %(project)s AND first_bound_at IS NULL",
        project=scope.project_id,
    )


async def was_ever_bound(conn: Conn, scope: "Scope") -> bool:
    """Whether the project has, or had, a source."""
    return await value(
        conn, "SELECT first_bound_at IS NOT NULL FROM projects WHERE id = %(project)s", project=scope.project_id
    )


async def delete_sources(conn: Conn, scope: "Scope", source_id: UUID | None = None) -> list[Source]:
    """Let go of a source, or of all, and of the claims; what was let go."""
    return await many(
        conn,
        Source,
        """
        WITH gone AS (
            DELETE FROM project_sources
            WHERE project_id = %(project)s AND (%(source)s::uuid IS NULL OR id = %(source)s)
            RETURNING id, source_kind, external_id, account_id, inbox_id, created_at),
        freed AS (
            DELETE FROM source_claims c USING gone g
            WHERE c.source_kind = g.source_kind AND c.external_id = g.external_id AND c.claimed_by = %(project)s)
        SELECT * FROM gone ORDER BY created_at, external_id""",
        project=scope.project_id,
        source=source_id,
    )
