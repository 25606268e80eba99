//! Adapters as folders of other libraries: what the writers share.

use budwood_base::encoder::{Activation, InputSpec};
use budwood_base::head::{HeadKind, HeadNorm, HeadSpec, Pooling};
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::family::{FAMILIES, Family, MaskedLmHead};
use crate::native::AdapterMeta;
use crate::safetensors_file::{to_bytes, to_bytes_with};
use crate::two_layers;

/// The files of a folder, and what the user should know of it.
#[derive(Debug, Default)]
pub struct Exported {
    /// Names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// A line each.
    pub notes: Vec<String>,
}

impl Exported {
    pub(crate) fn json(&mut self, name: &str, value: &Value) {
        self.files.push((name.into(), format!("{value:#}\n").into_bytes()));
    }

    /// Tensors, with the mark of PyTorch in the header where the library asks for it.
    pub(crate) fn tensors(
        &mut self,
        name: &str,
        tensors: &TensorMap,
        mark: bool,
    ) -> Result<(), Error> {
        let path = std::path::Path::new(name);
        let bytes = match mark {
            true => to_bytes_with(path, tensors, [("format".into(), "pt".into())].into())?,
            false => to_bytes(path, tensors)?,
        };
        self.files.push((name.into(), bytes));
        Ok(())
    }
}

pub(crate) fn cannot(message: impl Into<String>) -> Error {
    Error::Export(message.into())
}

pub(crate) fn family_of(meta: &AdapterMeta) -> Result<&'static Family, Error> {
    let name = &meta.encoder.family;
    let found = FAMILIES.iter().copied().find(|f| f.name == name);
    found.ok_or_else(|| cannot(format!("the family '{name}' is not known")))
}

/// Class names by their places, as `transformers` and `adapters` hold them; `LABEL_0` ... where
/// there are none.
pub(crate) fn label2id(meta: &AdapterMeta) -> Map<String, Value> {
    let labels: Vec<String> = match meta.labels.is_empty() {
        true => (0..meta.head.outputs).map(|i| format!("LABEL_{i}")).collect(),
        false => meta.labels.clone(),
    };
    labels.into_iter().enumerate().map(|(i, label)| (label, json!(i))).collect()
}

/// The tensors of an adapter's head.
pub(crate) fn head_of(tensors: &TensorMap) -> TensorMap {
    let own = tensors.iter().filter(|(name, _)| name.starts_with("head."));
    own.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
}

/// A head under the names that the model of `transformers` has for a family, BERT's pooler among
/// them.
pub(crate) struct TheirHead {
    pub(crate) tensors: TensorMap,
    /// What the user should know of it.
    pub(crate) note: Option<String>,
}

/// The head of an adapter for the model of `transformers`; refused where that model computes
/// something else.
pub(crate) fn transformers_head(
    meta: &AdapterMeta,
    family: &Family,
    tensors: &TensorMap,
) -> Result<TheirHead, Error> {
    let own = head_of(tensors);
    let over_tokens = meta.head.kind.over_tokens();
    if meta.head.kind == HeadKind::MaskedLm {
        return Ok(TheirHead { tensors: masked_lm_head(family, own)?, note: None });
    }
    if family.classifier.is_none() && !over_tokens {
        return Err(cannot(format!(
            "the model of `transformers` for {} ends with a head of a form that heads here have not; export to a form that \
             holds the head as it is",
            family.name
        )));
    }
    let theirs = crate::peft::head::spec(family, meta.head.kind, &own)
        .ok_or_else(|| cannot("the adapter has no head"))?;
    let (own, note) = if fits(&meta.head, &theirs) {
        (own, None)
    } else {
        let two = widened(&meta.head, &theirs, &own);
        let two = two.ok_or_else(|| other_form(meta, family, &theirs))?;
        let outputs = meta.head.outputs;
        let note = format!(
            "the head's one layer is written as the two that the model of `transformers` for {} has; they compute the same. \
             The first has rows for the {outputs} outputs and is zero else, which matters to whoever trains it further",
            family.name
        );
        (two, Some(note))
    };
    let classifier = family.classifier.filter(|c| !over_tokens || c.over_tokens);
    let dense = match classifier.and_then(|c| c.dense) {
        Some((_, module)) => Some(module.to_string()),
        None => family.checkpoint_name(names::POOLER),
    };
    let dense = dense.unwrap_or_default();
    let out = match (meta.head.kind, &classifier) {
        (_, Some(classifier)) => classifier.out,
        (HeadKind::QuestionAnswering, None) => "qa_outputs",
        (_, None) => "classifier",
    };
    let norm = classifier.and_then(|c| c.norm).unwrap_or_default();
    let modules = [("head.dense", dense.as_str()), ("head.norm", norm), ("head.out", out)];
    let renamed = own.into_iter().map(|(name, tensor)| {
        let found = modules.iter().find_map(|(ours, theirs)| {
            name.strip_prefix(ours).map(|role| format!("{theirs}{role}"))
        });
        (found.unwrap_or(name), tensor)
    });
    let mut renamed: TensorMap = renamed.collect();
    // Their last layer has a bias always.
    let bias = format!("{out}.bias");
    renamed.entry(bias).or_insert_with(|| Tensor::zeros([meta.head.outputs]));
    Ok(TheirHead { tensors: renamed, note })
}

