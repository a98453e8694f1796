-- Merged contacts stay one person, and only what a person wrote counts as a reply.

-- Merged contacts ---------------------------------------------------------------------------------------------------

-- Chatwoot tells nobody of a merge: the merged contact answers 404, and its conversations have another contact.
CREATE TABLE contact_merges (
    project_id        uuid NOT NULL,
    account_scope_id  uuid NOT NULL,
    account_id        bigint NOT NULL,
    merged_contact_id bigint NOT NULL,
    into_contact_id   bigint NOT NULL,
    addresses         text[] NOT NULL,
    noticed_by        text NOT NULL CHECK (noticed_by IN ('conversation', 'address')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    recorded_at       timestamptz,
    PRIMARY KEY (project_id, account_id, merged_contact_id, into_contact_id),
    CHECK (merged_contact_id <> into_contact_id)
);
CREATE INDEX contact_merges_into ON contact_merges (into_contact_id, project_id, account_id);
CREATE INDEX contact_merges_addresses ON contact_merges USING gin (project_id, addresses);
CREATE INDEX contact_merges_unrecorded ON contact_merges (project_id) WHERE recorded_at IS NULL;
CALL isolate('contact_merges');
REVOKE INSERT, UPDATE, DELETE ON contact_merges FROM proofdesk_app;
GRANT UPDATE (recorded_at) ON contact_merges TO proofdesk_app;
COMMENT ON TABLE contact_merges IS
    'Contacts that were merged into others in Chatwoot: policies of either hold for both.';
COMMENT ON COLUMN contact_merges.merged_contact_id IS 'The contact that disappeared.';
COMMENT ON COLUMN contact_merges.into_contact_id IS 'The contact that has its conversations or its address now.';
COMMENT ON COLUMN contact_merges.addresses IS 'Addresses of the merged contact, in lower case, as last imported.';
COMMENT ON COLUMN contact_merges.noticed_by IS
    'What showed it: a conversation changed its contact, or a contact disappeared whose address another one has.';
COMMENT ON COLUMN contact_merges.recorded_at IS 'When its audit event was written.';

CREATE FUNCTION addresses_of(email text, phone_number text, additional_attributes jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(address), '{}')
    FROM unnest(ARRAY[lower(email), phone_number, additional_attributes ->> 'social_telegram_user_id']) address
    WHERE address <> ''
$$;

-- In Chatwoot nothing but a merge gives a conversation another contact.
CREATE FUNCTION note_moved_conversation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO contact_merges (project_id, account_scope_id, account_id, merged_contact_id, into_contact_id,
                                addresses, noticed_by)
    VALUES (NEW.project_id, NEW.account_scope_id, NEW.account_id, OLD.contact_id, NEW.contact_id,
            coalesce((SELECT addresses_of(c.email, c.phone_number, c.additional_attributes) FROM cw_contacts c
                      WHERE c.project_id = NEW.project_id AND c.account_id = NEW.account_id
                        AND c.contact_id = OLD.contact_id), '{}'),
            'conversation')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER note_moved_conversation AFTER UPDATE OF contact_id ON cw_conversations FOR EACH ROW
    WHEN (OLD.contact_id <> NEW.contact_id) EXECUTE FUNCTION note_moved_conversation();

-- A contact without conversations leaves no other trace of a merge than its address, which the other one takes over.
-- In one account no two contacts have the same.
CREATE FUNCTION note_removed_contacts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM removed) THEN
        RETURN NULL;
    END IF;
    INSERT INTO contact_merges (project_id, account_scope_id, account_id, merged_contact_id, into_contact_id,
                                addresses, noticed_by)
    SELECT r.project_id, r.account_scope_id, r.account_id, r.contact_id, same.contact_id,
           addresses_of(r.email, r.phone_number, r.additional_attributes), 'address'
    FROM removed r JOIN (
        SELECT r.project_id, r.account_id, r.contact_id AS removed_id, c.contact_id
        FROM removed r JOIN cw_contacts c ON c.project_id = r.project_id AND c.account_id = r.account_id
                                         AND octet_length(c.email) <= 1000 AND lower(c.email) = lower(r.email)
        WHERE r.email <> ''
        UNION SELECT r.project_id, r.account_id, r.contact_id, c.contact_id
        FROM removed r JOIN cw_contacts c ON c.project_id = r.project_id AND c.account_id = r.account_id
                                         AND octet_length(c.phone_number) <= 1000 AND c.phone_number = r.phone_number
        WHERE r.phone_number <> ''
        UNION SELECT r.project_id, r.account_id, r.contact_id, c.contact_id
        FROM removed r JOIN cw_contacts c ON c.project_id = r.project_id AND c.account_id = r.account_id
                                         AND c.identifier = r.identifier
        WHERE r.identifier <> ''
        UNION SELECT r.project_id, r.account_id, r.contact_id, c.contact_id
        FROM removed r JOIN cw_contacts c ON c.project_id = r.project_id AND c.account_id = r.account_id
             AND c.additional_attributes ? 'social_telegram_user_id'
             AND octet_length(c.additional_attributes ->> 'social_telegram_user_id') <= 1000
             AND c.additional_attributes ->> 'social_telegram_user_id'
                 = r.additional_attributes ->> 'social_telegram_user_id'
        ) same ON same.project_id = r.project_id AND same.account_id = r.account_id
              AND same.removed_id = r.contact_id AND same.contact_id <> r.contact_id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER note_removed_contacts AFTER DELETE ON cw_contacts
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION note_removed_contacts();

