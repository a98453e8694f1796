"""SQL of projects and their members."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.audit.queries import EventScope
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_optional, fetch_value

if TYPE_CHECKING:
    from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Project:
    """A project."""

    id: UUID
    name: str
    account_scope_id: UUID
    created_at: datetime


@dataclass(frozen=True)
class ProjectEntry:
    """A project that an actor may enter, and their role in it."""

    project_id: UUID
    account_scope_id: UUID
    role: str


@dataclass(frozen=True)
class ProjectName:
    """The name of a project, archived or not."""

    project_id: UUID
    account_scope_id: UUID
    name: str


@dataclass(frozen=True)
class Member:
    """A user who may enter a project."""

    username: str
    role: str
    added_at: datetime


@dataclass(frozen=True)
class UserName:
    """The id and username of an account."""

    id: UUID
    username: str


async def list_visible_projects(conn: Conn, actor: Actor) -> list[Project]:
    """Return all projects that the actor may enter, oldest first."""
    return await fetch_all(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects
        WHERE archived_at IS NULL
          AND (%(owner)s OR id IN (SELECT memberships(%(user)s)))
        ORDER BY created_at, id""",
        owner=actor.is_owner,
        user=actor.user_id,
    )


async def get_visible_project(conn: Conn, actor: Actor, project_id: UUID) -> Project | None:
    """Return a project if the actor may enter it."""
    return await fetch_optional(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects
        WHERE id = %(project)s AND archived_at IS NULL
          AND (%(owner)s OR id IN (SELECT memberships(%(user)s)))
        """,
        project=project_id,
        owner=actor.is_owner,
        user=actor.user_id,
    )


async def find_entry(conn: Conn, actor: Actor, project_id: UUID) -> ProjectEntry | None:
    """Return a project with the role of the actor, if they may enter it. The owner may do what a manager may."""
    return await fetch_optional(
        conn,
        ProjectEntry,
        """
        SELECT p.id AS project_id, p.account_scope_id, m.role
        FROM projects p, LATERAL (
            SELECT CASE WHEN %(owner)s THEN 'manager' ELSE member_role(p.id, %(user)s) END AS role) m
        WHERE p.id = %(project)s AND p.archived_at IS NULL AND m.role IS NOT NULL""",
        project=project_id,
        owner=actor.is_owner,
        user=actor.user_id,
    )


async def list_projects_named(conn: Conn, name: str) -> list[Project]:
    """Return the projects with exactly this name that are not archived."""
    return await fetch_all(
        conn,
        Project,
        """
        SELECT id, name, account_scope_id, created_at FROM projects
        WHERE name = %(name)s AND archived_at IS NULL ORDER BY created_at""",
        name=name,
    )


async def list_project_names(conn: Conn) -> list[ProjectName]:
    """Return all projects, archived ones included, oldest first."""
    return await fetch_all(
        conn,
        ProjectName,
        "SELECT id AS project_id, account_scope_id, name FROM projects ORDER BY created_at, id",
    )


async def ensure_account_scope(conn: Conn, key: str, name: str) -> UUID:
    """Return the account scope with this key. It is created if it does not exist."""
    return await fetch_value(
        conn,
        """
        INSERT INTO account_scopes (scope_key, name) VALUES (%(key)s, %(name)s)
        ON CONFLICT (scope_key) DO UPDATE SET scope_key = EXCLUDED.scope_key RETURNING id""",
        key=key,
        name=name,
    )


async def insert_project(conn: Conn, account_scope_id: UUID, name: str, created_by: UUID | None) -> Project:
    """Insert a project."""
    return await fetch_one(
        conn,
        Project,
        """
        INSERT INTO projects (account_scope_id, name, created_by) VALUES (%(account_scope)s, %(name)s, %(by)s)
        RETURNING id, name, account_scope_id, created_at""",
        account_scope=account_scope_id,
        name=name,
        by=created_by,
    )


async def set_current_project(conn: Conn, project: Project) -> None:
    """Set the project of the transaction, so that row-level security lets it see the project that it has created."""
    await execute(conn, "SELECT set_config('proofdesk.project_id', %(project)s, true)", project=str(project.id))


async def lock_unarchived(conn: Conn, scope: "Scope") -> bool:
    """Lock the project so that it is not archived before the transaction ends. Return False if it is archived."""
    return bool(
        await fetch_value(
            conn,
            "SELECT true FROM projects WHERE id = %(project)s AND archived_at IS NULL FOR SHARE",
            project=scope.project_id,
        )
    )


async def rename(conn: Conn, scope: "Scope", name: str) -> str | None:
    """Rename the project and return its previous name, or None if it is archived."""
    return await fetch_value(
        conn,
        """
        WITH old AS (
            SELECT id, name FROM projects WHERE id = %(project)s AND archived_at IS NULL FOR NO KEY UPDATE)
        UPDATE projects p SET name = %(name)s FROM old WHERE p.id = old.id RETURNING old.name""",
        project=scope.project_id,
        name=name,
    )


async def archive(conn: Conn, scope: "Scope") -> bool:
    """Archive the project. Return False if it is archived already."""
    return bool(
        await execute(
            conn,
            "UPDATE projects SET archived_at = now() WHERE id = %(project)s AND archived_at IS NULL",
            project=scope.project_id,
        )
    )


# Members ----------------------------------------------------------------------------------------------------------


async def list_members(conn: Conn, scope: "Scope") -> list[Member]:
    """Return the members of the project, oldest first."""
    return await fetch_all(
        conn,
        Member,
        """
        SELECT u.username, m.role, m.added_at FROM project_members m JOIN app_users u ON u.id = m.user_id
        WHERE m.project_id = %(project)s ORDER BY m.added_at, u.username""",
        project=scope.project_id,
    )


async def list_approvers(conn: Conn, scope: "Scope") -> list[str]:
    """Return the usernames of the owner and of the members who may approve messages, by name."""
    rows = await fetch_all(
        conn,
        UserName,
        """
        SELECT u.id, u.username FROM app_users u
        WHERE u.disabled_at IS NULL AND (u.is_owner OR EXISTS (
            SELECT FROM project_members m
            WHERE m.project_id = %(project)s AND m.user_id = u.id AND m.role IN ('approver', 'member', 'manager')))
        ORDER BY u.username""",
        project=scope.project_id,
    )
    return [row.username for row in rows]


async def get_user(conn: Conn, username: str) -> UserName | None:
    """Return the account with this username, or else with the username in lower case."""
    return await fetch_optional(
        conn,
        UserName,
        """
        SELECT id, username FROM app_users WHERE username IN (%(name)s, lower(%(name)s))
        ORDER BY username = %(name)s DESC LIMIT 1""",
        name=username,
    )


async def add_member(conn: Conn, scope: EventScope, user_id: UUID, role: str) -> bool:
    """Add a member. Return False if they are one already."""
    return bool(
        await execute(
            conn,
            """
            INSERT INTO project_members (project_id, account_scope_id, user_id, role)
            VALUES (%(project)s, %(account_scope)s, %(user)s, %(role)s) ON CONFLICT DO NOTHING""",
            project=scope.project_id,
            account_scope=scope.account_scope_id,
            user=user_id,
            role=role,
        )
    )


async def change_role(conn: Conn, scope: "Scope", user_id: UUID, role: str) -> str | None:
    """Change the role of a member and return the previous one; None if it is the same."""
    return await fetch_value(
        conn,
        """
        WITH old AS (
            SELECT role FROM project_members WHERE project_id = %(project)s AND user_id = %(user)s FOR NO KEY UPDATE)
        UPDATE project_members m SET role = %(role)s FROM old
        WHERE m.project_id = %(project)s AND m.user_id = %(user)s AND old.role <> %(role)s RETURNING old.role""",
        project=scope.project_id,
        user=user_id,
        role=role,
    )


async def remove_member(conn: Conn, scope: "Scope", user_id: UUID) -> bool:
    """Remove a member. Return False if they are not one."""
    return bool(
        await execute(
            conn,
            "DELETE FROM project_members WHERE project_id = %(project)s AND user_id = %(user)s",
            project=scope.project_id,
            user=user_id,
        )
    )


async def fetch_timezone(conn: Conn, scope: "Scope") -> str | None:
    """Return the time zone of the project, None when it has none of its own."""
    return await fetch_value(conn, "SELECT timezone FROM projects WHERE id = %(project)s", project=scope.project_id)


async def set_timezone(conn: Conn, scope: "Scope", name: str | None) -> None:
    """Store the time zone of the project."""
    await execute(
        conn,
        "UPDATE projects SET timezone = %(name)s WHERE id = %(project)s",
        project=scope.project_id,
        name=name,
    )
