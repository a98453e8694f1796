-- People edit messages that were not sent. Each content that was replaced is kept, with who replaced it.
CREATE TABLE outbound_versions (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    outbound_id      uuid NOT NULL,
    number           integer NOT NULL CHECK (number > 0),
    recipient_ref    text NOT NULL,
    payload          jsonb NOT NULL,
    evidence_refs    jsonb NOT NULL,
    scheduled_at     timestamptz,
    content_hash     bytea NOT NULL,
    status           text NOT NULL,
    replaced_by      text NOT NULL,
    replaced_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, outbound_id, number)
);
CALL isolate('outbound_versions');
ALTER TABLE outbound_versions ADD FOREIGN KEY (project_id, outbound_id) REFERENCES outbound_messages;
REVOKE UPDATE, DELETE ON outbound_versions FROM proofdesk_app;
COMMENT ON TABLE outbound_versions IS 'Earlier versions of outbound messages: what an edit replaced.';
COMMENT ON COLUMN outbound_versions.number IS 'Counts from 1. The present content of the message is the next version.';
COMMENT ON COLUMN outbound_versions.status IS 'The state of the message when this version was replaced.';

-- The trigger below makes a message with other content a draft, so that nothing is sent that was not approved.
GRANT UPDATE (recipient_ref, payload, evidence_refs, scheduled_at) ON outbound_messages TO proofdesk_app;

-- An approved message whose time or evidence is edited becomes a draft, too.
CREATE OR REPLACE FUNCTION guard_outbound() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
            ('approved', 'draft'),
            ('sending', 'sent'), ('sending', 'failed'), ('sending', 'approved'),
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
