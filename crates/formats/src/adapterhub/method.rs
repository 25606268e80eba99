//! The methods that AdapterHub's configurations describe, as ours.

use std::path::Path;

use budwood_base::method::MethodPart;
use budwood_base::names;
use serde_json::{Value, json};

use crate::Error;
use crate::imported::{flag, refuse};

/// Bottleneck switches that have no counterpart here, with the value that means "off".
const UNSUPPORTED: &[(&str, &str)] = &[
    ("ln_before", "false"),
    ("ln_after", "false"),
    ("adapter_residual_before_ln", "false"),
    ("inv_adapter", "null"),
    ("cross_adapter", "false"),
];

/// Switches of a bottleneck's place that are options of `bottleneck` here, by the same names.
pub(super) const PLACES: [&str; 6] = [
    "mh_adapter",
    "output_adapter",
    "original_ln_before",
    "original_ln_after",
    "residual_before_ln",
    "is_parallel",
];
/// Switches that are options of every bottleneck that has them, by the same names.
pub(super) const SWITCHES: [&str; 8] = [
    "reduction_factor",
    "non_linearity",
    "scaling",
    "init_weights",
    "dropout",
    "stochastic_depth",
    "use_gating",
    "leave_out",
];
/// Those of Compacter's products.
pub(super) const OF_PRODUCTS: [&str; 2] = ["phm_dim", "phm_rank"];

/// The methods of a configuration; several in a union.
pub(super) fn parts(path: &Path, config: &Value) -> Result<Vec<MethodPart>, Error> {
    Ok(vec![match config.get("architecture").and_then(Value::as_str) {
        None => bottleneck_method(path, config)?,
        Some("lora") => low_rank_method(path, config)?,
        Some("prefix_tuning") => {
            let options = [
                "prefix_length",
                "bottleneck_size",
                "non_linearity",
                "flat",
                "use_gating",
                "shared_gating",
                "leave_out",
            ];
            same_options("prefix_tuning", config, &options)
        }
        Some("prompt_tuning") => {
            same_options("prompt_tuning", config, &["prompt_length", "combine"])
        }
        Some("union") => {
            let members = config.get("configs").and_then(Value::as_array).into_iter().flatten();
            return Ok(members.map(|c| parts(path, c)).collect::<Result<Vec<_>, _>>()?.concat());
        }
        Some(other) => {
            let message = format!("architecture '{other}' is not read yet");
            return Err(Error::content(path, message));
        }
    }])
}

/// A method whose options have the library's names.
fn same_options(name: &str, config: &Value, options: &[&str]) -> MethodPart {
    let part = MethodPart { name: name.into(), options: Default::default() };
    let given = options.iter().filter_map(|o| Some((o, config.get(*o).filter(|v| !v.is_null())?)));
    given.fold(part, |part, (option, value)| part.with(option, value.clone()))
}

fn bottleneck_method(path: &Path, config: &Value) -> Result<MethodPart, Error> {
    for (field, off) in UNSUPPORTED {
        if let Some(value) = config.get(*field)
            && value.to_string().as_str() != *off
        {
            let message = format!("'{field}' is {value}, which Budwood does not have");
            return Err(Error::content(path, message));
        }
    }
    if config.get("residual_before_ln").is_some_and(Value::is_string) {
        let message = "'residual_before_ln' is a word, which Budwood does not have";
        return Err(Error::content(path, message));
    }
    Ok(if flag(path, config, "phm_layer", false)? {
        same_options(compacter_name(path, config)?, config, &[&SWITCHES[..], &OF_PRODUCTS].concat())
    } else {
        same_options("bottleneck", config, &[&SWITCHES[..], &PLACES].concat())
    })
}

/// Compacter after both sub-layers, or Compacter++ after the second.
fn compacter_name(path: &Path, config: &Value) -> Result<&'static str, Error> {
    refuse(
        path,
        config,
        &[
            ("factorized_phm_W", &[json!(true)]),
            ("factorized_phm_rule", &[json!(false)]),
            ("shared_phm_rule", &[json!(true)]),
            ("shared_W_phm", &[json!(false)]),
            ("learn_phm", &[json!(true)]),
            ("phm_bias", &[json!(true)]),
            ("original_ln_after", &[json!(true)]),
            ("residual_before_ln", &[json!(true)]),
            ("is_parallel", &[json!(false)]),
            ("output_adapter", &[json!(true)]),
        ],
    )?;
    let flag = |name| flag(path, config, name, false);
    match (flag("mh_adapter")?, flag("original_ln_before")?) {
        (true, false) => Ok("compacter"),
        (false, true) => Ok("compacter++"),
        _ => Err(Error::content(path, "is neither Compacter nor Compacter++ in its places")),
    }
}

/// LoRA, or (IA)³, which the library writes as LoRA of rank 1 that scales. Dropout inside LoRA acts
/// in training only and is left out.
fn low_rank_method(path: &Path, config: &Value) -> Result<MethodPart, Error> {
    refuse(
        path,
        config,
        &[("use_dora", &[json!(false)]), ("vera_d", &[json!(null)]), ("vera_b", &[json!(null)])],
    )?;
    let flag = |name, default| flag(path, config, name, default);
    let mut targets = Vec::new();
    if flag("selfattn_lora", true)? {
        for matrix in config.get("attn_matrices").and_then(Value::as_array).into_iter().flatten() {
            targets.push(match matrix.as_str() {
                Some("q") => names::QUERY,
                Some("k") => names::KEY,
                Some("v") => names::VALUE,
                _ => {
                    let message = format!("attn_matrices names {matrix}; known are q, k and v");
                    return Err(Error::content(path, message));
                }
            });
        }
    }
    targets.extend(flag("intermediate_lora", false)?.then_some(names::FFN_IN));
    targets.extend(flag("output_lora", false)?.then_some(names::FFN_OUT));
    let number =
        |name: &str, default: f64| config.get(name).and_then(Value::as_f64).unwrap_or(default);
    let (rank, alpha) = (number("r", 8.0), number("alpha", 8.0));
    let part = |name: &str| MethodPart { name: name.into(), options: Default::default() };
    let mut part = match config.get("composition_mode").and_then(Value::as_str) {
        Some("scale") if rank == 1.0 && alpha == 1.0 => part("ia3"),
        Some("add") => part("lora")
            .with("r", rank as u64)
            .with("alpha", alpha)
            .with("dropout", number("dropout", 0.0))
            .with("use_gating", flag("use_gating", false)?),
        other => {
            let message = format!(
                "composition_mode '{}' with rank {rank} and alpha {alpha} is not read",
                other.unwrap_or_default()
            );
            return Err(Error::content(path, message));
        }
    };
    part = part.with("targets", targets);
    if let Some(layers) = config.get("leave_out").filter(|v| !v.is_null()) {
        part = part.with("leave_out", layers.clone());
    }
    Ok(part)
}
