-- Who wrote the words of a chunk, where they stand in a message only as a quotation; NULL: its sender, '': not named.
ALTER TABLE rag_chunks ADD COLUMN quoted_from text;
