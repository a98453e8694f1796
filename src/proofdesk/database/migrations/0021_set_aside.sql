-- A conversation that a stage after the reading cannot work on is set aside in the same list, under the stage's name.

ALTER TABLE sync_quarantine DROP CONSTRAINT sync_quarantine_entity_check;
ALTER TABLE sync_quarantine ADD CONSTRAINT sync_quarantine_entity_check
    CHECK (entity IN ('inbox', 'contact', 'conversation', 'message', 'chunks', 'terms'));
COMMENT ON TABLE sync_quarantine IS
    'What could not be stored, cut into chunks or indexed, and why; every run tries again.';
COMMENT ON COLUMN sync_quarantine.entity IS
    'What was refused; chunks and terms are those of a conversation.';
