//! What identifies a run's inputs and states its outcome: the frozen model, the data, the scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::difference::{self, Difference};
use crate::tokenizer::WordPieceSettings;

/// One split of a data set, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataDigest {
    /// `train`, `dev` or `test`.
    pub split: String,
    /// Where it came from, as the user wrote it.
    pub source: String,
    /// Number of examples.
    pub rows: u64,
    /// SHA-256 over the examples in order, after reading: independent of the file's format.
    pub sha256: String,
    /// Rows and images of the file that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Identity of a frozen model: everything of it that changes an answer. The optional fields at the
/// end are missing in what an older Budwood wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseId {
    /// Name or path as the user wrote it.
    pub name: String,
    /// Family of the encoder.
    pub family: String,
    /// SHA-256 of the weights; of a quantised model that of the weights that it was made from.
    pub weights_sha256: String,
    /// SHA-256 of the tokenizer; `None` for image models.
    pub tokenizer_sha256: Option<String>,
    /// SHA-256 of the encoder's specification ([`crate::encoder::EncoderSpec::sha256`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_sha256: Option<String>,
    /// Settings beside the tokenizer's vocabulary; none where its own files say all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer_settings: Option<WordPieceSettings>,
    /// SHA-256 of the weights in int8, for a model that is stored so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8_sha256: Option<String>,
}

impl BaseId {
    /// Whether it was written by a Budwood that noted weights and tokenizer only.
    pub fn is_of_old(&self) -> bool {
        self.encoder_sha256.is_none()
    }

    /// The fields that every Budwood has noted.
    #[must_use]
    pub fn as_of_old(&self) -> Self {
        let (encoder_sha256, tokenizer_settings, int8_sha256) = (None, None, None);
        Self { encoder_sha256, tokenizer_settings, int8_sha256, ..self.clone() }
    }

    /// The first thing that differs in another model and changes answers. What one of the two does
    /// not say is not compared. A model in bytes and the one that it was made from are alike; two
    /// in different bytes are not.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let none = || "none".to_string();
        let differs = |what: &str, a: &Option<String>, b: &Option<String>| {
            (a != b).then(|| Difference {
                what: what.into(),
                ours: a.clone().unwrap_or_else(none),
                theirs: b.clone().unwrap_or_else(none),
            })
        };
        let both = |what: &str, a: &Option<String>, b: &Option<String>| {
            differs(what, a, b).filter(|_| a.is_some() && b.is_some())
        };
        let (a, b) = (Some(self.weights_sha256.clone()), Some(other.weights_sha256.clone()));
        let settings = || {
            let (a, b) = (self.tokenizer_settings.as_ref()?, other.tokenizer_settings.as_ref()?);
            let found = difference::first(a, b)?;
            Some(Difference { what: format!("the tokenizer's {}", found.what), ..found })
        };
        let tokenizers = (&self.tokenizer_sha256, &other.tokenizer_sha256);
        differs("the SHA-256 of the weights", &a, &b)
            .or_else(|| differs("the SHA-256 of the tokenizer", tokenizers.0, tokenizers.1))
            .or_else(settings)
            .or_else(|| {
                let what = "the SHA-256 of the encoder's specification";
                both(what, &self.encoder_sha256, &other.encoder_sha256)
            })
            .or_else(|| {
                let what = "the SHA-256 of the weights in int8";
                both(what, &self.int8_sha256, &other.int8_sha256)
            })
    }
}

/// One score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// The split it was measured on.
    pub split: String,
    /// Name of the metric, as in `tasks::metric`.
    pub name: String,
    /// The value; shares as fractions of 1.
    pub value: f64,
    /// Whether this metric chose the checkpoint.
    pub primary: bool,
    /// Examples behind the value.
    pub rows: u64,
}

/// A score as people read it: four decimals, or four digits where these would be zeros. Errors are
/// in the unit of the data, which may be small.
pub fn in_words(score: f64) -> String {
    match score.abs() {
        size if size > 0.0 && size < 1e-3 => format!("{score:.3e}"),
        _ => format!("{score:.4}"),
    }
}

