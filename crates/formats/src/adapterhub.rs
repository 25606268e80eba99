//! Adapter folders of the AdapterHub library (`adapters` 1.3): `adapter_config.json`,
//! `adapter.safetensors`, `head_config.json`, `model_head.safetensors`.

use std::path::Path;

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::{MethodPart, MethodSpec};
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use crate::Error;
use crate::adapterhub_config;
use crate::family::{self, Family};
use crate::imported::{Imported, read_json, refuse};
use crate::peft::head;
use crate::weights::Weights;

/// Bottleneck switches that have no counterpart here, with the value that means "off".
const UNSUPPORTED: &[(&str, &str)] = &[
    ("ln_before", "false"),
    ("ln_after", "false"),
    ("adapter_residual_before_ln", "false"),
    ("inv_adapter", "null"),
    ("cross_adapter", "false"),
];

/// Switches that are read, by our option of the same name.
const SWITCHES: &[&str] = &[
    "mh_adapter",
    "output_adapter",
    "reduction_factor",
    "non_linearity",
    "original_ln_before",
    "original_ln_after",
    "residual_before_ln",
    "is_parallel",
    "scaling",
    "init_weights",
    "dropout",
    "stochastic_depth",
    "use_gating",
    "leave_out",
];

/// As [`SWITCHES`], of Compacter.
const COMPACTER_SWITCHES: &[&str] = &[
    "reduction_factor",
    "non_linearity",
    "phm_dim",
    "phm_rank",
    "scaling",
    "init_weights",
    "dropout",
    "stochastic_depth",
    "use_gating",
    "leave_out",
];

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
    let config = adapterhub_config::today(&path, &json)?;
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
        let renamed = adapterhub_config::tensor_today(theirs);
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
        if scales {
            // A matrix of one column there, a vector here.
            ours = ours.replace(".lora.b", ".ia3.scale");
            tensor.shape.truncate(1);
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

/// The methods of a configuration; several in a union.
fn parts(path: &Path, config: &Value) -> Result<Vec<MethodPart>, Error> {
    Ok(vec![match config.get("architecture").and_then(Value::as_str) {
        None => bottleneck_method(path, config)?,
        Some("lora") => low_rank_method(path, config)?,
        Some("prefix_tuning") => {
            refuse(path, config, &[("dropout", &[json!(0.0)])])?;
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

/// Reads a folder with a head and no adapter, as the library's `save_head` writes.
pub(crate) fn read_head_alone(folder: &Path) -> Result<Imported, Error> {
    let (path, json) = read_json(folder, "head_config.json")?;
    let name = json.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| Error::content(&path, "lacks the field 'name'"))?.to_string();
    let (tensors, names) = (TensorMap::new(), Vec::new());
    let method = MethodSpec::named("linear");
    let mut read = Imported { method, head: None, labels: Vec::new(), tensors, names };
    read_head(folder, &name, &mut read)?;
    Ok(read)
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
    let name = if config.get("phm_layer") == Some(&json!(true)) {
        compacter_name(path, config)?
    } else {
        "bottleneck"
    };
    let mut part = MethodPart { name: name.into(), options: Default::default() };
    let switches = if name == "bottleneck" { SWITCHES } else { COMPACTER_SWITCHES };
    for switch in switches {
        if let Some(value) = config.get(*switch).filter(|v| !v.is_null()) {
            part = part.with(switch, value.clone());
        }
    }
    Ok(part)
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
    let flag = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
    match (flag("mh_adapter"), flag("original_ln_before")) {
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
    let flag = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
    let mut targets = Vec::new();
    if config.get("selfattn_lora").and_then(Value::as_bool).unwrap_or(true) {
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
    targets.extend(flag("intermediate_lora").then_some(names::FFN_IN));
    targets.extend(flag("output_lora").then_some(names::FFN_OUT));
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
            .with("use_gating", flag("use_gating")),
        other => {
            let message = format!(
                "composition_mode {other:?} with rank {rank} and alpha {alpha} is not read"
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

/// A head: flexible (`heads.NAME.K.weight|bias`, K counting dropout, linear, activation, dropout,
/// linear), or static, which is that of the model's class in `transformers`.
fn read_head(folder: &Path, name: &str, read: &mut Imported) -> Result<(), Error> {
    let (path, json) = read_json(folder, "head_config.json")?;
    let files = ["model_head.safetensors", "pytorch_model_head.bin"];
    let Some(config) = json.get("config").filter(|c| c.is_object()) else {
        return read_static_head(&path, &json, &Weights::open_in(folder, &files)?, read);
    };
    let field = |name: &str| config.get(name);
    let outputs = field("num_labels").and_then(Value::as_u64).unwrap_or(0) as usize;
    let kind = match field("head_type").and_then(Value::as_str) {
        Some("classification") if outputs == 1 => HeadKind::Regression,
        Some("classification") if field("multilabel") == Some(&json!(true)) => HeadKind::MultiLabel,
        Some("classification" | "image_classification") => HeadKind::Classification,
        Some("multilabel_classification") => HeadKind::MultiLabel,
        Some("tagging") => HeadKind::TokenClassification,
        Some("question_answering") => HeadKind::QuestionAnswering,
        other => {
            let message = format!(
                "head_type {other:?} is not read; classification, multilabel_classification, image_classification, \
                 tagging and question_answering are"
            );
            return Err(Error::content(&path, message));
        }
    };
    let layers = field("layers").and_then(Value::as_u64).unwrap_or(1);
    let dense = match (layers, field("activation_function").and_then(Value::as_str)) {
        (1, _) => None,
        (2, activation) => {
            let known = Activation::from_name(activation.unwrap_or("identity"));
            Some(known.ok_or_else(|| Error::content(&path, "an unknown activation_function"))?)
        }
        _ => return Err(Error::content(&path, format!("{layers} layers are not read"))),
    };
    let flag = |name: &str, default| field(name).and_then(Value::as_bool).unwrap_or(default);
    let pooling = if flag("use_pooler", false) { Pooling::Pooler } else { Pooling::Cls };
    let bias = flag("bias", true);
    let file = Weights::open_in(folder, &files)?;
    // A head has a row of weights for each output.
    if outputs as u64 > file.elements() {
        let message = format!("num_labels is {outputs}, more than the head's file has elements");
        return Err(Error::content(&path, message));
    }
    read.labels = labels(field("label2id"), outputs);
    let head = HeadSpec::linear(kind, outputs, pooling);
    read.head = Some(HeadSpec { dense, bias, dropout: 0.1, ..head });
    let linears: &[(&str, &str)] = if dense.is_some() {
        &[("head.dense", "1"), ("head.out", "4")]
    } else {
        &[("head.out", "1")]
    };
    for theirs in file.names() {
        let ours = linears.iter().find_map(|(ours, k)| {
            let role = theirs.strip_prefix(&format!("heads.{name}.{k}."))?;
            matches!(role, "weight" | "bias").then(|| format!("{ours}.{role}"))
        });
        let ours = ours.ok_or_else(|| {
            Error::content(file.path(), format!("tensor '{theirs}' has no place in this head"))
        })?;
        read.tensors.insert(ours.clone(), file.tensor(theirs)?);
        read.names.push((ours, theirs.to_string()));
    }
    Ok(())
}

fn read_static_head(
    path: &Path,
    json: &Value,
    file: &Weights,
    read: &mut Imported,
) -> Result<(), Error> {
    let text = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
    let class = text("model_class");
    let outputs = json.get("num_labels").and_then(Value::as_u64).unwrap_or(0) as usize;
    let kind = match class.split_once("For").map(|(_, task)| task) {
        Some("SequenceClassification") if outputs == 1 => HeadKind::Regression,
        Some("SequenceClassification" | "ImageClassification") => HeadKind::Classification,
        Some("TokenClassification") => HeadKind::TokenClassification,
        Some("QuestionAnswering") => HeadKind::QuestionAnswering,
        _ => return Err(Error::content(path, format!("the head of '{class}' is not read"))),
    };
    let family = family::find(text("model_type"));
    for theirs in file.names() {
        let found = family.and_then(|family| head::name(family, theirs));
        let (ours, ..) = found.ok_or_else(|| {
            Error::content(file.path(), format!("tensor '{theirs}' has no place in this head"))
        })?;
        read.tensors.insert(ours.clone(), file.tensor(theirs)?);
        read.names.push((ours, theirs.to_string()));
    }
    read.head = family.and_then(|family| head::spec(family, kind, &read.tensors));
    match &read.head {
        Some(head) if head.outputs == outputs || kind == HeadKind::QuestionAnswering => {
            read.labels = labels(json.get("label2id"), outputs);
            Ok(())
        }
        _ => Err(Error::content(file.path(), format!("holds no head with {outputs} outputs"))),
    }
}

/// Class names in the order of the outputs.
fn labels(label2id: Option<&Value>, outputs: usize) -> Vec<String> {
    let mut labels: Vec<String> = (0..outputs).map(|i| i.to_string()).collect();
    for (label, id) in label2id.and_then(Value::as_object).into_iter().flatten() {
        if let Some(place) = id.as_u64().and_then(|id| labels.get_mut(id as usize)) {
            place.clone_from(label);
        }
    }
    labels
}
