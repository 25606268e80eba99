-- Where data came from. An archive is a line of files of one name; each file that was read is an import.
CREATE TABLE archives (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    attribution TEXT NOT NULL,
    licence TEXT NOT NULL
) STRICT;
CREATE TABLE imports (
    id INTEGER PRIMARY KEY,
    archive INTEGER NOT NULL REFERENCES archives (id),
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    -- Elements of the file's list that are in; the rest follows when the import is taken up again.
    done INTEGER NOT NULL DEFAULT 0,
    finished INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL,
    report TEXT NOT NULL,
    UNIQUE (archive, kind, sha256)
) STRICT;

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL DEFAULT '',
    archive INTEGER REFERENCES archives (id),
    papers INTEGER NOT NULL DEFAULT 0,
    leaderboards INTEGER NOT NULL DEFAULT 0,
    results INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE task_areas (
    task INTEGER NOT NULL REFERENCES tasks (id),
    area TEXT NOT NULL,
    PRIMARY KEY (area, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_areas_by_task ON task_areas (task);
CREATE TABLE task_children (
    parent INTEGER NOT NULL REFERENCES tasks (id),
    child INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (parent, child)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_children_by_child ON task_children (child);

CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES datasets (id),
    full_name TEXT NOT NULL DEFAULT '',
    description TEXT NOT NULL DEFAULT '',
    homepage TEXT NOT NULL DEFAULT '',
    introduced TEXT,
    licence_name TEXT NOT NULL DEFAULT '',
    licence_url TEXT NOT NULL DEFAULT '',
    paper INTEGER REFERENCES papers (id),
    -- What the archive says beyond this, as JSON: modalities, languages, variants, loaders ...
    details TEXT NOT NULL DEFAULT '{}',
    archive INTEGER REFERENCES archives (id),
    listed INTEGER NOT NULL DEFAULT 0,
    leaderboards INTEGER NOT NULL DEFAULT 0,
    results INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX datasets_by_parent ON datasets (parent) WHERE parent IS NOT NULL;
CREATE INDEX datasets_by_results ON datasets (results DESC, name);
CREATE TABLE dataset_tasks (
    dataset INTEGER NOT NULL REFERENCES datasets (id),
    task INTEGER NOT NULL REFERENCES tasks (id),
    PRIMARY KEY (dataset, task)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_tasks_by_task ON dataset_tasks (task);

CREATE TABLE papers (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    -- Lower case, one space between words: how papers are found by title.
    title_key TEXT NOT NULL,
    abstract TEXT NOT NULL DEFAULT '',
    authors TEXT NOT NULL DEFAULT '[]',
    date TEXT,
    date_source TEXT,
    arxiv_id TEXT,
    url_abs TEXT,
    url_pdf TEXT,
    proceeding TEXT,
    details TEXT NOT NULL DEFAULT '{}',
    archive INTEGER REFERENCES archives (id),
    -- 1 while it is only known from a result's link.
    stub INTEGER NOT NULL DEFAULT 0,
    results INTEGER NOT NULL DEFAULT 0,
    codes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX papers_by_title ON papers (title_key);
CREATE INDEX papers_by_arxiv ON papers (arxiv_id) WHERE arxiv_id IS NOT NULL;
CREATE INDEX papers_by_url ON papers (url_abs) WHERE url_abs IS NOT NULL;
CREATE INDEX papers_by_date ON papers (date DESC);
CREATE INDEX papers_by_results ON papers (results DESC, title_key) WHERE results > 0;
CREATE TABLE paper_tasks (
    task INTEGER NOT NULL REFERENCES tasks (id),
    paper INTEGER NOT NULL REFERENCES papers (id),
    PRIMARY KEY (task, paper)
) STRICT, WITHOUT ROWID;
CREATE INDEX paper_tasks_by_paper ON paper_tasks (paper);
CREATE TABLE paper_methods (
    method INTEGER NOT NULL REFERENCES methods (id),
    paper INTEGER NOT NULL REFERENCES papers (id),
    PRIMARY KEY (method, paper)
) STRICT, WITHOUT ROWID;
CREATE INDEX paper_methods_by_paper ON paper_methods (paper);
CREATE TABLE code_links (
    id INTEGER PRIMARY KEY,
    paper INTEGER NOT NULL REFERENCES papers (id),
    url TEXT NOT NULL,
    official INTEGER NOT NULL,
    in_paper INTEGER NOT NULL,
    in_repository INTEGER NOT NULL,
    framework TEXT NOT NULL,
    archive INTEGER REFERENCES archives (id),
    UNIQUE (paper, url)
) STRICT;

CREATE TABLE methods (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    full_name TEXT NOT NULL DEFAULT '',
    description TEXT NOT NULL DEFAULT '',
    year INTEGER,
    paper INTEGER REFERENCES papers (id),
    source_url TEXT,
    source_title TEXT,
    code_url TEXT,
    -- The method of this program that implements it, in its notation.
    implemented TEXT,
    details TEXT NOT NULL DEFAULT '{}',
    archive INTEGER REFERENCES archives (id),
    -- Papers by year, as JSON pairs, and in all. Kept up to date by `summary::refresh_counts`.
    by_year TEXT NOT NULL DEFAULT '[]',
    papers INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX methods_by_papers ON methods (papers DESC, name);
CREATE INDEX methods_listed ON methods (implemented IS NULL, papers DESC, name);
CREATE TABLE method_collections (
    method INTEGER NOT NULL REFERENCES methods (id),
    area TEXT NOT NULL,
    collection TEXT NOT NULL,
    area_id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (method, area, collection)
) STRICT, WITHOUT ROWID;

-- The archive's own tree of tasks and data sets, so that it can be written again as it was.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    archive INTEGER NOT NULL REFERENCES archives (id),
    -- 0 for the top, which SQLite's UNIQUE would not hold together if it were NULL.
    parent INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Number among the parent's children of that kind and name.
    occurrence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    task INTEGER REFERENCES tasks (id),
    dataset INTEGER REFERENCES datasets (id),
    leaderboard INTEGER REFERENCES leaderboards (id),
    description TEXT NOT NULL,
    -- Everything else of it, as JSON.
    details TEXT NOT NULL,
    UNIQUE (archive, parent, kind, name, occurrence)
) STRICT;

CREATE INDEX nodes_by_dataset ON nodes (dataset) WHERE dataset IS NOT NULL;

CREATE TABLE leaderboards (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    task INTEGER NOT NULL REFERENCES tasks (id),
    dataset INTEGER NOT NULL REFERENCES datasets (id),
    description TEXT NOT NULL DEFAULT '',
    archive INTEGER REFERENCES archives (id),
    external_id TEXT UNIQUE,
    mirror_url TEXT,
    -- The data that results are measured on: one split, by content. Results of other data are of another setting.
    data_sha256 TEXT,
    data_split TEXT,
    -- Kept up to date by `summary::refresh`.
    results INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0,
    best INTEGER REFERENCES results (id),
    best_verified INTEGER REFERENCES results (id),
    trend TEXT NOT NULL DEFAULT '[]',
    moved TEXT
) STRICT;
CREATE INDEX leaderboards_by_task ON leaderboards (task, results DESC);
CREATE INDEX leaderboards_by_dataset ON leaderboards (dataset, results DESC);
CREATE INDEX leaderboards_by_results ON leaderboards (verified DESC, results DESC);
-- Rows of leaderboards are wide; whoever counts them reads this alone.
CREATE INDEX leaderboards_counts ON leaderboards (results, verified);
CREATE TABLE metrics (
    id INTEGER PRIMARY KEY,
    leaderboard INTEGER NOT NULL REFERENCES leaderboards (id),
    -- The first is primary. Metrics that only rows name come after those that the table declares.
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    declared INTEGER NOT NULL,
    direction TEXT NOT NULL,
    direction_source TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    -- A measured value within this distance of the claim confirms it.
    tolerance REAL,
    UNIQUE (leaderboard, name_key)
) STRICT;

CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    leaderboard INTEGER NOT NULL REFERENCES leaderboards (id),
    position INTEGER NOT NULL,
    -- Hash of what it says and, among equals of one archive, a number: the same is not held twice.
    content TEXT NOT NULL,
    external_id TEXT UNIQUE,
    model TEXT NOT NULL,
    paper INTEGER REFERENCES papers (id),
    paper_title TEXT NOT NULL DEFAULT '',
    paper_url TEXT NOT NULL DEFAULT '',
    date TEXT,
    date_source TEXT,
    additional_data INTEGER,
    code_links TEXT NOT NULL DEFAULT '[]',
    model_links TEXT NOT NULL DEFAULT '[]',
    source_url TEXT,
    -- Split, protocol: what keeps unlike numbers of one table apart.
    setting TEXT NOT NULL DEFAULT '',
    base TEXT,
    base_sha256 TEXT,
    method TEXT,
    method_id INTEGER REFERENCES methods (id),
    trained INTEGER,
    total INTEGER,
    adapter_sha256 TEXT,
    adapter_bytes INTEGER,
    data_sha256 TEXT,
    -- The split that it says it is of; empty if it does not say.
    split TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    notes TEXT NOT NULL DEFAULT '',
    -- The record that was submitted, as JSON.
    record TEXT,
    details TEXT NOT NULL DEFAULT '{}',
    archive INTEGER REFERENCES archives (id),
    submitter TEXT,
    at INTEGER NOT NULL,
    UNIQUE (leaderboard, content)
) STRICT;
CREATE INDEX results_by_paper ON results (paper) WHERE paper IS NOT NULL;
CREATE INDEX results_by_method ON results (method_id) WHERE method_id IS NOT NULL;
CREATE INDEX results_by_adapter ON results (adapter_sha256) WHERE adapter_sha256 IS NOT NULL;
CREATE INDEX results_by_time ON results (at DESC, id DESC);
CREATE TABLE scores (
    result INTEGER NOT NULL REFERENCES results (id),
    metric INTEGER NOT NULL REFERENCES metrics (id),
    -- Order in the row.
    position INTEGER NOT NULL,
    -- The metric's name as the row writes it.
    name TEXT NOT NULL,
    -- The value as it was given, as JSON: a text or a number.
    raw TEXT NOT NULL,
    value REAL,
    spread REAL,
    low REAL,
    high REAL,
    -- What the board measured itself, and whether that is the claim within its tolerance.
    measured REAL,
    confirmed INTEGER,
    PRIMARY KEY (result, metric, position)
) STRICT, WITHOUT ROWID;

-- Files by content; the bytes lie in `files/`.
CREATE TABLE files (
    sha256 TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE result_files (
    result INTEGER NOT NULL REFERENCES results (id),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES files (sha256),
    PRIMARY KEY (result, name)
) STRICT, WITHOUT ROWID;

-- Labelled data on this machine, by digest of a split.
CREATE TABLE data_sources (
    sha256 TEXT PRIMARY KEY,
    split TEXT NOT NULL,
    rows INTEGER NOT NULL,
    -- How to read it, as JSON: the source and its columns.
    source TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Base models on this machine, by SHA-256 of their weights. What a submission says of its base is never followed.
CREATE TABLE bases (
    sha256 TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Re-evaluations that are asked for and those that are done.
CREATE TABLE checks (
    id INTEGER PRIMARY KEY,
    result INTEGER NOT NULL REFERENCES results (id),
    -- waiting, running, done, failed
    progress TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    asked_at INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    finished_at INTEGER,
    -- Outcome, as JSON.
    outcome TEXT,
    error TEXT
) STRICT;
CREATE INDEX checks_by_result ON checks (result, id DESC);
CREATE INDEX checks_open ON checks (progress, id) WHERE progress IN ('waiting', 'running');
-- Answers to each example: those that came with the result, and those that the board got last.
CREATE TABLE predictions (
    result INTEGER NOT NULL REFERENCES results (id),
    -- claimed, measured
    origin TEXT NOT NULL,
    row INTEGER NOT NULL,
    expected TEXT NOT NULL,
    predicted TEXT NOT NULL,
    confidence REAL,
    PRIMARY KEY (result, origin, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    -- What it is about: kind and number, and its name at that time.
    subject TEXT NOT NULL,
    subject_id INTEGER,
    subject_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX log_by_subject ON log (subject, subject_id, id DESC);
CREATE TRIGGER log_keeps_entries BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_keeps_words BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- Search. Papers and models are many and have tables of their own; everything else is small and shares one.
CREATE VIRTUAL TABLE paper_text USING fts5 (
    title, abstract, authors, content = 'papers', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE entry_text USING fts5 (
    kind, ref UNINDEXED, name, text, tokenize = 'porter unicode61', prefix = '3 4'
);
CREATE VIRTUAL TABLE model_text USING fts5 (
    ref UNINDEXED, name, text, tokenize = 'porter unicode61', prefix = '3'
);
-- What an encoder makes of papers' texts, in a byte for each element; the texts are read by one model.
CREATE TABLE vector_model (
    base_sha256 TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE paper_vectors (
    paper INTEGER PRIMARY KEY REFERENCES papers (id),
    vector BLOB NOT NULL
) STRICT;
