-- What is looked up by its letters or words is looked up in one project: these two indexes held the words of all, and a
-- small project beside large ones paid for theirs.
CREATE EXTENSION IF NOT EXISTS btree_gin;
DROP INDEX search_terms_spelling;
CREATE INDEX search_terms_spelling ON search_terms USING gin (project_id, spelled(term) gin_trgm_ops);
DROP INDEX evidence_items_words;
CREATE INDEX evidence_items_words ON evidence_items USING gin (project_id, words);
