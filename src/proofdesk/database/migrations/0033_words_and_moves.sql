-- What people wrote is read in pages, in the order in which it was stored.
DROP INDEX cw_messages_heard;
CREATE INDEX cw_messages_heard ON cw_messages (project_id, updated_at, account_id, message_id)
    WHERE message_type = 'incoming' AND sender_type = 'contact';

-- Words that opt out are recognised in more forms now, so all messages are looked through once more.
DELETE FROM sync_watermarks WHERE source = 'opt_out_words';

-- Groups of Telegram that became supergroups: the number they have now. Messages keep the one they were approved with.
CREATE TABLE telegram_moves (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    chat_id          bigint NOT NULL,
    moved_to         bigint NOT NULL,
    moved_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, chat_id)
);
CALL isolate('telegram_moves');
COMMENT ON TABLE telegram_moves IS 'The numbers that groups of Telegram have since they became supergroups.';
