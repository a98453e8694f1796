-- Addresses and contacts that a channel cannot reach or must not write to. An opt-out is a policy, not a suppression.
CREATE TABLE suppressions (
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    channel          text NOT NULL CHECK (channel IN ('chatwoot', 'email', 'telegram')),
    name             text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 1000),
    address          text GENERATED ALWAYS AS (CASE WHEN name NOT LIKE 'cwc:%' THEN name END) STORED,
    contact_global_id text GENERATED ALWAYS AS (CASE WHEN name LIKE 'cwc:%' THEN name END) STORED,
    reason           text NOT NULL CHECK (reason IN ('bounce', 'complaint', 'invalid', 'blocked', 'manual')),
    detail           text CHECK (char_length(detail) <= 500),
    outbound_id      uuid,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at       timestamptz,
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, channel, name)
);
CALL isolate('suppressions');
COMMENT ON TABLE suppressions IS 'Recipients whom a channel cannot reach or must not write to, with the evidence.';
COMMENT ON COLUMN suppressions.name IS 'An address in lower case, or the global id of a contact.';
COMMENT ON COLUMN suppressions.detail IS 'What the provider answered, or why a person added it.';
COMMENT ON COLUMN suppressions.outbound_id IS 'The message whose delivery failed.';
COMMENT ON COLUMN suppressions.expires_at IS 'Until when it holds; NULL: until a person removes it.';
