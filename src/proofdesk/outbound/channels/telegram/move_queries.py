"""SQL of Telegram groups that have a new id."""

from proofdesk.database.rows import Conn, execute, fetch_value
from proofdesk.projects.scope import Scope


async def fetch_new_chat_id(conn: Conn, scope: Scope, chat_id: int) -> int | None:
    """Return the new id of a chat, None when it has not moved."""
    return await fetch_value(
        conn,
        "SELECT moved_to FROM telegram_moves WHERE project_id = %(project)s AND chat_id = %(chat)s",
        project=scope.project_id,
        chat=chat_id,
    )


async def upsert_move(conn: Conn, scope: Scope, chat_id: int, moved_to: int) -> None:
    """Store the new id of a chat."""
    await execute(
        conn,
        """
        INSERT INTO telegram_moves (project_id, account_scope_id, chat_id, moved_to)
        VALUES (%(project)s, %(account_scope)s, %(chat)s, %(moved_to)s)
        ON CONFLICT (project_id, chat_id) DO UPDATE SET moved_to = EXCLUDED.moved_to, moved_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        chat=chat_id,
        moved_to=moved_to,
    )


async def link_policy(conn: Conn, scope: Scope, name: str, new_name: str) -> None:
    """Add the new id of a chat to the policy of the old one, unless the new id has a policy of its own."""
    await execute(
        conn,
        """
        INSERT INTO contact_channel_names (project_id, account_scope_id, name, channel, policy_id)
        SELECT n.project_id, n.account_scope_id, %(new_name)s, n.channel, n.policy_id FROM contact_channel_names n
        WHERE n.project_id = %(project)s AND n.name = %(name)s AND n.channel = 'telegram'
        ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        name=name,
        new_name=new_name,
    )
