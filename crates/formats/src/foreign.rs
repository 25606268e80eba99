//! Adapters of AdapterHub and PEFT, and models of `transformers` that are tuned already, as
//! adapters of ours on a base.
//!
//! Such folders hold no hash of the base: that it is the right one cannot be checked beyond shapes
//! and names, which the adapter records.

use std::path::Path;

use budwood_base::encoder::{Activation, InputSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Value, json};

use crate::description::{check_labels, length_max};
use crate::imported::{Imported, read_json};
use crate::native::{AdapterFolder, AdapterMeta, FORMAT, TaskMeta};
use crate::peft::{head, low_rank};
use crate::{BaseModel, Error, adapterhub, import, peft};

/// The entry of an adapter's training record that says where it came from.
pub const IMPORTED: &str = "imported";

/// Whose folder it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// AdapterHub's `adapters`.
    AdapterHub,
    /// PEFT.
    Peft,
    /// A model of `transformers` with a head.
    Transformers,
}

impl Library {
    /// Its package's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AdapterHub => "adapters",
            Self::Peft => "peft",
            Self::Transformers => "transformers",
        }
    }
}

/// The library that a folder is of; none where it is of no other than ours.
///
/// # Errors
/// If its configuration cannot be read.
pub fn library(folder: &Path) -> Result<Option<Library>, Error> {
    if folder.join("adapter.json").exists() {
        return Ok(None);
    }
    if folder.join("adapter_config.json").exists() {
        let (_, json) = read_json(folder, "adapter_config.json")?;
        let of_peft = json.get("peft_type").is_some();
        return Ok(Some(if of_peft { Library::Peft } else { Library::AdapterHub }));
    }
    if folder.join("head_config.json").exists() {
        return Ok(Some(Library::AdapterHub));
    }
    if folder.join("config.json").exists() {
        let (_, json) = read_json(folder, "config.json")?;
        return Ok(tuned_kind(&json).map(|_| Library::Transformers));
    }
    Ok(None)
}

/// The base model that a folder names; none where it names none.
///
/// # Errors
/// If its configuration cannot be read.
pub fn base_name(folder: &Path) -> Result<Option<String>, Error> {
    let (file, field) = match library(folder)? {
        None => return Ok(None),
        Some(Library::Transformers) => return Ok(Some(folder.to_string_lossy().into_owned())),
        Some(Library::Peft) => ("adapter_config.json", "base_model_name_or_path"),
        Some(Library::AdapterHub) if folder.join("adapter_config.json").exists() => {
            ("adapter_config.json", "model_name")
        }
        Some(Library::AdapterHub) => ("head_config.json", "model_name"),
    };
    let (_, json) = read_json(folder, file)?;
    let name = json.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    Ok(name.map(String::from))
}

