//! AdapterHub's heads, flexible and static.

use std::path::Path;

use budwood_base::encoder::Activation;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::tensor::TensorMap;
use serde_json::Value;

use crate::Error;
use crate::family;
use crate::imported::{Imported, flag, read_json};
use crate::peft::head;
use crate::weights::Weights;

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

/// A head: flexible (`heads.NAME.K.weight|bias`, K counting dropout, linear, activation if there is
/// one, dropout, linear), or static, which is that of the model's class in `transformers`.
pub(super) fn read_head(folder: &Path, name: &str, read: &mut Imported) -> Result<(), Error> {
    let (path, json) = read_json(folder, "head_config.json")?;
    let files = ["model_head.safetensors", "pytorch_model_head.bin"];
    let Some(config) = json.get("config").filter(|c| c.is_object()) else {
        return read_static_head(&path, &json, &Weights::open_in(folder, &files)?, read);
    };
    let field = |name: &str| config.get(name);
    let flag = |name, default| flag(&path, config, name, default);
    let outputs = field("num_labels").and_then(Value::as_u64).unwrap_or(0) as usize;
    let multilabel = flag("multilabel", false)?;
    let kind = match field("head_type").and_then(Value::as_str) {
        Some("classification") if outputs == 1 => HeadKind::Regression,
        Some("classification") if multilabel => HeadKind::MultiLabel,
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
            let name = activation.unwrap_or("identity");
            Some(Activation::from_name(name).ok_or_else(|| {
                Error::content(&path, format!("activation_function '{name}' is not known"))
            })?)
        }
        _ => {
            return Err(Error::content(
                &path,
                format!("holds a head of {layers} layers; heads of 1 and 2 are read"),
            ));
        }
    };
    let pooling = if flag("use_pooler", false)? { Pooling::Pooler } else { Pooling::Cls };
    let bias = flag("bias", true)?;
    let file = Weights::open_in(folder, &files)?;
    // A head has a row of weights for each output.
    if outputs as u64 > file.elements() {
        let message = format!("num_labels is {outputs}, more than the head's file has elements");
        return Err(Error::content(&path, message));
    }
    read.labels = labels(&path, config, outputs)?;
    let head = HeadSpec::linear(kind, outputs, pooling);
    read.head = Some(HeadSpec { dense, bias, dropout: 0.1, ..head });
    let linears: &[(&str, &str)] = match (dense.is_some(), field("activation_function")) {
        (false, _) => &[("head.out", "1")],
        (true, None | Some(Value::Null)) => &[("head.dense", "1"), ("head.out", "3")],
        (true, Some(_)) => &[("head.dense", "1"), ("head.out", "4")],
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
            read.labels = labels(path, json, outputs)?;
            Ok(())
        }
        _ => Err(Error::content(file.path(), format!("holds no head with {outputs} outputs"))),
    }
}

/// Class names in the order of the outputs; numbers for those that have none.
fn labels(path: &Path, config: &Value, outputs: usize) -> Result<Vec<String>, Error> {
    let mut labels = vec![None; outputs];
    let given = config.get("label2id").and_then(Value::as_object);
    for (label, id) in given.into_iter().flatten() {
        let number = id.as_u64().or_else(|| id.as_str()?.parse().ok());
        let place = number.and_then(|number| labels.get_mut(number as usize));
        let Some(place @ None) = place else {
            let message = format!(
                "'label2id' gives {label:?} the number {id}; each class of {outputs} has its own, from 0"
            );
            return Err(Error::content(path, message));
        };
        *place = Some(label.clone());
    }
    let named = labels.into_iter().enumerate();
    Ok(named.map(|(i, label)| label.unwrap_or_else(|| i.to_string())).collect())
}
