//! Adapter folders of PEFT (0.21): `adapter_config.json` and `adapter_model.safetensors` or `.bin`,
//! over the models of `transformers`, whose heads are "modules to save".
//!
//! What PEFT lets differ from module to module (ranks, scales, which modules) is folded into the
//! tensors where our method has one value for all. VeRA and AdaLoRA become LoRA: their updates are
//! of that form. Prompts and prefixes: `prompts.rs`.

mod fused;
pub(crate) mod head;
mod ia3;
pub(crate) mod low_rank;
mod newer;
mod prompts;
mod targets;
mod write;

pub use write::export;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use budwood_base::encoder::EncoderSpec;
use budwood_base::head::HeadKind;
use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use crate::Error;
use crate::family::{FAMILIES, Family};
use crate::imported::{Imported, refuse};
use crate::weights::Weights;
use low_rank::Site;
use targets::Targets;

/// Switches that have no counterpart here, with the values that mean "off".
fn switches() -> Vec<(&'static str, Vec<Value>)> {
    let null = || vec![json!(null)];
    vec![
        ("bias", vec![json!("none")]),
        ("fan_in_fan_out", vec![json!(false), json!(null)]),
        ("lora_bias", vec![json!(false)]),
        ("use_qalora", vec![json!(false)]),
        ("layer_replication", null()),
        ("trainable_token_indices", null()),
        ("target_parameters", vec![json!(null), json!([])]),
        ("alora_invocation_tokens", null()),
        ("arrow_config", null()),
        ("kasa_config", null()),
        ("monteclora_config", null()),
        ("use_bdlora", null()),
        ("velora_config", null()),
    ]
}

/// Refuses adapters that begin with a part of the base's own weights, which the library takes out
/// of the base whenever it loads them.
fn refuse_other_weights(path: &Path, config: &Value) -> Result<(), Error> {
    const HARMLESS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];
    let how = match config.get("init_lora_weights").and_then(Value::as_str) {
        Some(how) if !HARMLESS.contains(&how.to_lowercase().as_str()) => how,
        _ => return Ok(()),
    };
    Err(Error::content(
        path,
        format!(
            "'init_lora_weights' is \"{how}\": PEFT changes the base by it, and the adapter is for the changed base. Save it \
             as a plain one, with save_pretrained(..., path_initial_model_for_weight_conversion=...)"
        ),
    ))
}

/// What stands before every name in the file.
const PREFIX: &str = "base_model.model.";
/// The same where the model is not wrapped in another.
const OUTER: &str = "base_model.";