/// A folder of another library as an adapter of ours on this base, which has this name. The
/// method's options are those that the folder gives; the others have their defaults.
/// `weights_sha256` is empty: nothing is written yet.
///
/// # Errors
/// If the folder is of no known library, is damaged, or does not fit the base.
pub fn adopt(folder: &Path, base: &BaseModel, name: &str) -> Result<AdapterFolder, Error> {
    let library = library(folder)?.ok_or_else(|| {
        let message = "is not an adapter: there is neither adapter.json nor adapter_config.json";
        Error::content(folder, message)
    })?;
    let read = match library {
        Library::Transformers => tuned(base)?,
        Library::Peft => {
            let (path, json) = read_json(folder, "adapter_config.json")?;
            let mut read = peft::read(folder, &path, &json, Some(base.spec()))?;
            // What the adapter says it saved must be in its file.
            let saved = json.get("modules_to_save").and_then(Value::as_array);
            if saved.is_none_or(Vec::is_empty) {
                head_of_base(&mut read, base)?;
            }
            complete_head(&path, &mut read, base)?;
            fold_pooler(&path, &mut read, base)?;
            named_by_base(read, base)?
        }
        Library::AdapterHub => {
            if let Some(family) = adapterhub::family(folder)?
                && family != base.family().name
            {
                return Err(Error::OtherBase {
                    what: "the family".into(),
                    expected: family.into(),
                    found: base.family().name.into(),
                    name: base_name(folder)?.unwrap_or_else(|| "not named".into()),
                });
            }
            if let Some(width) = adapterhub::hidden_size(folder)?
                && width != base.spec().hidden as u64
            {
                return Err(Error::OtherBase {
                    what: "the width".into(),
                    expected: width.to_string(),
                    found: base.spec().hidden.to_string(),
                    name: base_name(folder)?.unwrap_or_else(|| "not named".into()),
                });
            }
            widen_prompt(import(folder)?, base)?
        }
    };
    let Imported { method, head, labels, mut tensors, .. } = read;
    let Some(mut head) = head else {
        let message = "holds no head: what it answers is not known. Save the adapter with its head";
        return Err(Error::content(folder, message));
    };
    if library != Library::AdapterHub {
        whole_head(folder, &head, base)?;
        head::as_configured(&mut head, base)?;
    }
    complete_norms(&method, base, &mut tensors)?;
    low_rank::complete_magnitudes(&method, base, &mut tensors)?;
    check_labels(&labels).map_err(|message| Error::content(folder, message))?;
    let labels = if head.kind.has_labels() { labels } else { Vec::new() };
    let elements = tensors.values().map(|t| t.len() as u64).sum();
    let origin = json!({
        "library": library.name(),
        "base_named": base_name(folder)?,
        "base_checked": library == Library::Transformers,
    });
    let meta = AdapterMeta {
        budwood_adapter: FORMAT,
        base: base.id(name),
        encoder: base.spec().clone(),
        task: task(&head, &method, base, folder),
        method,
        head,
        labels,
        precision: "f32".into(),
        training: [(IMPORTED.to_string(), origin)].into(),
        seed: 0,
        data: Vec::new(),
        metrics: Vec::new(),
        parameters_trained: elements,
        parameters_base: base.spec().parameters() as u64,
        weights_sha256: String::new(),
        versions: Default::default(),
    };
    let shape = |name: &str| tensors.get(name).map(|t| &t.shape[..]);
    meta.check(shape, elements).map_err(|message| Error::content(folder, message))?;
    Ok(AdapterFolder { meta, tensors })
}

/// What must be known of an adapter that was taken over; none of one that was trained here.
pub fn warning(meta: &AdapterMeta) -> Option<String> {
    let origin = meta.training.get(IMPORTED)?;
    if origin.get("base_checked") == Some(&Value::Bool(true)) {
        return None;
    }
    let library = origin.get("library").and_then(Value::as_str).unwrap_or("another library");
    let named = match origin.get("base_named").and_then(Value::as_str) {
        Some(name) => format!("it names {name}"),
        None => "it names none".into(),
    };
    Some(format!(
        "the base cannot be checked: a folder of {library} carries no hash of it ({named}); {} is used",
        meta.base.name
    ))
}

fn task(head: &HeadSpec, method: &MethodSpec, base: &BaseModel, folder: &Path) -> TaskMeta {
    let of_images = matches!(base.spec().input, InputSpec::Image(_));
    let (kind, metric) = match head.kind {
        HeadKind::Classification if of_images => ("image-classification", "accuracy"),
        HeadKind::Classification => ("classification", "accuracy"),
        HeadKind::MultiLabel => ("multilabel", "micro_f1"),
        HeadKind::Regression => ("regression", "spearman"),
        HeadKind::TokenClassification => ("token-classification", "f1"),
        HeadKind::QuestionAnswering => ("question-answering", "f1"),
        HeadKind::MaskedLm => ("masked-lm", "perplexity"),
    };
    let max_length = match &base.spec().input {
        InputSpec::Text(text) => length_max(text, method),
        InputSpec::Image(_) => 1,
    };
    let (texts, label): (&[&str], _) = match head.kind {
        HeadKind::QuestionAnswering => (&["question", "context"], "answers"),
        _ if of_images => (&["image"], "label"),
        _ => (&["text"], "label"),
    };
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
    TaskMeta {
        name: name.unwrap_or_else(|| "imported".into()),
        kind: kind.into(),
        text_columns: texts.iter().map(|text| (*text).into()).collect(),
        label_column: label.into(),
        max_length,
        doc_stride: None,
        metric: metric.into(),
        positive: None,
        none_threshold: None,
        thresholds: None,
        masking: None,
        images: None,
    }
}

