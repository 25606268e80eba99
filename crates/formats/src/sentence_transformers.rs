//! Whole models as folders of `sentence-transformers` (5): the encoder, its pooling, and the head
//! as dense layers. `SentenceTransformer(DIR).encode(texts)` gives the logits. It pools in ways
//! that the classes of `transformers` do not have.

use budwood_base::encoder::{Activation, InputSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::json;

use crate::export::{Exported, cannot};
use crate::model_folder::{other_files, task_config, with_changes};
use crate::native::AdapterFolder;
use crate::{BaseModel, Error};

const VERSION: &str = "5.1.0";
const MODULES: &str = "sentence_transformers.models";

/// Writes a base with `changed` in the place of its own tensors, and the adapter's head.
///
/// # Errors
/// If the adapter is no text classifier or regression, its head has a form that dense layers have
/// not, or a file of the base cannot be read.
pub fn export(
    model: &BaseModel,
    changed: &TensorMap,
    adapter: &AdapterFolder,
) -> Result<Exported, Error> {
    let AdapterFolder { meta, tensors } = adapter;
    if meta.head.kind.over_tokens() || matches!(model.spec().input, InputSpec::Image(_)) {
        return Err(cannot(
            "sentence-transformers has no heads over tokens and none for images; export to transformers or onnx",
        ));
    }
    let layers = layers(model, changed, &meta.head, tensors)?;
    let mut exported = Exported::default();
    let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
    for (index, layer) in (2..).zip(&layers) {
        let folder = format!("{index}_Dense");
        layer.write(&folder, &mut exported)?;
        modules.push(module(index, &folder, "Dense"));
    }
    exported.json("modules.json", &json!(modules));
    exported.json(
        "1_Pooling/config.json",
        &json!({
            "word_embedding_dimension": model.spec().hidden,
            "pooling_mode_cls_token": meta.head.pooling != Pooling::Mean,
            "pooling_mode_mean_tokens": meta.head.pooling == Pooling::Mean,
            "pooling_mode_max_tokens": false, "pooling_mode_mean_sqrt_len_tokens": false,
        }),
    );
    exported.json(
        "sentence_bert_config.json",
        &json!({ "max_seq_length": meta.task.max_length, "do_lower_case": false }),
    );
    exported.json(
        "config_sentence_transformers.json",
        &json!({ "__version__": { "sentence_transformers": VERSION }, "prompts": {}, "default_prompt_name": null }),
    );
    let mut config = task_config(model, meta)?;
    config["architectures"] =
        json!([format!("{}Model", model.family().class_of(&model.model_type()?))]);
    exported.json("config.json", &config);
    exported.tensors("model.safetensors", &with_changes(model, changed)?, true)?;
    let others = other_files(model)?;
    let is_new = |name: &String| exported.files.iter().all(|(written, _)| written != name);
    let others: Vec<_> = others.into_iter().filter(|(name, _)| is_new(name)).collect();
    exported.files.extend(others);
    let gives = match meta.head.kind {
        HeadKind::Regression => "the values",
        HeadKind::MultiLabel => "the logits, whose sigmoids are the probabilities",
        _ => "the logits, whose softmax is the probabilities",
    };
    exported.notes.push(format!("SentenceTransformer(DIR).encode(texts) gives {gives}"));
    Ok(exported)
}

fn module(index: usize, folder: &str, class: &str) -> serde_json::Value {
    json!({ "idx": index, "name": index.to_string(), "path": folder, "type": format!("{MODULES}.{class}") })
}

/// A dense layer `[outputs, inputs]` and what follows it.
struct Dense {
    weight: Tensor,
    bias: Option<Tensor>,
    activation: &'static str,
}

impl Dense {
    fn write(&self, folder: &str, exported: &mut Exported) -> Result<(), Error> {
        let [outputs, inputs] = self.weight.shape[..] else {
            return Err(cannot("the head's weights are no matrix"));
        };
        let config = json!({
            "in_features": inputs, "out_features": outputs, "bias": self.bias.is_some(),
            "activation_function": format!("torch.nn.modules.{}", self.activation),
        });
        exported.json(&format!("{folder}/config.json"), &config);
        let mut tensors = TensorMap::from([("linear.weight".into(), self.weight.clone())]);
        tensors.extend(self.bias.clone().map(|bias| ("linear.bias".into(), bias)));
        exported.tensors(&format!("{folder}/model.safetensors"), &tensors, true)
    }
}

/// The layers between the pooled vector and the logits. A pooler of the checkpoint is the first of
/// them, over the first token.
fn layers(
    model: &BaseModel,
    changed: &TensorMap,
    head: &HeadSpec,
    tensors: &TensorMap,
) -> Result<Vec<Dense>, Error> {
    if head.norm.is_some()
        || !matches!(head.pooling, Pooling::Cls | Pooling::Mean | Pooling::Pooler)
    {
        return Err(cannot(
            "sentence-transformers has no such head; export to transformers or onnx",
        ));
    }
    let own = |name: &str, activation| {
        let weight = tensors.get(&format!("{name}.weight"));
        let weight = weight.ok_or_else(|| cannot("the adapter has no head"))?.clone();
        let bias = tensors.get(&format!("{name}.bias")).cloned();
        Ok::<_, Error>(Dense { weight, bias, activation })
    };
    let mut layers = Vec::new();
    if head.pooling == Pooling::Pooler {
        let fetch = |role: &str| {
            let name = format!("{}.{role}", names::POOLER);
            changed.get(&name).cloned().map_or_else(|| model.tensor(&name), Ok)
        };
        let (weight, bias) = (fetch("weight")?, Some(fetch("bias")?));
        layers.push(Dense { weight, bias, activation: class_of(Activation::Tanh)? });
    }
    if let Some(activation) = head.dense {
        layers.push(own("head.dense", class_of(activation)?)?);
    }
    layers.push(own("head.out", class_of(Activation::Identity)?)?);
    Ok(layers)
}

/// The module of PyTorch that computes an activation.
fn class_of(activation: Activation) -> Result<&'static str, Error> {
    Ok(match activation {
        Activation::Identity => "linear.Identity",
        Activation::Relu => "activation.ReLU",
        Activation::Gelu => "activation.GELU",
        Activation::Silu => "activation.SiLU",
        Activation::Tanh => "activation.Tanh",
        Activation::Sigmoid => "activation.Sigmoid",
        other => {
            return Err(cannot(format!(
                "sentence-transformers has no module for the head's {}; export to onnx",
                other.name()
            )));
        }
    })
}
