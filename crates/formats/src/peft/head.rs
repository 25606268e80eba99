//! The heads of `transformers`' models, which PEFT saves beside an adapter and which tuned models
//! end with.

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadNorm, HeadSpec, Pooling};
use budwood_base::names;
use budwood_base::tensor::TensorMap;
use serde_json::Value;

use crate::family::{ClassifierHead, Config, Family};
use crate::imported::read_json;
use crate::{BaseModel, Error};

/// Our name of a tensor of a head of the family's models, the module of the model that it is in,
/// and the rest of its name.
pub(crate) fn name<'a>(
    family: &Family,
    theirs: &'a str,
) -> Option<(String, &'static str, &'a str)> {
    let classifier = family.classifier.as_ref();
    let dense = classifier.and_then(|c| c.dense).map(|(_, module)| (module, "head.dense"));
    let norm = classifier.and_then(|c| c.norm).map(|module| (module, "head.norm"));
    let out = classifier.map(|c| (c.out, "head.out"));
    let over_tokens = ["classifier", "qa_outputs"].map(|module| Some((module, "head.out")));
    [dense, norm, out].into_iter().chain(over_tokens).flatten().find_map(|(module, ours)| {
        let role = theirs.strip_prefix(module)?.strip_prefix('.')?;
        let top = module.split_once('.').map_or(module, |(top, _)| top);
        let rest = &theirs[top.len() + 1..];
        matches!(role, "weight" | "bias").then(|| (format!("{ours}.{role}"), top, rest))
    })
}

/// As [`name`], of a pooler that was trained with the head: it becomes the head's first layer.
pub(crate) fn pooler(family: &Family, theirs: &str) -> Option<(String, String, &'static str)> {
    family.classifier.as_ref().filter(|head| head.pooling == Pooling::Pooler)?;
    ["weight", "bias"].into_iter().find_map(|role| {
        let full = family.checkpoint_name(&format!("{}.{role}", names::POOLER))?;
        let module = full.strip_suffix(role)?.strip_suffix('.')?;
        (full == theirs).then(|| (format!("head.dense.{role}"), module.into(), role))
    })
}

/// The head of the family's model for a kind of task, whose tensors these are, where the model's
/// configuration says nothing else: [`as_configured`].
pub(crate) fn spec(family: &Family, kind: HeadKind, tensors: &TensorMap) -> Option<HeadSpec> {
    let outputs = *tensors.get("head.out.weight")?.shape.first()?;
    let has = |name: &str| tensors.contains_key(name);
    let head = match &family.classifier {
        Some(head) if !kind.over_tokens() || head.over_tokens => head,
        _ if kind.over_tokens() => &ClassifierHead::OVER_FIRST,
        _ => return None,
    };
    let pooling = if kind.over_tokens() { Pooling::Cls } else { head.pooling };
    let dense = head.dense.map(|(activation, _)| activation);
    Some(HeadSpec {
        dense,
        bias: has("head.out.bias"),
        dropout: 0.1,
        dense_without_bias: dense.is_some() && !has("head.dense.bias"),
        norm: head.norm.map(|_| HeadNorm { eps: 1e-5, bias: has("head.norm.bias") }),
        ..HeadSpec::linear(kind, outputs, pooling)
    })
}

/// As [`spec`], of a head that was saved beside an adapter: a pooler in it is its first layer.
pub(crate) fn saved(family: &Family, kind: HeadKind, tensors: &TensorMap) -> Option<HeadSpec> {
    let mut head = spec(family, kind, tensors)?;
    if head.pooling == Pooling::Pooler && tensors.contains_key("head.dense.weight") {
        (head.pooling, head.dense) = (Pooling::Cls, Some(Activation::Tanh));
    }
    Some(head)
}

/// What the configuration of a base says of the heads of its models: pooling and activation of
/// ModernBERT's, and the epsilon of a norm, which is that of the encoder's.
///
/// # Errors
/// If it asks for a pooling or an activation that heads here have not.
pub(crate) fn as_configured(head: &mut HeadSpec, base: &BaseModel) -> Result<(), Error> {
    let Some(norm) = &mut head.norm else { return Ok(()) };
    norm.eps = base.spec().norm_eps;
    let (path, json) = read_json(base.folder(), "config.json")?;
    let config = Config { path: &path, json: &json };
    config.expect("classifier_pooling", &["cls", "mean"].map(Value::from))?;
    let mean = json.get("classifier_pooling").and_then(Value::as_str) == Some("mean");
    if mean && !head.kind.over_tokens() {
        head.pooling = Pooling::Mean;
    }
    if let Some(activation) = &mut head.dense {
        *activation = config.activation_or("classifier_activation", *activation)?;
    }
    Ok(())
}