/// What a method that trains all norms has, where the folder holds some of them: the base's own.
fn complete_norms(
    method: &MethodSpec,
    base: &BaseModel,
    tensors: &mut TensorMap,
) -> Result<(), Error> {
    if !matches!(&method.parts[..], [one] if one.name == "layer_norm") {
        return Ok(());
    }
    for described in base.spec().tensors() {
        let norm = described.name.rsplit_once('.').is_some_and(|(n, _)| n.ends_with("norm"));
        if norm && !tensors.contains_key(&described.name) {
            let tensor = base.tensor(&described.name)?;
            tensors.insert(described.name, tensor);
        }
    }
    Ok(())
}

/// Refuses a head without its biases: the library's models have them, whose values would be others.
fn whole_head(folder: &Path, head: &HeadSpec, base: &BaseModel) -> Result<(), Error> {
    let classifier = base.family().classifier.as_ref();
    let dense = classifier.and_then(|c| c.dense);
    // First layers before a norm may be without.
    let without = head.dense_without_bias && head.norm.is_none();
    let module = match (head.bias, dense, head.kind) {
        (false, _, HeadKind::QuestionAnswering) => "qa_outputs",
        (false, ..) if head.kind.over_tokens() => "classifier",
        (false, ..) => classifier.map_or("classifier", |c| c.out),
        (true, Some((_, module)), _) if without => module,
        _ => return Ok(()),
    };
    let first = format!("{module}.bias");
    Err(Error::Missing { path: folder.into(), count: 1, first })
}

/// The head of a base that is tuned already, for an adapter that was saved without one.
fn head_of_base(read: &mut Imported, base: &BaseModel) -> Result<(), Error> {
    let (_, json) = read_json(base.folder(), "config.json")?;
    if read.head.is_some() || tuned_kind(&json).is_none() {
        return Ok(());
    }
    let Imported { head, labels, tensors, .. } = tuned(base)?;
    read.tensors.extend(tensors);
    (read.head, read.labels) = (head, labels);
    Ok(())
}

/// The layers of a head that PEFT leaves in the base, as it saves the last one alone there: the
/// base's own.
///
/// # Errors
/// If the base has none: what PEFT answers is by chance then.
fn complete_head(path: &Path, read: &mut Imported, base: &BaseModel) -> Result<(), Error> {
    let Some(head) = &read.head else { return Ok(()) };
    let (family, kind, weights) = (base.family(), head.kind, base.weights());
    let layers = [("head.dense", head.dense.is_some()), ("head.norm", head.norm.is_some())];
    for (layer, is_there) in layers {
        let weight = format!("{layer}.weight");
        if !is_there || read.tensors.contains_key(&weight) {
            continue;
        }
        for theirs in weights.names() {
            if let Some((ours, ..)) = head::name(family, theirs)
                && ours.rsplit_once('.').is_some_and(|(of, _)| of == layer)
            {
                read.tensors.insert(ours, weights.tensor(theirs)?);
            }
        }
        if !read.tensors.contains_key(&weight) {
            let message = format!(
                "holds the head without its '{layer}', and the base has none: it would be made by chance. Save the \
                 adapter with modules_to_save that name it, or give the base that it was trained on"
            );
            return Err(Error::content(path, message));
        }
    }
    read.head = head::saved(family, kind, &read.tensors);
    Ok(())
}

