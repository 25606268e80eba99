-- Where data came from. An archive is a line of files of one name; each file that was read is an import.
CREATE TABLE archives (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    attribution TEXT COLLATE "C" NOT NULL,
    licence TEXT COLLATE "C" NOT NULL
);
CREATE TABLE imports (
    id BIGINT PRIMARY KEY,
    archive BIGINT NOT NULL REFERENCES archives (id),
    kind TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    -- Elements of the file's list that are in; the rest follows when the import is taken up again.
    done BIGINT NOT NULL DEFAULT 0,
    finished BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL,
    report TEXT COLLATE "C" NOT NULL,
    UNIQUE (archive, kind, sha256)
);

CREATE TABLE tasks (
    id BIGINT PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL UNIQUE,
    description TEXT COLLATE "C" NOT NULL DEFAULT '',
    archive BIGINT REFERENCES archives (id),
    papers BIGINT NOT NULL DEFAULT 0,
    leaderboards BIGINT NOT NULL DEFAULT 0,
    results BIGINT NOT NULL DEFAULT 0
);
CREATE TABLE task_areas (
    task BIGINT NOT NULL REFERENCES tasks (id),
    area TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (area, task)
);
CREATE INDEX task_areas_by_task ON task_areas (task);
CREATE TABLE task_children (
    parent BIGINT NOT NULL REFERENCES tasks (id),
    child BIGINT NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (parent, child)
);
CREATE INDEX task_children_by_child ON task_children (child);