/// The last part of a tensor's name in the file, our role of it, and the parameter's name inside
/// the model.
type Role = (&'static str, &'static str, &'static str);

const ROLES: &[Role] = &[
    ("lora_A.weight", "a", "lora_A.default.weight"),
    ("lora_B.weight", "b", "lora_B.default.weight"),
    ("lora_magnitude_vector", "magnitude", "lora_magnitude_vector.default.weight"),
    ("lora_A", "a", "lora_A.default"),
    ("lora_B", "b", "lora_B.default"),
    ("lora_E", "e", "lora_E.default"),
    ("vera_lambda_b", "vera_b", "vera_lambda_b.default"),
    ("vera_lambda_d", "vera_d", "vera_lambda_d.default"),
    ("ia3_l", "scale", "ia3_l.default"),
];

const NORM: &str = "ln_tuning_layers";

/// Reads a folder whose configuration is `config`, of the file `path`. Dropout acts in training
/// only and is left out. With the base's sizes it is also checked that all its layers are there.
///
/// # Errors
/// If a file is missing or damaged, or the configuration asks for what does not exist here.
pub(crate) fn read(
    folder: &Path,
    path: &Path,
    config: &Value,
    encoder: Option<&EncoderSpec>,
) -> Result<Imported, Error> {
    let kind = config.get("peft_type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "LORA" | "ADALORA" | "VERA" | "IA3" | "LN_TUNING" => {}
        of_prompts if prompts::TYPES.contains(&of_prompts) => {}
        other => {
            let message = format!(
                "peft_type '{other}' is not read; LORA, ADALORA, VERA, IA3, LN_TUNING, {} are",
                prompts::TYPES.join(", ")
            );
            return Err(Error::content(path, message));
        }
    }
    for (field, off) in switches() {
        refuse(path, config, &[(field, &off)])?;
    }
    refuse_other_weights(path, config)?;
    let files = ["adapter_model.safetensors", "adapter_model.bin"];
    let file = Weights::open_in(folder, &files)?;
    if prompts::TYPES.contains(&kind) {
        return of_prompts(path, config, &file, encoder);
    }
    let family = family(&file, encoder)?;
    if let Some(encoder) = encoder
        && encoder.family != family.name
    {
        let name = config.get("base_model_name_or_path").and_then(Value::as_str);
        return Err(Error::OtherBase {
            what: "the family".into(),
            expected: family.name.into(),
            found: encoder.family.clone(),
            name: name.unwrap_or("not named").into(),
        });
    }
    let Sorted { mut read, sites, norms, projections } = sorted(&file, family)?;
    let last = sites.keys().filter_map(|s| s.layer).max().map_or(0, |last| last + 1);
    let layers = encoder.map_or(last, EncoderSpec::own_layers);
    let targets = Targets::read(path, config)?;
    if kind == "LN_TUNING" {
        if !sites.is_empty() {
            return Err(Error::content(file.path(), "holds other tensors than those of norms"));
        }
        read.method = MethodSpec::named("layer_norm");
    } else {
        if !norms.is_empty() {
            return Err(Error::content(
                file.path(),
                "holds norms, which its configuration does not name",
            ));
        }
        check_modules(&file, family, layers, &targets, &sites)?;
        let (part, tensors) = match kind {
            "IA3" => ia3::scales(&file, sites)?,
            _ => low_rank::method(path, config, family, encoder, (sites, projections))?,
        };
        let present: BTreeSet<_> =
            tensors.keys().filter_map(|n| names::split_layer(n)).map(|s| s.0).collect();
        let left_out: Vec<usize> = (0..layers).filter(|l| !present.contains(l)).collect();
        let part = if left_out.is_empty() { part } else { part.with("leave_out", left_out) };
        read.tensors.extend(tensors);
        read.method = MethodSpec { parts: vec![part] };
    }
    read.names.retain(|(ours, _)| read.tensors.contains_key(ours));
    with_head(read, family, head_kind(path, config)?)
}

/// The tensors of a file by what they are of.
struct Sorted<'a> {
    /// Of heads and norms.
    read: Imported,
    /// Of modules, by their roles.
    sites: BTreeMap<Site, BTreeMap<&'a str, Tensor>>,
    /// Our names of norms' tensors.
    norms: BTreeSet<String>,
    /// VeRA's.
    projections: TensorMap,
}

