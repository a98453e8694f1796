-- A message whose attempt failed for a reason of its provider, such as a limit of sessions, is approved as before.
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
