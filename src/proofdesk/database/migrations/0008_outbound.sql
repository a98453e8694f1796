-- Outbound: messages that people approve, whom they may reach, and every attempt to deliver them.

-- Policies ---------------------------------------------------------------------------------------------------------

-- What a contact allows on a channel, and how many messages they received in the current window.
CREATE TABLE contact_channel_policies (
    project_id             uuid NOT NULL,
    account_scope_id       uuid NOT NULL,
    id                     uuid NOT NULL DEFAULT gen_random_uuid(),
    channel                text NOT NULL CHECK (channel IN ('chatwoot', 'email', 'telegram')),
    contact_global_id      text NOT NULL,   -- or the address of somebody who is no contact
    opted_out              boolean NOT NULL DEFAULT false,
    stop_on_reply          boolean NOT NULL DEFAULT true,
    frequency_window_hours integer NOT NULL DEFAULT 24 CHECK (frequency_window_hours BETWEEN 1 AND 720),
    frequency_cap          integer NOT NULL DEFAULT 3 CHECK (frequency_cap BETWEEN 1 AND 200),
    sent_in_window         integer NOT NULL DEFAULT 0 CHECK (sent_in_window >= 0),
    window_started_at      timestamptz,
    last_outbound_at       timestamptz,
    last_inbound_at        timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, channel, contact_global_id),
    CHECK ((sent_in_window = 0) = (window_started_at IS NULL))
);
CALL isolate('contact_channel_policies');

-- The names under which a policy was met: ids of contacts, addresses in lower case. A name is never taken away from it,
-- so that a person who changes their address, or becomes a contact later, stays the same person.
CREATE TABLE contact_channel_names (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    name             text NOT NULL,
    channel          text NOT NULL,
    policy_id        uuid NOT NULL,
    PRIMARY KEY (project_id, name, channel)
);
CREATE INDEX contact_channel_names_policy ON contact_channel_names (policy_id, project_id);
CALL isolate('contact_channel_names');
ALTER TABLE contact_channel_names ADD FOREIGN KEY (project_id, policy_id) REFERENCES contact_channel_policies;
REVOKE DELETE ON contact_channel_policies FROM proofdesk_app;
REVOKE UPDATE, DELETE ON contact_channel_names FROM proofdesk_app;

CREATE INDEX cw_contacts_email ON cw_contacts (lower(email), project_id) WHERE email IS NOT NULL;
CREATE INDEX cw_contacts_phone ON cw_contacts (phone_number, project_id) WHERE phone_number IS NOT NULL;
CREATE INDEX cw_contacts_telegram ON cw_contacts ((additional_attributes ->> 'social_telegram_user_id'), project_id)
    WHERE additional_attributes ? 'social_telegram_user_id';

-- The functions below look through the wall, since `lower` may not use an index behind it; they show what is of the
-- transaction's project only.

