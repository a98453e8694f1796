-- The local model `wordllama` is gone, and no query can be compared with its vectors any more. Its chunks wait for the
-- model that is configured now. The embeddings run deletes the vectors when that model is complete.
UPDATE rag_chunks SET embedding_status = 'pending', attempts = 0, error = NULL, updated_at = now()
WHERE embedding_status IN ('ready', 'failed') AND embedding_model LIKE 'local:wordllama%';
DELETE FROM rag_models WHERE model LIKE 'local:wordllama%';