/// AdapterHub's prompts stand before the product that widens embeddings, ours after it: they go
/// through it here.
fn widen_prompt(mut read: Imported, base: &BaseModel) -> Result<Imported, Error> {
    let spec = base.spec();
    let Some(prompt) = read.tensors.get_mut("shared.prompt.embedding") else { return Ok(read) };
    if spec.axes.embedding_width.is_none() {
        return Ok(read);
    }
    let product = |role: &str| base.tensor(&format!("{}.{role}", names::EMBEDDING_PROJECTION));
    let (weight, bias) = (product("weight")?, product("bias")?);
    let (width, n) = (spec.embedding_width(), prompt.shape.first().copied().unwrap_or(0));
    if prompt.shape != [n, width] {
        return Err(Error::Shape {
            path: base.folder().into(),
            name: "prompt_embedding".into(),
            found: prompt.shape.clone(),
            expected: vec![n, width],
        });
    }
    let dot = |row: &[f32], w: &[f32]| -> f64 {
        row.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let of_row = |row: &[f32]| -> Vec<f32> {
        let outputs = weight.data.chunks_exact(width).zip(&bias.data);
        outputs.map(|(w, b)| (dot(row, w) + f64::from(*b)) as f32).collect()
    };
    let data = prompt.data.chunks_exact(width).flat_map(of_row).collect();
    *prompt = Tensor::new([n, spec.hidden], data);
    Ok(read)
}

/// An adapted pooler, which no method here has, becomes the first layer of the head: it is the same
/// product with the same activation. An adapted first layer of the head is changed itself.
fn fold_pooler(path: &Path, read: &mut Imported, base: &BaseModel) -> Result<(), Error> {
    let mut take = |role: &str| read.tensors.remove(&format!("{}.lora.{role}", names::POOLER));
    let (Some(a), Some(b)) = (take("a"), take("b")) else { return Ok(()) };
    let magnitude = take("magnitude");
    let of_pooler = |head: &&mut HeadSpec| head.pooling == Pooling::Pooler || head.dense.is_some();
    let Some(head) = read.head.as_mut().filter(of_pooler) else {
        let message = "adapts the pooler without a head over it, which is not read";
        return Err(Error::content(path, message));
    };
    let option = |name: &str| read.method.parts.first().and_then(|p| p.options.get(name));
    let number = |name: &str| option(name).and_then(Value::as_f64).unwrap_or(1.0);
    let root = option("rslora") == Some(&Value::Bool(true));
    let scale = number("alpha") / if root { number("r").sqrt() } else { number("r") };
    if head.dense.is_none() {
        (head.pooling, head.dense) = (Pooling::Cls, Some(Activation::Tanh));
        for role in ["weight", "bias"] {
            let tensor = base.tensor(&format!("{}.{role}", names::POOLER))?;
            read.tensors.insert(format!("head.dense.{role}"), tensor);
        }
    }
    let (d, rank) = (base.spec().hidden, a.shape[0]);
    let weight = read
        .tensors
        .get_mut("head.dense.weight")
        .filter(|w| w.shape == [d, d] && a.shape == [rank, d] && b.shape == [d, rank] && rank > 0);
    let Some(weight) = weight else {
        let message = format!("the pooler's update is {:?} by {:?}", b.shape, a.shape);
        return Err(Error::content(path, message));
    };
    for (row, b) in weight.data.chunks_mut(d).zip(b.data.chunks(rank)) {
        for (b, a) in b.iter().zip(a.data.chunks(d)) {
            let factor = (f64::from(*b) * scale) as f32;
            row.iter_mut().zip(a).for_each(|(w, a)| *w += factor * a);
        }
    }
    if let Some(magnitude) = magnitude {
        // DoRA: the changed rows at learned lengths.
        if magnitude.data.len() != d {
            let message = format!("the pooler's magnitudes are {:?}", magnitude.shape);
            return Err(Error::content(path, message));
        }
        let lengths = low_rank::lengths(weight);
        let rows = weight.data.chunks_mut(d).zip(magnitude.data.iter().zip(&lengths.data));
        for (row, (wanted, length)) in rows {
            row.iter_mut().for_each(|w| *w *= wanted / length);
        }
    }
    Ok(())
}

/// Names of classes that the base's own configuration has for so many outputs, for adapters that
/// keep none.
fn named_by_base(mut read: Imported, base: &BaseModel) -> Result<Imported, Error> {
    let (path, json) = read_json(base.folder(), "config.json")?;
    let Some(head) = read.head.as_mut() else { return Ok(read) };
    if head.kind == HeadKind::Classification {
        head.kind = classification(&path, &json, head.outputs)?;
    }
    if let Some(labels) = labels(&json).filter(|labels| labels.len() == head.outputs) {
        read.labels = labels;
    }
    Ok(read)
}

/// The kind of a head for sequences, as `transformers` finds it.
///
/// # Errors
/// If it gives several numbers.
fn classification(path: &Path, config: &Value, outputs: usize) -> Result<HeadKind, Error> {
    Ok(match config.get("problem_type").and_then(Value::as_str) {
        Some("multi_label_classification") => HeadKind::MultiLabel,
        Some("single_label_classification") => HeadKind::Classification,
        _ if outputs == 1 => HeadKind::Regression,
        Some("regression") => {
            let message = format!(
                "field 'problem_type' is \"regression\" for {outputs} outputs; a regression has one here"
            );
            return Err(Error::content(path, message));
        }
        _ => HeadKind::Classification,
    })
}

/// Names of classes in the order of the outputs; none where the map is not of 0, 1, 2 ...
fn labels(config: &Value) -> Option<Vec<String>> {
    let map = config.get("id2label")?.as_object()?;
    (0..map.len()).map(|i| Some(map.get(&i.to_string())?.as_str()?.to_string())).collect()
}

/// The kind of head by a model's class; none of one without a head that is known.
fn tuned_kind(config: &Value) -> Option<HeadKind> {
    let class = config.get("architectures")?.as_array()?.first()?.as_str()?;
    match class.split_once("For")?.1 {
        "SequenceClassification" | "ImageClassification" => Some(HeadKind::Classification),
        "TokenClassification" => Some(HeadKind::TokenClassification),
        "QuestionAnswering" => Some(HeadKind::QuestionAnswering),
        _ => None,
    }
}

/// The head of a tuned model, as an adapter that trains nothing else.
fn tuned(base: &BaseModel) -> Result<Imported, Error> {
    let (path, json) = read_json(base.folder(), "config.json")?;
    let kind = tuned_kind(&json)
        .ok_or_else(|| Error::content(&path, "names no class with a head in 'architectures'"))?;
    if base.family().classifier.is_none() && !kind.over_tokens() {
        return Err(Error::content(
            &path,
            format!(
                "is of a tuned {}, whose head for whole inputs is of a form that heads here have not; train a head on it",
                base.family().name
            ),
        ));
    }
    let (mut tensors, mut names) = (TensorMap::new(), Vec::new());
    let weights = base.weights();
    for theirs in weights.names() {
        if let Some((ours, ..)) = head::name(base.family(), theirs) {
            tensors.insert(ours.clone(), weights.tensor(theirs)?);
            names.push((ours, theirs.to_string()));
        }
    }
    let mut head = head::spec(base.family(), kind, &tensors).ok_or_else(|| Error::Missing {
        path: weights.path().into(),
        count: 1,
        first: "classifier.weight".into(),
    })?;
    if kind == HeadKind::Classification {
        head.kind = classification(&path, &json, head.outputs)?;
    }
    let numbers = || (0..head.outputs).map(|i| i.to_string()).collect();
    let labels = labels(&json).filter(|l| l.len() == head.outputs).unwrap_or_else(numbers);
    Ok(Imported { method: MethodSpec::named("linear"), head: Some(head), labels, tensors, names })
}
