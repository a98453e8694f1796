"""Telegram groups that became supergroups and have a new id since."""

from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import policies, policy_queries
from proofdesk.outbound.channels.telegram import move_queries
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope

CHANNEL = "telegram"


class StoredChatMoves:
    """The new ids, stored for each project that writes to the group."""

    def __init__(self, db: Database):
        self._db = db

    async def get_chat_id(self, project_id: UUID, chat_id: int) -> int:
        """Return the present id of a chat."""
        project = await scope.enter(self._db, events.system_actor(), project_id)
        async with self._db.scoped(project) as conn:
            return await move_queries.fetch_new_chat_id(conn, project, chat_id) or chat_id

    async def record_move(self, project_id: UUID, chat_id: int, new_chat_id: int) -> None:
        """Store the new id of a chat. The policy of the old id holds for the new one; an opt-out holds for both."""
        project = await scope.enter(self._db, events.system_actor(), project_id)
        async with self._db.scoped(project) as conn:
            await move_queries.upsert_move(conn, project, chat_id, new_chat_id)
            await move_queries.link_policy(conn, project, str(chat_id), str(new_chat_id))
            await _share_opt_out(conn, project, str(chat_id), str(new_chat_id))


async def _share_opt_out(conn: Conn, project: Scope, chat_id: str, new_chat_id: str) -> None:
    """Opt out both ids if one of them is, for a new id that has a policy of its own."""
    both: dict[UUID, Policy] = {}
    for name in (chat_id, new_chat_id):
        both |= {policy.id: policy for policy in await policies.load_policies(conn, project, CHANNEL, name)}
    locked = await policy_queries.lock_policies(conn, project, list(both))
    subscribed = [policy for policy in locked if not policy.opted_out]
    if not subscribed or len(subscribed) == len(locked):
        return
    await policy_queries.update_policies(conn, project, [p.id for p in subscribed], PolicyUpdate(opted_out=True))
    for policy in subscribed:
        await events.record(
            conn,
            project.actor,
            "outbound.opt_out",
            "contact_channel_policy",
            policy.id,
            scope=project,
            payload={
                "channel": CHANNEL,
                "contact": policy.contact_global_id,
                "changed": {"opted_out": True},
                "reason": f"the Telegram group {chat_id} moved to {new_chat_id}",
            },
        )