-- The contacts that a recipient stands for: a contact, a conversation, an e-mail address, a number, or a chat of
-- Telegram; with whom they were merged, and who has the same address.
CREATE OR REPLACE FUNCTION contacts_behind(recipient text) RETURNS TABLE (account_id bigint, contact_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp ROWS 3 AS $$
    WITH RECURSIVE named AS MATERIALIZED (
        SELECT part[1] AS kind, part[3]::bigint AS account_id, part[4]::bigint AS number
        FROM regexp_match(recipient, '^(cwc|cw):([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17})$') AS part
        WHERE part[2] = (SELECT current_project())::text),
    met AS (
        SELECT n.account_id, n.number AS contact_id FROM named n WHERE n.kind = 'cwc'
        UNION
        SELECT v.account_id, v.contact_id
        FROM named n JOIN cw_conversations v ON v.account_id = n.account_id AND v.conversation_id = n.number
        WHERE n.kind = 'cw' AND v.project_id = (SELECT current_project()) AND v.contact_id IS NOT NULL
        UNION
        SELECT c.account_id, c.contact_id FROM cw_contacts c
        WHERE c.project_id = (SELECT current_project()) AND octet_length(c.email) <= 1000
          AND lower(c.email) = lower(recipient)
        UNION
        SELECT c.account_id, c.contact_id FROM cw_contacts c
        WHERE c.project_id = (SELECT current_project()) AND octet_length(c.phone_number) <= 1000
          AND c.phone_number = recipient
        UNION
        SELECT c.account_id, c.contact_id FROM cw_contacts c
        WHERE c.project_id = (SELECT current_project()) AND c.additional_attributes ? 'social_telegram_user_id'
          AND octet_length(c.additional_attributes ->> 'social_telegram_user_id') <= 1000
          AND c.additional_attributes ->> 'social_telegram_user_id' = recipient
        UNION
        SELECT m.account_id, m.into_contact_id FROM contact_merges m
        WHERE m.project_id = (SELECT current_project()) AND m.addresses @> ARRAY[lower(recipient)]),
    person AS (
        SELECT met.account_id, met.contact_id FROM met
        UNION
        SELECT near.account_id, near.contact_id FROM person p CROSS JOIN LATERAL (
            SELECT m.account_id, m.into_contact_id AS contact_id FROM contact_merges m
            WHERE m.project_id = (SELECT current_project()) AND m.account_id = p.account_id
              AND m.merged_contact_id = p.contact_id
            UNION ALL
            SELECT m.account_id, m.merged_contact_id FROM contact_merges m
            WHERE m.into_contact_id = p.contact_id AND m.project_id = (SELECT current_project())
              AND m.account_id = p.account_id
            UNION ALL
            SELECT c.account_id, c.contact_id FROM cw_contacts o JOIN cw_contacts c
                ON c.project_id = o.project_id AND octet_length(c.email) <= 1000
                   AND lower(c.email) = lower(o.email)
            WHERE o.project_id = (SELECT current_project()) AND o.account_id = p.account_id
              AND o.contact_id = p.contact_id AND o.email <> ''
            UNION ALL
            SELECT c.account_id, c.contact_id FROM cw_contacts o JOIN cw_contacts c
                ON c.project_id = o.project_id AND octet_length(c.phone_number) <= 1000
                   AND c.phone_number = o.phone_number
            WHERE o.project_id = (SELECT current_project()) AND o.account_id = p.account_id
              AND o.contact_id = p.contact_id AND o.phone_number <> '') near)
    SELECT p.account_id, p.contact_id FROM person p
$$;

-- All names of whoever that is, the addresses of merged contacts among them, and the one they were called by: who was
-- met as a conversation before their contact was known stays who they are.
CREATE OR REPLACE FUNCTION names_of(recipient text) RETURNS TABLE (name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp ROWS 5 AS $$
    WITH behind AS MATERIALIZED (SELECT b.account_id, b.contact_id FROM contacts_behind(recipient) b),
    known AS MATERIALIZED (
        SELECT c.email, c.phone_number, c.additional_attributes ->> 'social_telegram_user_id' AS telegram
        FROM behind b JOIN cw_contacts c ON c.account_id = b.account_id AND c.contact_id = b.contact_id
        WHERE c.project_id = (SELECT current_project()))
    SELECT format('cwc:%s:%s:%s', (SELECT current_project()), b.account_id, b.contact_id) FROM behind b
    UNION SELECT lower(k.email) FROM known k WHERE k.email <> '' AND octet_length(k.email) <= 1000
    UNION SELECT k.phone_number FROM known k WHERE k.phone_number <> '' AND octet_length(k.phone_number) <= 1000
    UNION SELECT k.telegram FROM known k WHERE k.telegram <> '' AND octet_length(k.telegram) <= 1000
    UNION SELECT unnest(m.addresses) FROM behind b JOIN contact_merges m
        ON m.project_id = (SELECT current_project()) AND m.account_id = b.account_id
       AND m.merged_contact_id = b.contact_id
    UNION SELECT lower(recipient)
$$;

-- Messages to a person, in all, since a time: places of a window that several policies count together.
CREATE INDEX outbound_messages_policies ON outbound_messages USING gin (project_id, policy_ids);
CREATE FUNCTION sent_to(policies uuid[], since timestamptz) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*) FROM outbound_messages o
    WHERE o.project_id = (SELECT current_project()) AND o.policy_ids && policies AND EXISTS (
        SELECT FROM outbound_attempts a
        WHERE a.project_id = o.project_id AND a.outbound_id = o.id AND a.started_at >= since
          AND a.outcome IS DISTINCT FROM 'failed')
$$;

-- What counts as a reply -------------------------------------------------------------------------------------------

-- Whether the headers of a mail say that a program wrote it (RFC 3834).
CREATE FUNCTION has_automatic_header(headers jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT EXISTS (
        SELECT FROM jsonb_each_text(CASE WHEN jsonb_typeof(headers) = 'object' THEN headers ELSE '{}' END) h
        WHERE lower(h.key) IN ('auto-submitted', 'x-autoreply', 'x-autorespond') AND h.value !~* '^\W*no\M'
           OR lower(h.key) = 'precedence' AND h.value ~* '(auto_reply|bulk|junk)')
$$;

-- What a message is. Only an incoming `message` of a contact is a reply. `began`: its conversation says that the mail
-- it began with was automatic, and this is its first incoming message.
-- It holds no subquery and uses `began` once, so that PostgreSQL makes it part of the statement that calls it.
CREATE FUNCTION message_kind(message_type text, sender_type text, private boolean, deleted boolean, content_type text,
                             content_attributes jsonb, began boolean) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN deleted THEN 'deleted'
        WHEN message_type = 'activity' THEN 'activity'
        WHEN private THEN 'note'
        WHEN content_type = 'input_csat'
          OR content_attributes #> '{submitted_values,csat_survey_response}' IS NOT NULL THEN 'survey'
        WHEN message_type = 'template' THEN 'template'
        WHEN sender_type = 'bot' THEN 'bot'
        WHEN content_attributes ->> 'is_reaction' = 'true' THEN 'reaction'
        WHEN message_type <> 'incoming' THEN 'message'
        WHEN content_attributes #>> '{email,from}' ~* '(^|[\s"<\[])(mailer-daemon|postmaster)@'
          OR content_attributes #>> '{email,content_type}' ~* '^\s*multipart/report(?!.*disposition-notification)'
            THEN 'bounce'
        WHEN coalesce(content_attributes #>> '{email,auto_reply}', began::text) = 'true'
          OR content_attributes #>> '{email,content_type}' ~* '^\s*multipart/report'
          OR content_attributes #>> '{email,subject}' ~* ('^\s*(automatic reply|auto[- ]?reply|autoreply|out of (the )?office'
             '|automatische antwort|abwesenheitsnotiz|réponse automatique|respuesta automática|risposta automatica'
             '|resposta automática|automatisch antwoord|автоматический ответ|автоответ)\M')
          OR has_automatic_header(content_attributes #> '{email,headers}')
            THEN 'auto_reply'
        ELSE 'message' END
$$;

-- Whether a message is the first incoming one of a conversation that began with an automatic mail.
CREATE FUNCTION began_automatically(project uuid, account bigint, conversation bigint, message bigint)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
            SELECT FROM cw_conversations v
            WHERE v.project_id = project AND v.account_id = account AND v.conversation_id = conversation
              AND v.additional_attributes ->> 'auto_reply' = 'true')
       AND message = (
            SELECT e.message_id FROM cw_messages e
            WHERE e.project_id = project AND e.account_id = account AND e.conversation_id = conversation
              AND e.message_type = 'incoming' ORDER BY e.created_at, e.message_id LIMIT 1)
$$;

-- When the person last wrote, in any of their conversations.
CREATE OR REPLACE FUNCTION newest_inbound(recipient text) RETURNS timestamptz
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
          AND message_kind(m.message_type, m.sender_type, m.private, m.deleted, m.content_type, m.content_attributes,
                  began_automatically(m.project_id, m.account_id, m.conversation_id, m.message_id)) = 'message'
        ORDER BY m.created_at DESC LIMIT 1) written
$$;

-- Whoever stores messages waits here for a decision about their authors that is under way, and the decision after
-- it sees them.
CREATE OR REPLACE FUNCTION note_inbound() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    WITH authors AS (
        SELECT a.project_id, a.account_id, a.conversation_id, v.contact_id, max(a.created_at) AS at
        FROM arrived a JOIN cw_conversations v USING (project_id, account_id, conversation_id)
        WHERE a.message_type = 'incoming' AND a.sender_type = 'contact'
          AND message_kind(a.message_type, a.sender_type, a.private, a.deleted, a.content_type, a.content_attributes,
                  v.additional_attributes ->> 'auto_reply' = 'true'
                  AND began_automatically(a.project_id, a.account_id, a.conversation_id, a.message_id)) = 'message'
        GROUP BY 1, 2, 3, 4),
    called AS (
        SELECT a.project_id, a.at, called.name
        FROM authors a LEFT JOIN cw_contacts c USING (project_id, account_id, contact_id)
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN a.contact_id IS NULL THEN format('cw:%s:%s:%s', a.project_id, a.account_id, a.conversation_id)
                  ELSE format('cwc:%s:%s:%s', a.project_id, a.account_id, a.contact_id) END),
            (lower(c.email)), (c.phone_number), (c.additional_attributes ->> 'social_telegram_user_id')) called (name)
        WHERE called.name IS NOT NULL
        UNION ALL
        SELECT a.project_id, a.at, n.name
        FROM authors a CROSS JOIN LATERAL names_of(format('cwc:%s:%s:%s', a.project_id, a.account_id, a.contact_id)) n
        WHERE EXISTS (SELECT FROM contact_merges m WHERE m.into_contact_id = a.contact_id
                        AND m.project_id = a.project_id AND m.account_id = a.account_id)),
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

