//! A run of the local store as a submission.

use budwood_base::record::{RunRecord, command};
use serde_json::{Value, json};

use super::record::{AdapterOf, BaseOf, Claim, DatasetOf, ModelOf, Submission};
use crate::direction::Direction;
use crate::text::{method_kind, without_folders};
use crate::{Error, date};

/// What this program's scores, which are fractions, are multiplied by: boards write per cent.
pub fn scale(value: f64) -> f64 {
    // Two decimals beyond per cent are enough for ten thousand examples and read better.
    (value * 1e6).round() / 1e4
}

/// Task and data set of a run, by the name that the run gives its task, where they go by other
/// names.
const KNOWN: &[(&str, &str, &str)] = &[
    ("cola", "Linguistic Acceptability", "CoLA"),
    ("sst2", "Sentiment Analysis", "SST-2"),
    ("sst-2", "Sentiment Analysis", "SST-2"),
    ("mrpc", "Paraphrase Identification", "MRPC"),
    ("qqp", "Paraphrase Identification", "Quora Question Pairs"),
    ("stsb", "Semantic Textual Similarity", "STS Benchmark"),
    ("sts-b", "Semantic Textual Similarity", "STS Benchmark"),
    ("mnli", "Natural Language Inference", "MultiNLI matched"),
    ("qnli", "Natural Language Inference", "QNLI"),
    ("rte", "Natural Language Inference", "RTE"),
    ("wnli", "Natural Language Inference", "WNLI"),
    ("trec", "Text Classification", "TREC-6"),
    ("squad", "Question Answering", "SQuAD1.1"),
    ("sms-spam", "Text Classification", "SMS Spam Collection"),
];

/// The submission of a run: its scores on `split`, else on `test` if the run has them, else on
/// `dev`. `title` says how a score is called on a board, and of what is not a share that it has no
/// place there.
///
/// # Errors
/// If the run has no scores on that split.
pub fn from_run(
    run: &RunRecord,
    split: Option<&str>,
    title: impl Fn(&str) -> Option<String>,
) -> Result<Submission, Error> {
    let has = |split: &str| run.metrics.iter().any(|m| m.split == split);
    let split = split.unwrap_or(if has("test") { "test" } else { "dev" });
    let of_split = run.metrics.iter().filter(|m| m.split == split);
    let mut scores: Vec<_> = of_split.filter_map(|m| Some((title(&m.name)?, m))).collect();
    if scores.is_empty() {
        return Err(Error::input(
            format!("run {}", &run.key[..run.key.len().min(12)]),
            format!("has no scores on {split}"),
        ));
    }
    // The metric that the run was chosen by is primary.
    scores.sort_by_key(|(_, m)| m.name != run.metric);
    let known = KNOWN.iter().find(|k| k.0 == run.task.to_lowercase());
    let kind = match run.kind.as_str() {
        "classification" => "Text Classification",
        "regression" => "Text Regression",
        "multilabel" => "Multi-Label Text Classification",
        "question-answering" => "Question Answering",
        "token-classification" => "Token Classification",
        "image-classification" => "Image Classification",
        "masked-lm" => "Masked Language Modeling",
        other => other,
    };
    let (task, dataset) = known.map_or((kind, run.task.as_str()), |k| (k.1, k.2));
    let data = run.data.iter().find(|d| d.split == split);
    let metrics = scores
        .iter()
        .map(|(name, m)| Claim {
            name: name.clone(),
            value: json!(scale(m.value)),
            direction: Some(Direction::Higher),
            interval: None,
        })
        .collect();
    let rows = data.map(|d| d.rows);
    let settings = run.settings.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
    let mut record = shown(&json!({
        "key": run.key, "seed": run.seed, "precision": run.precision, "seconds": run.seconds,
        "peak_bytes": run.peak_bytes, "settings": run.settings, "training": run.training, "data": run.data,
        "versions": run.versions,
    }));
    // They are the data's words, whatever they look like.
    record["labels"] = json!(run.labels);
    Ok(Submission {
        task: task.into(),
        dataset: DatasetOf {
            name: dataset.into(),
            split: Some(split.into()),
            rows,
            sha256: data.map(|d| d.sha256.clone()),
        },
        setting: match rows {
            Some(n) => format!("{split}, {n} examples, seen here"),
            None => split.into(),
        },
        metrics,
        model: ModelOf {
            name: format!("{} + {}", short_name(&run.base.name), written(run)),
            base: Some(BaseOf {
                name: short_name(&run.base.name).into(),
                sha256: Some(run.base.weights_sha256.clone()).filter(|h| super::record::is_hash(h)),
            }),
            adapter: Some(AdapterOf {
                method: Some(run.method.clone()),
                sha256: Some(run.weights_sha256.clone()).filter(|h| super::record::is_hash(h)),
                trained: Some(run.parameters_trained),
                total: Some(run.parameters_base + run.parameters_trained),
            }),
            links: Vec::new(),
        },
        date: Some(date::of_seconds(run.finished_at as i64)),
        command: Some(command(&settings)),
        run: record,
        ..Submission::default()
    })
}

