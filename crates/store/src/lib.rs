//! The record of every run, in an embedded SQLite database. The only SQL about runs is here.
//!
//! One file holds all: runs with their settings, their scores by split, and the answer to each
//! example. A run has a key, the hash of its settings, and is stored once: [`Store::add`] of a key
//! that is there changes nothing. Several processes may use one store at a time.

mod error;
pub mod file;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use budwood_base::record::{MetricValue, Prediction, RunRecord};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

pub use error::Error;

/// A store of runs.
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

/// Which runs are asked for; empty fields take all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Name of the sweep.
    pub sweep: Option<String>,
    /// Name of the task.
    pub task: Option<String>,
    /// Group of methods, or the beginning of a method.
    pub method: Option<String>,
}

/// A run with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRun {
    /// Its number in this store.
    pub id: i64,
    /// What is known of it.
    pub record: RunRecord,
}

impl Store {
    /// Opens a store, and makes it if it is not there.
    ///
    /// # Errors
    /// If the file is something else, damaged, of a newer version, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::Io { path: folder.into(), source })?;
        }
        let at = |e| Error::sql(path, e);
        let connection = Connection::open(path).map_err(at)?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(at)?;
        schema::prepare(path, &connection)?;
        Ok(Self { path: path.into(), connection })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a run with its answers by split, whole or not at all. Returns false, and changes
    /// nothing, if a run of that key is there.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn add(
        &mut self,
        record: &RunRecord,
        predictions: &[(String, Vec<Prediction>)],
    ) -> Result<bool, Error> {
        let path = self.path.clone();
        let at = |e| Error::sql(&path, e);
        let json = serde_json::to_string(record).map_err(|e| Error::content(&path, e))?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(at)?;
        let added = transaction
            .execute(
                "INSERT OR IGNORE INTO runs (key, sweep, task, grouped, method, seed, finished_at, record)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    record.key,
                    record.sweep,
                    record.task,
                    record.group,
                    record.method,
                    record.seed as i64,
                    record.finished_at as i64,
                    json
                ],
            )
            .map_err(at)?;
        if added == 0 {
            return Ok(false);
        }
        let id = transaction.last_insert_rowid();
        for metric in &record.metrics {
            insert_metric(&transaction, id, metric).map_err(at)?;
        }
        for (split, answers) in predictions {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO predictions (run, split, row, expected, predicted, confidence)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )
                .map_err(at)?;
            for a in answers {
                let confidence = a.confidence.map(f64::from);
                let values = params![id, split, a.row as i64, a.expected, a.predicted, confidence];
                insert.execute(values).map_err(at)?;
            }
        }
        transaction.commit().map_err(at)?;
        Ok(true)
    }

    /// Whether a run of that key is there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn has(&self, key: &str) -> Result<bool, Error> {
        let found = self
            .connection
            .query_row("SELECT 1 FROM runs WHERE key = ?1", [key], |_| Ok(()))
            .optional();
        Ok(found.map_err(|e| Error::sql(&self.path, e))?.is_some())
    }

    /// The runs that fit, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read or a record is damaged.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<StoredRun>, Error> {
        let at = |e| Error::sql(&self.path, e);
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, record FROM runs
                 WHERE (?1 IS NULL OR sweep = ?1) AND (?2 IS NULL OR task = ?2)
                   AND (?3 IS NULL OR grouped = ?3 OR substr(method, 1, length(?3)) = ?3)
                 ORDER BY id",
            )
            .map_err(at)?;
        let values = params![filter.sweep, filter.task, filter.method];
        let rows = query.query_map(values, id_and_json).map_err(at)?;
        rows.map(|row| self.stored(row.map_err(at)?)).collect()
    }

    /// The run of that number, or whose key begins so.
    ///
    /// # Errors
    /// If there is none, or several, or the store cannot be read.
    pub fn run(&self, name: &str) -> Result<StoredRun, Error> {
        let at = |e| Error::sql(&self.path, e);
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT id, record FROM runs
                 WHERE id = ?1 OR (length(?2) >= 6 AND substr(key, 1, length(?2)) = ?2) LIMIT 2",
            )
            .map_err(at)?;
        let rows = query
            .query_map(params![name.parse::<i64>().ok(), name], id_and_json)
            .map_err(at)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(at)?;
        match <[_; 1]>::try_from(rows) {
            Ok([row]) => self.stored(row),
            Err(rows) if rows.is_empty() => {
                Err(Error::NoRun { path: self.path.clone(), name: name.into() })
            }
            Err(_) => Err(Error::content(
                &self.path,
                format!("several runs have keys that begin with '{name}'; give more of it"),
            )),
        }
    }

    /// The answers of a run on a split, by row.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn predictions(&self, run: i64, split: &str) -> Result<Vec<Prediction>, Error> {
        let at = |e| Error::sql(&self.path, e);
        let mut query = self
            .connection
            .prepare_cached(
                "SELECT row, expected, predicted, confidence FROM predictions
                 WHERE run = ?1 AND split = ?2 ORDER BY row",
            )
            .map_err(at)?;
        let read = |row: &Row<'_>| {
            Ok(Prediction {
                row: row.get::<_, i64>(0)? as u64,
                expected: row.get(1)?,
                predicted: row.get(2)?,
                confidence: row.get::<_, Option<f64>>(3)?.map(|x| x as f32),
            })
        };
        let rows = query.query_map(params![run, split], read).map_err(at)?;
        rows.map(|row| row.map_err(at)).collect()
    }

    fn stored(&self, (id, json): (i64, String)) -> Result<StoredRun, Error> {
        let record = serde_json::from_str(&json)
            .map_err(|e| Error::content(&self.path, format!("the record of run {id}: {e}")))?;
        Ok(StoredRun { id, record })
    }
}

fn id_and_json(row: &Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn insert_metric(connection: &Connection, run: i64, metric: &MetricValue) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO metrics (run, split, name, value, chosen, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let MetricValue { split, name, value, primary, rows } = metric;
    insert.execute(params![run, split, name, value, primary, *rows as i64])?;
    Ok(())
}
