//! What is on this machine for re-evaluations: labelled data by digest, base models by hash.

use budwood_base::record::DataDigest;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use crate::db::now;
use crate::{Board, Error};

/// Labelled data on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// SHA-256 over the examples of the split.
    pub sha256: String,
    /// The split.
    pub split: String,
    /// Examples.
    pub rows: u64,
    /// How to read it; the evaluator knows what this means.
    pub source: Value,
}

/// A base model on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Base {
    /// SHA-256 of its weights.
    pub sha256: String,
    /// Where it is, as the evaluator takes it.
    pub source: String,
}

/// Notes where data are. The same digest again replaces the place.
///
/// # Errors
/// If the board cannot be written.
pub fn add_data(board: &mut Board, digest: &DataDigest, source: &Value) -> Result<(), Error> {
    board.sql().execute(
        "INSERT OR REPLACE INTO data_sources (sha256, split, rows, source, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![digest.sha256, digest.split, digest.rows as i64, source.to_string(), now()],
    )?;
    Ok(())
}

/// Notes where a base model is.
///
/// # Errors
/// If the board cannot be written.
pub fn add_base(board: &mut Board, sha256: &str, source: &str) -> Result<(), Error> {
    board.sql().execute(
        "INSERT OR REPLACE INTO bases (sha256, source, at) VALUES (?1, ?2, ?3)",
        params![sha256, source, now()],
    )?;
    Ok(())
}

/// All data that are noted.
///
/// # Errors
/// If the board cannot be read.
pub fn data(board: &Board) -> Result<Vec<Data>, Error> {
    let mut query = board
        .sql()
        .prepare("SELECT sha256, split, rows, source FROM data_sources ORDER BY source, split")?;
    let rows = query.query_map([], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read(r: &rusqlite::Row<'_>) -> rusqlite::Result<Data> {
    let source: String = r.get(3)?;
    Ok(Data {
        sha256: r.get(0)?,
        split: r.get(1)?,
        rows: r.get::<_, i64>(2)? as u64,
        source: serde_json::from_str(&source).unwrap_or_default(),
    })
}

/// All base models that are noted.
///
/// # Errors
/// If the board cannot be read.
pub fn bases(board: &Board) -> Result<Vec<Base>, Error> {
    let mut query = board.sql().prepare("SELECT sha256, source FROM bases ORDER BY source")?;
    let rows = query.query_map([], |r| Ok(Base { sha256: r.get(0)?, source: r.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn data_of(board: &Board, sha256: &str) -> Result<Option<Data>, Error> {
    Ok(board
        .sql()
        .query_row(
            "SELECT sha256, split, rows, source FROM data_sources WHERE sha256 = ?1",
            [sha256],
            read,
        )
        .optional()?)
}

pub(crate) fn base_of(board: &Board, sha256: &str) -> Result<Option<String>, Error> {
    Ok(board
        .sql()
        .query_row("SELECT source FROM bases WHERE sha256 = ?1", [sha256], |r| r.get(0))
        .optional()?)
}
