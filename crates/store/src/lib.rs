//! The record of every run, in a SQLite file or on a PostgreSQL server. The only SQL about runs is
//! here.
//!
//! A store holds runs with their settings, their scores by split, and the answer to each example. A
//! run has a key, the hash of its settings, and is stored once: [`Store::add`] of a key that is
//! there changes nothing. Several processes may use one store at a time.

mod copy;
mod error;
mod schema;

use budwood_base::record::{MetricValue, Prediction, RunRecord};
use budwood_database::{Connection, Database, Row};

pub use budwood_database::{Address, without_passwords};
pub use copy::{Copied, copy};
pub use error::Error;
use schema::SCHEMA;

type Result<T, E = Error> = std::result::Result<T, E>;

/// A store of runs.
pub struct Store {
    database: Database,
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
    /// If it is something else, damaged, of a newer version, cannot be reached or written.
    pub fn open(address: &Address) -> Result<Self> {
        Ok(Self { database: Database::open(address, &SCHEMA)? })
    }

    /// Opens a store for reading only, if it is there; none is made.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn find(address: &Address) -> Result<Option<Self>> {
        Ok(Database::find_to_read(address, &SCHEMA)?.map(|database| Self { database }))
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        self.database.address()
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
    ) -> Result<bool> {
        let json = serde_json::to_string(record).map_err(|e| Error::content(self.address(), e))?;
        Ok(self.database.write(|connection| add(connection, record, &json, predictions))?)
    }

    /// Whether a run of that key is there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn has(&self, key: &str) -> Result<bool> {
        Ok(self.database.read(|connection| has(connection, key))?)
    }

    /// Takes a run for this process, among those that use a store on a server; false if another has
    /// it. Runs of a file are taken by the locks of their folders.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn claim(&self, key: &str) -> Result<bool> {
        Ok(self.database.claim(key)?)
    }

    /// Gives a run back that this process had taken.
    pub fn release(&self, key: &str) {
        self.database.release(key);
    }

    /// The runs that fit, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read or a record is damaged.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<StoredRun>> {
        let sql = "SELECT id, record FROM runs
             WHERE (CAST(?1 AS TEXT) IS NULL OR sweep = ?1)
               AND (CAST(?2 AS TEXT) IS NULL OR task = ?2)
               AND (CAST(?3 AS TEXT) IS NULL OR grouped = ?3
                    OR substr(method, 1, length(?3)) = ?3)
             ORDER BY id";
        let values = [&filter.sweep, &filter.task, &filter.method].map(|v| v.as_ref().into());
        let rows = self.database.read(|connection| connection.query(sql, &values, id_and_json))?;
        rows.into_iter().map(|row| self.stored(row)).collect()
    }

    /// The run of that number, or whose key begins so.
    ///
    /// # Errors
    /// If there is none, or several, or the store cannot be read.
    pub fn run(&self, name: &str) -> Result<StoredRun> {
        let sql = "SELECT id, record FROM runs
             WHERE id = ?1
                OR (length(CAST(?2 AS TEXT)) >= 6 AND substr(key, 1, length(?2)) = ?2) LIMIT 2";
        let values = [name.parse::<i64>().ok().into(), name.into()];
        let rows = self.database.read(|connection| connection.query(sql, &values, id_and_json))?;
        match <[_; 1]>::try_from(rows) {
            Ok([row]) => self.stored(row),
            Err(rows) if rows.is_empty() => {
                Err(Error::NoRun { place: self.address().to_string(), name: name.into() })
            }
            Err(_) => Err(Error::content(
                self.address(),
                format!("several runs have keys that begin with '{name}'; give more of it"),
            )),
        }
    }

    /// The answers of a run on a split, by row.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn predictions(&self, run: i64, split: &str) -> Result<Vec<Prediction>> {
        let sql = "SELECT \"row\", expected, predicted, confidence FROM predictions
             WHERE run = ?1 AND split = ?2 ORDER BY \"row\"";
        let read = |row: &Row<'_>| {
            Ok(Prediction {
                row: row.get::<i64>(0)? as u64,
                expected: row.get(1)?,
                predicted: row.get(2)?,
                confidence: row.get::<Option<f64>>(3)?.map(|x| x as f32),
            })
        };
        let values = [run.into(), split.into()];
        Ok(self.database.read(|connection| connection.query(sql, &values, read))?)
    }

    fn stored(&self, (id, json): (i64, String)) -> Result<StoredRun> {
        let record = serde_json::from_str(&json)
            .map_err(|e| Error::content(self.address(), format!("the record of run {id}: {e}")))?;
        Ok(StoredRun { id, record })
    }
}

fn id_and_json(row: &Row<'_>) -> Result<(i64, String), budwood_database::Error> {
    Ok((row.get(0)?, row.get(1)?))
}

fn has(connection: &Connection, key: &str) -> Result<bool, budwood_database::Error> {
    let found =
        connection.first("SELECT id FROM runs WHERE key = ?1", &[key.into()], |r| r.get::<i64>(0));
    Ok(found?.is_some())
}

/// Adds a run in a transaction of its own.
fn add(
    connection: &Connection,
    record: &RunRecord,
    json: &str,
    predictions: &[(String, Vec<Prediction>)],
) -> Result<bool, budwood_database::Error> {
    if has(connection, &record.key)? {
        return Ok(false);
    }
    // Nobody else writes: the next number is free.
    let id = connection
        .first("SELECT coalesce(max(id), 0) + 1 FROM runs", &[], |row| row.get::<i64>(0))?
        .unwrap_or(1);
    let row = [
        id.into(),
        (&record.key).into(),
        (&record.sweep).into(),
        (&record.task).into(),
        (&record.group).into(),
        (&record.method).into(),
        (record.seed as i64).into(),
        (record.finished_at as i64).into(),
        json.into(),
    ];
    connection.insert("runs", schema::RUNS, [row])?;
    let metrics = record.metrics.iter().map(|metric| {
        let MetricValue { split, name, value, primary, rows } = metric;
        let (value, chosen, rows) = ((*value).into(), (*primary).into(), (*rows as i64).into());
        [id.into(), split.into(), name.into(), value, chosen, rows]
    });
    connection.insert("metrics", schema::METRICS, metrics)?;
    for (split, answers) in predictions {
        let rows = answers.iter().map(|a| {
            let (expected, predicted) = ((&a.expected).into(), (&a.predicted).into());
            let confidence = a.confidence.map(f64::from).into();
            [id.into(), split.into(), (a.row as i64).into(), expected, predicted, confidence]
        });
        connection.insert("predictions", schema::PREDICTIONS, rows)?;
    }
    Ok(true)
}
