-- Signup by PIN over Telegram, and whose Telegram account is the owner's.

-- A row lives from the start of a signup until it is confirmed or void; one that expired is kept an hour longer, so
-- that whoever is late hears why. The PIN is known to the owner's chat only.
CREATE TABLE signup_requests (
    id            uuid PRIMARY KEY,
    username      text NOT NULL,
    password_hash text NOT NULL,
    pin_hash      bytea NOT NULL,     -- HMAC of id and PIN under a key that is not in the database
    address       text NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL
);
CREATE INDEX signup_requests_expiry ON signup_requests (expires_at);

-- One row: the Telegram account that PINs are sent to.
CREATE TABLE telegram_owner (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    user_id  bigint NOT NULL,
    chat_id  bigint NOT NULL,
    name     text NOT NULL,
    bound_at timestamptz NOT NULL DEFAULT now()
);

-- One row at most as well: a new code takes the place of the one before.
CREATE TABLE telegram_bind_codes (
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    code_hash  bytea NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Telegram sends an update again until it is answered, for a day.
CREATE TABLE telegram_updates (
    update_id   bigint PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX telegram_updates_age ON telegram_updates (received_at);
