//! Adapters as folders of AdapterHub (`adapters` 1.3).

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodPart;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use super::method::{OF_PRODUCTS, PLACES, SWITCHES};
use super::{FLAT_PREFIX, PREFIX_ROLES, ROLES};
use crate::export::{Exported, cannot, family_of, head_of, label2id, pooled, refuse_masked_lm};
use crate::family::Family;
use crate::native::{AdapterFolder, AdapterMeta};
use crate::{BaseModel, Error};

const VERSION: &str = "adapters.1.3.0";

/// What the form leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The adapter's name.
    pub name: &'a str,
    /// Whether trained layer norms stand beside the adapter under the base's own names: loading the
    /// folder then changes the base itself.
    pub norms: bool,
    /// Whether the head stands beside the adapter in a file of its own, which the library does not
    /// read: it has no heads over the mean.
    pub headless: bool,
}

/// Writes an adapter and its head. The base says which of its family's types of models it is, where
/// there are several.
///
/// # Errors
/// If the library has no such method, family or head.
pub fn export(
    folder: &AdapterFolder,
    options: Options<'_>,
    base: Option<&BaseModel>,
) -> Result<Exported, Error> {
    let Options { name, norms, headless } = options;
    let AdapterFolder { meta, tensors } = folder;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(cannot(format!(
            "'{name}' is not a name for an adapter: use letters, digits, - and _"
        )));
    }
    refuse_masked_lm(meta, "AdapterHub")?;
    let family = family_of(meta)?;
    if !family.adapterhub.is_some_and(|hub| hub.has_models) {
        return Err(cannot(format!("AdapterHub has no models of the family {}", family.name)));
    }
    let mut exported = Exported::default();
    let model_type = match base.map(BaseModel::model_type).transpose()? {
        Some(of_base) if family.model_types.contains(&&of_base[..]) => of_base,
        _ => {
            if family.model_types.len() > 1 {
                exported.notes.push(format!(
                    "the adapter does not say which of {} its base is: the folder is written for the first (give the base)",
                    family.model_types.join(", ")
                ));
            }
            family.model_types.first().copied().unwrap_or(family.name).to_string()
        }
    };
    let class = format!("{}AdapterModel", family.class_of(&model_type));
    let about = |config: Value| {
        json!({
            "config": config, "hidden_size": meta.encoder.hidden, "model_class": class,
            "model_name": meta.base.name, "model_type": model_type, "name": name, "version": VERSION,
        })
    };
    let head_alone = matches!(&meta.method.parts[..], [one] if one.name == "linear");
    if headless && head_alone {
        return Err(cannot("the adapter is a head alone: without it nothing is left"));
    }
    if !head_alone {
        let configs = meta.method.parts.iter().map(|part| config(part, meta));
        let configs = configs.collect::<Result<Vec<_>, _>>()?;
        let config = match <[Value; 1]>::try_from(configs) {
            Ok([one]) => one,
            Err(configs) => json!({ "architecture": "union", "configs": configs }),
        };
        exported.json("adapter_config.json", &about(config));
        let theirs = adapter_tensors(meta, family, name, tensors, norms, &mut exported.notes)?;
        exported.tensors("adapter.safetensors", &theirs, false)?;
    }
    if headless {
        exported.tensors(HEAD_BESIDE, &head_of(tensors), false)?;
        exported.notes.push(beside(&meta.head));
        return Ok(exported);
    }
    exported.json("head_config.json", &about(head_config(meta)?));
    exported.tensors("model_head.safetensors", &head_tensors(meta, name, tensors), false)?;
    Ok(exported)
}

/// The file of a head that the library does not read.
const HEAD_BESIDE: &str = "head.safetensors";

/// How the head in a file of its own is computed.
fn beside(head: &HeadSpec) -> String {
    let read = match head.kind.over_tokens() {
        true => "each of the last hidden states",
        false => pooled(head.pooling),
    };
    let dense = head.dense.map(|a| format!("head.dense, {}, ", a.name())).unwrap_or_default();
    let norm = if head.norm.is_some() { "head.norm, " } else { "" };
    format!(
        "{HEAD_BESIDE} holds the head, which AdapterHub does not load: {dense}{norm}head.out over {read}"
    )
}

/// Why prompts and prefixes of PEFT's form are not written.
const COUNTED: &str =
    "AdapterHub does not count a text's positions after those of its vectors; export to PEFT";

