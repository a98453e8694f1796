-- Digests: who wants one of a project, and each one that was due.
CREATE TABLE digest_subscriptions (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    user_id          uuid NOT NULL REFERENCES app_users ON DELETE CASCADE,
    daily            boolean NOT NULL,
    weekly           boolean NOT NULL,
    email            text CHECK (char_length(email) <= 320),
    telegram         boolean NOT NULL,
    subscribed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id),
    CHECK (daily OR weekly),
    CHECK (telegram OR email IS NOT NULL)
);
CALL isolate('digest_subscriptions');
COMMENT ON TABLE digest_subscriptions IS 'Users who want a digest of the project. Nobody has one without asking for it.';
COMMENT ON COLUMN digest_subscriptions.telegram IS 'Whether it is sent to the Telegram account that is bound: the owner''s.';

CREATE TABLE digest_deliveries (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id          uuid NOT NULL REFERENCES app_users ON DELETE CASCADE,
    cadence          text NOT NULL CHECK (cadence IN ('daily', 'weekly')),
    channel          text NOT NULL CHECK (channel IN ('email', 'telegram')),
    ends_at          timestamptz NOT NULL,
    status           text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'empty', 'failed', 'cancelled')),
    attempts         integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error            text,
    claimed_at       timestamptz,
    sent_at          timestamptz,
    PRIMARY KEY (project_id, id),
    UNIQUE (project_id, user_id, cadence, channel, ends_at),
    CHECK ((status = 'sent') = (sent_at IS NOT NULL))
);
CALL isolate('digest_deliveries');
COMMENT ON TABLE digest_deliveries IS 'Digests that were due, each written before it is sent.';
COMMENT ON COLUMN digest_deliveries.ends_at IS 'The end of the day or week that the digest is about.';
COMMENT ON COLUMN digest_deliveries.status IS '`empty`: there was nothing to say. `cancelled`: the user may no longer open the project.';
