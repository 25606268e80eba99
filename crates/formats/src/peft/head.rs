//! The heads of `transformers`' models, which PEFT saves beside an adapter and which tuned models
//! end with.

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::tensor::TensorMap;

use crate::family::Family;

/// Our name of a head's tensor, its module and its last part.
pub(crate) fn name(theirs: &str) -> Option<(String, &'static str, &str)> {
    // RoBERTa's head is one module of two layers; DistilBERT's first layer is a module of its own.
    let modules: [(&str, &str, &str, &'static str); 5] = [
        ("classifier.dense.", "head.dense", "dense.", "classifier"),
        ("classifier.out_proj.", "head.out", "out_proj.", "classifier"),
        ("pre_classifier.", "head.dense", "", "pre_classifier"),
        ("classifier.", "head.out", "", "classifier"),
        ("qa_outputs.", "head.out", "", "qa_outputs"),
    ];
    modules.into_iter().find_map(|(start, ours, inner, module)| {
        let role = theirs.strip_prefix(start)?;
        let part = &theirs[start.len() - inner.len()..];
        matches!(role, "weight" | "bias").then(|| (format!("{ours}.{role}"), module, part))
    })
}

/// The head of the family's model for a kind of task, whose tensors these are.
pub(crate) fn spec(family: &Family, kind: HeadKind, tensors: &TensorMap) -> Option<HeadSpec> {
    let outputs = *tensors.get("head.out.weight")?.shape.first()?;
    let (pooling, dense) = match family.name {
        _ if kind.over_tokens() => (Pooling::Cls, None),
        "bert" => (Pooling::Pooler, None),
        "roberta" => (Pooling::Cls, Some(Activation::Tanh)),
        "distilbert" => (Pooling::Cls, Some(Activation::Relu)),
        "dinov2" => (Pooling::ClsMean, None),
        _ => (Pooling::Cls, None),
    };
    let bias = tensors.contains_key("head.out.bias");
    Some(HeadSpec { kind, outputs, pooling, dense, bias, dropout: 0.1 })
}
