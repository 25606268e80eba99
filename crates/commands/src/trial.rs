//! Adapters of a board that its readers try: each text over the base that is served, if there is
//! one and the adapter is of it, else in a process of its own.
//!
//! | against | over the served base | in a process |
//! |---|---|---|
//! | memory | files of at most 64 MB, and 1,000 labels; others go to a process | 4 GB |
//! | time, 20 s | the reader is told; no input of the model is begun after it | the process is ended |
//! | work of others | threads whose share of a processor is small, two at most | a process, likewise |
//! | the same again | an adapter that took so long waits for ten minutes | the same |

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use budwood::Base;
use budwood::answer::AnswerOptions;
use budwood_base::json as weigh;
use budwood_board::{Board, Place, verify};
use budwood_web::{Answer, Predictor};
use serde_json::Value;

use crate::adapter;
use crate::evaluator::told;
use crate::limited::{self, Allowed};
use crate::scratch::{Scratch, Scratches};

/// Lets readers of a board try an adapter.
pub(crate) struct Trial {
    board: Place,
    scratches: Scratches,
    served: Option<Served>,
    /// Results whose adapters took too long, and when.
    slow: Mutex<HashMap<i64, Instant>>,
}

/// A base that is in memory for others.
struct Served {
    base: Base,
    /// Of its weights, as boards name it.
    sha256: String,
    /// Those that compute have this, too.
    busy: Arc<()>,
}

impl Predictor for Trial {
    fn predict(&self, result: i64, text: &str) -> Result<Vec<Answer>, String> {
        self.answer(result, text).map_err(|e| told(&format!("a try of result {result}"), &e, ""))
    }
}

impl Trial {
    const ALLOWED: Allowed = Allowed { memory: 4, time: Duration::from_secs(20), threads: 1 };
    /// An adapter that took too long is not tried again for this time: it would take the places of
    /// others.
    const PAUSE: Duration = Duration::from_secs(600);

    /// Trials of the adapters of a board. A base that is served computes those that are of it.
    pub(crate) fn new(board: &Place, served: Option<Base>) -> Result<Self> {
        let scratches = Scratches::open(board.folder())?;
        let served = served.map(|base| Served {
            sha256: base.model().id("").weights_sha256,
            base,
            busy: Arc::default(),
        });
        Ok(Self { board: board.clone(), scratches, served, slow: Mutex::default() })
    }

    fn answer(&self, result: i64, text: &str) -> Result<Vec<Answer>> {
        let slow = || self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow().retain(|_, at| at.elapsed() < Self::PAUSE);
        if slow().contains_key(&result) {
            let limit = crate::output::seconds(Self::ALLOWED.time.as_secs_f64());
            bail!(
                "this adapter took longer than {limit} for a text a short time ago; try it later"
            );
        }
        let begin = Instant::now();
        let answer = self.run(result, text);
        if begin.elapsed() >= Self::ALLOWED.time {
            slow().insert(result, Instant::now());
        }
        answer
    }

    fn run(&self, result: i64, text: &str) -> Result<Vec<Answer>> {
        let board = Board::open_to_read(&self.board)?;
        let adapter = verify::adapter(&board, result)?.map_err(anyhow::Error::msg)?;
        drop(board);
        let scratch = self.scratches.adapter(&adapter.weights, &adapter.description)?;
        // For a task of images the words would be names of files of this machine.
        let description = fs::read(scratch.path.join("adapter.json"))?;
        weigh::check(&description).map_err(|e| anyhow!("adapter.json {e}"))?;
        let meta: Value = serde_json::from_slice(&description)?;
        let kind = meta["task"]["kind"].as_str().unwrap_or_default();
        let texts =
            ["classification", "multilabel", "regression", "token-classification"].contains(&kind);
        if !texts {
            bail!("this adapter is for {kind}: it can be tried with `budwood predict` only");
        }
        let texts = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(2);
        let served = self.served.as_ref().filter(|served| served.sha256 == adapter.base_sha256);
        if let Some(served) = served
            && served.takes(&meta, &adapter.weights)
        {
            return served.answer(scratch, texts.map(Into::into).collect());
        }
        let here = served.map(|served| served.base.model().folder().to_string_lossy());
        let base = adapter.base().map(Cow::from).or_else(|e| here.ok_or(e));
        let (base, folder) = (base.map_err(anyhow::Error::msg)?, scratch.path.to_string_lossy());
        let mut words = vec!["predict", "--json", "--adapter", &folder, "--base", &base, "--"];
        words.extend(texts);
        let printed = limited::run(&words, Self::ALLOWED)?;
        let line = printed.split(|b| *b == b'\n').next().unwrap_or_default();
        Ok(shown(&serde_json::from_slice(line).context("the answer is not JSON")?))
    }
}

