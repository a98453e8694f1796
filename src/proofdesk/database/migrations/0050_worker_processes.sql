-- What each worker process runs with, and whether it still reports. Procrastinate's own table names no process.
CREATE TABLE worker_processes (
    runner text PRIMARY KEY,
    version text NOT NULL,
    fingerprints jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON worker_processes TO proofdesk_app;
COMMENT ON TABLE worker_processes IS 'Worker processes that have not stopped normally, with the settings that they run with.';
COMMENT ON COLUMN worker_processes.runner IS 'The process: host, process id and start time.';
COMMENT ON COLUMN worker_processes.fingerprints IS 'A short hash of each setting that the server must share.';
COMMENT ON COLUMN worker_processes.seen_at IS 'When the process last reported.';

ALTER TABLE worker_runs ADD COLUMN progressed_at timestamptz;
COMMENT ON COLUMN worker_runs.progressed_at IS 'When the progress last changed.';
