"""SQL of policies and of the names by which they are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.outbound.gates import Policy
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class RecipientPolicies:
    """The policies that apply to a recipient of a channel, usually one."""

    channel: str
    recipient: str
    policy_ids: list[UUID]


@dataclass(frozen=True)
class PolicyUpdate:
    """The fields of a policy to change; None keeps a field. `replied`: the contact wrote just now."""

    opted_out: bool | None = None
    stop_on_reply: bool | None = None
    frequency_window_hours: int | None = None
    frequency_cap: int | None = None
    replied: bool = False


@dataclass(frozen=True)
class PolicyFilter:
    """Which policies to list: `contact` is a global id or an address. None lists all."""

    contact: str | None = None
    channel: str | None = None
    opted_out: bool | None = None


async def ensure_policies(
    conn: Conn, scope: Scope, channels: Sequence[str], recipients: Sequence[str]
) -> list[RecipientPolicies]:
    """Create a policy for each recipient without one, and store the names that are new to existing policies.

    A recipient whose policy another transaction creates at this moment is left out: call again.
    """
    return await fetch_all(
        conn,
        RecipientPolicies,
        """
        WITH requested AS (
            SELECT DISTINCT a.channel, a.recipient
            FROM unnest(%(channels)s::text[], %(recipients)s::text[]) AS a (channel, recipient)),
        named AS MATERIALIZED (
            SELECT a.channel, a.recipient, n.name, k.policy_id
            FROM requested a CROSS JOIN LATERAL names_of(a.recipient) n
            LEFT JOIN contact_channel_names k
                ON k.project_id = %(project)s AND k.name = n.name AND k.channel = a.channel),
        existing AS (
            SELECT channel, recipient, coalesce(min(name) FILTER (WHERE name LIKE 'cwc:%%'), min(name)) AS name,
                   array_agg(DISTINCT policy_id) FILTER (WHERE policy_id IS NOT NULL) AS policy_ids
            FROM named GROUP BY channel, recipient),
        created AS (
            INSERT INTO contact_channel_policies
                (project_id, account_scope_id, channel, contact_global_id, last_inbound_at)
            SELECT DISTINCT ON (channel, name)
                   %(project)s, %(account_scope)s, channel, name, newest_inbound(recipient)
            FROM existing WHERE policy_ids IS NULL
            ON CONFLICT DO NOTHING RETURNING id, channel, contact_global_id),
        resolved AS (
            SELECT m.channel, m.recipient, coalesce(m.policy_ids, ARRAY[n.id]) AS policy_ids
            FROM existing m LEFT JOIN created n ON n.channel = m.channel AND n.contact_global_id = m.name
            WHERE m.policy_ids IS NOT NULL OR n.id IS NOT NULL),
        stored_names AS (
            INSERT INTO contact_channel_names (project_id, account_scope_id, name, channel, policy_id)
            SELECT DISTINCT ON (c.name, c.channel)
                   %(project)s::uuid, %(account_scope)s::uuid, c.name, c.channel, k.policy_ids[1]
            FROM named c JOIN resolved k USING (channel, recipient) WHERE c.policy_id IS NULL
            ORDER BY c.name, c.channel
            ON CONFLICT DO NOTHING)
        SELECT channel, recipient, policy_ids FROM resolved""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        channels=list(channels),
        recipients=list(recipients),
    )


async def fetch_policies(conn: Conn, scope: Scope, channel: str, recipient: str) -> list[Policy]:
    """Return the stored policies of a recipient; an empty list without any."""
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
    """Lock policies until the transaction ends, always in the same order, and return them."""
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
    """Store the frequency windows and the time of the last message of locked policies."""
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


async def count_sent_to_contacts(conn: Conn, scope: Scope, contacts: Sequence[Sequence[Policy]]) -> dict[UUID, int]:
    """Return for each policy how many messages its contact was sent since its window started, by any of their policies.

    `contacts` holds the policies of each contact. Each message counts once.
    """
    rows = [
        {"id": str(p.id), "policies": [str(other.id) for other in policies], "since": p.window_started_at.isoformat()}
        for policies in contacts
        for p in policies
        if p.window_started_at is not None
    ]
    counts = await fetch_all(
        conn,
        _Sent,
        """
        SELECT t.id, sent_to(t.policies, t.since) AS sent
        FROM jsonb_to_recordset(%(rows)s) AS t (id uuid, policies uuid[], since timestamptz)
        JOIN contact_channel_policies p ON p.project_id = %(project)s AND p.id = t.id""",
        project=scope.project_id,
        rows=Jsonb(rows),
    )
    return {count.id: count.sent for count in counts}


async def update_policies(conn: Conn, scope: Scope, policy_ids: Sequence[UUID], update: PolicyUpdate) -> None:
    """Change the fields that are set in `update`."""
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
    """Make messages due that wait for a window of these policies. Locked messages are skipped."""
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


async def fetch_policy_page(
    conn: Conn, scope: Scope, policy_filter: PolicyFilter, limit: int, offset: int
) -> list[Policy]:
    """Return policies, the last changed first."""
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
          AND (%(contact)s::text IS NULL OR p.id IN (
              SELECT k.policy_id FROM names_of(%(contact)s) n JOIN contact_channel_names k ON k.name = n.name
              WHERE k.project_id = %(project)s))
        ORDER BY p.updated_at DESC, p.id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        channel=policy_filter.channel,
        opted_out=policy_filter.opted_out,
        contact=policy_filter.contact,
        limit=limit,
        offset=offset,
    )


async def count_policies(conn: Conn, scope: Scope, policy_filter: PolicyFilter) -> int:
    """Return the number of policies that match the filter."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM contact_channel_policies p
        WHERE p.project_id = %(project)s
          AND (%(channel)s::text IS NULL OR p.channel = %(channel)s)
          AND (%(opted_out)s::boolean IS NULL OR p.opted_out = %(opted_out)s)
          AND (%(contact)s::text IS NULL OR p.id IN (
              SELECT k.policy_id FROM names_of(%(contact)s) n JOIN contact_channel_names k ON k.name = n.name
              WHERE k.project_id = %(project)s))""",
        project=scope.project_id,
        channel=policy_filter.channel,
        opted_out=policy_filter.opted_out,
        contact=policy_filter.contact,
    )