impl Served {
    /// Bytes of weights, and labels, that an adapter may have here: what it takes in memory is a
    /// small multiple of the first, and its outputs have the second for each token.
    const WEIGHTS: u64 = 64 << 20;
    const LABELS: usize = 1000;
    /// Tries that compute at one time, those among them that nobody waits for any more.
    const PLACES: usize = 2;

    /// Whether an adapter of the base is small, and answers here as in `budwood predict`: that has
    /// the weights in the form of the adapter's training.
    fn takes(&self, meta: &Value, weights: &Path) -> bool {
        let labels = meta["labels"].as_array().map_or(0, Vec::len);
        meta["precision"] == self.base.precision()
            && labels <= Self::LABELS
            && fs::metadata(weights).is_ok_and(|file| file.len() <= Self::WEIGHTS)
    }

    fn answer(&self, scratch: Scratch, texts: Vec<String>) -> Result<Vec<Answer>> {
        let busy = Arc::clone(&self.busy);
        if Arc::strong_count(&busy) > 1 + Self::PLACES {
            bail!("adapters that take long are being tried; try this one later");
        }
        let (base, time) = (self.base.clone(), Trial::ALLOWED.time);
        let end = Instant::now() + time;
        let computing = thread::spawn(move || {
            // The files stay for as long as they may be read.
            let (_busy, scratch) = (busy, scratch);
            behind_others();
            computed(&base, &scratch.path, &texts, end)
        });
        while !computing.is_finished() {
            if Instant::now() >= end {
                bail!(late());
            }
            thread::sleep(Duration::from_millis(2));
        }
        computing.join().unwrap_or_else(|_| bail!("the adapter failed"))
    }
}

fn late() -> String {
    format!("took longer than {}", crate::output::seconds(Trial::ALLOWED.time.as_secs_f64()))
}

/// The answer to one text, or two of a pair, by the calling thread.
fn computed(base: &Base, folder: &Path, texts: &[String], end: Instant) -> Result<Vec<Answer>> {
    let opened = base.adapter(folder)?;
    let first = texts.first().context("there is no text to answer")?;
    let input = adapter::input(opened.meta(), first, texts.get(1).map(String::as_str))?;
    let encoded = opened.encode(vec![input])?;
    let mut worker = base.worker();
    let mut outputs = Vec::with_capacity(encoded.len());
    for input in 0..encoded.len() {
        if Instant::now() >= end {
            bail!(late());
        }
        outputs.extend(base.outputs(&mut worker, &[(&encoded, input)])?);
    }
    let answers = encoded.answers(outputs, &AnswerOptions::default())?;
    Ok(shown(&serde_json::to_value(answers.first())?))
}

/// Gives the calling thread a small share of a processor that others want, too.
fn behind_others() {
    // On other systems it would be the share of the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
}

/// The answer of `predict`, the likeliest first.
fn shown(answer: &Value) -> Vec<Answer> {
    let mut all: Vec<Answer> = match (&answer["scores"], &answer["value"], &answer["entities"]) {
        (Value::Object(scores), _, _) => {
            let one = |(label, p): (&String, &Value)| Answer {
                label: label.clone(),
                probability: p.as_f64(),
            };
            scores.iter().map(one).collect()
        }
        (_, Value::Number(value), _) => {
            vec![Answer { label: value.to_string(), probability: None }]
        }
        (_, _, Value::Array(entities)) => {
            let text = |e: &Value, name: &str| e[name].as_str().unwrap_or_default().to_string();
            let one = |e: &Value| Answer {
                label: format!("{}: {}", text(e, "type"), text(e, "text")),
                probability: e["score"].as_f64(),
            };
            entities.iter().map(one).collect()
        }
        _ => Vec::new(),
    };
    all.sort_by(|a, b| b.probability.unwrap_or(0.0).total_cmp(&a.probability.unwrap_or(0.0)));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_come_likeliest_first() {
        let answer = json!({ "label": "b", "scores": { "a": 0.2, "b": 0.8 } });
        let labels: Vec<_> = shown(&answer).into_iter().map(|a| a.label).collect();
        assert_eq!(labels, ["b", "a"]);
        assert_eq!(shown(&json!({ "value": 2.5 }))[0].label, "2.5");
    }
}
