//! Adapter folders of the AdapterHub library (`adapters` 1.3): `adapter_config.json`,
//! `adapter.safetensors`, `head_config.json`, `model_head.safetensors`.

mod config;
mod head;
mod method;
mod write;

pub(crate) use head::read_head_alone;
pub use write::{Options, export};

use std::path::Path;

use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::Value;

use crate::Error;
use crate::family::{self, Family};
use crate::imported::{Imported, read_json};
use crate::weights::Weights;
use head::read_head;
use method::parts;

/// Reads a folder.
///
/// # Errors
/// If a file is missing or damaged, or the configuration asks for what does not exist here.
pub fn read(folder: &Path) -> Result<Imported, Error> {
    let (path, json) = read_json(folder, "adapter_config.json")?;
    let text = |field: &str| json.get(field).and_then(Value::as_str);
    let model_type =
        text("model_type").ok_or_else(|| Error::content(&path, "lacks the field 'model_type'"))?;
    let family = family::find(model_type)
        .ok_or_else(|| Error::content(&path, format!("model_type '{model_type}' is not known")))?;
    let name = text("name").ok_or_else(|| Error::content(&path, "lacks the field 'name'"))?;
    let config = config::today(&path, &json)?;
    let config = &config;
    let method = MethodSpec { parts: parts(&path, config)? };
    let scales = method.parts.iter().any(|p| p.name == "ia3");
    let mut names = Vec::new();
    let mut tensors = TensorMap::new();
    let file = Weights::open_in(folder, &["adapter.safetensors", "pytorch_adapter.bin"])?;
    for theirs in file.names() {
        if is_copy(&file, family, theirs)? {
            continue;
        }
        let renamed = config::tensor_today(theirs);
        let ours = canonical_name(family, name, &renamed).ok_or_else(|| {
            Error::content(file.path(), format!("tensor '{theirs}' has no place in this method"))
        })?;
        let (mut ours, mut tensor) = (ours, file.tensor(theirs)?);
        if ours == FLAT_PREFIX {
            for (ours, tensor) in flat_prefix(&file, theirs, &method, &tensor)? {
                tensors.insert(ours.clone(), tensor);
                names.push((ours, theirs.to_string()));
            }
            continue;
        }
        if scales && tensor.shape.len() == 2 && tensor.shape[1] == 1 {
            // A matrix of one column there, a vector here. Other tensors are of the union's others.
            if let Some(module) = ours.strip_suffix(".lora.b") {
                ours = format!("{module}.ia3.scale");
                tensor.shape.truncate(1);
            }
        }
        tensors.insert(ours.clone(), tensor);
        names.push((ours, theirs.to_string()));
    }
    let mut read = Imported { method, head: None, labels: Vec::new(), tensors, names };
    if folder.join("head_config.json").exists() {
        read_head(folder, name, &mut read)?;
    }
    Ok(read)
}

/// The name of the family that a folder speaks of; none where it says nothing that is known.
pub(crate) fn family(folder: &Path) -> Result<Option<&'static str>, Error> {
    let kind = about_base(folder, "model_type")?;
    Ok(kind.as_ref().and_then(Value::as_str).and_then(family::find).map(|f| f.name))
}

/// The width of the base that a folder speaks of, if it does.
pub(crate) fn hidden_size(folder: &Path) -> Result<Option<u64>, Error> {
    Ok(about_base(folder, "hidden_size")?.as_ref().and_then(Value::as_u64))
}

/// What a folder says of its base.
fn about_base(folder: &Path, field: &str) -> Result<Option<Value>, Error> {
    let files = ["adapter_config.json", "head_config.json"];
    let Some(file) = files.into_iter().find(|f| folder.join(f).exists()) else { return Ok(None) };
    let (_, json) = read_json(folder, file)?;
    Ok(json.get(field).cloned())
}

/// Whether a tensor is what a layer has of the prefixes that all layers share: `.bin` files hold
/// them once for each layer.
///
/// # Errors
/// If it is not the same as what they share.
fn is_copy(file: &Weights, family: &Family, theirs: &str) -> Result<bool, Error> {
    let Some((_, rest)) = theirs.split_once(".prefix_tuning.pool.") else { return Ok(false) };
    let shared = format!("{}.prefix_tuning.{rest}", family.prefix);
    if file.contains(&shared) && file.tensor(&shared)? == file.tensor(theirs)? {
        return Ok(true);
    }
    let message =
        format!("tensor '{theirs}' is not the same as '{shared}', whose copy it should be");
    Err(Error::content(file.path(), message))
}

/// What the library keeps as one vector: keys and values of all layers.
pub(crate) const FLAT_PREFIX: &str = "shared.prefix.all";

