//! Adapter folders of PEFT (0.21): `adapter_config.json` and `adapter_model.safetensors`, for LoRA with rsLoRA and
//! DoRA over the models for sequence or image classification of `transformers`, whose heads are "modules to save".

use std::path::Path;

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::{MethodPart, MethodSpec};
use budwood_base::names;
use budwood_base::tensor::TensorMap;
use serde_json::{Value, json};

use crate::Error;
use crate::family::{FAMILIES, Family};
use crate::imported::{Imported, refuse};
use crate::weights::Weights;

/// Switches that have no counterpart here, with the values that mean "off".
fn switches() -> Vec<(&'static str, Vec<Value>)> {
    let null = || vec![json!(null)];
    vec![
        ("bias", vec![json!("none")]),
        ("fan_in_fan_out", vec![json!(false)]),
        ("lora_bias", vec![json!(false)]),
        ("use_qalora", vec![json!(false)]),
        ("rank_pattern", vec![json!({}), json!(null)]),
        ("alpha_pattern", vec![json!({}), json!(null)]),
        ("layer_replication", null()),
        ("trainable_token_indices", null()),
        ("target_parameters", null()),
        ("alora_invocation_tokens", null()),
        ("arrow_config", null()),
        ("use_bdlora", null()),
        ("velora_config", null()),
    ]
}

/// What stands before every name in the file.
const PREFIX: &str = "base_model.model.";

/// Reads a folder whose configuration is `config`, of the file `path`. Dropout inside LoRA acts in training only and
/// is left out.
///
/// # Errors
/// If a file is missing or damaged, or the configuration asks for what does not exist here.
pub(crate) fn read(folder: &Path, path: &Path, config: &Value) -> Result<Imported, Error> {
    let kind = config.get("peft_type").and_then(Value::as_str);
    if kind != Some("LORA") {
        let message = format!("peft_type {kind:?} is not read yet; LORA is");
        return Err(Error::content(path, message));
    }
    for (field, off) in switches() {
        refuse(path, config, &[(field, &off)])?;
    }
    let file = Weights::open_in(folder, &["adapter_model.safetensors", "adapter_model.bin"])?;
    let is_of = |family: &Family| {
        let layers = family.layer.split("{i}").next().unwrap_or_default();
        let start = format!("{PREFIX}{}.{layers}", family.prefix);
        file.names().any(|name| name.starts_with(&start))
    };
    let family = FAMILIES.iter().copied().find(|f| is_of(f)).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|f| f.prefix).collect();
        let message =
            format!("no tensor's name begins with {PREFIX} and one of {}", known.join(", "));
        Error::content(file.path(), message)
    })?;
    let mut read = Imported {
        method: MethodSpec { parts: Vec::new() },
        head: None,
        labels: Vec::new(),
        tensors: TensorMap::new(),
        names: Vec::new(),
    };
    let mut targets: Vec<&str> = Vec::new();
    let mut layers = Vec::new();
    for theirs in file.names() {
        let unknown =
            || Error::content(file.path(), format!("tensor '{theirs}' has no place here"));
        let rest = theirs.strip_prefix(PREFIX).ok_or_else(unknown)?;
        let (ours, parameter) = if let Some((layer, site, role)) = low_rank_name(family, rest) {
            targets.push(site);
            layers.push(layer);
            let ours = names::in_layer(layer, &format!("{site}.lora.{}", role.1));
            let module = theirs.strip_suffix(role.0).unwrap_or(theirs);
            (ours, format!("{module}{}", role.2))
        } else {
            let (ours, module, part) = head_name(rest).ok_or_else(unknown)?;
            (ours, format!("{PREFIX}{module}.modules_to_save.default.{part}"))
        };
        read.tensors.insert(ours.clone(), file.tensor(theirs)?);
        read.names.push((ours, parameter));
    }
    targets.sort_unstable();
    targets.dedup();
    layers.sort_unstable();
    layers.dedup();
    read.method = method(path, config, &targets, &layers)?;
    read.head = head(family, &read.tensors);
    read.labels = match &read.head {
        Some(head) => (0..head.outputs).map(|i| i.to_string()).collect(),
        None => Vec::new(),
    };
    Ok(read)
}

