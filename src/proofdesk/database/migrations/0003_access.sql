-- Who gets in: counters of failed attempts, and the project a person worked in last.

-- Fixed windows. One row a subject: an address, or the hash of a username (people type passwords into that field).
CREATE TABLE rate_limits (
    purpose           text NOT NULL,
    subject           text NOT NULL,
    hits              integer NOT NULL,
    window_started_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (purpose, subject)
);
CREATE INDEX rate_limits_age ON rate_limits (window_started_at);

-- A session ends 14 days after login or 3 days after it was last seen, whichever comes first.
CREATE INDEX sessions_idle ON sessions (last_seen_at);

ALTER TABLE app_users ADD COLUMN last_project_id uuid REFERENCES projects ON DELETE SET NULL;

-- The server tells that it is ready by comparing what was applied with what it was shipped with.
GRANT SELECT ON schema_migrations TO proofdesk_app;
