-- Contacts, the last changed first: each page of them, and each letter typed to find one, sorted all of the project.
CREATE INDEX cw_contacts_latest ON cw_contacts (project_id, updated_at DESC, account_id, contact_id);

-- Chunks of a time: a search within some days read the chunks of all.
CREATE INDEX rag_chunks_made ON rag_chunks (project_id, created_at DESC);
