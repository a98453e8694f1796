"""SQL of the rules that a project sets for its outbound messages."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_one, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class OutboundRules:
    """What a project decides. `send_unconfirmed`: send although Chatwoot cannot be asked for replies."""

    send_unconfirmed: bool = False


async def fetch_rules(conn: Conn, scope: Scope) -> OutboundRules:
    """Return the rules of the project, or the defaults."""
    unconfirmed = await fetch_value(
        conn,
        "SELECT coalesce(bool_or(send_unconfirmed), false) FROM outbound_rules WHERE project_id = %(project)s",
        project=scope.project_id,
    )
    return OutboundRules(unconfirmed)


async def store_rules(conn: Conn, scope: Scope, rules: OutboundRules) -> OutboundRules:
    """Store the rules of the project and return them."""
    return await fetch_one(
        conn,
        OutboundRules,
        """
        INSERT INTO outbound_rules (project_id, account_scope_id, send_unconfirmed)
        VALUES (%(project)s, %(account_scope)s, %(send_unconfirmed)s)
        ON CONFLICT (project_id) DO UPDATE
        SET send_unconfirmed = excluded.send_unconfirmed, updated_at = clock_timestamp()
        RETURNING send_unconfirmed""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        send_unconfirmed=rules.send_unconfirmed,
    )