-- A message that turns out not to be a reply, since it was deleted or told to be automatic, was none.
CREATE FUNCTION unnote_inbound() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    author text := format('cw:%s:%s:%s', NEW.project_id, NEW.account_id, NEW.conversation_id);
BEGIN
    IF message_kind(NEW.message_type, NEW.sender_type, NEW.private, NEW.deleted, NEW.content_type,
                    NEW.content_attributes, false) <> 'message' THEN
        WITH held AS (
            SELECT p.project_id, p.id FROM contact_channel_policies p
            WHERE p.project_id = NEW.project_id AND p.last_inbound_at = NEW.created_at AND p.id IN (
                SELECT k.policy_id FROM names_of(author) n JOIN contact_channel_names k ON k.name = n.name
                WHERE k.project_id = NEW.project_id)
            ORDER BY p.id FOR UPDATE OF p)
        UPDATE contact_channel_policies p SET last_inbound_at = newest_inbound(author), updated_at = now()
        FROM held WHERE p.project_id = held.project_id AND p.id = held.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER unnote_inbound AFTER UPDATE OF deleted, content_attributes ON cw_messages FOR EACH ROW
    WHEN (NEW.message_type = 'incoming' AND NEW.sender_type = 'contact'
          AND (OLD.deleted, OLD.content_attributes) IS DISTINCT FROM (NEW.deleted, NEW.content_attributes))
    EXECUTE FUNCTION unnote_inbound();
