//! What is on this machine for re-evaluations: labelled data by digest, base models by hash.

use budwood_base::record::DataDigest;
use budwood_database::{Connection, Row, params};
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::Act;
use crate::db::now;
use crate::error::OfDatabase;
use crate::log::{Entry, Subject};
use crate::setting::split_key;
use crate::token::Actor;
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

/// Notes where data are. The same digest again replaces the place. The source must not depend on
/// the folder that the program is run in: checks are run from others.
///
/// # Errors
/// If the board cannot be written, or whoever asks may not.
pub fn add_data(
    board: &mut Board,
    digest: &DataDigest,
    source: &Value,
    actor: &Actor,
) -> Result<(), Error> {
    actor.may(Act::AddData)?;
    let transaction = board.write()?;
    let before = find_data(&transaction, &digest.sha256)?;
    let split = split_key(&digest.split);
    if before.as_ref().is_some_and(|b| b.split == split && b.source == *source) {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO data_sources (sha256, split, rows, source, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (sha256) DO UPDATE SET split = excluded.split, rows = excluded.rows,
           source = excluded.source, at = excluded.at",
        params![digest.sha256, split, digest.rows as i64, source.to_string(), now()],
    )?;
    Entry {
        who: &actor.name,
        action: Act::AddData.logged(),
        subject: Subject::Data,
        id: None,
        name: &format!("{split} {}", digest.sha256),
        reason: "",
        // Where it lies on this machine is nobody else's matter: the log is public.
        details: json!({ "sha256": digest.sha256, "split": split, "rows": digest.rows, "new": before.is_none() }),
    }
    .write(&transaction)?;
    Ok(transaction.commit()?)
}

/// Notes where a base model is.
///
/// # Errors
/// If the board cannot be written, or whoever asks may not.
pub fn add_base(board: &mut Board, sha256: &str, source: &str, actor: &Actor) -> Result<(), Error> {
    actor.may(Act::AddBase)?;
    let transaction = board.write()?;
    let before: Option<String> =
        transaction
            .first("SELECT source FROM bases WHERE sha256 = ?1", params![sha256], |r| r.get(0))?;
    if before.as_deref() == Some(source) {
        return Ok(());
    }
    transaction.execute(
        "INSERT INTO bases (sha256, source, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, at = excluded.at",
        params![sha256, source, now()],
    )?;
    Entry {
        who: &actor.name,
        action: Act::AddBase.logged(),
        subject: Subject::Base,
        id: None,
        name: sha256,
        reason: "",
        details: json!({ "new": before.is_none() }),
    }
    .write(&transaction)?;
    Ok(transaction.commit()?)
}

/// All data that are noted.
///
/// # Errors
/// If the board cannot be read.
pub fn data(board: &Board) -> Result<Vec<Data>, Error> {
    Ok(board.sql().query(
        "SELECT sha256, split, rows, source FROM data_sources ORDER BY source, split",
        &[],
        read,
    )?)
}

fn read(r: &Row<'_>) -> OfDatabase<Data> {
    let source: String = r.get(3)?;
    Ok(Data {
        sha256: r.get(0)?,
        split: r.get(1)?,
        rows: r.get::<i64>(2)? as u64,
        source: serde_json::from_str(&source).unwrap_or_default(),
    })
}

/// All base models that are noted.
///
/// # Errors
/// If the board cannot be read.
pub fn bases(board: &Board) -> Result<Vec<Base>, Error> {
    Ok(board.sql().query("SELECT sha256, source FROM bases ORDER BY source", &[], |r| {
        Ok(Base { sha256: r.get(0)?, source: r.get(1)? })
    })?)
}

pub(crate) fn data_of(board: &Board, sha256: &str) -> Result<Option<Data>, Error> {
    find_data(board.sql(), sha256)
}

fn find_data(sql: &Connection, sha256: &str) -> Result<Option<Data>, Error> {
    Ok(sql.first(
        "SELECT sha256, split, rows, source FROM data_sources WHERE sha256 = ?1",
        params![sha256],
        read,
    )?)
}

pub(crate) fn base_of(board: &Board, sha256: &str) -> Result<Option<String>, Error> {
    Ok(board
        .sql()
        .first("SELECT source FROM bases WHERE sha256 = ?1", params![sha256], |r| r.get(0))?)
}