/// One finished run, with everything that is needed to repeat it and to compare it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// SHA-256 of the settings: two runs with one key are the same run.
    pub key: String,
    /// Name of the sweep that it belongs to; empty for a run of its own.
    pub sweep: String,
    /// Runs that are compared as one method, such as adapters of several widths.
    pub group: String,
    /// Name of the task.
    pub task: String,
    /// Kind of the task.
    pub kind: String,
    /// The metric that chose the checkpoint.
    pub metric: String,
    /// The method with all options in force, in the notation of [`crate::method::MethodSpec`].
    pub method: String,
    /// The frozen model.
    pub base: BaseId,
    /// Form of the frozen weights in training: `f32` or `int8`.
    pub precision: String,
    /// Seed of initial values, order and dropout.
    pub seed: u64,
    /// The flags of `budwood train` that repeat it, by name.
    pub settings: BTreeMap<String, Value>,
    /// The training loop's settings.
    pub training: BTreeMap<String, Value>,
    /// The data that it has seen.
    pub data: Vec<DataDigest>,
    /// Names of the classes.
    pub labels: Vec<String>,
    /// All scores.
    pub metrics: Vec<MetricValue>,
    /// Trained parameters, head included.
    pub parameters_trained: u64,
    /// Those of the head.
    pub parameters_head: u64,
    /// Parameters of the base model.
    pub parameters_base: u64,
    /// Wall time of training.
    pub seconds: f64,
    /// Largest resident memory of the process; 0 where several runs shared it.
    pub peak_bytes: u64,
    /// SHA-256 of the adapter's weights.
    pub weights_sha256: String,
    /// Where the adapter is, if it was kept.
    pub adapter: Option<String>,
    /// Program and its version.
    pub versions: BTreeMap<String, String>,
    /// End of the run, in seconds since 1970 UTC.
    pub finished_at: u64,
}

impl RunRecord {
    /// The score of that name on that split.
    pub fn score(&self, split: &str, metric: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|m| m.split == split && m.name == metric);
        found.map(|m| m.value)
    }

    /// The score that chose the checkpoint: on validation rows, or by cross-validation.
    pub fn chosen(&self) -> Option<f64> {
        self.score("dev", &self.metric).or_else(|| self.score("cv", &self.metric))
    }
}

/// The command that repeats a run, as a shell reads it: its settings are the flags of `budwood
/// train`.
pub fn command(settings: &BTreeMap<String, Value>) -> String {
    let quoted = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
        match !text.is_empty() && text.chars().all(plain) {
            true => text.to_owned(),
            false => format!("'{}'", text.replace('\'', "'\\''")),
        }
    };
    let given = |flag: &str, value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // A value that begins as a flag does would be taken for one.
        let between = if text.starts_with('-') { '=' } else { ' ' };
        format!("--{flag}{between}{}", quoted(&text))
    };
    let mut words = vec!["budwood train".to_owned()];
    // Settings that name no recipe are the paper's, which needs no name in them.
    if !settings.contains_key("recipe") {
        words.push("--recipe paper".into());
    }
    for (flag, value) in settings {
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => words.push(format!("--{flag}")),
            Value::Array(values) => words.extend(values.iter().map(|value| given(flag, value))),
            // A batch in tokens goes before one in examples.
            _ if flag == "batch-size"
                && settings.get("batch-tokens").is_some_and(|v| !v.is_null()) => {}
            value => words.push(given(flag, value)),
        }
    }
    words.push("--out adapter".into());
    words.join(" ")
}

/// The answer to one example, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Number of the example in its split, from 0.
    pub row: u64,
    /// What it should have been: a class's name, a number, or a text.
    pub expected: String,
    /// What the adapter said.
    pub predicted: String,
    /// How sure it was, for classes.
    pub confidence: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_what_a_shell_reads() {
        let settings = serde_json::json!({ "data": "it's $x.csv", "text-column": ["-a", "b c"],
            "balanced": true, "no-header": false, "name": null, "lr": 0.001, "batch-size": 32,
            "batch-tokens": 100, "label": "" });
        let settings: BTreeMap<String, Value> = settings
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        assert_eq!(
            command(&settings),
            "budwood train --recipe paper --balanced --batch-tokens 100 --data 'it'\\''s $x.csv' --label '' \
             --lr 0.001 --text-column=-a --text-column 'b c' --out adapter"
        );
        let recipe = [("recipe".to_owned(), Value::from("auto"))].into();
        assert_eq!(command(&recipe), "budwood train --recipe auto --out adapter");
    }
}
