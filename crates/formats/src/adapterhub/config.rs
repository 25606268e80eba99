//! Configurations and tensor names of AdapterHub's older versions, as today's.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Error;

/// The configurations that a name alone stood for, with what differs from today's defaults.
fn named(name: &str) -> Option<Value> {
    let bottleneck = |changes: Value| {
        let mut config = json!({
            "mh_adapter": false, "output_adapter": true, "reduction_factor": 16, "non_linearity": "relu",
            "original_ln_before": true, "original_ln_after": true, "residual_before_ln": true,
        });
        merge(&mut config, changes);
        config
    };
    let parallel = |scaling: Value| {
        bottleneck(json!({
            "reduction_factor": 2, "original_ln_before": false, "is_parallel": true,
            "init_weights": "mam_adapter", "scaling": scaling,
        }))
    };
    Some(match name {
        "pfeiffer" | "seq_bn" => bottleneck(json!({})),
        "houlsby" | "double_seq_bn" => bottleneck(json!({
            "mh_adapter": true, "original_ln_before": false, "non_linearity": "swish",
        })),
        "parallel" | "par_bn" => parallel(json!(4.0)),
        "scaled_parallel" | "scaled_par_bn" => parallel(json!("learned")),
        "lora" => json!({
            "architecture": "lora", "attn_matrices": ["q", "v"], "composition_mode": "add", "r": 8, "alpha": 8,
        }),
        "prefix_tuning" => json!({ "architecture": "prefix_tuning" }),
        "prefix_tuning_flat" => json!({ "architecture": "prefix_tuning", "flat": true }),
        "prompt_tuning" => json!({ "architecture": "prompt_tuning" }),
        _ => return None,
    })
}

fn merge(config: &mut Value, changes: Value) {
    if let (Value::Object(config), Value::Object(changes)) = (config, changes) {
        config.extend(changes);
    }
}

/// The map `config` of `adapter_config.json` in today's terms.
///
/// # Errors
/// If there is none.
pub(crate) fn today(path: &Path, json: &Value) -> Result<Value, Error> {
    let mut config = match json.get("config") {
        Some(Value::String(name)) => named(name).ok_or_else(|| {
            Error::content(path, format!("'config' names '{name}', which is not known"))
        })?,
        Some(map) if map.is_object() => map.clone(),
        _ => return Err(Error::content(path, "lacks the map 'config'")),
    };
    let version = json.get("version").and_then(Value::as_str);
    let Value::Object(map) = &mut config else { return Ok(config) };
    rename(map, "invertible_adapter", "inv_adapter");
    if version.is_none() {
        activations(map);
    }
    // LoRA was scaled wrongly up to 1.0: by its rank, whatever alpha was.
    let faulty = version
        .and_then(|v| v.strip_prefix("adapters."))
        .is_some_and(|v| v.starts_with("0.") || v.starts_with("1.0"));
    if faulty
        && map.get("architecture") == Some(&json!("lora"))
        && let Some(rank) = map.get("r").cloned()
    {
        map.insert("alpha".into(), rank);
    }
    Ok(config)
}

fn rename(map: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = map.remove(old) {
        map.entry(new).or_insert(value);
    }
}

/// What older versions called `gelu` is its form by tanh.
fn activations(map: &mut Map<String, Value>) {
    if let Some(Value::String(word)) = map.get_mut("non_linearity") {
        *word = match word.as_str() {
            "gelu" => "gelu_new".into(),
            "gelu_orig" => "gelu".into(),
            other => other.into(),
        };
    }
}

/// A tensor's name in today's terms.
pub(crate) fn tensor_today(name: &str) -> String {
    const OLD: &[&str] = &[
        ".attention_text_task_adapters.",
        ".attention_text_lang_adapters.",
        ".layer_text_task_adapters.",
        ".layer_text_lang_adapters.",
    ];
    OLD.iter().fold(name.to_string(), |name, old| name.replace(old, ".adapters."))
}
