//! Moving a store to another system, without loss.

use std::collections::HashMap;

use budwood_database::{Connection, Row};

use crate::schema::{METRICS, PREDICTIONS, RUNS};
use crate::{Error, Result, Store};

type OfDatabase<T> = std::result::Result<T, budwood_database::Error>;

/// What [`copy`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Runs of the store that was copied.
    pub runs: usize,
    /// Those that were not there before.
    pub new: usize,
}

/// A run with all that stands of it in each table.
#[derive(PartialEq)]
struct Whole {
    run: RunRow,
    metrics: Vec<MetricRow>,
    answers: Vec<AnswerRow>,
}

#[derive(PartialEq)]
struct RunRow {
    id: i64,
    key: String,
    sweep: String,
    task: String,
    grouped: String,
    method: String,
    seed: i64,
    finished_at: i64,
    record: String,
}

#[derive(PartialEq)]
struct MetricRow {
    split: String,
    name: String,
    value: f64,
    chosen: bool,
    rows: i64,
}

#[derive(PartialEq)]
struct AnswerRow {
    split: String,
    row: i64,
    expected: String,
    predicted: String,
    confidence: Option<f64>,
}

/// Copies all runs, with their numbers, each as a whole. A copy that was interrupted goes on where
/// it was. `done` is told of each run that is there.
///
/// # Errors
/// If `to` holds a run that `from` does not, or another one under the same number; nothing is
/// written then. If one of them cannot be read or written.
pub fn copy(from: &Store, to: &mut Store, mut done: impl FnMut()) -> Result<Copied> {
    let (runs, there) = (keys(from)?, keys(to)?);
    let places: HashMap<&str, i64> = runs.iter().map(|(id, key)| (key.as_str(), *id)).collect();
    let refused = |id: i64, what: &str| {
        let from = from.address();
        let reason = format!(
            "run {id} {what} {from}. Nothing was copied; copy into a store that is empty, or that \
             an earlier copy of the same store made"
        );
        Error::content(to.address(), reason)
    };
    for (id, key) in &there {
        if places.get(key.as_str()) != Some(id) {
            return Err(refused(*id, "is not, under this number, in"));
        }
        let (ours, theirs) = (whole(to, *id)?, whole(from, *id)?);
        if ours != theirs {
            return Err(refused(*id, "is not the same as in"));
        }
        done();
    }
    let there: HashMap<i64, ()> = there.into_iter().map(|(id, _)| (id, ())).collect();
    let mut new = 0;
    for (id, _) in runs.iter().filter(|(id, _)| !there.contains_key(id)) {
        let Some(whole) = whole(from, *id)? else {
            return Err(Error::content(from.address(), format!("run {id} went away meanwhile")));
        };
        to.database.write(|connection| put(connection, &whole))?;
        new += 1;
        done();
    }
    Ok(Copied { runs: runs.len(), new })
}

fn keys(store: &Store) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT id, key FROM runs ORDER BY id";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    Ok(store.database.read(|connection| connection.query(sql, &[], read))?)
}

fn whole(store: &Store, id: i64) -> Result<Option<Whole>> {
    Ok(store.database.read(|connection| read_whole(connection, id))?)
}

fn read_whole(connection: &Connection, id: i64) -> OfDatabase<Option<Whole>> {
    let of_run = [id.into()];
    let run = connection.first(
        "SELECT id, key, sweep, task, grouped, method, seed, finished_at, record
         FROM runs WHERE id = ?1",
        &of_run,
        |row| {
            Ok(RunRow {
                id: row.get(0)?,
                key: row.get(1)?,
                sweep: row.get(2)?,
                task: row.get(3)?,
                grouped: row.get(4)?,
                method: row.get(5)?,
                seed: row.get(6)?,
                finished_at: row.get(7)?,
                record: row.get(8)?,
            })
        },
    )?;
    let Some(run) = run else { return Ok(None) };
    let mut metrics = connection.query(
        "SELECT split, name, value, chosen, \"rows\" FROM metrics WHERE run = ?1",
        &of_run,
        |row| {
            Ok(MetricRow {
                split: row.get(0)?,
                name: row.get(1)?,
                value: row.get(2)?,
                chosen: row.get(3)?,
                rows: row.get(4)?,
            })
        },
    )?;
    let mut answers = connection.query(
        "SELECT split, \"row\", expected, predicted, confidence FROM predictions WHERE run = ?1",
        &of_run,
        |row| {
            Ok(AnswerRow {
                split: row.get(0)?,
                row: row.get(1)?,
                expected: row.get(2)?,
                predicted: row.get(3)?,
                confidence: row.get(4)?,
            })
        },
    )?;
    // Each system has an order of its own for texts.
    metrics.sort_by(|a, b| (&a.split, &a.name).cmp(&(&b.split, &b.name)));
    answers.sort_by(|a, b| (&a.split, a.row).cmp(&(&b.split, b.row)));
    Ok(Some(Whole { run, metrics, answers }))
}

/// Writes a run. It is there already if the connection was cut after it was written.
fn put(connection: &Connection, whole: &Whole) -> OfDatabase<()> {
    let Whole { run, metrics, answers } = whole;
    let (id, key) = (run.id, run.key.as_str());
    if read_whole(connection, id)?.as_ref() == Some(whole) {
        return Ok(());
    }
    let [sweep, task, grouped, method] = [&run.sweep, &run.task, &run.grouped, &run.method];
    let row = [
        id.into(),
        key.into(),
        sweep.into(),
        task.into(),
        grouped.into(),
        method.into(),
        run.seed.into(),
        run.finished_at.into(),
        (&run.record).into(),
    ];
    connection.insert("runs", RUNS, [row])?;
    let rows = metrics.iter().map(|m| {
        let (split, name) = (&m.split, &m.name);
        [id.into(), split.into(), name.into(), m.value.into(), m.chosen.into(), m.rows.into()]
    });
    connection.insert("metrics", METRICS, rows)?;
    let rows = answers.iter().map(|a| {
        let (expected, predicted) = ((&a.expected).into(), (&a.predicted).into());
        [id.into(), (&a.split).into(), a.row.into(), expected, predicted, a.confidence.into()]
    });
    connection.insert("predictions", PREDICTIONS, rows)
}
