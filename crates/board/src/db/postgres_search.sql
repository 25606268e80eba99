-- Search, and what else came with the second version of the tables.
-- Letters without accents; signs are blanks, so that words with hyphens, addresses and the like are several words.
CREATE FUNCTION plain(TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(
        CASE WHEN octet_length($1) = length($1) THEN $1
             ELSE regexp_replace(normalize($1, NFD), '[\u0300-\u036F]', '', 'g') END,
        '[!"#$%&''()*+,./:;<=>?@\[\\\]^_`{|}~–—‘’“”„…·×-]', ' ', 'g')
$$;
CREATE FUNCTION named(name TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT to_tsvector('words'::REGCONFIG, plain(name)) $$;
-- Words of authors begin with "a:", so that the index alone tells them from those of titles and abstracts.
CREATE FUNCTION indexed(title TEXT, authors TEXT, body TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(named(title), 'A')
        || (SELECT coalesce(string_agg(quote_literal('a:' || lexeme) || ':' || array_to_string(positions, 'B,') || 'B', ' '), '')::TSVECTOR
            FROM unnest(named(authors)))
        || named(body)
$$;
-- Words that must all be there, and one that is begun.
CREATE FUNCTION wanted(whole TEXT, begun TEXT) RETURNS TSQUERY LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT plainto_tsquery('words'::REGCONFIG, plain(whole))
        && CASE begun WHEN '' THEN ''::TSQUERY ELSE to_tsquery('words'::REGCONFIG, trim(plain(begun)) || ':*') END
$$;
-- The same, each of them perhaps an author's.
CREATE FUNCTION wanted_anywhere(whole TEXT, begun TEXT) RETURNS TSQUERY LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(wanted(whole, begun)::TEXT, '''([^'']+)''(:\*)?', '( ''\1''\2 | ''a:\1''\2 )', 'g')::TSQUERY
$$;
-- Words of a name or title stand by themselves too: they are few, and those of a text lie elsewhere.
CREATE TABLE paper_text (
    id BIGINT PRIMARY KEY REFERENCES papers (id),
    -- Letters of the title.
    length BIGINT NOT NULL,
    named TSVECTOR NOT NULL,
    words TSVECTOR NOT NULL
);
-- Packing them takes longer than reading them back is worth.
ALTER TABLE paper_text ALTER COLUMN words SET STORAGE EXTERNAL;
CREATE INDEX paper_text_by_name ON paper_text USING gin (named);
CREATE INDEX paper_text_by_words ON paper_text USING gin (words);
CREATE TABLE entry_text (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    named TSVECTOR NOT NULL,
    words TSVECTOR NOT NULL,
    UNIQUE (kind, ref)
);
CREATE INDEX entry_text_by_name ON entry_text USING gin (named);
CREATE INDEX entry_text_by_words ON entry_text USING gin (words);
CREATE TABLE model_text (
    id BIGINT PRIMARY KEY REFERENCES results (id),
    name TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    named TSVECTOR NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX model_text_by_name ON model_text USING gin (named);
CREATE INDEX model_text_by_words ON model_text USING gin (words);
-- Words of many rows of a column of words, and of which share of them, as the planner last estimated.
CREATE TABLE common_words (
    place TEXT COLLATE "C" NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    share DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (place, word)
);
-- Pages of papers ask for it.
CREATE INDEX datasets_by_paper ON datasets (paper) WHERE paper IS NOT NULL;
