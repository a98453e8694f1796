-- Who did what: events that nobody can change, chained by hashes, and the evidence they cite.

-- One chain a project; events without a project (logins, accounts) form one of their own. A row's hash covers the hash
-- of the row before it and, as the text that `sealed_text` gives, everything else in the row.
CREATE SEQUENCE audit_event_ids;
CREATE TABLE audit_events (
    project_id       uuid,
    account_scope_id uuid,
    id               bigint NOT NULL,      -- of all chains together; grows within each
    created_at       timestamptz NOT NULL,
    actor_username   text NOT NULL,
    actor_user_id    uuid,                 -- no reference: the record outlives the account
    action           text NOT NULL CHECK (action ~ '^[a-z0-9_]+(\.[a-z0-9_]+)+$'),
    entity_type      text NOT NULL,
    entity_id        text,
    status           text NOT NULL,
    request_id       text,
    payload          jsonb NOT NULL,
    evidence_refs    jsonb NOT NULL,       -- without their snippets, which may have to be erased
    previous_hash    bytea NOT NULL,
    hash             bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (project_id, id),
    CHECK ((project_id IS NULL) = (account_scope_id IS NULL))
);
CREATE INDEX audit_events_entity ON audit_events (project_id, entity_id, id);
CALL isolate('audit_events');

-- Events without a project: anybody may add one; users see their own, and callers who may see all see all.
CREATE POLICY installation_added ON audit_events FOR INSERT WITH CHECK (project_id IS NULL);
CREATE POLICY installation_seen ON audit_events FOR SELECT USING (
    project_id IS NULL
    AND (actor_user_id = nullif(current_setting('proofdesk.user_id', true), '')::uuid
         OR current_setting('proofdesk.installation', true) = 'seen'));

-- Where each chain ends: the lock under which it grows, and the proof that its end was not cut off.
CREATE TABLE audit_heads (
    project_id       uuid,
    account_scope_id uuid,
    events           bigint NOT NULL,
    last_id          bigint NOT NULL,
    last_hash        bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (project_id)
) WITH (fillfactor = 50);
CALL isolate('audit_heads');
CREATE POLICY installation_seen ON audit_heads FOR SELECT USING (
    project_id IS NULL AND current_setting('proofdesk.installation', true) = 'seen');

-- The application adds the words of an event; number, time and hashes are the database's.
REVOKE ALL ON audit_events, audit_heads FROM proofdesk_app;
REVOKE ALL ON SEQUENCE audit_event_ids FROM proofdesk_app;
GRANT SELECT ON audit_events, audit_heads TO proofdesk_app;
GRANT INSERT (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type, entity_id, status,
              request_id, payload, evidence_refs) ON audit_events TO proofdesk_app;