CREATE TABLE datasets (
    id BIGINT PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL UNIQUE,
    parent BIGINT REFERENCES datasets (id),
    full_name TEXT COLLATE "C" NOT NULL DEFAULT '',
    description TEXT COLLATE "C" NOT NULL DEFAULT '',
    homepage TEXT COLLATE "C" NOT NULL DEFAULT '',
    introduced TEXT COLLATE "C",
    licence_name TEXT COLLATE "C" NOT NULL DEFAULT '',
    licence_url TEXT COLLATE "C" NOT NULL DEFAULT '',
    paper BIGINT,
    -- What the archive says beyond this, as JSON: modalities, languages, variants, loaders ...
    details TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    archive BIGINT REFERENCES archives (id),
    listed BIGINT NOT NULL DEFAULT 0,
    leaderboards BIGINT NOT NULL DEFAULT 0,
    results BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX datasets_by_parent ON datasets (parent) WHERE parent IS NOT NULL;
CREATE INDEX datasets_by_results ON datasets (results DESC, name);
CREATE TABLE dataset_tasks (
    dataset BIGINT NOT NULL REFERENCES datasets (id),
    task BIGINT NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (dataset, task)
);
CREATE INDEX dataset_tasks_by_task ON dataset_tasks (task);

CREATE TABLE papers (
    id BIGINT PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    title TEXT COLLATE "C" NOT NULL,
    -- Lower case, one space between words: how papers are found by title.
    title_key TEXT COLLATE "C" NOT NULL,
    abstract TEXT COLLATE "C" NOT NULL DEFAULT '',
    authors TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    date TEXT COLLATE "C",
    date_source TEXT COLLATE "C",
    arxiv_id TEXT COLLATE "C",
    url_abs TEXT COLLATE "C",
    url_pdf TEXT COLLATE "C",
    proceeding TEXT COLLATE "C",
    details TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    archive BIGINT REFERENCES archives (id),
    -- 1 while it is only known from a result's link.
    stub BIGINT NOT NULL DEFAULT 0,
    results BIGINT NOT NULL DEFAULT 0,
    codes BIGINT NOT NULL DEFAULT 0
);
-- A B-tree takes no text above 2,700 bytes, which titles and addresses of an archive may have.
CREATE INDEX papers_by_title ON papers USING hash (title_key);
CREATE INDEX papers_by_arxiv ON papers (arxiv_id) WHERE arxiv_id IS NOT NULL;
CREATE INDEX papers_by_url ON papers USING hash (url_abs) WHERE url_abs IS NOT NULL;
CREATE INDEX papers_by_date ON papers (date DESC NULLS LAST, id DESC);
CREATE INDEX papers_by_results ON papers (results DESC) WHERE results > 0;
CREATE TABLE paper_tasks (
    task BIGINT NOT NULL REFERENCES tasks (id),
    paper BIGINT NOT NULL REFERENCES papers (id),
    PRIMARY KEY (task, paper)
);
CREATE INDEX paper_tasks_by_paper ON paper_tasks (paper);
CREATE TABLE paper_methods (
    method BIGINT NOT NULL,
    paper BIGINT NOT NULL REFERENCES papers (id),
    PRIMARY KEY (method, paper)
);
CREATE INDEX paper_methods_by_paper ON paper_methods (paper);
CREATE TABLE code_links (
    id BIGINT PRIMARY KEY,
    paper BIGINT NOT NULL REFERENCES papers (id),
    url TEXT COLLATE "C" NOT NULL,
    official BIGINT NOT NULL,
    in_paper BIGINT NOT NULL,
    in_repository BIGINT NOT NULL,
    framework TEXT COLLATE "C" NOT NULL,
    archive BIGINT REFERENCES archives (id)
);
CREATE UNIQUE INDEX code_links_once ON code_links (paper, md5(url));

CREATE TABLE methods (
    id BIGINT PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL UNIQUE,
    full_name TEXT COLLATE "C" NOT NULL DEFAULT '',
    description TEXT COLLATE "C" NOT NULL DEFAULT '',
    year BIGINT,
    paper BIGINT REFERENCES papers (id),
    source_url TEXT COLLATE "C",
    source_title TEXT COLLATE "C",
    code_url TEXT COLLATE "C",
    -- The method of this program that implements it, in its notation.
    implemented TEXT COLLATE "C",
    details TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    archive BIGINT REFERENCES archives (id),
    -- Papers by year, as JSON pairs, and in all. Kept up to date by `summary::refresh_counts`.
    by_year TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    papers BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX methods_by_papers ON methods (papers DESC, name);
CREATE INDEX methods_listed ON methods ((implemented IS NULL), papers DESC, name);
CREATE TABLE method_collections (
    method BIGINT NOT NULL REFERENCES methods (id),
    area TEXT COLLATE "C" NOT NULL,
    collection TEXT COLLATE "C" NOT NULL,
    area_id TEXT COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (method, area, collection)
);

-- The archive's own tree of tasks and data sets, so that it can be written again as it was.
CREATE TABLE nodes (
    id BIGINT PRIMARY KEY,
    archive BIGINT NOT NULL REFERENCES archives (id),
    -- 0 for the top, which UNIQUE would not hold together if it were NULL.
    parent BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    -- Number among the parent's children of that kind and name.
    occurrence BIGINT NOT NULL,
    position BIGINT NOT NULL,
    task BIGINT REFERENCES tasks (id),
    dataset BIGINT REFERENCES datasets (id),
    leaderboard BIGINT,
    description TEXT COLLATE "C" NOT NULL,
    -- Everything else of it, as JSON.
    details TEXT COLLATE "C" NOT NULL,
    UNIQUE (archive, parent, kind, name, occurrence)
);

CREATE INDEX nodes_by_dataset ON nodes (dataset) WHERE dataset IS NOT NULL;

CREATE TABLE leaderboards (
    id BIGINT PRIMARY KEY,
    slug TEXT COLLATE "C" NOT NULL UNIQUE,
    task BIGINT NOT NULL REFERENCES tasks (id),
    dataset BIGINT NOT NULL REFERENCES datasets (id),
    description TEXT COLLATE "C" NOT NULL DEFAULT '',
    archive BIGINT REFERENCES archives (id),
    external_id TEXT COLLATE "C" UNIQUE,
    mirror_url TEXT COLLATE "C",
    -- The data that results are measured on: one split, by content. Results of other data are of another setting.
    data_sha256 TEXT COLLATE "C",
    data_split TEXT COLLATE "C",
    -- Kept up to date by `summary::refresh`.
    results BIGINT NOT NULL DEFAULT 0,
    verified BIGINT NOT NULL DEFAULT 0,
    best BIGINT,
    best_verified BIGINT,
    trend TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    moved TEXT COLLATE "C"
);
CREATE INDEX leaderboards_by_task ON leaderboards (task, results DESC);
CREATE INDEX leaderboards_by_dataset ON leaderboards (dataset, results DESC);
CREATE INDEX leaderboards_by_results ON leaderboards (verified DESC, results DESC);
-- Rows of leaderboards are wide; whoever counts them reads this alone.
CREATE INDEX leaderboards_counts ON leaderboards (results, verified);
CREATE TABLE metrics (
    id BIGINT PRIMARY KEY,
    leaderboard BIGINT NOT NULL REFERENCES leaderboards (id),
    -- The first is primary. Metrics that only rows name come after those that the table declares.
    position BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    declared BIGINT NOT NULL,
    direction TEXT COLLATE "C" NOT NULL,
    direction_source TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- A measured value within this distance of the claim confirms it.
    tolerance DOUBLE PRECISION,
    UNIQUE (leaderboard, name_key)
);

CREATE TABLE results (
    id BIGINT PRIMARY KEY,
    leaderboard BIGINT NOT NULL REFERENCES leaderboards (id),
    position BIGINT NOT NULL,
    -- Hash of what it says and, among equals of one archive, a number: the same is not held twice.
    content TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" UNIQUE,
    model TEXT COLLATE "C" NOT NULL,
    paper BIGINT REFERENCES papers (id),
    paper_title TEXT COLLATE "C" NOT NULL DEFAULT '',
    paper_url TEXT COLLATE "C" NOT NULL DEFAULT '',
    date TEXT COLLATE "C",
    date_source TEXT COLLATE "C",
    additional_data BIGINT,
    code_links TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    model_links TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    source_url TEXT COLLATE "C",
    -- Split, protocol: what keeps unlike numbers of one table apart.
    setting TEXT COLLATE "C" NOT NULL DEFAULT '',
    base TEXT COLLATE "C",
    base_sha256 TEXT COLLATE "C",
    method TEXT COLLATE "C",
    method_id BIGINT REFERENCES methods (id),
    trained BIGINT,
    total BIGINT,
    adapter_sha256 TEXT COLLATE "C",
    adapter_bytes BIGINT,
    data_sha256 TEXT COLLATE "C",
    -- The split that it says it is of; empty if it does not say.
    split TEXT COLLATE "C" NOT NULL DEFAULT '',
    state TEXT COLLATE "C" NOT NULL,
    notes TEXT COLLATE "C" NOT NULL DEFAULT '',
    -- The record that was submitted, as JSON.
    record TEXT COLLATE "C",
    details TEXT COLLATE "C" NOT NULL DEFAULT '{}',
    archive BIGINT REFERENCES archives (id),
    submitter TEXT COLLATE "C",
    at BIGINT NOT NULL,
    UNIQUE (leaderboard, content)
);
CREATE INDEX results_by_paper ON results (paper) WHERE paper IS NOT NULL;
CREATE INDEX results_by_method ON results (method_id) WHERE method_id IS NOT NULL;
CREATE INDEX results_by_adapter ON results (adapter_sha256) WHERE adapter_sha256 IS NOT NULL;
CREATE INDEX results_by_time ON results (at DESC, id DESC);
CREATE TABLE scores (
    result BIGINT NOT NULL REFERENCES results (id),
    metric BIGINT NOT NULL REFERENCES metrics (id),
    -- Order in the row.
    position BIGINT NOT NULL,
    -- The metric's name as the row writes it.
    name TEXT COLLATE "C" NOT NULL,
    -- The value as it was given, as JSON: a text or a number.
    raw TEXT COLLATE "C" NOT NULL,
    value DOUBLE PRECISION,
    spread DOUBLE PRECISION,
    low DOUBLE PRECISION,
    high DOUBLE PRECISION,
    -- What the board measured itself, and whether that is the claim within its tolerance.
    measured DOUBLE PRECISION,
    confirmed BIGINT,
    PRIMARY KEY (result, metric, position)
);

-- Files by content; the bytes lie in `files/`.
CREATE TABLE files (
    sha256 TEXT COLLATE "C" PRIMARY KEY,
    bytes BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE result_files (
    result BIGINT NOT NULL REFERENCES results (id),
    name TEXT COLLATE "C" NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL REFERENCES files (sha256),
    PRIMARY KEY (result, name)
);

-- Labelled data on this machine, by digest of a split.
CREATE TABLE data_sources (
    sha256 TEXT COLLATE "C" PRIMARY KEY,
    split TEXT COLLATE "C" NOT NULL,
    "rows" BIGINT NOT NULL,
    -- How to read it, as JSON: the source and its columns.
    source TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);
-- Base models on this machine, by SHA-256 of their weights. What a submission says of its base is never followed.
CREATE TABLE bases (
    sha256 TEXT COLLATE "C" PRIMARY KEY,
    source TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);
-- Re-evaluations that are asked for and those that are done.
CREATE TABLE checks (
    id BIGINT PRIMARY KEY,
    result BIGINT NOT NULL REFERENCES results (id),
    -- waiting, running, done, failed
    progress TEXT COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    asked_at BIGINT NOT NULL,
    asked_by TEXT COLLATE "C" NOT NULL,
    finished_at BIGINT,
    -- Outcome, as JSON.
    outcome TEXT COLLATE "C",
    error TEXT COLLATE "C"
);
CREATE INDEX checks_by_result ON checks (result, id DESC);
CREATE INDEX checks_open ON checks (progress, id) WHERE progress IN ('waiting', 'running');
-- Answers to each example: those that came with the result, and those that the board got last.
CREATE TABLE predictions (
    result BIGINT NOT NULL REFERENCES results (id),
    -- claimed, measured
    origin TEXT COLLATE "C" NOT NULL,
    "row" BIGINT NOT NULL,
    expected TEXT COLLATE "C" NOT NULL,
    predicted TEXT COLLATE "C" NOT NULL,
    confidence DOUBLE PRECISION,
    PRIMARY KEY (result, origin, "row")
);

CREATE TABLE tokens (
    id BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    sha256 TEXT COLLATE "C" NOT NULL UNIQUE,
    role TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE log (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    -- What it is about: kind and number, and its name at that time.
    subject TEXT COLLATE "C" NOT NULL,
    subject_id BIGINT,
    subject_name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    details TEXT COLLATE "C" NOT NULL DEFAULT '{}'
);
CREATE INDEX log_by_subject ON log (subject, subject_id, id DESC);
-- What an encoder makes of papers' texts, in a byte for each element; the texts are read by one model.
CREATE TABLE vector_model (
    base_sha256 TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE paper_vectors (
    paper BIGINT PRIMARY KEY REFERENCES papers (id),
    vector BYTEA NOT NULL
);
ALTER TABLE datasets ADD FOREIGN KEY (paper) REFERENCES papers (id);
ALTER TABLE paper_methods ADD FOREIGN KEY (method) REFERENCES methods (id);
ALTER TABLE nodes ADD FOREIGN KEY (leaderboard) REFERENCES leaderboards (id);
ALTER TABLE leaderboards ADD FOREIGN KEY (best) REFERENCES results (id);
ALTER TABLE leaderboards ADD FOREIGN KEY (best_verified) REFERENCES results (id);

CREATE FUNCTION refuse_change_of_log() RETURNS TRIGGER LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$;
CREATE TRIGGER log_keeps_entries BEFORE UPDATE OR DELETE ON log
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_log();
CREATE TRIGGER log_stays BEFORE TRUNCATE ON log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log();
-- A second look at what the program already refuses: whatever writes to the database, these hold.
CREATE FUNCTION guard_results() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'retracted' AND NEW.state <> 'retracted' THEN
        RAISE EXCEPTION 'a result that was taken back stays so';
    END IF;
    IF NEW.state = 're-evaluated' AND NOT EXISTS (
        SELECT 1 FROM leaderboards l WHERE l.id = NEW.leaderboard
        AND l.data_sha256 = NEW.data_sha256 AND NEW.split IN ('', l.data_split)
    ) THEN
        RAISE EXCEPTION 'a re-evaluated result is of the data that its leaderboard names';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER results_are_guarded BEFORE UPDATE OF state, data_sha256, split ON results
    FOR EACH ROW EXECUTE FUNCTION guard_results();

-- Search. English words are stemmed, none is left out, and letters lose their accents.
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = snowball, LANGUAGE = english);
CREATE TEXT SEARCH CONFIGURATION words (PARSER = "default");
ALTER TEXT SEARCH CONFIGURATION words ADD MAPPING FOR
    asciiword, word, numword, asciihword, hword, numhword, hword_asciipart, hword_part, hword_numpart WITH stems;
ALTER TEXT SEARCH CONFIGURATION words ADD MAPPING FOR
    int, uint, float, sfloat, version, email, host, url, url_path, file WITH simple;
-- What can be found of tasks, data sets and methods.
CREATE VIEW entries (kind, ref, name, text, number) AS
    SELECT 'task' COLLATE "C", slug, name, description, id FROM tasks
    UNION ALL SELECT 'dataset', slug, name, trim(full_name || ' ' || description), id FROM datasets
    UNION ALL SELECT 'method', slug, name, trim(full_name || ' ' || description), id FROM methods;

-- The bytes of files, in pieces; on SQLite they lie in a folder.
CREATE TABLE file_contents (
    sha256 TEXT COLLATE "C" NOT NULL REFERENCES files (sha256),
    part BIGINT NOT NULL,
    content BYTEA NOT NULL,
    PRIMARY KEY (sha256, part)
);
-- What servers of one board share, so that a form that one showed is taken by all.
CREATE TABLE server_secret (secret TEXT NOT NULL);
INSERT INTO server_secret VALUES (md5(random()::TEXT || clock_timestamp()::TEXT) || replace(gen_random_uuid()::TEXT, '-', ''));
-- Numbers of rows are those after the largest, as on SQLite: one process writes at a time, so that none is left out.
CREATE FUNCTION next_of_archives() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM archives); END $$;
ALTER TABLE archives ALTER COLUMN id SET DEFAULT next_of_archives();
CREATE FUNCTION next_of_imports() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM imports); END $$;
ALTER TABLE imports ALTER COLUMN id SET DEFAULT next_of_imports();
CREATE FUNCTION next_of_tasks() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM tasks); END $$;
ALTER TABLE tasks ALTER COLUMN id SET DEFAULT next_of_tasks();
CREATE FUNCTION next_of_datasets() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM datasets); END $$;
ALTER TABLE datasets ALTER COLUMN id SET DEFAULT next_of_datasets();
CREATE FUNCTION next_of_papers() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM papers); END $$;
ALTER TABLE papers ALTER COLUMN id SET DEFAULT next_of_papers();
CREATE FUNCTION next_of_code_links() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM code_links); END $$;
ALTER TABLE code_links ALTER COLUMN id SET DEFAULT next_of_code_links();
CREATE FUNCTION next_of_methods() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM methods); END $$;
ALTER TABLE methods ALTER COLUMN id SET DEFAULT next_of_methods();
CREATE FUNCTION next_of_nodes() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM nodes); END $$;
ALTER TABLE nodes ALTER COLUMN id SET DEFAULT next_of_nodes();
CREATE FUNCTION next_of_leaderboards() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM leaderboards); END $$;
ALTER TABLE leaderboards ALTER COLUMN id SET DEFAULT next_of_leaderboards();
CREATE FUNCTION next_of_metrics() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM metrics); END $$;
ALTER TABLE metrics ALTER COLUMN id SET DEFAULT next_of_metrics();
CREATE FUNCTION next_of_results() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM results); END $$;
ALTER TABLE results ALTER COLUMN id SET DEFAULT next_of_results();
CREATE FUNCTION next_of_checks() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM checks); END $$;
ALTER TABLE checks ALTER COLUMN id SET DEFAULT next_of_checks();
CREATE FUNCTION next_of_tokens() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM tokens); END $$;
ALTER TABLE tokens ALTER COLUMN id SET DEFAULT next_of_tokens();
CREATE FUNCTION next_of_log() RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RETURN (SELECT coalesce(max(id), 0) + 1 FROM log); END $$;
ALTER TABLE log ALTER COLUMN id SET DEFAULT next_of_log();
