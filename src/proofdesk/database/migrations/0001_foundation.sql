-- Projects, people, the mirror of Chatwoot, chunks with their vectors, and jobs.
--
-- A scoped table carries (project_id, account_scope_id), refers to projects by both, and has project_id first in
-- its primary key and in every unique key, so that it can be distributed by project. Row-level security shows the
-- application role the rows of the project that the transaction has set, and none when none is set.

CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

GRANT USAGE ON SCHEMA public TO proofdesk_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO proofdesk_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO proofdesk_app;
REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM proofdesk_app;

CREATE FUNCTION current_project() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('proofdesk.project_id', true), '')::uuid $$;

-- Puts a table behind the wall. Called by migrations for each scoped table.
CREATE PROCEDURE isolate(scoped regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (project_id, account_scope_id)'
                   ' REFERENCES projects (id, account_scope_id)', scoped);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', scoped);
    EXECUTE format('CREATE POLICY project_isolation ON %s'
                   ' USING (project_id = (SELECT current_project()))', scoped);
END $$;
REVOKE EXECUTE ON PROCEDURE isolate FROM PUBLIC;

-- People and projects ----------------------------------------------------------------------------------------------

CREATE TABLE app_users (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username      text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    is_owner      boolean NOT NULL DEFAULT false,
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX app_users_one_owner ON app_users (is_owner) WHERE is_owner;

CREATE TABLE account_scopes (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    scope_key  text NOT NULL UNIQUE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE projects (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_scope_id uuid NOT NULL REFERENCES account_scopes,
    name             text NOT NULL CHECK (char_length(name) BETWEEN 2 AND 160),
    created_by       uuid REFERENCES app_users,
    archived_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, account_scope_id)
);

CREATE TABLE sessions (
    id_hash           bytea PRIMARY KEY,
    user_id           uuid NOT NULL REFERENCES app_users ON DELETE CASCADE,
    csrf_token        text NOT NULL,
    active_project_id uuid REFERENCES projects ON DELETE SET NULL,
    created_at        timestamptz NOT NULL DEFAULT now(),
    last_seen_at      timestamptz NOT NULL DEFAULT now(),
    expires_at        timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE app_settings (
    key        text PRIMARY KEY,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE project_members (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    user_id          uuid NOT NULL REFERENCES app_users ON DELETE CASCADE,
    role             text NOT NULL DEFAULT 'member' CHECK (role = 'member'),
    added_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX project_members_user ON project_members (user_id);
CALL isolate('project_members');
-- Before a project is entered, users see their own memberships only: they need them to enter.
CREATE POLICY own_memberships ON project_members FOR SELECT
    USING (user_id = nullif(current_setting('proofdesk.user_id', true), '')::uuid);

CREATE TABLE project_sources (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    source_kind      text NOT NULL CHECK (source_kind IN ('chatwoot_account', 'chatwoot_inbox')),
    external_id      text NOT NULL,
    account_id       bigint NOT NULL,
    inbox_id         bigint,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, source_kind, external_id),
    CHECK ((inbox_id IS NULL) = (source_kind = 'chatwoot_account'))
);
CALL isolate('project_sources');

-- Which project owns an external source, for all projects in one place: what makes a source belong to one only.
-- Not scoped, like projects itself; it holds no content.
CREATE TABLE source_claims (
    source_kind text NOT NULL,
    external_id text NOT NULL,
    account_id  bigint NOT NULL,
    claimed_by  uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_kind, external_id)
);
CREATE INDEX source_claims_account ON source_claims (account_id);

-- The mirror of Chatwoot -------------------------------------------------------------------------------------------

CREATE TABLE cw_inboxes (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    account_id       bigint NOT NULL,
    inbox_id         bigint NOT NULL,
    name             text NOT NULL,
    channel_type     text NOT NULL,
    PRIMARY KEY (project_id, account_id, inbox_id)
);
CALL isolate('cw_inboxes');

CREATE TABLE cw_contacts (
    project_id            uuid NOT NULL,
    account_scope_id      uuid NOT NULL,
    account_id            bigint NOT NULL,
    contact_id            bigint NOT NULL,
    name                  text NOT NULL,
    email                 text,
    phone_number          text,
    identifier            text,
    blocked               boolean NOT NULL,
    additional_attributes jsonb NOT NULL,
    custom_attributes     jsonb NOT NULL,
    created_at            timestamptz,
    updated_at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, account_id, contact_id)
);
CALL isolate('cw_contacts');

CREATE TABLE cw_conversations (
    project_id            uuid NOT NULL,
    account_scope_id      uuid NOT NULL,
    account_id            bigint NOT NULL,
    conversation_id       bigint NOT NULL,  -- the display id
    uuid                  text,
    inbox_id              bigint NOT NULL,
    contact_id            bigint,
    status                text NOT NULL,
    priority              text,
    assignee_id           bigint,
    assignee_name         text,
    team_id               bigint,
    labels                text[] NOT NULL,
    additional_attributes jsonb NOT NULL,
    custom_attributes     jsonb NOT NULL,
    snoozed_until         timestamptz,
    waiting_since         timestamptz,
    first_reply_at        timestamptz,
    last_activity_at      timestamptz NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    -- What the list said when the messages were last read to the end; null while they were not.
    read_mark             text,
    -- Reading goes on after this message id; it lies some messages back, since ids can become visible out of order.
    message_cursor        bigint NOT NULL DEFAULT 0,
    -- Chunks are cut anew while the two differ.
    content_version       bigint NOT NULL DEFAULT 1,
    chunked_version       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, account_id, conversation_id)
);
CREATE INDEX cw_conversations_activity ON cw_conversations (project_id, last_activity_at DESC);
CREATE INDEX cw_conversations_contact ON cw_conversations (contact_id, project_id, account_id);
CREATE INDEX cw_conversations_unchunked ON cw_conversations (project_id) WHERE content_version <> chunked_version;
CREATE INDEX cw_conversations_unread ON cw_conversations (project_id) WHERE read_mark IS NULL;
CALL isolate('cw_conversations');