/// A part of a record as readers see it: of a whole path of this machine its last part stays.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => without_folders(text).into(),
        Value::Array(list) => list.iter().map(shown).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), shown(v))).collect(),
        other => other.clone(),
    }
}

/// The method as it was written: with all options in force it is not a name. A run that kept the
/// probe has another method than was asked for.
fn written(run: &RunRecord) -> &str {
    let kept = method_kind(&run.method);
    let given = run.settings.get("method").and_then(serde_json::Value::as_str);
    given.filter(|_| kept != "linear").unwrap_or(kept)
}

/// The last part of a path; the whole of a name such as `owner/name`.
fn short_name(name: &str) -> &str {
    match name.strip_prefix(['/', '.']) {
        Some(_) => name.rsplit('/').find(|p| !p.is_empty()).unwrap_or(name),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_probe_is_not_called_by_the_method_that_was_tried() {
        let named = |method: &str, given: Option<&str>| {
            let settings = given.map_or(json!({}), |given| json!({ "method": given }));
            let base = json!({ "name": "/models/m", "family": "bert", "weights_sha256": "",
                "tokenizer_sha256": null });
            let run = json!({ "key": "", "sweep": "", "group": "", "task": "trec",
                "kind": "classification", "metric": "accuracy", "method": method, "base": base,
                "precision": "f32", "seed": 0, "settings": settings, "training": {}, "data": [],
                "labels": [], "metrics": [{ "split": "test", "name": "accuracy", "value": 0.5,
                    "primary": true, "rows": 2 }],
                "parameters_trained": 1, "parameters_head": 1, "parameters_base": 1, "seconds": 1.0,
                "peak_bytes": 0, "weights_sha256": "", "adapter": null, "versions": {},
                "finished_at": 0 });
            let run: RunRecord = serde_json::from_value(run).unwrap();
            from_run(&run, None, |name| Some(name.into())).unwrap().model.name
        };
        assert_eq!(named("adapter[width=64]", Some("seq_bn")), "m + seq_bn");
        assert_eq!(named("adapter[width=64]", None), "m + adapter");
        assert_eq!(named("linear", Some("adapter")), "m + linear");
    }

    #[test]
    fn readers_see_no_folders_of_this_machine() {
        let settings = json!({ "data": ["/home/sam/secret/a.csv", "b/c.csv"], "base": "/srv/m",
            "rate": 0.5, "more": { "text": "see https://example.org/x", "out": "/home/sam/out/" } });
        let want = json!({ "data": ["a.csv", "b/c.csv"], "base": "m", "rate": 0.5,
            "more": { "text": "see https://example.org/x", "out": "out" } });
        assert_eq!(shown(&settings), want);
    }
}
