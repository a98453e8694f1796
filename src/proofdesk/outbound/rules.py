"""The rules that a project sets for its outbound messages."""

from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid
from proofdesk.outbound import rules_queries
from proofdesk.outbound.rules_queries import OutboundRules
from proofdesk.projects.scope import Scope


class InvalidRules(Invalid):
    """A rule has a value that is not allowed."""

    code = "invalid_outbound_rules"


async def load_rules(db: Database, scope: Scope) -> OutboundRules:
    """Return the rules of the project."""
    async with db.scoped(scope) as conn:
        return await rules_queries.fetch_rules(conn, scope)


async def change_rules(db: Database, scope: Scope, send_unconfirmed: Any) -> OutboundRules:
    """Set whether messages are sent although Chatwoot cannot be asked for replies. Raises `InvalidRules`."""
    scope.require("approver")
    if not isinstance(send_unconfirmed, bool):
        raise InvalidRules("`send_unconfirmed` must be true or false.")
    async with db.scoped(scope) as conn:
        before = await rules_queries.fetch_rules(conn, scope)
        after = await rules_queries.store_rules(conn, scope, OutboundRules(send_unconfirmed))
        if after != before:
            payload = {"changed": {"send_unconfirmed": send_unconfirmed}}
            await events.record(
                conn, scope.actor, "outbound.rules", "project", scope.project_id, scope=scope, payload=payload
            )
    return after
