"""SQL of merged contacts."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class ContactMerge:
    """A contact that was merged, and the one that has its conversations now."""

    account_id: int
    merged_contact_id: int
    into_contact_id: int


@dataclass(frozen=True)
class UnrecordedMerge(ContactMerge):
    """A merge with what showed it, the policies of both contacts, and the channels they are opted out of."""

    noticed_by: str
    policy_ids: list[UUID]
    opted_out: list[str]


async def claim_unrecorded(conn: Conn, scope: Scope, limit: int) -> list[UnrecordedMerge]:
    """Mark merges without an audit event as recorded, and return them. Locked merges are skipped."""
    return await fetch_all(
        conn,
        UnrecordedMerge,
        """
        WITH claimed AS (
            UPDATE contact_merges SET recorded_at = now()
            WHERE project_id = %(project)s AND (account_id, merged_contact_id, into_contact_id) IN (
                SELECT account_id, merged_contact_id, into_contact_id FROM contact_merges
                WHERE project_id = %(project)s AND recorded_at IS NULL
                ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
            RETURNING account_id, merged_contact_id, into_contact_id, noticed_by)
        SELECT t.account_id, t.merged_contact_id, t.into_contact_id, t.noticed_by,
               coalesce(array_agg(p.id ORDER BY p.id) FILTER (WHERE p.id IS NOT NULL), '{}') AS policy_ids,
               coalesce(array_agg(p.channel ORDER BY p.channel) FILTER (WHERE p.opted_out), '{}') AS opted_out
        FROM claimed t LEFT JOIN LATERAL (
            SELECT DISTINCT k.policy_id
            FROM names_of(format('cwc:%%s:%%s:%%s', %(project)s, t.account_id, t.into_contact_id)) n
            JOIN contact_channel_names k ON k.name = n.name AND k.project_id = %(project)s) named ON true
        LEFT JOIN contact_channel_policies p ON p.project_id = %(project)s AND p.id = named.policy_id
        GROUP BY 1, 2, 3, 4""",
        project=scope.project_id,
        limit=limit,
    )


async def fetch_merges(conn: Conn, scope: Scope) -> list[ContactMerge]:
    """Return all merges of the project, the last noticed last."""
    return await fetch_all(
        conn,
        ContactMerge,
        """
        SELECT account_id, merged_contact_id, into_contact_id FROM contact_merges
        WHERE project_id = %(project)s ORDER BY created_at""",
        project=scope.project_id,
    )