-- The contacts that a recipient stands for: a contact, a conversation, an e-mail address, a number, or a chat of Telegram.
CREATE FUNCTION contacts_behind(recipient text) RETURNS TABLE (account_id bigint, contact_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH named AS MATERIALIZED (
        SELECT part[1] AS kind, part[3]::bigint AS account_id, part[4]::bigint AS number
        FROM regexp_match(recipient, '^(cwc|cw):([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17})$') AS part
        WHERE part[2] = (SELECT current_project())::text)
    SELECT n.account_id, n.number FROM named n WHERE n.kind = 'cwc'
    UNION
    SELECT v.account_id, v.contact_id
    FROM named n JOIN cw_conversations v ON v.account_id = n.account_id AND v.conversation_id = n.number
    WHERE n.kind = 'cw' AND v.project_id = (SELECT current_project()) AND v.contact_id IS NOT NULL
    UNION
    SELECT c.account_id, c.contact_id FROM cw_contacts c
    WHERE c.project_id = (SELECT current_project()) AND c.email IS NOT NULL AND lower(c.email) = lower(recipient)
    UNION
    SELECT c.account_id, c.contact_id FROM cw_contacts c
    WHERE c.project_id = (SELECT current_project()) AND c.phone_number = recipient
    UNION
    SELECT c.account_id, c.contact_id FROM cw_contacts c
    WHERE c.project_id = (SELECT current_project()) AND c.additional_attributes ? 'social_telegram_user_id'
      AND c.additional_attributes ->> 'social_telegram_user_id' = recipient
$$;

-- All ids and addresses of the recipient. A person who is no contact has only the given one.
CREATE FUNCTION names_of(recipient text) RETURNS TABLE (name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH behind AS MATERIALIZED (SELECT b.account_id, b.contact_id FROM contacts_behind(recipient) b),
    known AS MATERIALIZED (
        SELECT c.email, c.phone_number, c.additional_attributes ->> 'social_telegram_user_id' AS telegram
        FROM behind b JOIN cw_contacts c ON c.account_id = b.account_id AND c.contact_id = b.contact_id
        WHERE c.project_id = (SELECT current_project()))
    SELECT format('cwc:%s:%s:%s', (SELECT current_project()), b.account_id, b.contact_id) FROM behind b
    UNION SELECT lower(k.email) FROM known k WHERE k.email <> ''
    UNION SELECT k.phone_number FROM known k WHERE k.phone_number <> ''
    UNION SELECT k.telegram FROM known k WHERE k.telegram <> ''
    UNION SELECT lower(recipient) WHERE recipient NOT LIKE 'cw:%' OR NOT EXISTS (SELECT FROM behind)
$$;

-- When the contact last wrote, in any of their conversations.
CREATE FUNCTION newest_inbound(recipient text) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT max(written.at)
    FROM (SELECT v.account_id, v.conversation_id FROM contacts_behind(recipient) b
          JOIN cw_conversations v ON v.contact_id = b.contact_id AND v.project_id = (SELECT current_project())
                                 AND v.account_id = b.account_id
          UNION
          SELECT v.account_id, v.conversation_id
          FROM regexp_match(recipient, '^cw:([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17})$') AS part
          JOIN cw_conversations v ON v.account_id = part[2]::bigint AND v.conversation_id = part[3]::bigint
          WHERE v.project_id = (SELECT current_project()) AND part[1] = v.project_id::text) c
    CROSS JOIN LATERAL (
        SELECT m.created_at AS at FROM cw_messages m
        WHERE m.conversation_id = c.conversation_id AND m.project_id = (SELECT current_project())
          AND m.account_id = c.account_id AND m.message_type = 'incoming' AND m.sender_type = 'contact'
        ORDER BY m.created_at DESC LIMIT 1) written
$$;

-- Whoever stores messages waits here for a decision about their authors that is under way, and the decision after
-- it sees them.
CREATE FUNCTION note_inbound() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    WITH authors AS (
        SELECT a.project_id, a.account_id, a.conversation_id, v.contact_id, max(a.created_at) AS at
        FROM arrived a JOIN cw_conversations v USING (project_id, account_id, conversation_id)
        WHERE a.message_type = 'incoming' AND a.sender_type = 'contact' GROUP BY 1, 2, 3, 4),
    called AS (
        SELECT a.project_id, a.at, called.name
        FROM authors a LEFT JOIN cw_contacts c USING (project_id, account_id, contact_id)
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN a.contact_id IS NULL THEN format('cw:%s:%s:%s', a.project_id, a.account_id, a.conversation_id)
                  ELSE format('cwc:%s:%s:%s', a.project_id, a.account_id, a.contact_id) END),
            (lower(c.email)), (c.phone_number), (c.additional_attributes ->> 'social_telegram_user_id')) called (name)
        WHERE called.name IS NOT NULL),
    newest AS (
        SELECT k.project_id, k.policy_id, max(called.at) AS at
        FROM called JOIN contact_channel_names k USING (project_id, name) GROUP BY 1, 2),
    held AS (
        SELECT p.project_id, p.id, n.at
        FROM contact_channel_policies p JOIN newest n ON n.project_id = p.project_id AND n.policy_id = p.id
        WHERE p.last_inbound_at IS NULL OR p.last_inbound_at < n.at
        ORDER BY p.id FOR UPDATE OF p)
    UPDATE contact_channel_policies p SET last_inbound_at = greatest(p.last_inbound_at, held.at), updated_at = now()
    FROM held WHERE p.project_id = held.project_id AND p.id = held.id;
    RETURN NULL;
