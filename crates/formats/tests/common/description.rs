//! A description of an adapter, for tests of this crate and of others.

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterMeta, FORMAT, TaskMeta};

/// The description of an adapter that classifies texts of up to 16 tokens; `trained` counts its
/// parameters. Nothing in it depends on a training.
pub(crate) fn description(
    base: &BaseModel,
    method: MethodSpec,
    head: HeadSpec,
    labels: &[&str],
    trained: usize,
) -> AdapterMeta {
    AdapterMeta {
        budwood_adapter: FORMAT,
        method,
        base: base.id("base"),
        encoder: base.spec().clone(),
        head,
        labels: labels.iter().map(ToString::to_string).collect(),
        task: TaskMeta {
            name: "t".into(),
            kind: "classification".into(),
            text_columns: vec!["text".into()],
            label_column: "label".into(),
            max_length: 16,
            doc_stride: None,
            metric: "accuracy".into(),
            positive: None,
            none_threshold: None,
            thresholds: None,
            masking: None,
            images: None,
        },
        precision: "f32".into(),
        training: Default::default(),
        seed: 1,
        data: Vec::new(),
        metrics: Vec::new(),
        parameters_trained: trained as u64,
        parameters_base: base.spec().parameters() as u64,
        weights_sha256: String::new(),
        versions: Default::default(),
    }
}