CREATE FUNCTION sealed_text(event audit_events) RETURNS text LANGUAGE sql STABLE RETURN
    jsonb_build_array(
        event.id, event.project_id, event.account_scope_id,
        to_char(event.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        event.actor_username, event.actor_user_id, event.action, event.entity_type, event.entity_id, event.status,
        event.request_id, event.payload, event.evidence_refs)::text;

CREATE FUNCTION seal_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_heads;
BEGIN
    -- The lock on the head is held until the transaction ends, so a chain grows in the order of commits.
    SELECT * INTO head FROM audit_heads h
    WHERE h.project_id = NEW.project_id OR (h.project_id IS NULL AND NEW.project_id IS NULL) FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit_heads VALUES (NEW.project_id, NEW.account_scope_id, 0, 0, decode(repeat('00', 32), 'hex'))
        ON CONFLICT (project_id) DO NOTHING;
        SELECT * INTO head FROM audit_heads h
        WHERE h.project_id = NEW.project_id OR (h.project_id IS NULL AND NEW.project_id IS NULL) FOR UPDATE;
    END IF;
    NEW.id := nextval('audit_event_ids');
    NEW.created_at := clock_timestamp();
    NEW.previous_hash := head.last_hash;
    NEW.hash := sha256(NEW.previous_hash || convert_to(sealed_text(NEW), 'UTF8'));
    UPDATE audit_heads h SET events = h.events + 1, last_id = NEW.id, last_hash = NEW.hash
    WHERE h.project_id = NEW.project_id OR (h.project_id IS NULL AND NEW.project_id IS NULL);
    RETURN NEW;
END $$;
CREATE TRIGGER seal_event BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION seal_event();

-- For everybody, the owner of the table included. Only a superuser can pass it, with session_replication_role.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_events is append-only: % is refused', lower(TG_OP) USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Evidence ---------------------------------------------------------------------------------------------------------

-- What events cite, once each, to be searched. An index and no record: its text goes when the message goes.
CREATE TABLE evidence_items (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    source_type      text NOT NULL CHECK (source_type IN ('message', 'conversation', 'chunk', 'external')),
    source_table     text,                -- null for what is outside
    source_pk        text NOT NULL,       -- the reference as it was given
    account_id       bigint,
    conversation_id  bigint,
    message_id       bigint,
    contact_id       bigint,
    snippet          text,
    payload          jsonb NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    words            tsvector NOT NULL GENERATED ALWAYS AS (
                         to_tsvector('simple', coalesce(snippet, '') || ' ' || source_pk)
                         || to_tsvector('english', coalesce(snippet, ''))) STORED,
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, source_type, source_pk),
    CHECK ((source_table IS NULL) = (source_type = 'external'))
);
CREATE INDEX evidence_items_words ON evidence_items USING gin (words);
CREATE INDEX evidence_items_conversation ON evidence_items (conversation_id, project_id, account_id);
CALL isolate('evidence_items');

-- `@@` may not use an index behind row-level security; here it may, and this function lets through the rows of the
-- transaction's project only. Every word must occur, as it is, as a beginning, or by its English stem.
CREATE FUNCTION find_evidence(question text, most integer) RETURNS SETOF evidence_items
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH asked AS MATERIALIZED (
        SELECT coalesce((SELECT string_agg(quote_literal(w.lexeme) || ':*', ' & ')
                         FROM unnest(to_tsvector('simple', question)) w)::tsquery, ''::tsquery)
               || plainto_tsquery('english', question) AS words)
    SELECT e.* FROM evidence_items e
    WHERE e.project_id = (SELECT current_project()) AND e.words @@ (SELECT words FROM asked)
    ORDER BY ts_rank(e.words, (SELECT words FROM asked)) DESC, e.id DESC LIMIT most
$$;

-- What is erased in Chatwoot is erased here.
CREATE FUNCTION erase_evidence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE evidence_items SET snippet = NULL, payload = payload - 'meta'
    WHERE project_id = OLD.project_id AND account_id = OLD.account_id AND conversation_id = OLD.conversation_id
      AND (TG_TABLE_NAME = 'cw_conversations' OR message_id = (to_jsonb(OLD) ->> 'message_id')::bigint);
    RETURN NULL;
END $$;
CREATE TRIGGER erase_evidence AFTER DELETE ON cw_messages FOR EACH ROW EXECUTE FUNCTION erase_evidence();
CREATE TRIGGER erase_evidence_of_deleted AFTER UPDATE OF deleted ON cw_messages FOR EACH ROW
    WHEN (NEW.deleted AND NOT OLD.deleted) EXECUTE FUNCTION erase_evidence();
CREATE TRIGGER erase_evidence AFTER DELETE ON cw_conversations FOR EACH ROW EXECUTE FUNCTION erase_evidence();

-- Projects ---------------------------------------------------------------------------------------------------------

-- A project is given the default account on its first sync, but not again after its sources were let go.
ALTER TABLE projects ADD COLUMN first_bound_at timestamptz;
UPDATE projects p SET first_bound_at = s.since
FROM (SELECT project_id, min(created_at) AS since FROM project_sources GROUP BY 1) s WHERE s.project_id = p.id;