/// A method's configuration.
fn config(part: &MethodPart, meta: &AdapterMeta) -> Result<Value, Error> {
    match part.name.as_str() {
        "lora" | "ia3" => low_rank(part),
        "prefix_tuning" => prefix_tuning(part),
        "prompt_tuning" => prompt_tuning(part, meta),
        _ => bottleneck(part, meta),
    }
}

fn option(part: &MethodPart, name: &str) -> Value {
    part.options.get(name).cloned().unwrap_or(Value::Null)
}

fn prefix_tuning(part: &MethodPart) -> Result<Value, Error> {
    let option = |name: &str| option(part, name);
    if option("counted") == true {
        return Err(cannot(COUNTED));
    }
    Ok(json!({
        "architecture": "prefix_tuning", "bottleneck_size": option("bottleneck_size"), "cross_prefix": true,
        "dropout": 0.0, "encoder_prefix": true, "flat": option("flat"), "init_weights_seed": null,
        "leave_out": option("leave_out"), "non_linearity": option("non_linearity"),
        "prefix_length": option("prefix_length"), "shared_gating": option("shared_gating"),
        "use_gating": option("use_gating"),
    }))
}

fn prompt_tuning(part: &MethodPart, meta: &AdapterMeta) -> Result<Value, Error> {
    let option = |name: &str| option(part, name);
    if option("as_words") == true {
        return Err(cannot(COUNTED));
    }
    if meta.encoder.axes.embedding_width.is_some() {
        return Err(cannot(
            "AdapterHub's prompts stand before the product that widens this base's embeddings, those here after it",
        ));
    }
    Ok(json!({
        "architecture": "prompt_tuning", "combine": option("combine"), "init_weights_seed": null,
        "prompt_init": "random_uniform", "prompt_init_text": null, "prompt_length": option("prompt_length"),
    }))
}

fn bottleneck(part: &MethodPart, meta: &AdapterMeta) -> Result<Value, Error> {
    let option = |name: &str| option(part, name);
    // In the order of `PLACES`.
    let places = match part.name.as_str() {
        "double_seq_bn" | "compacter" => [true, true, false, true, true, false],
        "seq_bn" | "compacter++" => [false, true, true, true, true, false],
        "par_bn" | "scaled_par_bn" => [false, true, false, true, true, true],
        "adapter_plus" => [false, true, true, false, false, false],
        "adapter" => {
            let placement = option("placement");
            [placement != "ffn", placement != "attention", false, true, true, false]
        }
        "bottleneck" => PLACES.map(|name| option(name) == true),
        other => return Err(cannot(format!("AdapterHub has no method like '{other}'"))),
    };
    let is_compacter = part.name.starts_with("compacter");
    let mut config = json!({
        "adapter_residual_before_ln": false, "cross_adapter": false, "dropout": 0.0, "factorized_phm_W": true,
        "factorized_phm_rule": false, "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert",
        "init_weights_seed": null, "inv_adapter": null, "inv_adapter_reduction_factor": null, "learn_phm": true,
        "leave_out": [], "ln_after": false, "ln_before": false, "non_linearity": "relu", "phm_bias": true,
        "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": is_compacter, "phm_rank": 1,
        "reduction_factor": 16, "scaling": 1.0, "shared_W_phm": false, "shared_phm_rule": true,
        "stochastic_depth": 0.0, "use_gating": false,
    });
    for name in SWITCHES.iter().chain(&OF_PRODUCTS) {
        if let Some(value) = part.options.get(*name) {
            config[name] = value.clone();
        }
    }
    for (name, is_on) in PLACES.iter().zip(places) {
        config[name] = json!(is_on);
    }
    if part.name == "adapter" {
        let width = option("width").as_u64().unwrap_or(64) as usize;
        config["reduction_factor"] = json!(factor(meta.encoder.hidden, width)?);
        config["non_linearity"] = option("activation");
    }
    Ok(config)
}

/// The reduction factor that gives a width.
fn factor(hidden: usize, width: usize) -> Result<f64, Error> {
    let exact = hidden as f64 / width as f64;
    [exact, exact * (1.0 - 1e-9)]
        .into_iter()
        .find(|f| (floor_division(hidden as f64, *f) as usize).max(1) == width)
        .ok_or_else(|| cannot(format!("no reduction factor gives the width {width} of {hidden}")))
}

/// Python's `//`, by which the library finds a width: 32 // 6.4 is 4, as 6.4 is a little more than
/// it shows.
fn floor_division(a: f64, b: f64) -> f64 {
    ((a - a % b) / b).round()
}