CREATE TABLE cw_messages (
    project_id         uuid NOT NULL,
    account_scope_id   uuid NOT NULL,
    account_id         bigint NOT NULL,
    message_id         bigint NOT NULL,
    conversation_id    bigint NOT NULL,
    inbox_id           bigint NOT NULL,
    message_type       text NOT NULL CHECK (message_type IN ('incoming', 'outgoing', 'activity', 'template')),
    content_type       text NOT NULL,
    content            text,             -- as Chatwoot stores it; the deletion notice once it was deleted
    private            boolean NOT NULL,
    deleted            boolean NOT NULL,
    status             text,
    sender_type        text NOT NULL CHECK (sender_type IN ('contact', 'agent', 'bot', 'system')),
    sender_id          bigint,
    sender_name        text,
    source_id          text,
    content_attributes jsonb NOT NULL,
    attachments        jsonb NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, account_id, message_id),
    FOREIGN KEY (project_id, account_id, conversation_id) REFERENCES cw_conversations ON DELETE CASCADE
);
-- Led by the conversation: before the first ANALYZE the planner would take an index led by (project_id, account_id)
-- for one as good as the primary key.
CREATE INDEX cw_messages_thread ON cw_messages (conversation_id, project_id, account_id, created_at, message_id);
CREATE INDEX cw_messages_latest ON cw_messages (project_id, created_at DESC, message_id DESC);
CALL isolate('cw_messages');

CREATE TABLE sync_watermarks (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    source           text NOT NULL,
    cursor_ts        timestamptz,
    cursor_id        bigint,
    meta             jsonb NOT NULL DEFAULT '{}',
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, source)
);
CALL isolate('sync_watermarks');

-- Items of Chatwoot that could not be stored, with the reason; read again by each run until they can.
CREATE TABLE sync_quarantine (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    account_id       bigint NOT NULL,
    entity           text NOT NULL CHECK (entity IN ('inbox', 'contact', 'conversation', 'message')),
    entity_id        text NOT NULL,    -- as Chatwoot gave it: it may be what is wrong
    conversation_id  bigint,
    reason           text NOT NULL,
    payload          text NOT NULL,    -- JSON in ASCII: jsonb cannot hold what is wrong with it
    attempts         integer NOT NULL DEFAULT 1,
    first_seen_at    timestamptz NOT NULL DEFAULT now(),
    last_seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, account_id, entity, entity_id)
);
CALL isolate('sync_quarantine');

-- A table that grows from nothing is planned as if it were still empty until its statistics are taken: the plans that
-- check foreign keys are kept by each connection. The first reading calls this as it goes; only the owner may ANALYZE.
CREATE FUNCTION refresh_mirror_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) cw_contacts, cw_conversations, cw_messages;
END $$;

-- Chunks and vectors -----------------------------------------------------------------------------------------------

CREATE TABLE rag_chunks (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    account_id       bigint NOT NULL,
    message_id       bigint NOT NULL,
    chunk_index      integer NOT NULL,
    conversation_id  bigint NOT NULL,
    inbox_id         bigint NOT NULL,
    sender_type      text NOT NULL,       -- of the message it points at
    sender_types     text[] NOT NULL,     -- of all the messages it covers
    covers           bigint[] NOT NULL,   -- the messages whose text it holds
    text             text NOT NULL,       -- what is shown: the words of the messages themselves
    context          text NOT NULL,       -- what is embedded before it, so that it can be understood alone
    content_hash     bytea NOT NULL,      -- of context and text: what a vector stands for
    embedding_status text NOT NULL DEFAULT 'pending'
                     CHECK (embedding_status IN ('pending', 'processing', 'ready', 'failed')),
    embedding_model  text,                -- the model that made it `ready` or `failed`
    attempts         integer NOT NULL DEFAULT 0,  -- claims that ended in neither
    error            text,
    claimed_at       timestamptz,
    created_at       timestamptz NOT NULL,  -- of the message
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, account_id, message_id, chunk_index),
    FOREIGN KEY (project_id, account_id, message_id) REFERENCES cw_messages ON DELETE CASCADE
);
-- Not led by (project_id, account_id): before the first ANALYZE that would look as good as the primary key.
CREATE INDEX rag_chunks_conversation ON rag_chunks (conversation_id, project_id, account_id);
CREATE INDEX rag_chunks_waiting ON rag_chunks (project_id, created_at DESC) WHERE embedding_status = 'pending';
CREATE INDEX rag_chunks_status ON rag_chunks (project_id, embedding_status, embedding_model);
CALL isolate('rag_chunks');