/// Reads all tensors of a file.
fn sorted(file: &Weights, family: &'static Family) -> Result<Sorted<'static>, Error> {
    let mut read = Imported {
        method: MethodSpec { parts: Vec::new() },
        head: None,
        labels: Vec::new(),
        tensors: TensorMap::new(),
        names: Vec::new(),
    };
    let (mut sites, mut norms) = (BTreeMap::<Site, _>::new(), BTreeSet::new());
    let mut projections = TensorMap::new();
    for theirs in file.names() {
        let unknown = || Error::content(file.path(), no_place(family, theirs));
        if let Some(name) = theirs.strip_prefix("base_model.vera_") {
            projections.insert(name.into(), file.tensor(theirs)?);
            continue;
        }
        let rest = theirs.strip_prefix(PREFIX).ok_or_else(unknown)?;
        let rest = &newer::older(family, rest)[..];
        if let Some((products, role)) = products(family, rest) {
            let module = theirs.strip_suffix(role.0).unwrap_or(theirs);
            let pieces = fused::pieces(file.tensor(theirs)?, role.1, products.len())
                .map_err(|why| Error::content(file.path(), format!("tensor '{theirs}' {why}")))?;
            for (site, piece) in products.into_iter().zip(pieces) {
                let roles: &mut BTreeMap<&str, Tensor> = sites.entry(site).or_default();
                roles.insert(role.1, piece);
                read.names.push((site.tensor(role.1), format!("{module}{}", role.2)));
            }
        } else if let Some(ours) = norm(family, rest) {
            read.tensors.insert(ours.clone(), file.tensor(theirs)?);
            norms.insert(ours);
        } else if let Some((ours, module, part)) = head::pooler(family, rest) {
            read.tensors.insert(ours.clone(), file.tensor(theirs)?);
            read.names.push((ours, format!("{PREFIX}{module}.modules_to_save.default.{part}")));
        } else {
            let (ours, module, part) = head::name(family, rest).ok_or_else(unknown)?;
            read.tensors.insert(ours.clone(), file.tensor(theirs)?);
            read.names.push((ours, format!("{PREFIX}{module}.modules_to_save.default.{part}")));
        }
    }
    Ok(Sorted { read, sites, norms, projections })
}

/// With the head that its tensors are of, and numbers for names of its classes.
fn with_head(mut read: Imported, family: &Family, kind: HeadKind) -> Result<Imported, Error> {
    read.head = head::saved(family, kind, &read.tensors);
    read.labels = match &read.head {
        Some(head) if head.kind != HeadKind::QuestionAnswering => {
            (0..head.outputs).map(|i| i.to_string()).collect()
        }
        _ => Vec::new(),
    };
    Ok(read)
}

/// Reads a folder of trained vectors before a text: nothing in it says of which family it is.
fn of_prompts(
    path: &Path,
    config: &Value,
    file: &Weights,
    encoder: Option<&EncoderSpec>,
) -> Result<Imported, Error> {
    let family = encoder.and_then(|e| FAMILIES.iter().copied().find(|f| f.name == e.family));
    let (Some(encoder), Some(family)) = (encoder, family) else {
        let message = "does not say of which family its base is, and is read on a base alone";
        return Err(Error::content(path, message));
    };
    let missing =
        || Error::Missing { path: file.path().into(), count: 1, first: prompts::TENSOR.into() };
    file.shape(prompts::TENSOR).ok_or_else(missing)?;
    let vectors = file.tensor(prompts::TENSOR)?;
    let (method, tensors) = prompts::read(path, config, vectors, encoder)?;
    let (labels, names) = (Vec::new(), Vec::new());
    let mut read = Imported { method, head: None, labels, tensors, names };
    for theirs in file.names().filter(|name| *name != prompts::TENSOR) {
        let rest = theirs.strip_prefix(PREFIX).or_else(|| theirs.strip_prefix(OUTER));
        let found = rest.and_then(|rest| head::name(family, rest));
        let (ours, module, part) =
            found.ok_or_else(|| Error::content(file.path(), no_place(family, theirs)))?;
        read.tensors.insert(ours.clone(), file.tensor(theirs)?);
        read.names.push((ours, format!("{OUTER}{module}.modules_to_save.default.{part}")));
    }
    with_head(read, family, head_kind(path, config)?)
}

fn head_kind(path: &Path, config: &Value) -> Result<HeadKind, Error> {
    match config.get("task_type").and_then(Value::as_str) {
        None | Some("SEQ_CLS" | "FEATURE_EXTRACTION") => Ok(HeadKind::Classification),
        Some("TOKEN_CLS") => Ok(HeadKind::TokenClassification),
        Some("QUESTION_ANS") => Ok(HeadKind::QuestionAnswering),
        Some(other) => Err(Error::content(path, format!("task_type {other} is not read"))),
    }
}

/// Why a tensor is not read.
fn no_place(family: &Family, theirs: &str) -> String {
    let mut parted = family.parted.iter().flat_map(|(ours, modules)| modules.iter().zip([ours; 2]));
    match parted.find(|(module, _)| theirs.contains(&format!(".{module}."))) {
        Some((module, ours)) => format!(
            "tensor '{theirs}' adapts '{module}', which is a half of the product '{ours}' here; such an adapter is not read"
        ),
        None => format!("tensor '{theirs}' has no place here"),
    }
}

/// The family that the tensors' names speak of: of several with the same prefix, that of the base.
fn family(file: &Weights, encoder: Option<&EncoderSpec>) -> Result<&'static Family, Error> {
    let is_of = |family: &Family| {
        let start = format!("{PREFIX}{}.", family.prefix);
        file.names().any(|name| name.starts_with(&start))
    };
    let of_base = |family: &&Family| encoder.is_some_and(|e| e.family == family.name);
    let mut all = FAMILIES.iter().copied().filter(|f| is_of(f));
    all.clone().find(of_base).or_else(|| all.next()).ok_or_else(|| {
        let known: BTreeSet<_> = FAMILIES.iter().map(|f| f.prefix).collect();
        let known: Vec<_> = known.into_iter().collect();
        let found = file.names().next().unwrap_or("none at all");
        let message = format!(
            "no tensor's name begins with {PREFIX} and one of {}; the first is '{found}'",
            known.join(", ")
        );
        Error::content(file.path(), message)
    })
}

