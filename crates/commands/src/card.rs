//! Cards of models for the Hugging Face hub: metadata in YAML, and a text for people. Every text in
//! YAML is a JSON string, which YAML reads too.

use std::fmt::Write as _;

use budwood_base::encoder::InputSpec;
use budwood_base::head::HeadKind;
use budwood_base::record::{DataDigest, MetricValue, in_words};
use budwood_formats::native::AdapterMeta;
use serde_json::json;

use crate::output::thousands;

/// One entry of `model-index` (documentation of the hub, "Model cards"): scores by split.
pub(crate) fn model_index_entry(
    name: &str,
    kind: &str,
    task: &str,
    metrics: &[MetricValue],
    data: &[DataDigest],
) -> String {
    let mut out = format!("- name: {}\n  results:\n", json!(name));
    for split in splits(metrics) {
        let digest = data.iter().find(|d| d.split == split);
        out += &format!(
            "  - task:\n      type: {}\n    dataset:\n      name: {}\n      type: {}\n      split: {}\n      revision: {}\n    metrics:\n",
            json!(kind),
            json!(task),
            json!(task),
            json!(split),
            json!(digest.map_or("", |d| &d.sha256))
        );
        for m in metrics.iter().filter(|m| m.split == split) {
            out += &format!("    - type: {}\n      value: {}\n", json!(m.name), m.value);
        }
    }
    out
}

/// Splits with scores, in order.
fn splits(metrics: &[MetricValue]) -> Vec<&str> {
    let mut splits: Vec<&str> =
        metrics.iter().map(|m| m.split.as_str()).filter(|s| *s != "ablation").collect();
    splits.dedup();
    splits
}

/// What a card says beside the adapter's own description.
pub(crate) struct Card<'a> {
    /// The repository, `OWNER/NAME`.
    pub(crate) repository: &'a str,
    /// The licence, as the hub names it.
    pub(crate) license: &'a str,
    /// The base's name on the hub, if it has one.
    pub(crate) base: Option<&'a str>,
    /// The library that loads the files, as the hub names it.
    pub(crate) loader: &'a str,
    /// How the files are loaded, as lines of code, and their language.
    pub(crate) usage: (&'a str, String),
}

/// The kind of task in the hub's words.
pub(crate) fn pipeline(meta: &AdapterMeta) -> &'static str {
    match meta.head.kind {
        HeadKind::TokenClassification => "token-classification",
        HeadKind::QuestionAnswering => "question-answering",
        HeadKind::MaskedLm => "fill-mask",
        _ if matches!(meta.encoder.input, InputSpec::Image(_)) => "image-classification",
        _ => "text-classification",
    }
}

/// The base as people know it: of a path, its last part alone.
fn base_name<'a>(card: &Card<'a>, meta: &'a AdapterMeta) -> &'a str {
    let last = meta.base.name.rsplit(['/', '\\']).find(|part| !part.is_empty());
    card.base.unwrap_or(last.unwrap_or("the base"))
}

impl Card<'_> {
    /// The metadata, between its two lines.
    pub(crate) fn metadata(&self, meta: &AdapterMeta) -> String {
        let mut out = format!("---\nlicense: {}\n", json!(self.license));
        if let Some(base) = self.base {
            let relation = if self.loader == "transformers" { "finetune" } else { "adapter" };
            let _ = writeln!(
                out,
                "base_model: {}\nbase_model_relation: {}",
                json!(base),
                json!(relation)
            );
        }
        let _ = writeln!(
            out,
            "library_name: {}\npipeline_tag: {}",
            json!(self.loader),
            json!(pipeline(meta))
        );
        out += "tags:\n- budwood\n- adapter\n";
        for part in &meta.method.parts {
            let _ = writeln!(out, "- {}", json!(part.name));
        }
        if !splits(&meta.metrics).is_empty() {
            let name = self.repository.split('/').next_back().unwrap_or_default();
            out += "model-index:\n";
            let (task, kind) = (&meta.task.name, pipeline(meta));
            out += &model_index_entry(name, kind, task, &meta.metrics, &meta.data);
        }
        out + "---\n"
    }

    /// The text.
    pub(crate) fn text(&self, meta: &AdapterMeta) -> String {
        let (language, code) = &self.usage;
        let base = base_name(self, meta);
        let mut out = format!(
            "\n# {}\n\nAn adapter for {}, trained on the frozen model {base} by the method `{}`: {} of {} parameters.\n\n## Use\n\n```{language}\n{code}\n```\n",
            plain(&meta.task.name),
            meta.task.kind.replace('-', " "),
            meta.method,
            thousands(meta.parameters_trained),
            thousands(meta.parameters_base),
        );
        if !meta.labels.is_empty() {
            let labels: Vec<String> =
                meta.labels.iter().map(|l| format!("`{}`", plain(l))).collect();
            let _ = write!(out, "\n## Labels\n\n{}\n", labels.join(", "));
        }
        let kept: Vec<&MetricValue> =
            meta.metrics.iter().filter(|m| m.split != "ablation").collect();
        if !kept.is_empty() {
            out += "\n## Results\n\n| split | metric | value | rows |\n|---|---|---|---|\n";
            for m in kept {
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} |",
                    plain(&m.split),
                    plain(&m.name),
                    in_words(m.value),
                    thousands(m.rows)
                );
            }
        }
        let _ = write!(
            out,
            "\n## Base\n\n{base}, whose weights have the SHA-256 `{}`; family `{}`.\n",
            meta.base.weights_sha256, meta.base.family
        );
        out
    }

    /// `.eval_results/*.yaml` of the metric that chose the checkpoint; none where there is none.
    pub(crate) fn eval_results(&self, meta: &AdapterMeta) -> Option<String> {
        let primary = meta.metrics.iter().filter(|m| m.primary && m.split != "ablation");
        let entries: Vec<String> = primary
            .map(|m| {
                format!(
                    "- dataset:\n    id: {}\n    task_id: {}\n  value: {}\n  notes: {}\n",
                    json!(meta.task.name),
                    json!(m.name),
                    m.value,
                    json!(format!("split {}, {} rows", m.split, m.rows))
                )
            })
            .collect();
        (!entries.is_empty()).then(|| entries.concat())
    }
}

/// A text of others in one line of Markdown, as text.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push(' '),
            '|' | '`' | '<' | '[' | ']' | '*' | '_' | '#' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
