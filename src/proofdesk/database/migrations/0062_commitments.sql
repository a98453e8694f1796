-- Commitments: what the messages promise, the time zone that their dates count in, and the calendar feed of a project.

ALTER TABLE projects ADD COLUMN timezone text CHECK (char_length(timezone) BETWEEN 1 AND 64);
COMMENT ON COLUMN projects.timezone IS 'The IANA time zone of the business. Unset: PROJECT_TIMEZONE.';

CREATE TABLE commitments (
    project_id         uuid NOT NULL,
    account_scope_id   uuid NOT NULL,
    id                 uuid NOT NULL DEFAULT gen_random_uuid(),
    account_id         bigint NOT NULL,
    conversation_id    bigint NOT NULL,
    message_id         bigint NOT NULL,
    said_at            timestamptz NOT NULL,
    quote              text NOT NULL CHECK (quote <> ''),
    promised_by        text NOT NULL CHECK (promised_by IN ('us', 'contact')),
    what               text NOT NULL CHECK (char_length(what) BETWEEN 1 AND 500),
    due                date,
    due_text           text,
    conditional        boolean NOT NULL,
    language           text NOT NULL,
    confidence         real NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    source             text NOT NULL CHECK (source IN ('rules', 'model', 'person')),
    state              text NOT NULL
                       CHECK (state IN ('proposed', 'open', 'kept', 'broken', 'withdrawn', 'superseded')),
    edited             text[] NOT NULL DEFAULT '{}' CHECK (edited <@ ARRAY['state', 'due', 'what']),
    reason             text CHECK (char_length(reason) <= 500),
    resolved_by        bigint,
    superseded_by      uuid,
    suggested_state    text CHECK (suggested_state IN ('kept', 'broken', 'withdrawn', 'superseded')),
    suggested_by       bigint,
    ignored_message    bigint,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, account_id, message_id)
        REFERENCES cw_messages (project_id, account_id, message_id) ON DELETE CASCADE,
    FOREIGN KEY (project_id, superseded_by) REFERENCES commitments (project_id, id) ON DELETE SET NULL (superseded_by),
    CHECK (resolved_by IS NULL OR state IN ('kept', 'broken', 'withdrawn', 'superseded')),
    CHECK (superseded_by IS NULL OR state = 'superseded'),
    CHECK ((suggested_state IS NULL) = (suggested_by IS NULL)),
    CHECK (suggested_state IS NULL OR state IN ('proposed', 'open'))
);
CREATE UNIQUE INDEX commitments_quote ON commitments (project_id, account_id, message_id, md5(quote));
CREATE INDEX commitments_thread ON commitments (project_id, account_id, conversation_id);
CREATE INDEX commitments_due ON commitments (project_id, due, said_at) WHERE state IN ('proposed', 'open');
CREATE INDEX commitments_replaced ON commitments (project_id, superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX cw_messages_stored ON cw_messages (project_id, updated_at, account_id, message_id);
CALL isolate('commitments');
COMMENT ON TABLE commitments IS 'What messages promise. A message and a quote name a commitment; a rerun adds nothing twice.';
COMMENT ON COLUMN commitments.said_at IS 'When the message was written.';
COMMENT ON COLUMN commitments.quote IS 'The words of the message that promise.';
COMMENT ON COLUMN commitments.due IS 'The last day, in the time zone of the project.';
COMMENT ON COLUMN commitments.due_text IS 'The words that name the time.';
COMMENT ON COLUMN commitments.conditional IS 'Whether it depends on what somebody else does.';
COMMENT ON COLUMN commitments.confidence IS 'How sure the rules or the model are.';
COMMENT ON COLUMN commitments.source IS '`person`: a person confirmed or changed it.';
COMMENT ON COLUMN commitments.state IS '`proposed`: waits for a person to confirm it.';
COMMENT ON COLUMN commitments.edited IS 'The fields that a person has set. No job changes them.';
COMMENT ON COLUMN commitments.reason IS 'Why a person changed the state.';
COMMENT ON COLUMN commitments.resolved_by IS 'The message that shows the state.';
COMMENT ON COLUMN commitments.superseded_by IS 'The later commitment that replaces it.';
COMMENT ON COLUMN commitments.suggested_state IS 'What a later message suggests; a person decides.';
COMMENT ON COLUMN commitments.ignored_message IS 'A message whose suggestion a person ignored, as they did those before it.';

ALTER TABLE evidence_items DROP CONSTRAINT evidence_items_source_type_check;
ALTER TABLE evidence_items ADD CONSTRAINT evidence_items_source_type_check
    CHECK (source_type IN ('message', 'conversation', 'chunk', 'commitment', 'external'));

CREATE TABLE calendar_feeds (
    project_id       uuid NOT NULL PRIMARY KEY,
    account_scope_id uuid NOT NULL,
    token_hash       bytea NOT NULL,
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CALL isolate('calendar_feeds');
COMMENT ON TABLE calendar_feeds IS 'The secret address at which a project publishes its open commitments as a calendar.';
COMMENT ON COLUMN calendar_feeds.token_hash IS 'SHA-256 of the token, so that a stolen table opens no feed.';
