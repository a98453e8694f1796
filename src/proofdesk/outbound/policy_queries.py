"""SQL of policies and of the names they are met under."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.outbound.gates import Policy
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class RecipientPolicies:
    """Whom a recipient of a channel is: the policies that count for him, mostly one."""

    channel: str
    recipient: str
    policy_ids: list[UUID]


@dataclass(frozen=True)
class PolicyUpdate:
    """What is to be different; what is None stays as it is. `replied`: he wrote just now."""

    opted_out: bool | None = None
    stop_on_reply: bool | None = None
    frequency_window_hours: int | None = None
    frequency_cap: int | None = None
    replied: bool = False


@dataclass(frozen=True)
class PolicyFilter:
    """Which policies: `who` is a contact's global id or an address; None asks for all."""

    contact: str | None = None
    channel: str | None = None
    opted_out: bool | None = None


async def ensure_policies(
    conn: Conn, scope: Scope, channels: Sequence[str], recipients: Sequence[str]
) -> list[RecipientPolicies]:
    """Make a policy for each who has none, and let all policies keep the names that are new to them.

    Somebody whose policy another transaction makes at this moment is not among the result: ask again.
    """
    return await fetch_all(
        conn,
        RecipientPolicies,
        """
        WITH asked AS (
            SELECT DISTINCT a.channel, a.recipient
            FROM unnest(%(channels)s::text[], %(recipients)s::text[]) AS a (channel, recipient)),
        called AS MATERIALIZED (
            SELECT a.channel, a.recipient, n.name, k.policy_id
            FROM asked a CROSS JOIN LATERAL names_of(a.recipient) n
            LEFT JOIN contact_channel_names k
                ON k.project_id = %(project)s AND k.name = n.name AND k.channel = a.channel),
        met AS (
            SELECT channel, recipient, coalesce(min(name) FILTER (WHERE name LIKE 'cwc:%%'), min(name)) AS name,
                   array_agg(DISTINCT policy_id) FILTER (WHERE policy_id IS NOT NULL) AS policy_ids
            FROM called GROUP BY channel, recipient),
        made AS (
            INSERT INTO contact_channel_policies
                (project_id, account_scope_id, channel, contact_global_id, last_inbound_at)
            SELECT DISTINCT ON (channel, name)
                   %(project)s, %(account_scope)s, channel, name, newest_inbound(recipient)
            FROM met WHERE policy_ids IS NULL
            ON CONFLICT DO NOTHING RETURNING id, channel, contact_global_id),
        known AS (
            SELECT m.channel, m.recipient, coalesce(m.policy_ids, ARRAY[n.id]) AS policy_ids
            FROM met m LEFT JOIN made n ON n.channel = m.channel AND n.contact_global_id = m.name
            WHERE m.policy_ids IS NOT NULL OR n.id IS NOT NULL),
        kept AS (
            INSERT INTO contact_channel_names (project_id, account_scope_id, name, channel, policy_id)
            SELECT DISTINCT ON (c.name, c.channel)
                   %(project)s::uuid, %(account_scope)s::uuid, c.name, c.channel, k.policy_ids[1]
            FROM called c JOIN known k USING (channel, recipient) WHERE c.policy_id IS NULL
            ORDER BY c.name, c.channel
            ON CONFLICT DO NOTHING)
        SELECT channel, recipient, policy_ids FROM known""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        channels=list(channels),
        recipients=list(recipients),
    )


async def fetch_policies(conn: Conn, scope: Scope, channel: str, recipient: str) -> list[Policy]:
    """The policies that count for a recipient, as they are; none when he was never met."""
    return await fetch_all(
        conn,
        Policy,
        """
        SELECT p.id, p.project_id, p.account_scope_id, p.channel, p.opted_out, p.stop_on_reply,
               p.frequency_window_hours, p.frequency_cap, p.sent_in_window, p.window_started_at, p.last_outbound_at,
               p.last_inbound_at, p.updated_at,
               coalesce((SELECT min(k.name) FROM contact_channel_names k
                         WHERE k.project_id = p.project_id AND k.policy_id = p.id AND k.name LIKE 'cwc:%%'),
                        p.contact_global_id) AS contact_global_id
        FROM contact_channel_policies p
        WHERE p.project_id = %(project)s AND p.id IN (
            SELECT k.policy_id FROM names_of(%(recipient)s) n JOIN contact_channel_names k ON k.name = n.name
            WHERE k.project_id = %(project)s AND k.channel = %(channel)s)
        ORDER BY p.id""",
        project=scope.project_id,
        channel=channel,
        recipient=recipient,
    )


async def lock_policies(conn: Conn, scope: Scope, policy_ids: Sequence[UUID]) -> list[Policy]:
    """Lock policies, always in the same order, until the transaction ends; as they are then."""
    return await fetch_all(
        conn,
        Policy,
        """
        SELECT id, project_id, account_scope_id, contact_global_id, channel, opted_out, stop_on_reply,
               frequency_window_hours, frequency_cap, sent_in_window, window_started_at, last_outbound_at,
               last_inbound_at, updated_at
        FROM contact_channel_policies
        WHERE project_id = %(project)s AND id = ANY (%(policies)s) ORDER BY id FOR UPDATE""",
        project=scope.project_id,
        policies=list(policy_ids),
    )


async def store_windows(conn: Conn, scope: Scope, policies: Sequence[Policy]) -> None:
    """Store the windows and the time of the last message of policies that are held."""
    await execute(
        conn,
        """
        UPDATE contact_channel_policies p
        SET sent_in_window = c.sent, window_started_at = c.started, last_outbound_at = c.outbound, updated_at = now()
        FROM unnest(%(ids)s::uuid[], %(sent)s::integer[], %(started)s::timestamptz[], %(outbound)s::timestamptz[])
            AS c (id, sent, started, outbound)
        WHERE p.project_id = %(project)s AND p.id = c.id""",
        project=scope.project_id,
        ids=[p.id for p in policies],
        sent=[p.sent_in_window for p in policies],
        started=[p.window_started_at for p in policies],
        outbound=[p.last_outbound_at for p in policies],
    )


@dataclass(frozen=True)
class _Sent:
    id: UUID
    sent: int


async def count_sent_to_contacts(conn: Conn, scope: Scope, people: Sequence[Sequence[Policy]]) -> dict[UUID, int]:
    """For each policy of each person: how many messages went to the person, by any of their policies, since its window
    began. Each message counts once."""
    rows = [
        {"id": str(p.id), "person": [str(one.id) for one in person], "since": p.window_started_at.isoformat()}
        for person in people
        for p in person
        if p.window_started_at is not None
    ]
    found = await fetch_all(
        conn,
        _Sent,
        """
        SELECT t.id, sent_to(t.person, t.since) AS sent
        FROM jsonb_to_recordset(%(rows)s) AS t (id uuid, person uuid[], since timestamptz)
        JOIN contact_channel_policies p ON p.project_id = %(project)s AND p.id = t.id""",
        project=scope.project_id,
        rows=Jsonb(rows),
    )
    return {counted.id: counted.sent for counted in found}


async def update_policies(conn: Conn, scope: Scope, policy_ids: Sequence[UUID], update: PolicyUpdate) -> None:
    """Change what is named and nothing else."""
    await execute(
        conn,
        """
        UPDATE contact_channel_policies
        SET opted_out = coalesce(%(opted_out)s, opted_out), stop_on_reply = coalesce(%(stop_on_reply)s, stop_on_reply),
            frequency_window_hours = coalesce(%(hours)s, frequency_window_hours),
            frequency_cap = coalesce(%(cap)s, frequency_cap),
            last_inbound_at = CASE WHEN %(replied)s THEN clock_timestamp() ELSE last_inbound_at END,
            updated_at = now()
        WHERE project_id = %(project)s AND id = ANY (%(policies)s)""",
        project=scope.project_id,
        policies=list(policy_ids),
        opted_out=update.opted_out,
        stop_on_reply=update.stop_on_reply,
        hours=update.frequency_window_hours,
        cap=update.frequency_cap,
        replied=update.replied,
    )


async def resume_deferred(conn: Conn, scope: Scope, policy_ids: Sequence[UUID]) -> None:
    """Let messages that wait for a window of these policies be decided anew; those under decision now are left."""
    await execute(
        conn,
        """
        UPDATE outbound_messages SET next_attempt_at = now()
        WHERE project_id = %(project)s AND id IN (
            SELECT id FROM outbound_messages
            WHERE project_id = %(project)s AND next_attempt_at > now() AND last_error = 'frequency_cap_reached'
              AND policy_ids && %(policies)s
            FOR UPDATE SKIP LOCKED)""",
        project=scope.project_id,
        policies=list(policy_ids),
    )


async def fetch_latest_replies(conn: Conn, scope: Scope, recipients: Sequence[str]) -> dict[str, datetime]:
    """When each of these persons last wrote, as the mirror has it; who never did is not in it."""
    found = await fetch_all(
        conn,
        _Heard,
        """
        SELECT r.recipient, newest_inbound(r.recipient) AS at
        FROM unnest(%(recipients)s::text[]) AS r (recipient)
        WHERE current_project() = %(project)s""",
        project=scope.project_id,
        recipients=sorted(set(recipients)),
    )
    return {heard.recipient: heard.at for heard in found if heard.at is not None}


async def fetch_policy_page(
    conn: Conn, scope: Scope, policy_filter: PolicyFilter, limit: int, offset: int
) -> list[Policy]:
    """Policies, the last changed first."""
    return await fetch_all(
        conn,
        Policy,
        """
        SELECT p.id, p.project_id, p.account_scope_id, p.channel, p.opted_out, p.stop_on_reply,
               p.frequency_window_hours, p.frequency_cap, p.sent_in_window, p.window_started_at, p.last_outbound_at,
               p.last_inbound_at, p.updated_at,
               coalesce((SELECT min(k.name) FROM contact_channel_names k
                         WHERE k.project_id = p.project_id AND k.policy_id = p.id AND k.name LIKE 'cwc:%%'),
                        p.contact_global_id) AS contact_global_id
        FROM contact_channel_policies p
        WHERE p.project_id = %(project)s
          AND (%(channel)s::text IS NULL OR p.channel = %(channel)s)
          AND (%(opted_out)s::boolean IS NULL OR p.opted_out = %(opted_out)s)
          AND (%(who)s::text IS NULL OR p.id IN (
              SELECT k.policy_id FROM names_of(%(who)s) n JOIN contact_channel_names k ON k.name = n.name
              WHERE k.project_id = %(project)s))
        ORDER BY p.updated_at DESC, p.id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        channel=policy_filter.channel,
        opted_out=policy_filter.opted_out,
        who=policy_filter.contact,
        limit=limit,
        offset=offset,
    )


