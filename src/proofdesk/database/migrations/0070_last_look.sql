-- The kill switch stops all sending of a project. That of all projects is a value of app_settings.
CREATE TABLE kill_switches (
    project_id       uuid PRIMARY KEY,
    account_scope_id uuid NOT NULL,
    switched_by      text NOT NULL,
    reason           text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
    since            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL isolate('kill_switches');
COMMENT ON TABLE kill_switches IS 'Projects whose messages are not sent, with who stopped them and why.';

-- What a project decides about its outbound messages. A project without a row has the defaults.
CREATE TABLE outbound_rules (
    project_id       uuid PRIMARY KEY,
    account_scope_id uuid NOT NULL,
    send_unconfirmed boolean NOT NULL DEFAULT false,
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL isolate('outbound_rules');
COMMENT ON TABLE outbound_rules IS 'What a project decides about its outbound messages.';
COMMENT ON COLUMN outbound_rules.send_unconfirmed IS
    'Whether messages are sent although Chatwoot cannot be asked what their contact wrote.';
