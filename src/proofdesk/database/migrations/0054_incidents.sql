-- Incidents: failing checks of runbooks, and who was notified. Those of the installation have no project.
CREATE TABLE incidents (
    id               uuid NOT NULL,
    project_id       uuid,
    account_scope_id uuid,
    runbook          text NOT NULL,
    check_id         text NOT NULL,
    title            text NOT NULL,
    cause            text NOT NULL,
    fix              jsonb NOT NULL,
    evidence         jsonb NOT NULL,
    state            text NOT NULL CHECK (state IN ('suspected', 'open', 'closed')),
    failures         integer NOT NULL CHECK (failures >= 0),
    passes           integer NOT NULL CHECK (passes >= 0),
    reopened         integer NOT NULL CHECK (reopened >= 0),
    reminders        integer NOT NULL CHECK (reminders >= 0),
    observed_at      timestamptz NOT NULL,
    opened_at        timestamptz,
    closed_at        timestamptz,
    remind_at        timestamptz,
    acknowledged_by  text,
    acknowledged_at  timestamptz,
    UNIQUE NULLS NOT DISTINCT (project_id, id),
    CHECK ((project_id IS NULL) = (account_scope_id IS NULL)),
    CHECK ((state = 'suspected') = (opened_at IS NULL)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((acknowledged_by IS NULL) = (acknowledged_at IS NULL))
);
CALL isolate('incidents');
CREATE POLICY of_installation ON incidents USING (project_id IS NULL AND (SELECT current_project()) IS NOT NULL);
CREATE UNIQUE INDEX incidents_active ON incidents (project_id, runbook, check_id) NULLS NOT DISTINCT
    WHERE state <> 'closed';
CREATE INDEX incidents_latest ON incidents (project_id, closed_at, opened_at);
COMMENT ON TABLE incidents IS 'Problems that failing checks of runbooks report. Those of the installation have no project.';
COMMENT ON COLUMN incidents.fix IS 'What fixes it: a label, and a command or a request.';
COMMENT ON COLUMN incidents.evidence IS 'What the checks of the runbook observed, without secrets and personal data.';
COMMENT ON COLUMN incidents.state IS '`suspected`: the check failed once, and nobody is notified yet.';
COMMENT ON COLUMN incidents.failures IS 'How often the check failed in a row.';
COMMENT ON COLUMN incidents.passes IS 'How often the check passed in a row.';
COMMENT ON COLUMN incidents.reopened IS 'How often it was opened again soon after it was closed.';
COMMENT ON COLUMN incidents.remind_at IS 'When the next reminder is due; NULL: no more reminders.';

CREATE TABLE incident_notifications (
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    project_id       uuid,
    account_scope_id uuid,
    incident_id      uuid NOT NULL,
    channel          text NOT NULL CHECK (channel IN ('telegram', 'email', 'webhook')),
    kind             text NOT NULL CHECK (kind IN ('opened', 'reminder', 'closed')),
    number           integer NOT NULL,
    status           text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'cancelled')),
    attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error            text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    claimed_at       timestamptz,
    retry_at         timestamptz NOT NULL DEFAULT now(),
    sent_at          timestamptz,
    UNIQUE NULLS NOT DISTINCT (project_id, id),
    UNIQUE NULLS NOT DISTINCT (project_id, incident_id, channel, kind, number),
    CHECK ((project_id IS NULL) = (account_scope_id IS NULL)),
    CHECK ((status = 'sent') = (sent_at IS NOT NULL))
);
CALL isolate('incident_notifications');
CREATE POLICY of_installation ON incident_notifications
    USING (project_id IS NULL AND (SELECT current_project()) IS NOT NULL);
CREATE INDEX incident_notifications_incident ON incident_notifications (project_id, incident_id, created_at);
COMMENT ON TABLE incident_notifications IS 'Each notification about an incident, written before it is sent.';
COMMENT ON COLUMN incident_notifications.number IS 'Which opening, reminder or closing of the incident it is about.';
COMMENT ON COLUMN incident_notifications.status IS
    '`sending`: a process sends it. When that process is gone, it is sent again with the same id.';

-- Backups, so that one that fails or is missing is noticed.
CREATE TABLE backups (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    error       text
);
GRANT SELECT ON backups TO proofdesk_app;
COMMENT ON TABLE backups IS 'Finished runs of `proofdesk backup`.';
COMMENT ON COLUMN backups.error IS 'Why it failed; NULL: it succeeded.';
