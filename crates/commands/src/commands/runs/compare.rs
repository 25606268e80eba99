//! Whether two runs differ beyond chance, by their answers to the same examples.

use anyhow::{Result, bail};
use budwood_base::record::Prediction;
use budwood_base::statistics::{bootstrap, mcnemar, sign_flips};
use budwood_store::{Address, Store, StoredRun};
use budwood_tasks::metric::squad;
use serde_json::json;

use crate::output::{json, say, table, thousands};
use crate::settings::Settings;
use crate::store;

/// Splits that are looked at where none is named.
const SPLITS: [&str; 2] = ["dev", "test"];
/// Draws of the interval, and of the test for numbers.
const DRAWS: usize = 5000;
/// The probability below which a difference counts as one.
const CHANCE: f64 = 0.05;

/// What an answer is worth.
#[derive(Clone, Copy)]
enum Worth {
    /// 1 if it is right, else 0; the name of the mean.
    Right(&'static str),
    /// Its squared error.
    SquaredError,
}

impl Worth {
    fn of_kind(kind: &str) -> Self {
        match kind {
            "regression" => Self::SquaredError,
            "question-answering" => Self::Right("exact_match"),
            "multilabel" => Self::Right("all labels right"),
            "token-classification" => Self::Right("all tags right"),
            "masked-lm" => Self::Right("all words right"),
            _ => Self::Right("accuracy"),
        }
    }

    /// Of one answer; none if it is not a number where one is wanted.
    fn of(self, p: &Prediction) -> Option<f64> {
        match self {
            Self::Right("exact_match") => Some(squad::exact_match(&p.predicted, &p.expected)),
            Self::Right(_) => Some(f64::from(u8::from(p.predicted == p.expected))),
            Self::SquaredError => {
                let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
                Some((number(&p.predicted)? - number(&p.expected)?).powi(2))
            }
        }
    }

