-- Of a long conversation a search reads some chunks only: those that hold what is looked for. NULL in a short one, whose
-- chunks are all read.
ALTER TABLE search_postings ADD COLUMN places bigint[];  -- the messages that hold the term, of many the latest

-- The chunks of a conversation in the order of time: its latest, those of some days, those around a message.
DROP INDEX rag_chunks_conversation;
CREATE INDEX rag_chunks_conversation ON rag_chunks
    (conversation_id, project_id, account_id, created_at, message_id, chunk_index);