fn low_rank(part: &MethodPart) -> Result<Value, Error> {
    let option = |name: &str| option(part, name);
    let targets: Vec<String> = serde_json::from_value(option("targets")).unwrap_or_default();
    let has = |site: &str| targets.iter().any(|t| t == site);
    if has(names::ATTENTION_OUT) {
        return Err(cannot("AdapterHub adapts no output product of attention ('attention_out')"));
    }
    if option("rslora") == true {
        return Err(cannot("AdapterHub has no rsLoRA; export to PEFT"));
    }
    if option("dora") == true {
        return Err(cannot("AdapterHub's DoRA is of another form; export to PEFT"));
    }
    if option("inputs").as_array().is_some_and(|inputs| !inputs.is_empty()) {
        return Err(cannot("AdapterHub's (IA)³ scales results alone ('inputs'); export to PEFT"));
    }
    let letters = [(names::QUERY, "q"), (names::KEY, "k"), (names::VALUE, "v")];
    let matrices: Vec<_> = letters.iter().filter(|(s, _)| has(s)).map(|(_, l)| *l).collect();
    let scales = part.name == "ia3";
    let value = |name: &str, of_scales: Value| if scales { of_scales } else { option(name) };
    Ok(json!({
        "alpha": value("alpha", json!(1)), "architecture": "lora", "attn_matrices": matrices,
        "composition_mode": if scales { "scale" } else { "add" }, "dropout": value("dropout", json!(0.0)),
        "dtype": null, "init_weights": if scales { "ia3" } else { "lora" }, "init_weights_seed": null,
        "intermediate_lora": has(names::FFN_IN), "leave_out": option("leave_out"), "output_lora": has(names::FFN_OUT),
        "r": value("r", json!(1)), "selfattn_lora": !matrices.is_empty(), "use_dora": false,
        "use_gating": value("use_gating", json!(false)), "vera_b": null, "vera_d": null,
    }))
}

/// All tensors but the head's, by the library's names.
fn adapter_tensors(
    meta: &AdapterMeta,
    family: &Family,
    name: &str,
    tensors: &TensorMap,
    norms: bool,
    notes: &mut Vec<String>,
) -> Result<TensorMap, Error> {
    let mut theirs = TensorMap::new();
    let mut flat: Vec<&Tensor> = Vec::new();
    let mut changed = 0;
    let mut layers: Vec<_> = tensors.iter().filter(|(n, _)| !n.starts_with("head.")).collect();
    // Layers by number, keys before values: the order of the one tensor of flat prefixes.
    layers.sort_by_key(|(n, _)| (names::split_layer(n).map(|(layer, _)| layer), n.as_str()));
    for (ours, tensor) in layers {
        let is_flat = ours.ends_with(".prefix.key") || ours.ends_with(".prefix.value");
        if is_flat {
            flat.push(tensor);
            continue;
        }
        if let Some((place, mut tensor)) =
            place((family, name), ours, tensors).map(|p| (p, tensor.clone()))
        {
            if ours.contains(".ia3.") {
                tensor.shape.push(1);
            }
            theirs.insert(place, tensor);
            continue;
        }
        let base_name = family.checkpoint_name(ours).filter(|_| ours.contains("norm"));
        let base_name = base_name
            .ok_or_else(|| cannot(format!("AdapterHub has no place for the tensor '{ours}'")))?;
        if !norms {
            return Err(cannot(
                "the adapter's layer norms are trained, and AdapterHub has no norms of an adapter's own. With --norms they \
                 are written as the base's: whoever loads the folder then has a changed base, for all adapters on it",
            ));
        }
        changed += 1;
        theirs.insert(base_name, tensor.clone());
    }
    if changed > 0 {
        notes.push(format!(
            "{changed} tensors of trained layer norms are in the folder under the base's own names: loading it there changes the \
             base for every adapter on it, and for the base alone"
        ));
    }
    if !flat.is_empty() {
        let (length, width) = (flat[0].shape[0], meta.encoder.hidden);
        let rows =
            (0..length).flat_map(|row| flat.iter().map(move |t| &t.data[row * width..][..width]));
        let data: Vec<f32> = rows.flatten().copied().collect();
        let place = prefix_place(family, name, "control_trans");
        theirs.insert(place, Tensor::new([data.len()], data));
    }
    Ok(theirs)
}

fn prefix_place(family: &Family, name: &str, role: &str) -> String {
    let place = family.adapterhub.map_or("self_prefix", |hub| hub.prefix);
    format!("{}.prefix_tuning.prefix_tunings.{name}.{place}.{role}", family.prefix)
}

