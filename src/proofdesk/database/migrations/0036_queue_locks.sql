-- Procrastinate knows which workers are alive, so the table of workers goes. Its jobs name a project and a job type now,
-- and lock both; those of an earlier version named a run. The first worker queues the open runs again.

DROP TABLE workers;

DO $$
BEGIN
    IF to_regclass('procrastinate_jobs') IS NOT NULL THEN
        DELETE FROM procrastinate_jobs;
    END IF;
END $$;