/// The products that a tensor's linear module holds, and its role there: one, but of modules that
/// hold several.
fn products(family: &'static Family, name: &str) -> Option<(Vec<Site>, Role)> {
    let role = *ROLES.iter().find(|role| name.ends_with(&format!(".{}", role.0)))?;
    let whole = name.strip_suffix(role.0)?.strip_suffix('.')?;
    let pooler = Site { layer: None, name: names::POOLER };
    if pooler.module(family) == whole {
        return Some((vec![pooler], role));
    }
    let module = whole.strip_prefix(family.prefix)?.strip_prefix('.')?;
    let (layer, module) = family.split_layer(module)?;
    let layer = Some(layer);
    if let Some((_, ours)) = family.fused.iter().find(|(theirs, _)| *theirs == module) {
        return Some((ours.iter().map(|name| Site { layer, name }).collect(), role));
    }
    let name = family.inner.iter().find(|(_, theirs)| *theirs == module)?.0;
    names::WEIGHT_SITES.contains(&name).then(|| (vec![Site { layer, name }], role))
}

/// Our name of a norm's tensor.
fn norm(family: &Family, name: &str) -> Option<String> {
    let (module, role) = name.split_once(&format!(".{NORM}."))?;
    let theirs = format!("{module}.{role}");
    let rest = theirs.strip_prefix(family.prefix)?.strip_prefix('.')?;
    if let Some((layer, rest)) = family.split_layer(rest) {
        let rest = rest.strip_suffix(role)?.strip_suffix('.')?;
        let ours = family.inner.iter().find(|(_, theirs)| *theirs == rest)?.0;
        return Some(names::in_layer(layer, &format!("{ours}.{role}")));
    }
    let rest = rest.strip_suffix(role)?.strip_suffix('.')?;
    let ours = family.outer.iter().find(|(_, theirs)| *theirs == rest)?.0;
    Some(format!("{ours}.{role}"))
}

/// Whether the modules in the file are those that the configuration names.
fn check_modules(
    file: &Weights,
    family: &Family,
    layers: usize,
    targets: &Targets,
    sites: &BTreeMap<Site, BTreeMap<&str, Tensor>>,
) -> Result<(), Error> {
    if let Some(site) = sites.keys().find(|s| s.layer.is_some_and(|l| l >= layers)) {
        let message = format!(
            "holds tensors of layer {}, but the base model has {layers}",
            site.layer.unwrap_or_default()
        );
        return Err(Error::content(file.path(), message));
    }
    let mut missing = Vec::new();
    // The configuration's names are those of the library that the file is of.
    let since_5 = file.names().any(|name| newer::older(family, name) != name);
    for layer in 0..layers {
        for name in names::WEIGHT_SITES {
            let site = Site { layer: Some(layer), name };
            let module = site.module(family);
            let named = match since_5 {
                true => newer::newer(family, &module),
                false => module.clone(),
            };
            match (targets.has(&named, Some(layer))?, sites.contains_key(&site)) {
                (Some(true), false) => missing.push(module),
                (Some(false), true) => {
                    let message = format!(
                        "holds tensors of '{module}', which adapter_config.json does not name"
                    );
                    return Err(Error::content(file.path(), message));
                }
                _ => {}
            }
        }
    }
    // The pooler is linear, too; models without one have nothing of it.
    let pooler = Site { layer: None, name: names::POOLER };
    if sites.contains_key(&pooler) && targets.has(&pooler.module(family), None)? == Some(false) {
        let message = "holds tensors of the pooler, which adapter_config.json does not name";
        return Err(Error::content(file.path(), message));
    }
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(Error::Missing {
            path: file.path().into(),
            count: missing.len(),
            first: first.clone(),
        }),
    }
}