/// The library's name of a tensor.
fn place((family, name): (&Family, &str), ours: &str, tensors: &TensorMap) -> Option<String> {
    let prefix = family.prefix;
    if ours == names::PHM_RULE {
        return Some(format!("{prefix}.shared_parameters.{name}.phm_rule"));
    }
    if ours == "shared.prompt.embedding" {
        return Some(format!(
            "{prefix}.prompt_tuning.prompt_tunings.{name}.prompt_embedding.weight"
        ));
    }
    if let Some((_, theirs)) =
        PREFIX_ROLES.iter().find(|(role, _)| *role == ours && *role != FLAT_PREFIX)
    {
        return Some(prefix_place(family, name, theirs));
    }
    let (layer, rest) = names::split_layer(ours)?;
    let layer = format!("{prefix}.{}", family.layer_name(layer));
    let (site, rest) = rest.split_once('.')?;
    let (method, role) = rest.split_once('.')?;
    let module = |site: &str| family.inner.iter().find(|(ours, _)| *ours == site).map(|(_, t)| *t);
    match method {
        "bottleneck" => {
            let outputs = [names::ATTENTION_OUT, names::FFN_OUT];
            let module = family.adapterhub?.outputs[outputs.iter().position(|s| *s == site)?]?;
            let of_products = tensors.contains_key(&ours.replace(role, "down.w_left"));
            // A bias of Compacter's products has another name than a plain one.
            let theirs = match role {
                "down.bias" if of_products => "adapter_down.0.b",
                "up.bias" if of_products => "adapter_up.b",
                _ => ROLES.iter().find(|(ours, _)| *ours == role)?.1,
            };
            Some(format!("{layer}.{module}.{name}.{theirs}"))
        }
        "lora" | "ia3" => {
            let role = match role {
                "a" => "lora_A",
                "b" | "scale" => "lora_B",
                gate @ ("gate.weight" | "gate.bias") => gate,
                _ => return None,
            };
            Some(format!("{layer}.{}.loras.{name}.{role}", module(site)?))
        }
        "prefix" if site == names::ATTENTION_KV => {
            let attention = module(names::QUERY)?.rsplit_once('.')?.0;
            Some(format!(
                "{layer}.{attention}.prefix_tuning.prefix_gates.{name}.{}",
                role.strip_prefix("gate.")?
            ))
        }
        _ => None,
    }
}

fn head_config(meta: &AdapterMeta) -> Result<Value, Error> {
    let head = &meta.head;
    if head.norm.is_some() {
        return Err(cannot(
            "the head has a norm between its layers, which AdapterHub's heads have not; export to transformers",
        ));
    }
    let images = matches!(meta.encoder.input, InputSpec::Image(_));
    let use_pooler = match head.pooling {
        _ if head.kind.over_tokens() => false,
        Pooling::Cls => false,
        Pooling::Pooler => true,
        other => {
            return Err(cannot(format!(
                "the head reads {}, and AdapterHub's heads the first token or the pooler; train with --pooling cls, or write \
                 the head into a file of its own with --headless",
                pooled(other)
            )));
        }
    };
    let activation = head.dense.map_or("tanh", |a| a.name());
    let layers = if head.dense.is_some() { 2 } else { 1 };
    let mut config = json!({
        "activation_function": activation, "dropout_prob": null, "label2id": label2id(meta),
        "layers": layers, "num_labels": head.outputs,
    });
    config["head_type"] = json!(match head.kind {
        HeadKind::TokenClassification => "tagging",
        HeadKind::QuestionAnswering => "question_answering",
        HeadKind::MultiLabel if !images => "multilabel_classification",
        _ if images => "image_classification",
        _ => "classification",
    });
    if !head.kind.over_tokens() {
        config["use_pooler"] = json!(use_pooler);
        config["bias"] = json!(head.bias);
    }
    if images {
        config["multilabel"] = json!(head.kind == HeadKind::MultiLabel);
    }
    Ok(config)
}

fn head_tensors(meta: &AdapterMeta, name: &str, tensors: &TensorMap) -> TensorMap {
    let last = if meta.head.dense.is_some() { "4" } else { "1" };
    let places = [("head.dense.", "1"), ("head.out.", last)];
    let renamed = tensors.iter().filter_map(|(ours, tensor)| {
        let (start, place) = places.iter().find(|(start, _)| ours.starts_with(start))?;
        Some((format!("heads.{name}.{place}.{}", &ours[start.len()..]), tensor.clone()))
    });
    renamed.collect()
}