END $$;
CREATE TRIGGER note_inbound AFTER INSERT ON cw_messages
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION note_inbound();

-- Messages ---------------------------------------------------------------------------------------------------------

CREATE TABLE outbound_messages (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    channel          text NOT NULL CHECK (channel IN ('chatwoot', 'email', 'telegram')),
    recipient_ref    text NOT NULL,
    payload          jsonb NOT NULL CHECK (jsonb_typeof(payload) = 'object'),
    content_hash     bytea NOT NULL,       -- of the three above; the database works it out
    evidence_refs    jsonb NOT NULL,
    idempotency_key  text NOT NULL,
    request_hash     bytea NOT NULL,       -- of all that was asked for: tells a replay from another request
    dedupe_key       text,
    max_retries      integer NOT NULL CHECK (max_retries BETWEEN 0 AND 20),
    scheduled_at     timestamptz,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    status           text NOT NULL DEFAULT 'draft'
                     CHECK (status IN ('draft', 'approved', 'sending', 'sent', 'failed', 'blocked_opt_out', 'cancelled')),
    approved_by      text,
    approved_at      timestamptz,
    approved_hash    bytea,
    cancelled_by     text,
    cancelled_at     timestamptz,
    policy_ids       uuid[] NOT NULL DEFAULT '{}',  -- of the person, as they were when it was last decided
    retry_count      integer NOT NULL DEFAULT 0,    -- failed attempts that another one was granted for
    next_attempt_at  timestamptz,                   -- null: nothing more happens without a person
    last_error       text,
    sent_at          timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, idempotency_key),
    -- What is on its way, or went out, has the approval of exactly this content.
    CONSTRAINT approved_as_it_is CHECK (status IN ('draft', 'blocked_opt_out', 'cancelled')
        OR (approved_by IS NOT NULL AND approved_at IS NOT NULL AND approved_hash IS NOT DISTINCT FROM content_hash)),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL AND cancelled_by IS NOT NULL)),
    CHECK ((status = 'sent') = (sent_at IS NOT NULL)),
    CHECK (next_attempt_at IS NULL OR status IN ('approved', 'failed')),
    CHECK (status <> 'approved' OR next_attempt_at IS NOT NULL),
    CHECK (retry_count BETWEEN 0 AND max_retries)
);
-- What was blocked or cancelled lets go of its key.
CREATE UNIQUE INDEX outbound_messages_dedupe ON outbound_messages (project_id, dedupe_key)
    WHERE dedupe_key IS NOT NULL AND status NOT IN ('blocked_opt_out', 'cancelled');
