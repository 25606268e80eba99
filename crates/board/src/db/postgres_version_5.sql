-- What came with the fifth version of the tables.
-- Counts of a paper's results and code. In the paper's own row, which is wide and in many indexes, writing them took a tenth of
-- an import. Papers without either have none.
CREATE TABLE paper_counts (
    paper BIGINT PRIMARY KEY,
    -- As in the paper, so that titles can be looked through in this order, read from the index alone.
    title_key TEXT COLLATE "C" NOT NULL,
    results BIGINT NOT NULL,
    codes BIGINT NOT NULL
);
-- Longer titles do not fit into it.
CREATE INDEX paper_counts_by_results ON paper_counts (results DESC, title_key) INCLUDE (paper)
    WHERE results > 0 AND octet_length(title_key) < 2000;
ALTER TABLE papers DROP COLUMN results, DROP COLUMN codes;
CREATE FUNCTION carry_title() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE paper_counts SET title_key = NEW.title_key WHERE paper = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER titles_are_carried AFTER UPDATE OF title_key ON papers
    FOR EACH ROW WHEN (OLD.title_key <> NEW.title_key) EXECUTE FUNCTION carry_title();
-- Few results have a name elsewhere: the others need not be in its index.
ALTER TABLE results DROP CONSTRAINT results_external_id_key;
CREATE UNIQUE INDEX results_by_external_id ON results (external_id) WHERE external_id IS NOT NULL;
-- A leaderboard's rows come in their order and from few pages, and the first code of each row's paper without sorting.
CREATE INDEX results_by_leaderboard ON results (leaderboard, position, id);
CREATE INDEX code_links_first ON code_links (paper, official DESC, id);
