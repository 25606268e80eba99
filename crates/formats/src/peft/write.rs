//! Adapters as folders of PEFT (0.21), for the models of `transformers`.

use std::collections::BTreeMap;

use budwood_base::encoder::InputSpec;
use budwood_base::head::HeadKind;
use budwood_base::method::MethodPart;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use super::fused::{self, Joined};
use super::newer::{is_renamed, newer};
use super::{OUTER, PREFIX, prompts};
use crate::Error;
use crate::export::{
    Exported, TheirHead, cannot, family_of, model_class, refuse_masked_lm, transformers_head,
};
use crate::family::Family;
use crate::native::AdapterFolder;

const VERSION: &str = "0.21.2";

/// What is written, and what it is written for.
struct Writing<'a> {
    folder: &'a AdapterFolder,
    family: &'static Family,
    part: &'a MethodPart,
    /// Whether modules are named as in `transformers` 5.
    since_5: bool,
}

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
    let writing = Writing { folder, family, part, since_5 };
    writing.check_method()?;
    refuse_masked_lm(meta, "PEFT")?;
    let TheirHead { tensors: head, note } = transformers_head(meta, family, tensors)?;
    if prompts::has(&part.name) && head.keys().any(|name| is_pooler(family, name)) {
        return Err(cannot(
            "the head has a first layer of its own, and PEFT saves none for BERT beside prompts; export to AdapterHub",
        ));
    }
    let mut config = writing.config(&head);
    let (before, mut theirs) = match prompts::has(&part.name) {
        true => {
            let (fields, vectors) = prompts::write(part, meta, tensors)?;
            fields.into_iter().for_each(|(name, value)| config[name] = value);
            (OUTER, TensorMap::from([(prompts::TENSOR.into(), vectors)]))
        }
        false => {
            let fused = fused::joined(family, tensors)?;
            writing.add_method(&mut config, &fused.ranks)?;
            (PREFIX, writing.tensors(fused)?)
        }
    };
    theirs.extend(head.into_iter().map(|(name, tensor)| (format!("{before}{name}"), tensor)));
    let mut exported = Exported::default();
    exported.notes.extend(note);
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
    if meta.head.kind == HeadKind::MultiLabel {
        exported.notes.push(
            "PEFT does not keep that several labels may hold at once: the model that it is loaded on must say so in its \
             config.json, by problem_type multi_label_classification; else the outputs are read as classes, here, too"
                .into(),
        );
    }
    Ok(exported)
}

