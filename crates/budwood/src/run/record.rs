//! What a run leaves behind: the description in its adapter's folder, and the record in a store.

use std::collections::BTreeMap;
use std::time::SystemTime;

use budwood_base::head::HeadKind;
use budwood_base::record::{MetricValue, RunRecord};
use budwood_formats::native::{AdapterMeta, FORMAT, TaskMeta};
use budwood_model::Adapter;
use budwood_train::{Prepared, Score};
use serde_json::{Value, json};

use super::Run;
use crate::precision_name;

/// The record of an adapter by its description alone. What only a run knows is left empty:
/// settings, time, memory, parameters of the head. Its key is the hash of its weights.
pub fn record_of(meta: &AdapterMeta) -> RunRecord {
    let meta = meta.clone();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    RunRecord {
        key: meta.weights_sha256.clone(),
        sweep: String::new(),
        group: String::new(),
        task: meta.task.name,
        kind: meta.task.kind,
        metric: meta.task.metric,
        method: meta.method.to_string(),
        base: meta.base,
        precision: meta.precision,
        seed: meta.seed,
        settings: BTreeMap::new(),
        training: meta.training,
        data: meta.data,
        labels: meta.labels,
        metrics: meta.metrics,
        parameters_trained: meta.parameters_trained,
        parameters_head: 0,
        parameters_base: meta.parameters_base,
        seconds: 0.0,
        peak_bytes: 0,
        weights_sha256: meta.weights_sha256,
        adapter: None,
        versions: meta.versions,
        finished_at: now.map_or(0, |d| d.as_secs()),
    }
}

impl Run {
    /// The description of a trained adapter; the hash of its weights is set when they are written.
    pub(super) fn meta(&self, adapter: &Adapter, metrics: Vec<MetricValue>) -> AdapterMeta {
        let mut training: BTreeMap<String, Value> = match serde_json::to_value(&self.config) {
            Ok(Value::Object(map)) => map.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        let inputs = self.spec.inputs().into_iter();
        let tagged = inputs.filter_map(|text| Some((text.into(), budwood_hub::tag_of(text)?)));
        let tags: BTreeMap<String, String> = tagged.collect();
        if !tags.is_empty() {
            training.insert("objects".into(), json!(tags));
        }
        let (data, base) = (&self.data, &self.base);
        let version = ("budwood".to_string(), env!("CARGO_PKG_VERSION").to_string());
        AdapterMeta {
            budwood_adapter: FORMAT,
            method: adapter.spec().clone(),
            base: base.model.id(&self.spec.base),
            encoder: base.model.spec().clone(),
            head: adapter.head_spec().clone(),
            labels: data.labels.clone(),
            task: TaskMeta {
                name: data.name.clone(),
                kind: data.task.name.into(),
                text_columns: data.text_columns.clone(),
                label_column: data.label_column.clone(),
                max_length: self.lengths.max,
                doc_stride: (self.head.kind == HeadKind::QuestionAnswering)
                    .then_some(self.lengths.stride),
                metric: self.config.metric.clone(),
                positive: None,
                none_threshold: None,
                thresholds: None,
                masking: self.masking,
                images: base.reader.processor().map(|p| json!(p)),
            },
            precision: precision_name(base.packed.precision()).into(),
            training,
            seed: self.config.seed,
            data: self.data.digests(),
            metrics,
            parameters_trained: adapter.params.len() as u64,
            parameters_base: base.model.spec().parameters() as u64,
            weights_sha256: String::new(),
            versions: [version].into(),
        }
    }
}

/// Scores of a split for a record. A score that is undefined was not measured.
pub(super) fn metric_values(
    split: &str,
    scores: &[Score],
    primary: &str,
    data: Option<&Prepared>,
) -> Vec<MetricValue> {
    let rows = data.map_or(0, Prepared::examples) as u64;
    let value = |s: &Score| MetricValue {
        split: split.into(),
        name: s.name.clone(),
        value: s.value,
        primary: s.name == primary,
        rows,
    };
    scores.iter().filter(|s| s.value.is_finite()).map(value).collect()
}