/// Whether the model's head computes what ours does, with our tensors.
fn fits(ours: &HeadSpec, theirs: &HeadSpec) -> bool {
    let pools_alike = ours.kind.over_tokens() || ours.pooling == theirs.pooling;
    // BERT's pooler is a first layer with tanh over the first token.
    let as_pooler = theirs.pooling == Pooling::Pooler
        && ours.pooling == Pooling::Cls
        && ours.dense == Some(Activation::Tanh);
    // A head of the model's own form keeps its pooling and activation, which its configuration
    // names.
    let as_own = ours.norm.is_some() && theirs.norm.is_some();
    as_pooler || as_own || pools_alike && ours.dense == theirs.dense
}

/// Our head of one layer as the two layers that theirs has; none where they cannot be that.
fn widened(ours: &HeadSpec, theirs: &HeadSpec, tensors: &TensorMap) -> Option<TensorMap> {
    if ours.dense.is_some() || theirs.norm.is_some() {
        return None;
    }
    let first = match (ours.pooling, theirs.pooling) {
        (Pooling::Cls, Pooling::Pooler) => Activation::Tanh,
        (pooling, same) if pooling == same => theirs.dense?,
        _ => return None,
    };
    two_layers::of_one(tensors, first)
}

/// Why a head is not written, and what holds it.
fn other_form(meta: &AdapterMeta, family: &Family, theirs: &HeadSpec) -> Error {
    let HeadSpec { pooling, dense, .. } = &meta.head;
    let switch =
        switch(theirs.pooling).filter(|_| *pooling != theirs.pooling && theirs.norm.is_none());
    let remedy = switch.map(|name| format!("train with --pooling {name}, or ")).unwrap_or_default();
    cannot(format!(
        "the head has {} over {}, but that of `transformers` for {} has {} over {}; {remedy}export to onnx, which holds any \
         head, or to sentence-transformers, which holds layers over the mean of a text",
        layers(dense.as_ref(), None),
        pooled(*pooling),
        family.name,
        layers(theirs.dense.as_ref(), theirs.norm.as_ref()),
        pooled(theirs.pooling),
    ))
}

/// What a head reads, in words.
pub(crate) fn pooled(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Pooler => "the model's pooler",
        Pooling::Cls => "the first token",
        Pooling::Mean => "the mean of all tokens",
        Pooling::ClsMean => "the class token and the mean of the patches",
        Pooling::PatchMean => "the mean of the patches",
    }
}

/// The value of `--pooling`, if it can be trained.
fn switch(pooling: Pooling) -> Option<&'static str> {
    match pooling {
        Pooling::Pooler => Some("pooler"),
        Pooling::Cls => Some("cls"),
        Pooling::Mean => Some("mean"),
        Pooling::ClsMean => Some("cls-mean"),
        Pooling::PatchMean => None,
    }
}

/// The head for masked words under its names there. Its last layer is the table of words, which
/// the model has already.
fn masked_lm_head(family: &Family, own: TensorMap) -> Result<TensorMap, Error> {
    let Some(MaskedLmHead { names: [[dense, norm, bias], ..], .. }) = &family.masked_lm else {
        let message = format!("a {} has no head for masked words", family.name);
        return Err(cannot(message));
    };
    let renamed = own.into_iter().map(|(name, tensor)| {
        let (module, role) = name.rsplit_once('.').unwrap_or_default();
        let theirs = match module {
            "head.dense" => format!("{dense}.{role}"),
            "head.norm" => format!("{norm}.{role}"),
            _ => (*bias).to_string(),
        };
        (theirs, tensor)
    });
    Ok(renamed.collect())
}

/// Refuses a masked language model where another library has no adapters with such a head.
pub(crate) fn refuse_masked_lm(meta: &AdapterMeta, library: &str) -> Result<(), Error> {
    match meta.head.kind {
        HeadKind::MaskedLm => Err(cannot(format!(
            "the head of a masked language model is not written in the form of {library}; \
             --to transformers writes the model with its head"
        ))),
        _ => Ok(()),
    }
}

fn layers(dense: Option<&Activation>, norm: Option<&HeadNorm>) -> String {
    let norm = if norm.is_some() { " and a norm" } else { "" };
    dense.map_or_else(|| "one layer".into(), |a| format!("two layers, {}{norm} between", a.name()))
}

/// The class of `transformers` for an adapter's kind of task, of a family whose classes begin so.
pub(crate) fn model_class(meta: &AdapterMeta, class: &str) -> String {
    let task = match meta.head.kind {
        HeadKind::TokenClassification => "TokenClassification",
        HeadKind::QuestionAnswering => "QuestionAnswering",
        HeadKind::MaskedLm => "MaskedLM",
        _ if matches!(meta.encoder.input, InputSpec::Image(_)) => "ImageClassification",
        _ => "SequenceClassification",
    };
    format!("{class}For{task}")
}
