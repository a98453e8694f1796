-- Answers: the questions that were asked, and what was answered.

CREATE TABLE answers (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    id               uuid NOT NULL DEFAULT gen_random_uuid(),
    asked_by         text NOT NULL,
    question         text NOT NULL CHECK (char_length(question) BETWEEN 1 AND 2000),
    status           text NOT NULL CHECK (status IN ('running', 'answered', 'abstained', 'failed')),
    mode             text NOT NULL CHECK (mode IN ('extractive', 'model')),
    model            text,
    sentences        jsonb NOT NULL DEFAULT '[]',
    superseded       jsonb NOT NULL DEFAULT '[]',
    nearest          jsonb NOT NULL DEFAULT '[]',
    diagnosis        jsonb,
    dropped          integer NOT NULL DEFAULT 0 CHECK (dropped >= 0),
    tokens           integer NOT NULL DEFAULT 0 CHECK (tokens >= 0),
    cost             double precision,
    error            text,
    took_ms          double precision NOT NULL DEFAULT 0,
    useful           boolean,
    comment          text CHECK (char_length(comment) <= 2000),
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id),
    CHECK ((status = 'answered') = (jsonb_array_length(sentences) > 0)),
    CHECK ((status = 'failed') = (error IS NOT NULL)),
    CHECK ((mode = 'model') = (model IS NOT NULL))
);
CREATE INDEX answers_latest ON answers (project_id, created_at DESC, id);
CALL isolate('answers');
COMMENT ON TABLE answers IS 'Questions that were asked, with their answers. They are kept for RETENTION_DAYS_ANSWERS.';
COMMENT ON COLUMN answers.asked_by IS 'The username.';
COMMENT ON COLUMN answers.status IS
    '`running`: the model is being called. `abstained`: the conversations do not say. `failed`: the model failed.';
COMMENT ON COLUMN answers.sentences IS 'The sentences of the answer, each with its citations.';
COMMENT ON COLUMN answers.superseded IS 'Earlier statements that a later message changed.';
COMMENT ON COLUMN answers.nearest IS 'The nearest sentences, for an answer that abstains.';
COMMENT ON COLUMN answers.dropped IS 'The number of sentences of the model that failed verification.';
COMMENT ON COLUMN answers.tokens IS 'Tokens that count against ANSWER_DAILY_TOKENS: an upper bound while the model is being called.';
COMMENT ON COLUMN answers.cost IS 'What the model server says that the answer cost, in its currency.';
COMMENT ON COLUMN answers.useful IS 'The feedback of a user.';
