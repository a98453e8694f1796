-- What the pages ask for without reading a table as a whole.

-- How many messages go out on each channel in each state, kept as 0009_counts does it.

CREATE FUNCTION count_outbound() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, concat_ws(' ', 'outbound', channel, status), pg_backend_pid(), count(*)
        FROM added GROUP BY 1, 2, 3
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, concat_ws(' ', 'outbound', channel, status), pg_backend_pid(), -count(*)
        FROM removed GROUP BY 1, 2, 3
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    ELSE
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, concat_ws(' ', 'outbound', channel, status), pg_backend_pid(), sum(one)
        FROM (SELECT project_id, account_scope_id, channel, status, 1 AS one FROM added
              UNION ALL SELECT project_id, account_scope_id, channel, status, -1 FROM removed) changed
        GROUP BY 1, 2, 3 HAVING sum(one) <> 0
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_added AFTER INSERT ON outbound_messages
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_outbound();
CREATE TRIGGER count_changed AFTER UPDATE ON outbound_messages
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_outbound();
CREATE TRIGGER count_removed AFTER DELETE ON outbound_messages
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_outbound();

-- The triggers hold writers off until this is done: nothing is missed and nothing counted twice.
INSERT INTO project_counts
SELECT project_id, account_scope_id, concat_ws(' ', 'outbound', channel, status), 0, count(*)
FROM outbound_messages GROUP BY 1, 2, 3;

CREATE OR REPLACE FUNCTION outbound_by_status() RETURNS TABLE (channel text, status text, messages bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT split_part(kind, ' ', 2), split_part(kind, ' ', 3), sum(n)::bigint FROM project_counts
        WHERE starts_with(kind, 'outbound ') GROUP BY 1, 2 HAVING sum(n) > 0;
END $$;

-- Runs, the newest first, whatever their type.
CREATE INDEX worker_runs_newest ON worker_runs (project_id, created_at DESC, id);

-- Messages to a person. A column of its own: behind row-level security no index is used through lower().
ALTER TABLE outbound_messages ADD COLUMN recipient_lower text GENERATED ALWAYS AS (lower(recipient_ref)) STORED;
COMMENT ON COLUMN outbound_messages.recipient_lower IS 'The recipient as it is compared.';
CREATE INDEX outbound_messages_recipient ON outbound_messages (project_id, recipient_lower, created_at DESC);
-- A person has a few names: with the thousand that are assumed otherwise, whole tables are read to join them.
ALTER FUNCTION contacts_behind(text) ROWS 3;
ALTER FUNCTION names_of(text) ROWS 5;
