//! Answers of an adapter, and their scores.

use budwood_engine::Workers;
use budwood_model::{Adapter, Base, Segment, Targets, predict};
use budwood_tasks::batch::{self, BatchSize};
use budwood_tasks::metric;

use crate::{Error, Prepared};

/// Tokens that one thread predicts at a time.
const CHUNK_TOKENS: usize = 256;

/// The outputs of the head for each example.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Logits, or the one number of a regression.
    pub outputs: Vec<Vec<f32>>,
}

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Name of the metric.
    pub name: String,
    /// Its value.
    pub value: f64,
}

/// Runs an adapter over all examples.
///
/// # Errors
/// If an image cannot be decoded.
pub fn answers(
    workers: &mut Workers,
    base: &Base,
    adapter: &Adapter,
    data: &Prepared,
) -> Result<Answers, Error> {
    let plan = batch::evaluation(&data.lengths(), BatchSize::Tokens(CHUNK_TOKENS));
    let pieces = workers.map(plan.len(), |cx, i| {
        let batch = data.batch(&plan[i])?;
        let segment = Segment { adapter: Some(adapter), sequences: 0..plan[i].len() };
        Ok::<_, Error>(predict(cx, base, &batch, &[segment]))
    });
    let mut outputs = vec![Vec::new(); data.len()];
    for (examples, piece) in plan.iter().zip(pieces) {
        for (&example, output) in examples.iter().zip(piece?) {
            outputs[example] = output;
        }
    }
    Ok(Answers { outputs })
}

impl Answers {
    /// The class of the largest output for each example.
    pub fn classes(&self) -> Vec<u32> {
        let largest = |row: &Vec<f32>| {
            let best = row.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (i, &x)| {
                if x > best.1 { (i, x) } else { best }
            });
            best.0 as u32
        };
        self.outputs.iter().map(largest).collect()
    }

    /// The labels of each example that are more likely than not.
    pub fn labels(&self) -> Vec<Vec<u32>> {
        holding(&self.outputs)
    }

    /// The probability of each label of each example, by itself.
    pub fn label_probabilities(&self) -> Vec<Vec<f32>> {
        let sigmoid = |x: &f32| 1.0 / (1.0 + (-x).exp());
        self.outputs.iter().map(|row| row.iter().map(sigmoid).collect()).collect()
    }

    /// The one number of each example.
    pub fn values(&self) -> Vec<f32> {
        self.outputs.iter().map(|row| row.first().copied().unwrap_or(0.0)).collect()
    }

    /// Probabilities of the classes of each example.
    pub fn probabilities(&self) -> Vec<Vec<f32>> {
        let softmax = |row: &Vec<f32>| {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let e: Vec<f32> = row.iter().map(|x| (x - max).exp()).collect();
            let sum: f32 = e.iter().sum();
            e.into_iter().map(|x| x / sum).collect()
        };
        self.outputs.iter().map(softmax).collect()
    }
}

/// The columns above 0 of each row.
fn holding(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let above = |row: &Vec<f32>| -> Vec<u32> {
        (0u32..).zip(row).filter(|(_, x)| **x > 0.0).map(|(i, _)| i).collect()
    };
    rows.iter().map(above).collect()
}

/// All scores that fit the targets.
pub fn scores(answers: &Answers, targets: &Targets) -> Vec<Score> {
    let named = match targets {
        Targets::Classes(classes) => {
            let n = answers.outputs.first().map_or(0, Vec::len);
            metric::classification(&answers.classes(), classes, n)
        }
        Targets::Values(values) => metric::regression(&answers.values(), values),
        Targets::Labels(rows) => {
            let n = answers.outputs.first().map_or(0, Vec::len);
            metric::multilabel(&answers.labels(), &holding(rows), n)
        }
    };
    named.into_iter().map(|(name, value)| Score { name: name.into(), value }).collect()
}
