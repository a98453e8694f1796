-- Scheduling is Python: `jobs/tick.py`, `jobs/new_projects.py` and `jobs/recovery.py`. What the database keeps is the
-- wall around projects, and one opening in it for the scheduler.

DROP TRIGGER schedule_jobs ON projects;
DROP TRIGGER schedule_maintenance ON projects;
DROP TRIGGER schedule_outbound ON projects;
DROP TRIGGER resume_bound ON project_sources;
DROP FUNCTION schedule_jobs();
DROP FUNCTION schedule_job();
DROP FUNCTION resume_bound();
DROP FUNCTION start_due_jobs(integer, uuid, text, uuid, text);
DROP FUNCTION resume_jobs(boolean, bigint);
DROP FUNCTION running_runs();
DROP FUNCTION unqueued_runs(double precision);

-- A transaction that sets `proofdesk.scheduler` sees schedules and runs of all projects. It may change schedules, add
-- runs and record events; it cannot change or remove a run, and sees nothing else of any project.
CREATE POLICY scheduler_sees ON scheduled_jobs FOR SELECT
    USING ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
CREATE POLICY scheduler_adds ON scheduled_jobs FOR INSERT
    WITH CHECK ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
CREATE POLICY scheduler_changes ON scheduled_jobs FOR UPDATE
    USING ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
CREATE POLICY scheduler_sees ON worker_runs FOR SELECT
    USING ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
CREATE POLICY scheduler_adds ON worker_runs FOR INSERT
    WITH CHECK ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
CREATE POLICY scheduler_records ON audit_events FOR INSERT
    WITH CHECK ((SELECT current_setting('proofdesk.scheduler', true)) = 'on');