/// The library's flat prefixes, ordered by row, layer, keys before values.
fn flat_prefix(
    file: &Weights,
    theirs: &str,
    method: &MethodSpec,
    all: &Tensor,
) -> Result<Vec<(String, Tensor)>, Error> {
    let part = method.parts.iter().find(|p| p.name == "prefix_tuning");
    let option = |name: &str| part.and_then(|p| p.options.get(name));
    let length = option("prefix_length").and_then(Value::as_u64).unwrap_or(30) as usize;
    let left_out: Vec<u64> = option("leave_out")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    // The width is not in the file: the layers are those that the configuration does not leave out.
    let fault =
        || Error::content(file.path(), format!("tensor '{theirs}' does not fit its configuration"));
    let (_, json) =
        read_json(file.path().parent().unwrap_or(Path::new(".")), "adapter_config.json")?;
    let width = json.get("hidden_size").and_then(Value::as_u64).unwrap_or(0) as usize;
    let piece = length.checked_mul(width).filter(|n| *n <= all.data.len()).ok_or_else(fault)?;
    let pieces = all.data.len().checked_div(piece).unwrap_or(0);
    if pieces == 0 || !pieces.is_multiple_of(2) || pieces * piece != all.data.len() {
        return Err(fault());
    }
    let mut tensors = Vec::with_capacity(pieces);
    let layers = (0u64..).filter(|l| !left_out.contains(l)).take(pieces / 2);
    for (i, layer) in layers.enumerate() {
        for (j, role) in ["key", "value"].into_iter().enumerate() {
            let piece = 2 * i + j;
            let row = |r: usize| &all.data[(r * pieces + piece) * width..][..width];
            let data = (0..length).flat_map(|r| row(r).iter().copied()).collect();
            let name =
                names::in_layer(layer as usize, &format!("{}.prefix.{role}", names::ATTENTION_KV));
            tensors.push((name, Tensor::new(vec![length, width], data)));
        }
    }
    Ok(tensors)
}

/// Our name of one of the library's tensors.
fn canonical_name(family: &Family, adapter: &str, theirs: &str) -> Option<String> {
    let rest = theirs.strip_prefix(family.prefix)?.strip_prefix('.')?;
    let shared = rest.strip_prefix("shared_parameters.").and_then(|r| r.strip_prefix(adapter));
    if shared == Some(".phm_rule") {
        return Some(names::PHM_RULE.into());
    }
    if let Some(role) = rest.strip_prefix("prompt_tuning.prompt_tunings.") {
        let role = role.strip_prefix(adapter)?;
        return (role == ".prompt_embedding.weight").then(|| "shared.prompt.embedding".into());
    }
    if let Some(role) = rest.strip_prefix("prefix_tuning.prefix_tunings.") {
        let role = role.strip_prefix(adapter)?.strip_prefix(".self")?;
        let role = role.strip_prefix("_prefix").unwrap_or(role).strip_prefix('.')?;
        let role = PREFIX_ROLES.iter().find(|(_, theirs)| *theirs == role)?.0;
        return Some(role.into());
    }
    let (layer, rest) = family.split_layer(rest)?;
    if let Some((_, role)) = rest.split_once(".prefix_tuning.prefix_gates.") {
        let role = role.strip_prefix(adapter)?.strip_prefix('.')?;
        let ours = format!("{}.prefix.gate.{role}", names::ATTENTION_KV);
        return matches!(role, "weight" | "bias").then(|| names::in_layer(layer, &ours));
    }
    if let Some((module, role)) = rest.split_once(".loras.") {
        let site = family.inner.iter().find(|(_, theirs)| *theirs == module)?.0;
        let role = match role.strip_prefix(adapter)?.strip_prefix('.')? {
            "lora_A" => "a",
            "lora_B" => "b",
            "gate.weight" => "gate.weight",
            "gate.bias" => "gate.bias",
            _ => return None,
        };
        return Some(names::in_layer(layer, &format!("{site}.lora.{role}")));
    }
    let sites = [names::ATTENTION_OUT, names::FFN_OUT];
    sites.iter().zip(family.adapterhub?.outputs).find_map(|(site, module)| {
        let role = rest.strip_prefix(module?)?.strip_prefix('.')?;
        let role = role.strip_prefix(adapter)?.strip_prefix('.')?;
        let role = ROLES.iter().find(|(_, theirs)| *theirs == role)?.0;
        Some(names::in_layer(layer, &format!("{site}.bottleneck.{role}")))
    })
}

/// `(our name, the library's)` of a prefix.
pub(crate) const PREFIX_ROLES: &[(&str, &str)] = &[
    ("shared.prefix.embedding", "wte.weight"),
    ("shared.prefix.in.weight", "control_trans.0.weight"),
    ("shared.prefix.in.bias", "control_trans.0.bias"),
    ("shared.prefix.out.weight", "control_trans.2.weight"),
    ("shared.prefix.out.bias", "control_trans.2.bias"),
    (FLAT_PREFIX, "control_trans"),
];

/// `(our role, the library's)` in a bottleneck.
pub(crate) const ROLES: &[(&str, &str)] = &[
    ("down.weight", "adapter_down.0.weight"),
    ("down.bias", "adapter_down.0.bias"),
    ("up.weight", "adapter_up.weight"),
    ("up.bias", "adapter_up.bias"),
    ("scaling", "scaling"),
    ("gate.weight", "gate.weight"),
    ("gate.bias", "gate.bias"),
    ("down.w_left", "adapter_down.0.W_left"),
    ("down.w_right", "adapter_down.0.W_right"),
    ("down.bias", "adapter_down.0.b"),
    ("up.w_left", "adapter_up.W_left"),
    ("up.w_right", "adapter_up.W_right"),
    ("up.bias", "adapter_up.b"),
];