async def count_policies(conn: Conn, scope: Scope, policy_filter: PolicyFilter) -> int:
    """How many policies `page` has in all."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM contact_channel_policies p
        WHERE p.project_id = %(project)s
          AND (%(channel)s::text IS NULL OR p.channel = %(channel)s)
          AND (%(opted_out)s::boolean IS NULL OR p.opted_out = %(opted_out)s)
          AND (%(who)s::text IS NULL OR p.id IN (
              SELECT k.policy_id FROM names_of(%(who)s) n JOIN contact_channel_names k ON k.name = n.name
              WHERE k.project_id = %(project)s))""",
        project=scope.project_id,
        channel=policy_filter.channel,
        opted_out=policy_filter.opted_out,
        who=policy_filter.contact,
    )


async def contact_exists(conn: Conn, scope: Scope, account_id: int, contact_id: int) -> bool:
    """Whether the project has this contact, or had it until it was merged into another."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (SELECT FROM cw_contacts
                       WHERE project_id = %(project)s AND account_id = %(account)s AND contact_id = %(contact)s)
            OR EXISTS (SELECT FROM contact_merges WHERE project_id = %(project)s AND account_id = %(account)s
                         AND merged_contact_id = %(contact)s)""",
        project=scope.project_id,
        account=account_id,
        contact=contact_id,
    )


async def conversation_exists(conn: Conn, scope: Scope, account_id: int, conversation_id: int) -> bool:
    """Whether the project has this conversation."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (SELECT FROM cw_conversations WHERE project_id = %(project)s AND account_id = %(account)s
                         AND conversation_id = %(conversation)s)""",
        project=scope.project_id,
        account=account_id,
        conversation=conversation_id,
    )


@dataclass(frozen=True)
class _Heard:
    recipient: str
    at: datetime | None