/// Name at the end in the file, our role, and the parameter's name inside the model.
type Role = (&'static str, &'static str, &'static str);

const ROLES: [Role; 3] = [
    ("lora_A.weight", "a", "lora_A.default.weight"),
    ("lora_B.weight", "b", "lora_B.default.weight"),
    ("lora_magnitude_vector", "magnitude", "lora_magnitude_vector.default.weight"),
];

/// Layer, site and role of one of LoRA's tensors.
fn low_rank_name(family: &'static Family, name: &str) -> Option<(usize, &'static str, Role)> {
    let rest = name.strip_prefix(family.prefix)?.strip_prefix('.')?;
    let (before, _) = family.layer.split_once("{i}")?;
    let (layer, rest) = rest.strip_prefix(before)?.split_once('.')?;
    let role = ROLES.into_iter().find(|role| rest.ends_with(role.0))?;
    let module = rest.strip_suffix(role.0)?.strip_suffix('.')?;
    let site = family.inner.iter().find(|(_, theirs)| *theirs == module)?.0;
    names::WEIGHT_SITES.contains(&site).then_some((names::layer_number(layer)?, site, role))
}

/// Our name of a head's tensor, its module and its last part.
fn head_name(name: &str) -> Option<(String, &'static str, &str)> {
    // RoBERTa's head is one module of two layers; DistilBERT's first layer is a module of its own.
    let modules: [(&str, &str, &str, &'static str); 4] = [
        ("classifier.dense.", "head.dense", "dense.", "classifier"),
        ("classifier.out_proj.", "head.out", "out_proj.", "classifier"),
        ("pre_classifier.", "head.dense", "", "pre_classifier"),
        ("classifier.", "head.out", "", "classifier"),
    ];
    modules.into_iter().find_map(|(start, ours, inner, module)| {
        let role = name.strip_prefix(start)?;
        let part = &name[start.len() - inner.len()..];
        matches!(role, "weight" | "bias").then(|| (format!("{ours}.{role}"), module, part))
    })
}

fn method(
    path: &Path,
    config: &Value,
    targets: &[&str],
    layers: &[usize],
) -> Result<MethodSpec, Error> {
    let number = |field: &str| {
        let value = config.get(field).and_then(Value::as_f64).filter(|v| *v > 0.0);
        value.ok_or_else(|| Error::content(path, format!("lacks '{field}', a number above zero")))
    };
    let flag = |field: &str| config.get(field).and_then(Value::as_bool).unwrap_or(false);
    let mut part = MethodPart { name: "lora".into(), options: Default::default() }
        .with("r", number("r")? as u64)
        .with("alpha", number("lora_alpha")?)
        .with("targets", targets.to_vec());
    for (ours, theirs) in [("rslora", "use_rslora"), ("dora", "use_dora")] {
        if flag(theirs) {
            part = part.with(ours, true);
        }
    }
    if let Some(last) = layers.last() {
        let missing: Vec<usize> = (0..*last).filter(|layer| !layers.contains(layer)).collect();
        if !missing.is_empty() {
            part = part.with("leave_out", missing);
        }
    }
    Ok(MethodSpec { parts: vec![part] })
}

/// The head of `transformers`' model for sequence or image classification of this family.
fn head(family: &Family, tensors: &TensorMap) -> Option<HeadSpec> {
    let outputs = *tensors.get("head.out.weight")?.shape.first()?;
    let (pooling, dense) = match family.name {
        "bert" => (Pooling::Pooler, None),
        "roberta" => (Pooling::Cls, Some(Activation::Tanh)),
        "distilbert" => (Pooling::Cls, Some(Activation::Relu)),
        "dinov2" => (Pooling::ClsMean, None),
        _ => (Pooling::Cls, None),
    };
    let bias = tensors.contains_key("head.out.bias");
    Some(HeadSpec { kind: HeadKind::Classification, outputs, pooling, dense, bias, dropout: 0.1 })
}
