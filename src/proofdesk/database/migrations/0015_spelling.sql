-- Comparing spellings spent most of its time transcribing: words of ASCII, nearly all, have nothing to transcribe, and
-- the word that is looked for is transcribed once.
CREATE OR REPLACE FUNCTION spelled(term text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN octet_length(term) = char_length(term) THEN term
         ELSE translate(term, 'абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ', 'abvgdejziyklmnoprstufhc4ww1y1euaiieg') END;
DROP INDEX search_terms_spelling;  -- sessions remember the expression it was made with
CREATE INDEX search_terms_spelling ON search_terms USING gin (project_id, spelled(term) gin_trgm_ops);

CREATE OR REPLACE FUNCTION similar_terms(words text[], most integer)
RETURNS TABLE (word text, term text, df bigint, similarity real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET pg_trgm.similarity_threshold = 0.25 AS $$
    WITH wanted AS MATERIALIZED (SELECT w.word, spelled(w.word) AS spelling FROM unnest(words) AS w (word))
    SELECT w.word, s.term, s.df, s.similarity
    FROM wanted w CROSS JOIN LATERAL (
        SELECT t.term, t.df, similarity(spelled(t.term), w.spelling) AS similarity
        FROM search_terms t
        WHERE t.project_id = (SELECT current_project()) AND spelled(t.term) % w.spelling
        ORDER BY similarity DESC, t.df DESC, t.term LIMIT most) s
$$;
