-- Each project that has many vectors gets an index of its own (search.vector_index builds it): in one index over all
-- projects a search meets the vectors of others, and a small project has to wade through those of a large one.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT indexname FROM pg_indexes
                WHERE schemaname = 'public' AND indexname ~ '^rag_vectors_hnsw_[0-9]+$'
    LOOP
        EXECUTE format('DROP INDEX %I', name);
    END LOOP;
END $$;
