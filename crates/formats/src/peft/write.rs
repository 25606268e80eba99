//! Adapters as folders of PEFT (0.21), for the models of `transformers`.

use std::collections::BTreeMap;

use budwood_base::encoder::InputSpec;
use budwood_base::head::HeadKind;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use super::newer::{is_renamed, newer};
use super::{OUTER, PREFIX, fused, prompts};
use crate::Error;
use crate::export::{
    Exported, cannot, family_of, model_class, refuse_masked_lm, transformers_head,
};
use crate::family::Family;
use crate::native::AdapterFolder;

const VERSION: &str = "0.21.2";

/// Writes an adapter with its head, for models of `transformers` 4, or of 5, where modules of some
/// image models have other names.
///
/// # Errors
/// If the library has no such method, or the model of `transformers` no such head.
pub fn export(folder: &AdapterFolder, since_5: bool) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = folder;
    let family = family_of(meta)?;
    let [part] = &meta.method.parts[..] else {
        return Err(cannot("PEFT has no unions of methods"));
    };
    let option = |name: &str| part.options.get(name).cloned().unwrap_or(Value::Null);
    let images = matches!(meta.encoder.input, InputSpec::Image(_));
    let known = ["lora", "ia3", "layer_norm", "linear", "vera"];
    if !known.contains(&part.name.as_str()) && !prompts::has(&part.name) {
        return Err(cannot(format!("PEFT has no method like '{}'", part.name)));
    }
    refuse_masked_lm(meta, "PEFT")?;
    let head = transformers_head(meta, family, tensors)?;
    if head.keys().any(|name| name.starts_with(family.prefix) && name.contains("pooler")) {
        return Err(cannot(
            "the head has a first layer of its own, and PEFT saves none for BERT; export to transformers or AdapterHub",
        ));
    }
    let task_type = match meta.head.kind {
        HeadKind::TokenClassification => json!("TOKEN_CLS"),
        HeadKind::QuestionAnswering => json!("QUESTION_ANS"),
        _ if images => json!(null),
        _ => json!("SEQ_CLS"),
    };
    let mut saved: Vec<&str> = head.keys().filter_map(|name| name.split('.').next()).collect();
    saved.dedup();
    let mut config = json!({
        "auto_mapping": null, "base_model_name_or_path": meta.base.name, "bias": "none", "inference_mode": true,
        "modules_to_save": saved, "peft_version": VERSION, "revision": null, "task_type": task_type,
    });
    if images {
        let class = model_class(meta, family.class);
        let library = format!("transformers.models.{0}.modeling_{0}", family.name);
        config["auto_mapping"] = json!({ "base_model_class": class, "parent_library": library });
    }
    let targets: Vec<String> = serde_json::from_value(option("targets")).unwrap_or_default();
    let layers = |config: &mut Value| {
        let left_out: Vec<usize> = serde_json::from_value(option("leave_out")).unwrap_or_default();
        if !left_out.is_empty() {
            let kept: Vec<_> =
                (0..meta.encoder.own_layers()).filter(|l| !left_out.contains(l)).collect();
            config["layers_to_transform"] = json!(kept);
        }
    };
    let fused = fused::joined(family, tensors)?;
    match part.name.as_str() {
        "lora" => {
            if option("use_gating") == true {
                return Err(cannot("PEFT has no gates of LoRA; export to AdapterHub"));
            }
            config["peft_type"] = json!("LORA");
            config["r"] = option("r");
            config["lora_alpha"] = option("alpha");
            config["lora_dropout"] = option("dropout");
            config["use_rslora"] = option("rslora");
            config["use_dora"] = option("dora");
            config["fan_in_fan_out"] = json!(false);
            config["target_modules"] = modules(family, &targets, since_5)?;
            layers(&mut config);
            patterns(&mut config, &fused.ranks);
        }
        "ia3" => {
            let left_out: Vec<usize> =
                serde_json::from_value(option("leave_out")).unwrap_or_default();
            if !left_out.is_empty() {
                return Err(cannot("PEFT's (IA)³ leaves out no layers; export to AdapterHub"));
            }
            config["peft_type"] = json!("IA3");
            let inputs: Vec<String> = serde_json::from_value(option("inputs")).unwrap_or_default();
            let all: Vec<String> = targets.iter().chain(&inputs).cloned().collect();
            config["feedforward_modules"] = modules(family, &inputs, since_5)?;
            config["fan_in_fan_out"] = json!(false);
            config["init_ia3_weights"] = json!(true);
            config["target_modules"] = modules(family, &all, since_5)?;
        }
        "layer_norm" => {
            config["peft_type"] = json!("LN_TUNING");
            let mut modules: Vec<String> =
                tensors.keys().filter_map(|n| norm_module(family, n)).collect();
            modules.sort();
            modules.dedup();
            if since_5 {
                modules.iter_mut().for_each(|module| *module = newer(family, module));
            }
            config["target_modules"] = json!(modules);
        }
        "linear" => {
            return Err(cannot(
                "PEFT has no adapter that is a head alone; export to transformers or AdapterHub",
            ));
        }
        "vera" => {
            return Err(cannot(
                "VeRA's random projections here are not PEFT's; export to transformers, which merges it",
            ));
        }
        name if prompts::has(name) => {}
        other => return Err(cannot(format!("PEFT has no method like '{other}'"))),
    }
    let mut theirs = TensorMap::new();
    let mut before = PREFIX;
    if prompts::has(&part.name) {
        let (fields, vectors) = prompts::write(part, meta, tensors)?;
        fields.into_iter().for_each(|(name, value)| config[name] = value);
        theirs.insert(prompts::TENSOR.into(), vectors);
        before = OUTER;
    } else {
        let mut add = |place: String, role: &str, mut tensor: Tensor| {
            let place = if since_5 { newer(family, &place) } else { place };
            match role {
                "ia3.scale" => tensor.shape.push(1),
                "ia3.input" => tensor.shape.insert(0, 1),
                _ => {}
            }
            theirs.insert(format!("{PREFIX}{place}"), tensor);
        };
        for (ours, tensor) in tensors {
            let part = names::split_layer(ours).and_then(|(_, rest)| rest.split_once('.'));
            let is_fused = part.is_some_and(|(site, _)| is_fused(family, site));
            if ours.starts_with("head.") || is_fused {
                continue;
            }
            let place = place(family, ours)
                .ok_or_else(|| cannot(format!("PEFT has no place for the tensor '{ours}'")))?;
            add(place, part.map_or("", |(_, role)| role), tensor.clone());
        }
        for ((layer, module, role), tensor) in fused.tensors {
            let module = format!("{}.{}.{module}", family.prefix, family.layer_name(layer));
            // Roles there are those that have a name.
            add(format!("{module}.{}", theirs_of(role).unwrap_or(role)), role, tensor);
        }
    }
    theirs.extend(head.into_iter().map(|(name, tensor)| (format!("{before}{name}"), tensor)));
    let mut exported = Exported::default();
    if !since_5 && is_renamed(family) {
        exported.notes.push(format!(
            "modules of {} have other names since transformers 5: for that, --transformers 5",
            family.name
        ));
    }
    exported.json("adapter_config.json", &config);
    exported.tensors("adapter_model.safetensors", &theirs, true)?;
    exported.notes.push(
        "PEFT keeps no names of classes: the model that it is loaded on has them, or nobody".into(),
    );
    Ok(exported)
}