impl Writing<'_> {
    /// Refuses methods that the library does not have.
    fn check_method(&self) -> Result<(), Error> {
        Err(cannot(match self.part.name.as_str() {
            "lora" | "ia3" | "layer_norm" => return Ok(()),
            name if prompts::has(name) => return Ok(()),
            "linear" => {
                "PEFT has no adapter that is a head alone; export to transformers or AdapterHub"
                    .into()
            }
            "vera" => "VeRA's random projections here are not PEFT's; export to transformers, \
                       which merges it"
                .into(),
            other => format!("PEFT has no method like '{other}'"),
        }))
    }

    fn option(&self, name: &str) -> Value {
        self.part.options.get(name).cloned().unwrap_or(Value::Null)
    }

    /// The words of an option that is a list.
    fn words(&self, name: &str) -> Vec<String> {
        serde_json::from_value(self.option(name)).unwrap_or_default()
    }

    /// The layers that a method leaves out.
    fn left_out(&self) -> Vec<usize> {
        serde_json::from_value(self.option("leave_out")).unwrap_or_default()
    }

    /// What configurations of all methods hold.
    fn config<'a>(&self, head: &'a TensorMap) -> Value {
        let meta = &self.folder.meta;
        let images = matches!(meta.encoder.input, InputSpec::Image(_));
        let task_type = match meta.head.kind {
            HeadKind::TokenClassification => json!("TOKEN_CLS"),
            HeadKind::QuestionAnswering => json!("QUESTION_ANS"),
            _ if images => json!(null),
            _ => json!("SEQ_CLS"),
        };
        let module = |name: &'a String| match is_pooler(self.family, name) {
            true => Some("pooler"),
            false => name.split('.').next(),
        };
        let mut saved: Vec<&str> = head.keys().filter_map(module).collect();
        saved.dedup();
        let mut config = json!({
            "auto_mapping": null, "base_model_name_or_path": meta.base.name, "inference_mode": true,
            "modules_to_save": saved, "peft_version": VERSION, "revision": null, "task_type": task_type,
        });
        if images {
            let class = model_class(meta, self.family.class);
            let library = format!("transformers.models.{0}.modeling_{0}", self.family.name);
            config["auto_mapping"] =
                json!({ "base_model_class": class, "parent_library": library });
        }
        config
    }

    /// Adds what the configuration of a method of modules holds; `ranks` are those of fused ones.
    fn add_method(&self, config: &mut Value, ranks: &BTreeMap<&str, usize>) -> Result<(), Error> {
        match self.part.name.as_str() {
            "lora" => self.add_lora(config, ranks),
            "ia3" => self.add_ia3(config),
            _ => {
                self.add_norms(config);
                Ok(())
            }
        }
    }

    fn add_lora(&self, config: &mut Value, ranks: &BTreeMap<&str, usize>) -> Result<(), Error> {
        if self.option("use_gating") == true {
            return Err(cannot("PEFT has no gates of LoRA; export to AdapterHub"));
        }
        config["peft_type"] = json!("LORA");
        config["bias"] = json!("none");
        for (theirs, ours) in [
            ("r", "r"),
            ("lora_alpha", "alpha"),
            ("lora_dropout", "dropout"),
            ("use_rslora", "rslora"),
            ("use_dora", "dora"),
        ] {
            config[theirs] = self.option(ours);
        }
        config["fan_in_fan_out"] = json!(false);
        config["target_modules"] = modules(self.family, &self.words("targets"), self.since_5)?;
        let left_out = self.left_out();
        if !left_out.is_empty() {
            let all = 0..self.folder.meta.encoder.own_layers();
            let kept: Vec<_> = all.filter(|layer| !left_out.contains(layer)).collect();
            config["layers_to_transform"] = json!(kept);
        }
        patterns(config, ranks);
        Ok(())
    }

    fn add_ia3(&self, config: &mut Value) -> Result<(), Error> {
        if !self.left_out().is_empty() {
            return Err(cannot("PEFT's (IA)³ leaves out no layers; export to AdapterHub"));
        }
        let inputs = self.words("inputs");
        let all = [self.words("targets"), inputs.clone()].concat();
        config["peft_type"] = json!("IA3");
        config["feedforward_modules"] = modules(self.family, &inputs, self.since_5)?;
        config["fan_in_fan_out"] = json!(false);
        config["init_ia3_weights"] = json!(true);
        config["target_modules"] = modules(self.family, &all, self.since_5)?;
        Ok(())
    }

    fn add_norms(&self, config: &mut Value) {
        let tensors = self.folder.tensors.keys();
        let mut modules: Vec<String> =
            tensors.filter_map(|name| norm_module(self.family, name)).collect();
        modules.sort();
        modules.dedup();
        if self.since_5 {
            modules.iter_mut().for_each(|module| *module = newer(self.family, module));
        }
        config["peft_type"] = json!("LN_TUNING");
        config["target_modules"] = json!(modules);
    }

    /// The adapter's tensors beside its head, under their names there.
    fn tensors(&self, fused: Joined) -> Result<TensorMap, Error> {
        let family = self.family;
        let mut theirs = TensorMap::new();
        let mut add = |place: String, role: &str, mut tensor: Tensor| {
            let place = if self.since_5 { newer(family, &place) } else { place };
            match role {
                "ia3.scale" => tensor.shape.push(1),
                "ia3.input" => tensor.shape.insert(0, 1),
                _ => {}
            }
            theirs.insert(format!("{PREFIX}{place}"), tensor);
        };
        for (ours, tensor) in &self.folder.tensors {
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
        Ok(theirs)
    }
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

/// Whether a tensor of a head is of the pooler of the family's models.
fn is_pooler(family: &Family, name: &str) -> bool {
    name.starts_with(family.prefix) && name.contains("pooler")
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
