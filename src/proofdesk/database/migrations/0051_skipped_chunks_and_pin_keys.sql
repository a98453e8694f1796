-- A chunk that no provider embeds can be skipped: it stays failed, and nothing reports it any more.
ALTER TABLE rag_chunks ADD COLUMN skipped_at timestamptz;
COMMENT ON COLUMN rag_chunks.skipped_at IS 'When a person decided that this failed chunk needs no embedding.';

ALTER TABLE signup_requests ADD COLUMN key_fingerprint text;
COMMENT ON COLUMN signup_requests.key_fingerprint IS 'A short hash of the key of the PIN, which changes with SIGNUP_PIN_SECRET.';
