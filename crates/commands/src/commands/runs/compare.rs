//! Whether two runs differ beyond chance, by their answers to the same examples.

use anyhow::{Result, anyhow, bail};
use budwood_base::record::{Prediction, in_words};
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
    let compared =
        Compared::of(Worth::of_kind(&runs[0].record.kind), &answers).ok_or_else(|| {
            anyhow!("an answer to {split} examples is not a number: the runs cannot be compared")
        })?;
    match settings.json {
        true => compared.json(&split),
        false => compared.tell(&split, [runs[0].id, runs[1].id], limit),
    }
}

/// The answers of two runs to the same examples, and what they are worth.
struct Compared<'a> {
    worth: Worth,
    pairs: Vec<(&'a Prediction, &'a Prediction)>,
    scores: [f64; 2],
    /// The ends of the interval of the difference.
    interval: (f64, f64),
    counts: Counts,
    by_mcnemar: f64,
    /// The test that fits, and the probability of such a difference by chance.
    test: (&'static str, f64),
}

/// How many examples both runs answer rightly, the first alone, the second alone, and none.
struct Counts {
    both: usize,
    first: usize,
    second: usize,
    none: usize,
}

impl<'a> Compared<'a> {
    /// None if an answer is not a number where one is wanted.
    fn of(worth: Worth, answers: &'a [Vec<Prediction>; 2]) -> Option<Self> {
        let values =
            |i: usize| answers[i].iter().map(|p| worth.of(p)).collect::<Option<Vec<f64>>>();
        let (a, b) = (values(0)?, values(1)?);
        let every: Vec<usize> = (0..a.len()).collect();
        let difference = |rows: &[usize]| worth.score(&a, rows) - worth.score(&b, rows);
        // Right or wrong alone: an exact match is 1 or 0 too.
        let is_right = |p: &Prediction| match worth {
            Worth::Right(_) => worth.of(p) == Some(1.0),
            Worth::SquaredError => p.predicted == p.expected,
        };
        let pairs: Vec<_> = answers[0].iter().zip(&answers[1]).collect();
        let count = |a: bool, b: bool| {
            pairs.iter().filter(|(x, y)| is_right(x) == a && is_right(y) == b).count()
        };
        let counts = Counts {
            both: count(true, true),
            first: count(true, false),
            second: count(false, true),
            none: count(false, false),
        };
        let by_mcnemar = mcnemar(counts.first as u64, counts.second as u64);
        let test = match worth {
            Worth::Right(_) => ("McNemar's exact test", by_mcnemar),
            Worth::SquaredError => {
                let away: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
                let p = sign_flips(&away, DRAWS, 0);
                ("exchange of the two answers' squared errors at random", p)
            }
        };
        Some(Self {
            worth,
            pairs,
            scores: [worth.score(&a, &every), worth.score(&b, &every)],
            interval: bootstrap(a.len(), DRAWS, 0, difference).unwrap_or_default(),
            counts,
            by_mcnemar,
            test,
        })
    }

    fn difference(&self) -> f64 {
        self.scores[0] - self.scores[1]
    }

    /// The examples that the runs answer differently.
    fn differing(&self) -> impl Iterator<Item = &(&'a Prediction, &'a Prediction)> {
        self.pairs.iter().filter(|(x, y)| x.predicted != y.predicted)
    }

    fn json(&self, split: &str) -> Result<()> {
        let row = |(x, y): &(&Prediction, &Prediction)| json!({ "row": x.row, "expected": x.expected, "a": x.predicted, "b": y.predicted });
        let Counts { both, first, second, none } = self.counts;
        let ((low, high), (test, p)) = (self.interval, self.test);
        json(&json!({
            "both_right": both, "only_a": first, "only_b": second, "both_wrong": none,
            "mcnemar_p": self.by_mcnemar, "differing": self.differing().map(row).collect::<Vec<_>>(),
            "split": split, "rows": self.pairs.len(),
            "score": {
                "name": self.worth.name(), "a": self.scores[0], "b": self.scores[1],
                "difference": self.difference(), "low": low, "high": high,
                "test": test, "p": p, "differs": p < CHANCE,
            },
        }))
    }

    fn tell(&self, split: &str, [one, other]: [i64; 2], limit: usize) -> Result<()> {
        say!(
            "{} examples of {split}: {} of run {one} {}, of run {other} {}",
            thousands(self.pairs.len() as u64),
            self.worth.name(),
            in_words(self.scores[0]),
            in_words(self.scores[1])
        )?;
        let ((low, high), (test, p)) = (self.interval, self.test);
        say!(
            "difference {}, 95 % interval {} to {} (paired bootstrap, {} draws)",
            signed(self.difference()),
            signed(low),
            signed(high),
            thousands(DRAWS as u64)
        )?;
        if matches!(self.worth, Worth::Right(_)) {
            let Counts { both, first, second, none } = self.counts;
            say!(
                "both right {both}, only run {one} {first}, only run {other} {second}, none {none}"
            )?;
        }
        let shown = if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.3}") };
        let meaning = match p < CHANCE {
            true => "a difference that chance hardly makes",
            false => "no difference is shown",
        };
        say!("{test}: p = {shown}, {meaning}")?;
        let head = ["row", "expected", "first", "second"].map(String::from).to_vec();
        let row = |(x, y): &(&Prediction, &Prediction)| {
            vec![x.row.to_string(), x.expected.clone(), x.predicted.clone(), y.predicted.clone()]
        };
        let rows: Vec<_> = self.differing().take(limit).map(row).collect();
        if !rows.is_empty() {
            table(&[vec![head], rows].concat())?;
        }
        Ok(())
    }
}

/// A difference, with its sign.
fn signed(difference: f64) -> String {
    let sign = if difference.is_sign_negative() { "" } else { "+" };
    format!("{sign}{}", in_words(difference))
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
        // Cross-validation leaves scores, and no answers.
        let why = match [&a, &b].into_iter().find(|run| run.1.is_none()) {
            Some((id, _)) => {
                format!("run {id} has none; give train --test-data, --test-share or --dev-data")
            }
            None => "their answers cannot be compared".into(),
        };
        bail!("runs {} and {} were not scored on the same {split} examples: {why}", a.0, b.0);
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
