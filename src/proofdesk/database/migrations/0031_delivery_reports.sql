-- What Chatwoot tells of a message after it took it. It answers 200 as soon as a message is stored; the channel delivers
-- it later, and may fail hours afterwards.

CREATE TABLE outbound_deliveries (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    outbound_id      uuid NOT NULL,
    account_id       bigint NOT NULL,
    message_id       bigint NOT NULL,
    sent_at          timestamptz NOT NULL,
    status           text NOT NULL DEFAULT 'sent' CHECK (status IN ('sent', 'delivered', 'read', 'failed')),
    error            text,
    via              text,
    reported_at      timestamptz,
    checked_at       timestamptz,
    PRIMARY KEY (project_id, outbound_id)
);
CREATE INDEX outbound_deliveries_open ON outbound_deliveries (project_id, sent_at) WHERE status IN ('sent', 'delivered');
CREATE INDEX outbound_deliveries_failed ON outbound_deliveries (project_id) WHERE status = 'failed';
CREATE INDEX outbound_deliveries_latest ON outbound_deliveries (project_id, sent_at DESC);
CALL isolate('outbound_deliveries');
ALTER TABLE outbound_deliveries ADD FOREIGN KEY (project_id, outbound_id) REFERENCES outbound_messages;
COMMENT ON TABLE outbound_deliveries IS 'What became of messages after Chatwoot took them, as its channel reports it later.';
COMMENT ON COLUMN outbound_deliveries.message_id IS 'The message in Chatwoot.';
COMMENT ON COLUMN outbound_deliveries.status IS
    '`sent`: Chatwoot has it, and its channel has said nothing yet. `read` never stands for inboxes where it means nothing.';
COMMENT ON COLUMN outbound_deliveries.error IS 'Why the channel failed, in its words.';
COMMENT ON COLUMN outbound_deliveries.via IS 'The type of the inbox, as Chatwoot calls it: Channel::Whatsapp, ….';
COMMENT ON COLUMN outbound_deliveries.reported_at IS 'When the status was noticed here.';
COMMENT ON COLUMN outbound_deliveries.checked_at IS 'When the message was last read again for its status.';

INSERT INTO outbound_deliveries (project_id, account_scope_id, outbound_id, account_id, message_id, sent_at)
SELECT DISTINCT ON (o.project_id, o.id)
       o.project_id, o.account_scope_id, o.id, split_part(o.recipient_ref, ':', 3)::bigint,
       a.provider_message_id::bigint, o.sent_at
FROM outbound_messages o JOIN outbound_attempts a ON a.project_id = o.project_id AND a.outbound_id = o.id
WHERE o.channel = 'chatwoot' AND o.status = 'sent' AND a.outcome = 'sent'
  AND a.provider_message_id ~ '^[1-9][0-9]{0,17}$'
ORDER BY o.project_id, o.id, a.number DESC;