/// The names of modules, as a list, or as an expression where another module ends with one of
/// them: PEFT knows the modules of a list by their ends.
fn modules(family: &Family, targets: &[String], since_5: bool) -> Result<Value, Error> {
    let find = |target: &String| {
        let own = family.inner.iter().find(|(ours, _)| ours == target).map(|(_, theirs)| *theirs);
        let fused = family.fused.iter().find(|(_, ours)| ours.contains(&target.as_str()));
        own.or(fused.map(|(module, _)| *module)).ok_or_else(|| match family.other_layout(target) {
            Some(module) => cannot(format!(
                "PEFT adapts modules, and the model of `transformers` for {} has no module of its own for '{target}', which \
                 is in '{module}'; export to transformers, which merges it",
                family.name
            )),
            None => cannot(format!("there is no product '{target}'")),
        })
    };
    let mut chosen: Vec<&str> = Vec::new();
    for target in targets {
        let module = find(target)?;
        if !chosen.contains(&module) {
            chosen.push(module);
        }
    }
    if since_5 && is_renamed(family) {
        // No name there ends with another.
        return Ok(chosen.iter().map(|module| json!(newer(family, module))).collect());
    }
    let is_other = |module: &str| {
        family.inner.iter().any(|(ours, theirs)| {
            theirs.strip_suffix(module).is_some_and(|r| r.ends_with('.'))
                && !targets.iter().any(|t| t == ours)
        })
    };
    if !chosen.iter().any(|module| is_other(module)) {
        return Ok(json!(chosen));
    }
    let layer = family.layer.replace('.', r"\.").replace("{i}", r"\d+");
    let chosen: Vec<_> = chosen.iter().map(|module| module.replace('.', r"\.")).collect();
    Ok(json!(format!(r".*\.{layer}\.({})", chosen.join("|"))))
}

fn norm_module(family: &Family, ours: &str) -> Option<String> {
    let full = family.checkpoint_name(ours).filter(|_| ours.contains("norm"))?;
    Some(full.rsplit_once('.')?.0.to_string())
}

/// The library's name of a tensor, behind its prefix.
fn place(family: &Family, ours: &str) -> Option<String> {
    if let Some(module) = norm_module(family, ours) {
        let role = ours.rsplit_once('.')?.1;
        return Some(format!("{module}.ln_tuning_layers.{role}"));
    }
    let (layer, rest) = names::split_layer(ours)?;
    let (site, role) = rest.split_once('.')?;
    let module = family.checkpoint_name(&names::in_layer(layer, &format!("{site}.weight")))?;
    Some(format!("{}.{}", module.strip_suffix(".weight")?, theirs_of(role)?))
}

/// The library's name of a role.
fn theirs_of(role: &str) -> Option<&'static str> {
    Some(match role {
        "lora.a" => "lora_A.weight",
        "lora.b" => "lora_B.weight",
        "lora.magnitude" => "lora_magnitude_vector",
        "ia3.scale" | "ia3.input" => "ia3_l",
        _ => return None,
    })
}

fn is_fused(family: &Family, site: &str) -> bool {
    family.fused.iter().any(|(_, ours)| ours.contains(&site))
}

/// Ranks of modules that have others than the method's, with what keeps their scale as it is.
fn patterns(config: &mut Value, ranks: &BTreeMap<&str, usize>) {
    let number = |field: &str| config[field].as_f64().unwrap_or(1.0);
    let (rank, alpha) = (number("r"), number("lora_alpha"));
    let by_root = config["use_rslora"] == true;
    for (module, own) in ranks.iter().filter(|(_, own)| **own as f64 != rank) {
        let times = *own as f64 / rank;
        let times = if by_root { times.sqrt() } else { times };
        config["rank_pattern"][*module] = json!(own);
        config["alpha_pattern"][*module] = json!(alpha * times);
    }
}