    /// The score of some answers.
    fn score(self, values: &[f64], rows: &[usize]) -> f64 {
        let mean = rows.iter().map(|&i| values[i]).sum::<f64>() / rows.len() as f64;
        match self {
            Self::Right(_) => mean,
            Self::SquaredError => mean.sqrt(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Right(name) => name,
            Self::SquaredError => "rmse",
        }
    }
}

pub(super) fn run(
    settings: &Settings,
    place: &Address,
    names: [&str; 2],
    split: Option<&str>,
    limit: usize,
) -> Result<()> {
    let store = store::open(place)?;
    let runs = [store.run(names[0])?, store.run(names[1])?];
    if runs[0].record.kind != runs[1].record.kind {
        bail!(
            "runs {} and {} are of different tasks ({} and {})",
            runs[0].id,
            runs[1].id,
            runs[0].record.kind,
            runs[1].record.kind
        );
    }
    let (split, answers) = same_examples(&store, &runs, split)?;
    let worth = Worth::of_kind(&runs[0].record.kind);
    let of_run = |i: usize| answers[i].iter().map(|p| worth.of(p)).collect::<Option<Vec<f64>>>();
    let (Some(a), Some(b)) = (of_run(0), of_run(1)) else {
        bail!("an answer to {split} examples is not a number: the runs cannot be compared");
    };
    let every: Vec<usize> = (0..a.len()).collect();
    let difference = |rows: &[usize]| worth.score(&a, rows) - worth.score(&b, rows);
    let scores = [worth.score(&a, &every), worth.score(&b, &every)];
    let (low, high) = bootstrap(a.len(), DRAWS, 0, difference).unwrap_or_default();
    // Right or wrong alone: an exact match is 1 or 0 too.
    let right = |p: &Prediction| match worth {
        Worth::Right(_) => worth.of(p) == Some(1.0),
        Worth::SquaredError => p.predicted == p.expected,
    };
    let pairs: Vec<_> = answers[0].iter().zip(&answers[1]).collect();
    let only =
        |a: bool, b: bool| pairs.iter().filter(|(x, y)| right(x) == a && right(y) == b).count();
    let (both, first, second, none) =
        (only(true, true), only(true, false), only(false, true), only(false, false));
    let by_mcnemar = mcnemar(first as u64, second as u64);
    let (test, p) = match worth {
        Worth::Right(_) => ("McNemar's exact test", by_mcnemar),
        Worth::SquaredError => {
            let away: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
            ("exchange of the two answers' squared errors at random", sign_flips(&away, DRAWS, 0))
        }
    };
    let differing = pairs.iter().filter(|(x, y)| x.predicted != y.predicted);
    if settings.json {
        let rows: Vec<_> = differing.map(|(x, y)| json!({ "row": x.row, "expected": x.expected, "a": x.predicted, "b": y.predicted })).collect();
        return json(&json!({
            "both_right": both, "only_a": first, "only_b": second, "both_wrong": none,
            "mcnemar_p": by_mcnemar, "differing": rows, "split": split, "rows": a.len(),
            "score": {
                "name": worth.name(), "a": scores[0], "b": scores[1],
                "difference": scores[0] - scores[1], "low": low, "high": high,
                "test": test, "p": p, "differs": p < CHANCE,
            },
        }));
    }
    say!(
        "{} examples of {split}: {} of run {} {:.4}, of run {} {:.4}",
        thousands(a.len() as u64),
        worth.name(),
        runs[0].id,
        scores[0],
        runs[1].id,
        scores[1]
    )?;
    say!(
        "difference {:+.4}, 95 % interval {low:+.4} to {high:+.4} (paired bootstrap, {} draws)",
        scores[0] - scores[1],
        thousands(DRAWS as u64)
    )?;
    if matches!(worth, Worth::Right(_)) {
        say!(
            "both right {both}, only run {} {first}, only run {} {second}, none {none}",
            runs[0].id,
            runs[1].id
        )?;
    }
    let shown = if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.3}") };
    say!(
        "{test}: p = {shown}{}",
        if p < CHANCE {
            ", a difference that chance hardly makes"
        } else {
            ", no difference is shown"
        }
    )?;
    let mut rows = vec![["row", "expected", "first", "second"].map(ToString::to_string).to_vec()];
    rows.extend(differing.take(limit).map(|(x, y)| {
        vec![x.row.to_string(), x.expected.clone(), x.predicted.clone(), y.predicted.clone()]
    }));
    if rows.len() > 1 {
        table(&rows)?;
    }
    Ok(())
}

/// The answers of both runs to the same examples. Refuses any others by what differs.
fn same_examples(
    store: &Store,
    runs: &[StoredRun; 2],
    split: Option<&str>,
) -> Result<(String, [Vec<Prediction>; 2])> {
    let digest = |r: &StoredRun, split: &str| {
        r.record.data.iter().find(|d| d.split == split).map(|d| d.sha256.clone())
    };
    let answers = |split: &str| -> Result<[Vec<Prediction>; 2]> {
        Ok([store.predictions(runs[0].id, split)?, store.predictions(runs[1].id, split)?])
    };
    let split = match split {
        Some(split) => split,
        None => {
            let there = |split: &&&str| runs.iter().all(|r| digest(r, split).is_some());
            SPLITS.iter().find(there).copied().unwrap_or(SPLITS[0])
        }
    };
    let [a, b] = [&runs[0], &runs[1]].map(|r| (r.id, digest(r, split)));
    if a.1.is_none() || a.1 != b.1 {
        bail!(
            "runs {} and {} were not scored on the same {split} examples, so their answers cannot be compared",
            a.0,
            b.0
        );
    }
    let given = answers(split)?;
    for (run, given) in runs.iter().zip(&given) {
        if given.is_empty() {
            bail!("the store holds no answers of run {} to {split} examples", run.id);
        }
    }
    let same = |(x, y): (&Prediction, &Prediction)| x.row == y.row && x.expected == y.expected;
    if given[0].len() != given[1].len() || !given[0].iter().zip(&given[1]).all(same) {
        bail!(
            "runs {} and {} give the {split} examples other right answers or another order, so their answers \
             cannot be compared",
            a.0,
            b.0
        );
    }
    Ok((split.into(), given))
}
