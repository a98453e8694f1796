"""An open incident in a project."""

from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

CAUSE = "Chatwoot rejects CHATWOOT_API_TOKEN: it is wrong or was replaced."


def insert_incident(conn: psycopg.Connection, project_id: UUID | None, state: str = "open") -> UUID:
    """Insert an incident of a project, or of the installation, and one notification. Return its id."""
    incident = uuid4()
    values = {"id": incident, "project": project_id, "cause": CAUSE, "state": state}
    fix = {"label": "Set CHATWOOT_API_TOKEN, then restart.", "command": "editor /etc/proofdesk/env"}
    finding = {
        "id": "token", "title": "Token", "status": "fail", "observed": "Chatwoot answered 401.",
        "expected": "Chatwoot accepts the token.", "fix": "Set CHATWOOT_API_TOKEN, then restart.",
    }  # fmt: skip
    conn.execute(
        "INSERT INTO incidents (id, project_id, account_scope_id, runbook, check_id, title, cause, fix, evidence,"
        " state, failures, passes, reopened, reminders, observed_at, opened_at, closed_at)"
        " SELECT %(id)s, %(project)s, (SELECT account_scope_id FROM projects WHERE id = %(project)s),"
        " 'chatwoot-sync-fails', 'token', 'Token', %(cause)s, %(fix)s, %(evidence)s, %(state)s, 2, 0, 1, 0, now(),"
        " now() - interval '2 hours', CASE WHEN %(state)s = 'closed' THEN now() END",
        values | {"fix": Jsonb(fix | {"method": None, "path": None}), "evidence": Jsonb([finding])},
    )
    conn.execute(
        "INSERT INTO incident_notifications (project_id, account_scope_id, incident_id, channel, kind, number, status,"
        " sent_at) SELECT project_id, account_scope_id, id, 'email', 'opened', 1, 'sent', now() FROM incidents"
        " WHERE id = %s",
        [incident],
    )
    return incident
