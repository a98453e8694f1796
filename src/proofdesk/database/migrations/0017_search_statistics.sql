-- As `refresh_mirror_statistics`, for what is made of the mirror. Where the statistics hold all projects that have rows, the
-- planner takes a new one to have none, and reads all its rows for each batch of them.
CREATE FUNCTION refresh_search_statistics() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    ANALYZE (SKIP_LOCKED) rag_chunks, search_postings, search_terms;
END $$;
