-- Schedules that start, pause and resume by themselves, and runs that can be cancelled, handed on and found again.
--
-- Who changes a schedule and a run in one transaction locks the schedule first, then the run, then the head of the
-- audit chain: so no two wait for each other.

ALTER TABLE scheduled_jobs
    ADD COLUMN failures     integer NOT NULL DEFAULT 0,  -- in a row: they make the pauses between tries longer
    ADD COLUMN paused_cause text;                        -- why it paused itself; null when a person paused it
CREATE INDEX scheduled_jobs_waiting ON scheduled_jobs (paused_cause) WHERE paused_cause IS NOT NULL;

ALTER TABLE worker_runs ADD COLUMN cancel_requested_at timestamptz;

-- A migration that brings a job type adds a trigger of its own with this function, and a row for what exists.
CREATE FUNCTION schedule_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO scheduled_jobs (project_id, account_scope_id, job_type, cadence_seconds, next_run_at)
    VALUES (NEW.id, NEW.account_scope_id, TG_ARGV[0], TG_ARGV[1]::integer, now() + TG_ARGV[2]::interval)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER schedule_maintenance AFTER INSERT ON projects
    FOR EACH ROW EXECUTE FUNCTION schedule_job('maintenance', '3600', '1 hour');
INSERT INTO scheduled_jobs (project_id, account_scope_id, job_type, cadence_seconds, next_run_at)
SELECT id, account_scope_id, 'maintenance', 3600, now() + random() * interval '1 hour' FROM projects;

-- Takes what is due, of all projects or of one, and has a run of it queued, or finds the run that is under way: all of
-- it or nothing. Two at the same moment take different jobs. The caller puts the runs that are not `joined` into the
-- queue, in the same transaction. Events come last and by project, since each locks the end of its project's chain.
DROP FUNCTION due_jobs;
CREATE FUNCTION start_due_jobs(most integer, only_project uuid, actor text, actor_id uuid, request text)
RETURNS TABLE (project_id uuid, job_type text, run_id uuid, joined boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    projects_due uuid[];
    types_due    text[];
    runs_made    uuid[];
BEGIN
    WITH due AS (
        SELECT j.project_id, j.job_type
        FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
        WHERE j.status = 'active' AND j.next_run_at <= now() AND p.archived_at IS NULL
          AND (only_project IS NULL OR j.project_id = only_project)
        ORDER BY j.next_run_at LIMIT most
        FOR UPDATE OF j SKIP LOCKED),
    postponed AS (
        UPDATE scheduled_jobs j SET next_run_at = now() + make_interval(secs => j.cadence_seconds)
        FROM due d WHERE j.project_id = d.project_id AND j.job_type = d.job_type
        RETURNING j.project_id, j.account_scope_id, j.job_type, j.payload),
    made AS (
        INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, params, request_id)
        SELECT p.project_id, p.account_scope_id, p.job_type, 'schedule', p.payload, request FROM postponed p
        ON CONFLICT (project_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
        RETURNING project_id, account_scope_id, job_type, id, params),
    told AS (
        INSERT INTO audit_events (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type,
                                  entity_id, status, request_id, payload, evidence_refs)
        SELECT m.project_id, m.account_scope_id, actor, actor_id, 'job.requested', 'worker_run', m.id::text, 'ok', request,
               jsonb_build_object('job_type', m.job_type, 'trigger', 'schedule', 'params', m.params), '[]'
        FROM made m ORDER BY m.project_id, m.job_type)
    SELECT array_agg(p.project_id), array_agg(p.job_type), array_agg(m.id) INTO projects_due, types_due, runs_made
    FROM postponed p LEFT JOIN made m ON m.project_id = p.project_id AND m.job_type = p.job_type;
    RETURN QUERY
        SELECT d.project_id, d.job_type, coalesce(d.run_id, r.id), d.run_id IS NULL
        FROM unnest(projects_due, types_due, runs_made) d (project_id, job_type, run_id)
        LEFT JOIN worker_runs r ON d.run_id IS NULL AND r.project_id = d.project_id AND r.job_type = d.job_type
             AND r.status IN ('queued', 'running')
        WHERE coalesce(d.run_id, r.id) IS NOT NULL;
END $$;

-- A schedule that paused itself goes on when its cause is gone: Chatwoot is configured, or the account of
-- CHATWOOT_ACCOUNT_ID can be bound. (A source that is bound resumes at once, see below.)
CREATE FUNCTION resume_jobs(chatwoot_configured boolean, default_account bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH mended AS (
        SELECT j.project_id, j.job_type FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
        WHERE j.status = 'paused' AND (
            (j.paused_cause = 'chatwoot_not_configured' AND chatwoot_configured)
            OR (j.paused_cause = 'chatwoot_source_binding_error' AND p.first_bound_at IS NULL
                AND default_account IS NOT NULL
                AND NOT EXISTS (SELECT FROM source_claims c WHERE c.account_id = default_account)))
        FOR UPDATE OF j SKIP LOCKED)
    UPDATE scheduled_jobs j SET status = 'active', paused_cause = NULL, failures = 0, next_run_at = now()
    FROM mended m WHERE j.project_id = m.project_id AND j.job_type = m.job_type
$$;

CREATE FUNCTION resume_bound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE scheduled_jobs SET status = 'active', paused_cause = NULL, failures = 0, next_run_at = now()
    WHERE project_id = NEW.project_id AND status = 'paused' AND paused_cause = 'chatwoot_source_binding_error';
    RETURN NULL;
END $$;
CREATE TRIGGER resume_bound AFTER INSERT ON project_sources FOR EACH ROW EXECUTE FUNCTION resume_bound();

-- What recovery looks at, of all projects: who has which run, and since when nothing was heard of it.
CREATE FUNCTION running_runs()
RETURNS TABLE (project_id uuid, run_id uuid, runner text, heartbeat_at timestamptz, request_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.project_id, r.id, r.runner, r.heartbeat_at, r.request_id
    FROM worker_runs r JOIN projects p ON p.id = r.project_id
    WHERE r.status = 'running' AND p.archived_at IS NULL
$$;

-- Queued runs that no job of the queue names. The queue's tables are made after these, so this is not checked here.
CREATE FUNCTION unqueued_runs(for_seconds double precision) RETURNS TABLE (project_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT r.project_id, r.id FROM worker_runs r JOIN projects p ON p.id = r.project_id
        WHERE r.status = 'queued' AND r.created_at < now() - make_interval(secs => for_seconds)
          AND p.archived_at IS NULL
          AND NOT EXISTS (SELECT FROM procrastinate_jobs q
                          WHERE q.status IN ('todo', 'doing') AND q.args ->> 'run_id' = r.id::text)
        FOR UPDATE OF r SKIP LOCKED;
END $$;
