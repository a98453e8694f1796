-- A contact's addresses are stored as long as Chatwoot has them, but an index row has room for 2,704 bytes: contacts are
-- found by addresses of at most 1,000 bytes only. No longer one is an address of anybody.
DROP INDEX cw_contacts_email;
CREATE INDEX cw_contacts_email ON cw_contacts (lower(email), project_id) WHERE octet_length(email) <= 1000;
DROP INDEX cw_contacts_phone;
CREATE INDEX cw_contacts_phone ON cw_contacts (phone_number, project_id) WHERE octet_length(phone_number) <= 1000;
DROP INDEX cw_contacts_telegram;
CREATE INDEX cw_contacts_telegram ON cw_contacts ((additional_attributes ->> 'social_telegram_user_id'), project_id)
    WHERE additional_attributes ? 'social_telegram_user_id'
      AND octet_length(additional_attributes ->> 'social_telegram_user_id') <= 1000;

CREATE OR REPLACE FUNCTION contacts_behind(recipient text) RETURNS TABLE (account_id bigint, contact_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 3 SET search_path = public, pg_temp AS $$
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
$$;

CREATE OR REPLACE FUNCTION names_of(recipient text) RETURNS TABLE (name text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 5 SET search_path = public, pg_temp AS $$
    WITH behind AS MATERIALIZED (SELECT b.account_id, b.contact_id FROM contacts_behind(recipient) b),
    known AS MATERIALIZED (
        SELECT c.email, c.phone_number, c.additional_attributes ->> 'social_telegram_user_id' AS telegram
        FROM behind b JOIN cw_contacts c ON c.account_id = b.account_id AND c.contact_id = b.contact_id
        WHERE c.project_id = (SELECT current_project()))
    SELECT format('cwc:%s:%s:%s', (SELECT current_project()), b.account_id, b.contact_id) FROM behind b
    UNION SELECT lower(k.email) FROM known k WHERE k.email <> '' AND octet_length(k.email) <= 1000
    UNION SELECT k.phone_number FROM known k WHERE k.phone_number <> '' AND octet_length(k.phone_number) <= 1000
    UNION SELECT k.telegram FROM known k WHERE k.telegram <> '' AND octet_length(k.telegram) <= 1000
    UNION SELECT lower(recipient) WHERE recipient NOT LIKE 'cw:%' OR NOT EXISTS (SELECT FROM behind)
$$;
