//! The heads of `transformers`' models, which PEFT saves beside an adapter and which tuned models
//! end with.

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::tensor::TensorMap;

use crate::family::Family;

/// Our name of a tensor of a head of the family's models, the module of the model that it is in,
/// and the rest of its name.
pub(crate) fn name<'a>(
    family: &Family,
    theirs: &'a str,
) -> Option<(String, &'static str, &'a str)> {
    let classifier = family.classifier.as_ref();
    let dense = classifier.and_then(|c| c.dense).map(|(_, module)| (module, "head.dense"));
    let out = classifier.map(|c| (c.out, "head.out"));
    let over_tokens = ["classifier", "qa_outputs"].map(|module| Some((module, "head.out")));
    [dense, out].into_iter().chain(over_tokens).flatten().find_map(|(module, ours)| {
        let role = theirs.strip_prefix(module)?.strip_prefix('.')?;
        let top = module.split_once('.').map_or(module, |(top, _)| top);
        let rest = &theirs[top.len() + 1..];
        matches!(role, "weight" | "bias").then(|| (format!("{ours}.{role}"), top, rest))
    })
}

/// The head of the family's model for a kind of task, whose tensors these are.
pub(crate) fn spec(family: &Family, kind: HeadKind, tensors: &TensorMap) -> Option<HeadSpec> {
    let outputs = *tensors.get("head.out.weight")?.shape.first()?;
    let (pooling, dense) = match &family.classifier {
        _ if kind.over_tokens() => (Pooling::Cls, None),
        Some(head) => (head.pooling, head.dense.map(|(activation, _)| activation)),
        None => return None,
    };
    let bias = tensors.contains_key("head.out.bias");
    Some(HeadSpec { dense, bias, dropout: 0.1, ..HeadSpec::linear(kind, outputs, pooling) })
}
