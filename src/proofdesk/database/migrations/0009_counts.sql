-- How many there are of what a project holds, kept by triggers, so that nobody has to scan for it.

-- Each connection counts in rows of its own, so that writers of a project never wait for each other; whoever asks adds
-- the rows up. A single row may be below zero: what one connection wrote another may remove.
CREATE TABLE project_counts (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    kind             text NOT NULL,     -- contacts, conversations, messages, or the state of a chunk's vector
    backend          integer NOT NULL,  -- the server process of the connection; 0 for those that have ended
    n                bigint NOT NULL,
    PRIMARY KEY (project_id, kind, backend)
) WITH (fillfactor = 50);
CALL isolate('project_counts');
REVOKE INSERT, UPDATE, DELETE ON project_counts FROM proofdesk_app;

CREATE FUNCTION count_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, TG_ARGV[0], pg_backend_pid(), count(*) FROM added GROUP BY 1, 2
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    ELSE
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, TG_ARGV[0], pg_backend_pid(), -count(*) FROM removed GROUP BY 1, 2
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION count_chunks() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, embedding_status, pg_backend_pid(), count(*) FROM added GROUP BY 1, 2, 3
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, embedding_status, pg_backend_pid(), -count(*) FROM removed GROUP BY 1, 2, 3
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    ELSE
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, embedding_status, pg_backend_pid(), sum(one)
        FROM (SELECT project_id, account_scope_id, embedding_status, 1 AS one FROM added
              UNION ALL SELECT project_id, account_scope_id, embedding_status, -1 FROM removed) changed
        GROUP BY 1, 2, 3 HAVING sum(one) <> 0
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER count_added AFTER INSERT ON cw_contacts
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_rows('contacts');
CREATE TRIGGER count_removed AFTER DELETE ON cw_contacts
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_rows('contacts');
CREATE TRIGGER count_added AFTER INSERT ON cw_conversations
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_rows('conversations');
CREATE TRIGGER count_removed AFTER DELETE ON cw_conversations
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_rows('conversations');
CREATE TRIGGER count_added AFTER INSERT ON cw_messages
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_rows('messages');
CREATE TRIGGER count_removed AFTER DELETE ON cw_messages
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_rows('messages');
CREATE TRIGGER count_added AFTER INSERT ON rag_chunks
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_chunks();
CREATE TRIGGER count_changed AFTER UPDATE ON rag_chunks
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_chunks();
CREATE TRIGGER count_removed AFTER DELETE ON rag_chunks
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_chunks();

-- The triggers hold writers off until this is done: nothing is missed and nothing counted twice.
INSERT INTO project_counts
SELECT project_id, account_scope_id, 'contacts', 0, count(*) FROM cw_contacts GROUP BY 1, 2
UNION ALL SELECT project_id, account_scope_id, 'conversations', 0, count(*) FROM cw_conversations GROUP BY 1, 2
UNION ALL SELECT project_id, account_scope_id, 'messages', 0, count(*) FROM cw_messages GROUP BY 1, 2
UNION ALL SELECT project_id, account_scope_id, embedding_status, 0, count(*) FROM rag_chunks GROUP BY 1, 2, 3;

-- Gathers the rows of connections that have ended in one row for each kind, in the transaction's project.
CREATE FUNCTION gather_counts() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ended AS (
        DELETE FROM project_counts c
        WHERE c.project_id = (SELECT current_project()) AND c.backend <> 0
          AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = c.backend)
        RETURNING c.project_id, c.account_scope_id, c.kind, c.n),
    gathered AS (
        INSERT INTO project_counts AS c
        SELECT project_id, account_scope_id, kind, 0, sum(n) FROM ended GROUP BY 1, 2, 3
        ON CONFLICT (project_id, kind, backend) DO UPDATE SET n = c.n + EXCLUDED.n)
    SELECT count(*) FROM ended
$$;
