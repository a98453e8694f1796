-- A run that made many vectors analyzes them: without statistics the planner expects a handful of each project, and
-- sorts all of them instead of walking the project's index.
CREATE OR REPLACE FUNCTION refresh_search_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) rag_chunks, rag_vectors, search_postings, search_terms;
END $$;
-- No plan depends on the vectors themselves, and sampling them is most of the work.
ALTER TABLE rag_vectors ALTER COLUMN embedding SET STATISTICS 0;
