-- Runs are told of as they change, and counted as they end.

-- Whoever listens gets ids only, and reads the run inside its project. Waiting processes hear of every project, so
-- nothing else may stand in the message.
CREATE FUNCTION tell_of_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('proofdesk_runs', NEW.project_id || ' ' || NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_of_new_run AFTER INSERT ON worker_runs FOR EACH ROW EXECUTE FUNCTION tell_of_run();
-- A heartbeat that brings no progress is no news.
CREATE TRIGGER tell_of_changed_run AFTER UPDATE ON worker_runs FOR EACH ROW
    WHEN ((OLD.status, OLD.progress, OLD.attempt, OLD.processed_count, OLD.error, OLD.meta, OLD.cancel_requested_at)
          IS DISTINCT FROM
          (NEW.status, NEW.progress, NEW.attempt, NEW.processed_count, NEW.error, NEW.meta, NEW.cancel_requested_at))
    EXECUTE FUNCTION tell_of_run();

-- How many runs ever ended, by type and outcome, of all projects: history is removed after some weeks, and a number
-- that is watched must not fall when it is. Of the lanes each connection uses one, so that runs that end at the same
-- moment rarely wait for each other.
CREATE TABLE run_totals (
    job_type text NOT NULL,
    status   text NOT NULL CHECK (status IN ('ok', 'failed', 'cancelled')),
    lane     integer NOT NULL,
    runs     bigint NOT NULL,
    PRIMARY KEY (job_type, status, lane)
);
REVOKE INSERT, UPDATE, DELETE ON run_totals FROM proofdesk_app;

CREATE FUNCTION count_ended_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO run_totals AS t (job_type, status, lane, runs)
    VALUES (NEW.job_type, NEW.status, pg_backend_pid() % 16, 1)
    ON CONFLICT (job_type, status, lane) DO UPDATE SET runs = t.runs + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER count_ended_run AFTER UPDATE ON worker_runs FOR EACH ROW
    WHEN (OLD.status IN ('queued', 'running') AND NEW.status IN ('ok', 'failed', 'cancelled'))
    EXECUTE FUNCTION count_ended_run();
INSERT INTO run_totals (job_type, status, lane, runs)
SELECT job_type, status, 0, count(*) FROM worker_runs WHERE status IN ('ok', 'failed', 'cancelled') GROUP BY 1, 2;

-- Figures of the whole installation, for monitoring: numbers, and no name or text of any project. Each is read from a
-- small table or a small part of an index.

CREATE FUNCTION runs_under_way() RETURNS TABLE (job_type text, status text, runs bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT job_type, status, count(*) FROM worker_runs WHERE status IN ('queued', 'running') GROUP BY 1, 2
$$;

-- Seconds since that source was read to the end which has waited longest; null while no source is read by schedule.
CREATE FUNCTION sync_lag() RETURNS double precision
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT extract(epoch FROM max(now() - CASE WHEN w.meta ->> 'phase' = 'live' THEN w.updated_at ELSE s.created_at END))
    FROM project_sources s
    JOIN projects p ON p.id = s.project_id AND p.archived_at IS NULL
    JOIN scheduled_jobs j ON j.project_id = s.project_id AND j.job_type = 'chatwoot_sync' AND j.status = 'active'
    LEFT JOIN sync_watermarks w ON w.project_id = s.project_id AND w.source = s.source_kind || ':' || s.external_id
$$;

-- The tables are made after this, so what these do is not checked here.
CREATE FUNCTION chunks_by_status() RETURNS TABLE (status text, chunks bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
        SELECT kind, sum(n)::bigint FROM project_counts
        WHERE kind IN ('pending', 'processing', 'ready', 'failed') GROUP BY 1;
END $$;

CREATE FUNCTION outbound_by_status() RETURNS TABLE (channel text, status text, messages bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT m.channel, m.status, count(*) FROM outbound_messages m GROUP BY 1, 2;
END $$;
