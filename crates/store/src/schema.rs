//! The tables of a store on both systems. Statements are the same for both.

use budwood_database::{Kind, Schema, Tables};

/// What a store consists of.
pub(crate) static SCHEMA: Kind = Kind {
    schema: Schema {
        name: "budwood_runs",
        what: "a store of runs",
        remedy: "move the file away, or give another one with --store",
        // "Budw".
        application: 0x4275_6477,
        sqlite: Tables {
            new: "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    sweep TEXT NOT NULL,
    task TEXT NOT NULL,
    grouped TEXT NOT NULL,
    method TEXT NOT NULL,
    seed INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_sweep ON runs (sweep, task);
CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    chosen INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (run, split, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE predictions (
    run INTEGER NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    row INTEGER NOT NULL,
    expected TEXT NOT NULL,
    predicted TEXT NOT NULL,
    confidence REAL,
    PRIMARY KEY (run, split, row)
) STRICT, WITHOUT ROWID;
",
            steps: &[],
        },
        // `row` and `rows` are words of its language, which as names of columns stand in quotes.
        postgres: Tables {
            new: "
CREATE TABLE runs (
    id BIGINT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    sweep TEXT NOT NULL,
    task TEXT NOT NULL,
    grouped TEXT NOT NULL,
    method TEXT NOT NULL,
    seed BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX runs_by_sweep ON runs (sweep, task);
CREATE TABLE metrics (
    run BIGINT NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    chosen BOOLEAN NOT NULL,
    \"rows\" BIGINT NOT NULL,
    PRIMARY KEY (run, split, name)
);
CREATE TABLE predictions (
    run BIGINT NOT NULL REFERENCES runs (id),
    split TEXT NOT NULL,
    \"row\" BIGINT NOT NULL,
    expected TEXT NOT NULL,
    predicted TEXT NOT NULL,
    confidence DOUBLE PRECISION,
    PRIMARY KEY (run, split, \"row\")
);
",
            steps: &[],
        },
    },
    migrated: |_| Ok(()),
};

/// Columns of `runs`.
pub(crate) const RUNS: [&str; 9] =
    ["id", "key", "sweep", "task", "grouped", "method", "seed", "finished_at", "record"];
/// Columns of `metrics`.
pub(crate) const METRICS: [&str; 6] = ["run", "split", "name", "value", "chosen", "\"rows\""];
/// Columns of `predictions`.
pub(crate) const PREDICTIONS: [&str; 6] =
    ["run", "split", "\"row\"", "expected", "predicted", "confidence"];