-- A chunk may have a vector of the model in use and one of the model that is being built. The index over the vectors
-- of a dimension is made when that dimension is first configured.
CREATE TABLE rag_vectors (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    account_id       bigint NOT NULL,
    message_id       bigint NOT NULL,
    chunk_index      integer NOT NULL,
    model            text NOT NULL,
    embedding        halfvec NOT NULL,
    PRIMARY KEY (project_id, account_id, message_id, chunk_index, model),
    FOREIGN KEY (project_id, account_id, message_id, chunk_index) REFERENCES rag_chunks ON DELETE CASCADE
);
CREATE INDEX rag_vectors_model ON rag_vectors (project_id, model);
CALL isolate('rag_vectors');

-- The models of a project: the configured one, and the one before it until that is complete. A complete one is
-- searched, the configured one if it can be.
CREATE TABLE rag_models (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    model            text NOT NULL,
    dimension        integer NOT NULL,
    complete_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, model)
);
CALL isolate('rag_models');

-- Jobs -------------------------------------------------------------------------------------------------------------

CREATE TABLE scheduled_jobs (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    job_type         text NOT NULL,
    status           text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused')),
    cadence_seconds  integer NOT NULL CHECK (cadence_seconds BETWEEN 30 AND 86400),
    next_run_at      timestamptz NOT NULL DEFAULT now(),
    last_run_at      timestamptz,
    last_status      text,
    last_error       text,
    payload          jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (project_id, job_type)
);
CREATE INDEX scheduled_jobs_due ON scheduled_jobs (next_run_at) WHERE status = 'active';
CALL isolate('scheduled_jobs');

CREATE TABLE worker_runs (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    job_type         text NOT NULL,
    trigger          text NOT NULL CHECK (trigger IN ('manual', 'schedule', 'webhook', 'cli')),
    status           text NOT NULL DEFAULT 'queued'
                     CHECK (status IN ('queued', 'running', 'ok', 'failed', 'cancelled')),
    params           jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    processed_count  bigint NOT NULL DEFAULT 0,
    progress         jsonb,
    error            text,
    error_details    jsonb,
    meta             jsonb NOT NULL DEFAULT '{}',
    request_id       text,
    attempt          integer NOT NULL DEFAULT 0,
    runner           text,                -- host and process that has it
    heartbeat_at     timestamptz,
    PRIMARY KEY (project_id, id)
);
-- Two runs of one job type in one project never overlap.
CREATE UNIQUE INDEX worker_runs_one_at_a_time ON worker_runs (project_id, job_type)
    WHERE status IN ('queued', 'running');
CREATE INDEX worker_runs_latest ON worker_runs (project_id, job_type, created_at DESC);
CALL isolate('worker_runs');

CREATE TABLE workers (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    runner            text NOT NULL,
    started_at        timestamptz NOT NULL DEFAULT now(),
    last_heartbeat_at timestamptz NOT NULL DEFAULT now()
);

-- The scheduler looks across projects through this one door: which job is due, and nothing else of it.
CREATE FUNCTION due_jobs(most integer) RETURNS TABLE (project_id uuid, job_type text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT j.project_id, j.job_type
    FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
    WHERE j.status = 'active' AND j.next_run_at <= now() AND p.archived_at IS NULL
    ORDER BY j.next_run_at LIMIT most
$$;

-- Every project has a row of each job. The first reconcile comes a day after the first sync.
CREATE FUNCTION schedule_jobs() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO scheduled_jobs (project_id, account_scope_id, job_type, cadence_seconds, next_run_at)
    VALUES (NEW.id, NEW.account_scope_id, 'chatwoot_sync', 900, now()),
           (NEW.id, NEW.account_scope_id, 'embeddings_run', 1200, now()),
           (NEW.id, NEW.account_scope_id, 'chatwoot_reconcile', 86400, now() + interval '1 day');
    RETURN NEW;
END $$;
CREATE TRIGGER schedule_jobs AFTER INSERT ON projects FOR EACH ROW EXECUTE FUNCTION schedule_jobs();
