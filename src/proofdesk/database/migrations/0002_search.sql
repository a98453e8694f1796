-- Search by words: which words each conversation holds, and how many conversations hold a word.
--
-- Ranking is BM25 over postings, and not tsvector: a conversation is the document, its messages weigh differently, and
-- behind row-level security only comparisons that cannot leak may use an index. Equality can; `@@` and `%` cannot.

-- Stemmers that, unlike the built-in dictionaries, drop no word: "can not" must stay different from "can".
CREATE TEXT SEARCH DICTIONARY stem_dutch (TEMPLATE = snowball, LANGUAGE = dutch);
CREATE TEXT SEARCH DICTIONARY stem_english (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH DICTIONARY stem_french (TEMPLATE = snowball, LANGUAGE = french);
CREATE TEXT SEARCH DICTIONARY stem_german (TEMPLATE = snowball, LANGUAGE = german);
CREATE TEXT SEARCH DICTIONARY stem_italian (TEMPLATE = snowball, LANGUAGE = italian);
CREATE TEXT SEARCH DICTIONARY stem_portuguese (TEMPLATE = snowball, LANGUAGE = portuguese);
CREATE TEXT SEARCH DICTIONARY stem_russian (TEMPLATE = snowball, LANGUAGE = russian);
CREATE TEXT SEARCH DICTIONARY stem_spanish (TEMPLATE = snowball, LANGUAGE = spanish);

-- The terms of a conversation are out of date while this differs from content_version.
ALTER TABLE cw_conversations ADD COLUMN indexed_version bigint NOT NULL DEFAULT 0;
CREATE INDEX cw_conversations_unindexed ON cw_conversations (project_id) WHERE content_version <> indexed_version;

-- One row a conversation and term. A term is a stem, or an exact token such as a number or an address. Two kinds that
-- no text can hold are counted along: '' is the conversation itself (its tf is its length), ':german' its language.
CREATE TABLE search_postings (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    term             text NOT NULL,
    account_id       bigint NOT NULL,
    conversation_id  bigint NOT NULL,
    tf               integer NOT NULL,  -- weighted occurrences, in tenths
    length           integer NOT NULL,  -- weighted words of the conversation, in tenths
    PRIMARY KEY (project_id, term, account_id, conversation_id) INCLUDE (tf, length),
    FOREIGN KEY (project_id, account_id, conversation_id) REFERENCES cw_conversations ON DELETE CASCADE
);
CREATE INDEX search_postings_conversation ON search_postings (project_id, account_id, conversation_id);
CALL isolate('search_postings');

-- The vocabulary of a project, kept by triggers: it cannot drift from the postings.
CREATE TABLE search_terms (
    project_id       uuid NOT NULL,
    account_scope_id uuid NOT NULL,
    term             text NOT NULL,
    df               bigint NOT NULL,   -- conversations that hold it
    total            bigint NOT NULL,   -- sum of tf
    PRIMARY KEY (project_id, term)
) WITH (fillfactor = 70);
CALL isolate('search_terms');

CREATE FUNCTION count_terms() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- One transaction at a time counts in a project, so that no two wait for each other's terms.
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('search_terms:' || project_id, 0))
        FROM (SELECT DISTINCT project_id FROM added) p;
        INSERT INTO search_terms AS t (project_id, account_scope_id, term, df, total)
        SELECT project_id, account_scope_id, term, count(*), sum(tf) FROM added GROUP BY 1, 2, 3
        ON CONFLICT (project_id, term) DO UPDATE SET df = t.df + EXCLUDED.df, total = t.total + EXCLUDED.total;
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('search_terms:' || project_id, 0))
        FROM (SELECT DISTINCT project_id FROM added) p;
        UPDATE search_terms t SET total = t.total + d.more
        FROM (SELECT project_id, term, sum(tf) AS more
              FROM (SELECT project_id, term, tf FROM added UNION ALL SELECT project_id, term, -tf FROM removed) u
              GROUP BY 1, 2 HAVING sum(tf) <> 0) d
        WHERE t.project_id = d.project_id AND t.term = d.term;
    ELSE
        PERFORM pg_advisory_xact_lock(hashtextextended('search_terms:' || project_id, 0))
        FROM (SELECT DISTINCT project_id FROM removed) p;
        UPDATE search_terms t SET df = t.df - d.n, total = t.total - d.less
        FROM (SELECT project_id, term, count(*) AS n, sum(tf) AS less FROM removed GROUP BY 1, 2) d
        WHERE t.project_id = d.project_id AND t.term = d.term;
        DELETE FROM search_terms t USING (SELECT DISTINCT project_id, term FROM removed) d
        WHERE t.project_id = d.project_id AND t.term = d.term AND t.df = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON search_postings
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_terms();
CREATE TRIGGER count_changed AFTER UPDATE ON search_postings
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_terms();
CREATE TRIGGER count_removed AFTER DELETE ON search_postings
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_terms();

-- A contact's name and addresses are indexed with the contact's conversations.
CREATE FUNCTION reindex_contact() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    contact cw_contacts := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    UPDATE cw_conversations SET indexed_version = 0
    WHERE project_id = contact.project_id AND account_id = contact.account_id
      AND contact_id = contact.contact_id AND indexed_version <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER reindex_contact AFTER INSERT OR DELETE ON cw_contacts
    FOR EACH ROW EXECUTE FUNCTION reindex_contact();
CREATE TRIGGER reindex_changed_contact AFTER UPDATE OF name, email, phone_number ON cw_contacts FOR EACH ROW
    WHEN ((OLD.name, OLD.email, OLD.phone_number) IS DISTINCT FROM (NEW.name, NEW.email, NEW.phone_number))
    EXECUTE FUNCTION reindex_contact();

-- Trigrams are made of letters, and in a database with the C locale only ASCII has letters: Cyrillic is transcribed,
-- one letter for one. Accents are folded before a term is stored.
CREATE FUNCTION spelled(term text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    translate(term, 'абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґ', 'abvgdejziyklmnoprstufhc4ww1y1euaiieg');
CREATE INDEX search_terms_spelling ON search_terms USING gin (spelled(term) gin_trgm_ops);

-- The terms that look most like each of some words. `%` may not use an index behind row-level security; here it may,
-- and this function lets through the rows of the transaction's project only.
CREATE FUNCTION similar_terms(words text[], most integer)
RETURNS TABLE (word text, term text, df bigint, similarity real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET pg_trgm.similarity_threshold = 0.25 AS $$
    SELECT w.word, s.term, s.df, s.similarity
    FROM unnest(words) AS w (word) CROSS JOIN LATERAL (
        SELECT t.term, t.df, similarity(spelled(t.term), spelled(w.word)) AS similarity
        FROM search_terms t
        WHERE t.project_id = (SELECT current_project()) AND spelled(t.term) % spelled(w.word)
        ORDER BY similarity DESC, t.df DESC, t.term LIMIT most) s
$$;

-- Vectors stay in their row: a search compares thousands, and fetching each from elsewhere costs more than comparing.
ALTER TABLE rag_vectors ALTER COLUMN embedding SET STORAGE MAIN;