CREATE INDEX outbound_messages_due ON outbound_messages (project_id, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outbound_messages_latest ON outbound_messages (project_id, created_at DESC, id);
CALL isolate('outbound_messages');

-- Every call of a provider, written before it is made. Without an outcome it is under way, until its lease ends.
CREATE TABLE outbound_attempts (
    project_id          uuid NOT NULL,
    account_scope_id    uuid NOT NULL,
    outbound_id         uuid NOT NULL,
    number              integer NOT NULL,
    started_at          timestamptz NOT NULL,
    lease_until         timestamptz NOT NULL,
    finished_at         timestamptz,
    outcome             text CHECK (outcome IN ('sent', 'failed', 'unknown')),
    provider_message_id text,
    error               text,
    duration_ms         bigint GENERATED ALWAYS AS
                        ((extract(epoch FROM finished_at - started_at) * 1000)::bigint) STORED,
    PRIMARY KEY (project_id, outbound_id, number),
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE UNIQUE INDEX outbound_attempts_one_at_a_time ON outbound_attempts (project_id, outbound_id)
    WHERE outcome IS NULL;
CREATE INDEX outbound_attempts_open ON outbound_attempts (project_id, lease_until) WHERE outcome IS NULL;
CALL isolate('outbound_attempts');
ALTER TABLE outbound_attempts ADD FOREIGN KEY (project_id, outbound_id) REFERENCES outbound_messages;

-- The application decides about messages; what they say, and to whom, is not its to change.
REVOKE INSERT, UPDATE, DELETE ON outbound_messages, outbound_attempts FROM proofdesk_app;
GRANT INSERT (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs, idempotency_key,
              request_hash, dedupe_key, max_retries, scheduled_at, created_by) ON outbound_messages TO proofdesk_app;
GRANT UPDATE (status, approved_by, approved_at, approved_hash, cancelled_by, cancelled_at, policy_ids, retry_count,
              next_attempt_at, last_error, sent_at) ON outbound_messages TO proofdesk_app;
GRANT INSERT (project_id, account_scope_id, outbound_id, number, started_at, lease_until)
    ON outbound_attempts TO proofdesk_app;
GRANT UPDATE (lease_until, finished_at, outcome, provider_message_id, error) ON outbound_attempts TO proofdesk_app;

-- The states, for everybody. Another content is another message: whatever was decided about the old one is void.
CREATE FUNCTION guard_outbound() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    content bytea;
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.status = 'sent' THEN
        RAISE EXCEPTION 'a message that was sent is never changed' USING ERRCODE = 'insufficient_privilege';
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    content := sha256(convert_to(jsonb_build_array(NEW.channel, NEW.recipient_ref, NEW.payload)::text, 'UTF8'));
    NEW.content_hash := content;
    IF TG_OP = 'INSERT' THEN
        RETURN NEW;
    END IF;
    IF content <> OLD.content_hash THEN
        IF OLD.status = 'sending' THEN
            RAISE EXCEPTION 'a message that is on its way cannot be changed' USING ERRCODE = 'insufficient_privilege';
        END IF;
        NEW.status := 'draft';
    ELSIF NEW.status <> OLD.status AND NOT (OLD.status, NEW.status) IN (
            ('draft', 'approved'), ('draft', 'cancelled'),
            ('approved', 'sending'), ('approved', 'blocked_opt_out'), ('approved', 'cancelled'),
            ('sending', 'sent'), ('sending', 'failed'),
            ('failed', 'sending'), ('failed', 'approved'), ('failed', 'blocked_opt_out'), ('failed', 'cancelled'),
            ('failed', 'draft'), ('blocked_opt_out', 'draft'), ('cancelled', 'draft')) THEN
        RAISE EXCEPTION 'a message that is % does not become %', OLD.status, NEW.status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.status = 'draft' THEN
        NEW.approved_by := NULL; NEW.approved_at := NULL; NEW.approved_hash := NULL;
        NEW.cancelled_by := NULL; NEW.cancelled_at := NULL;
        NEW.retry_count := 0; NEW.next_attempt_at := NULL; NEW.last_error := NULL;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER guard_outbound BEFORE INSERT OR UPDATE OR DELETE ON outbound_messages
    FOR EACH ROW EXECUTE FUNCTION guard_outbound();

CREATE FUNCTION guard_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL OR TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'how an attempt ended is never changed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_attempt BEFORE UPDATE OR DELETE ON outbound_attempts
    FOR EACH ROW EXECUTE FUNCTION guard_attempt();

-- Jobs -------------------------------------------------------------------------------------------------------------

CREATE TRIGGER schedule_outbound AFTER INSERT ON projects
    FOR EACH ROW EXECUTE FUNCTION schedule_job('outbound_process', '300', '0');
INSERT INTO scheduled_jobs (project_id, account_scope_id, job_type, cadence_seconds)
SELECT id, account_scope_id, 'outbound_process', 300 FROM projects;
