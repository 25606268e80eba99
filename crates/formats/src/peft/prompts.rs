//! PEFT's trained vectors before a text: prompt tuning, P-tuning and prefix tuning.
//!
//! PEFT saves what its encoders (P-tuning's MLP or LSTM, a prefix's projection) make, not the
//! encoders, under the bare name `prompt_embeddings`: `[n, d]` of prompts, `[n, layers * 2 * d]` of
//! prefixes, the keys of a layer before its values. A text's positions follow those of the vectors,
//! and prompts pass through the embeddings as words do.

use std::path::Path;

use budwood_base::encoder::EncoderSpec;
use budwood_base::method::{MethodPart, MethodSpec};
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::export::cannot;
use crate::native::AdapterMeta;

/// The file's name of the vectors.
pub(super) const TENSOR: &str = "prompt_embeddings";
/// Our name of a prompt's vectors.
const PROMPT: &str = "shared.prompt.embedding";

/// The kinds of these adapters.
pub(super) const TYPES: [&str; 3] = ["PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING"];

fn of_layer(layer: usize, role: &str) -> String {
    names::in_layer(layer, &format!("{}.prefix.{role}", names::ATTENTION_KV))
}

/// The method and its tensors, of a configuration and the tensor in the file.
///
/// # Errors
/// If the configuration is of another model, or the tensor is not as it says.
pub(super) fn read(
    path: &Path,
    config: &Value,
    vectors: Tensor,
    encoder: &EncoderSpec,
) -> Result<(MethodSpec, TensorMap), Error> {
    let number = |field: &str| config.get(field).and_then(Value::as_u64).map(|n| n as usize);
    let sizes = [
        ("num_layers", encoder.layers),
        ("token_dim", encoder.embedding_width()),
        ("num_attention_heads", encoder.heads),
    ];
    for (field, ours) in sizes {
        if let Some(theirs) = number(field)
            && theirs != ours
        {
            return Err(Error::OtherBase {
                what: format!("'{field}'"),
                expected: theirs.to_string(),
                found: ours.to_string(),
                name: config
                    .get("base_model_name_or_path")
                    .and_then(Value::as_str)
                    .unwrap_or("not named")
                    .into(),
            });
        }
    }
    let of_prefix = config.get("peft_type") == Some(&json!("PREFIX_TUNING"));
    let n = number("num_virtual_tokens")
        .filter(|n| *n > 0)
        .ok_or_else(|| Error::content(path, "lacks 'num_virtual_tokens', a number above zero"))?;
    let width = match of_prefix {
        true => 2 * encoder.layers * encoder.hidden,
        false => encoder.embedding_width(),
    };
    if vectors.shape != [n, width] {
        let message = format!(
            "names {n} vectors of {width} numbers for this base, but '{TENSOR}' has the shape {:?}",
            vectors.shape
        );
        return Err(Error::content(path, message));
    }
    let length = n as u64;
    if !of_prefix {
        let part = MethodPart { name: "prompt_tuning".into(), options: Default::default() }
            .with("prompt_length", length)
            .with("as_words", true);
        return Ok((MethodSpec { parts: vec![part] }, [(PROMPT.to_string(), vectors)].into()));
    }
    if encoder.axes.shared_layers {
        let message = "has a prefix for each layer, and the layers of this base are one";
        return Err(Error::content(path, message));
    }
    let d = encoder.hidden;
    let mut tensors = TensorMap::new();
    for (i, (layer, role)) in
        (0..encoder.layers).flat_map(|l| [(l, "key"), (l, "value")]).enumerate()
    {
        let rows = vectors.data.chunks_exact(width);
        let data = rows.flat_map(|row| row[i * d..][..d].iter().copied()).collect();
        tensors.insert(of_layer(layer, role), Tensor::new([n, d], data));
    }
    let part = MethodPart { name: "prefix_tuning".into(), options: Default::default() }
        .with("prefix_length", length)
        .with("flat", true)
        .with("counted", true);
    Ok((MethodSpec { parts: vec![part] }, tensors))
}

/// Whether a method is one of those that this file writes.
pub(super) fn has(method: &str) -> bool {
    ["prompt_tuning", "prefix_tuning"].contains(&method)
}

/// The fields of the configuration, and the tensor.
///
/// # Errors
/// If PEFT has no vectors like those.
pub(super) fn write(
    part: &MethodPart,
    meta: &AdapterMeta,
    tensors: &TensorMap,
) -> Result<(Map<String, Value>, Tensor), Error> {
    let option = |name: &str| part.options.get(name).cloned().unwrap_or(Value::Null);
    let on = |name: &str| option(name) == true;
    let encoder = &meta.encoder;
    let of_prefix = part.name == "prefix_tuning";
    let (counting, length) = match of_prefix {
        true => ("counted", option("prefix_length")),
        false => ("as_words", option("prompt_length")),
    };
    if !on(counting) {
        return Err(cannot(format!(
            "PEFT counts a text's positions after those of its vectors: train with \
             {}[{counting}=true], or export to AdapterHub",
            part.name
        )));
    }
    if matches!(encoder.input, budwood_base::encoder::InputSpec::Image(_)) {
        return Err(cannot("PEFT has no prompts of images"));
    }
    let mut fields = json!({
        "num_virtual_tokens": length, "num_layers": encoder.layers, "num_attention_heads": encoder.heads,
        "num_transformer_submodules": 1, "token_dim": encoder.embedding_width(),
    });
    let vectors = if of_prefix {
        if on("use_gating") {
            return Err(cannot("PEFT has no gates of prefixes; export to AdapterHub"));
        }
        if !on("flat") {
            return Err(cannot(
                "PEFT holds a prefix without the network that makes it: train with \
                 prefix_tuning[flat=true,counted=true]",
            ));
        }
        if option("leave_out").as_array().is_some_and(|layers| !layers.is_empty()) {
            return Err(cannot("PEFT's prefixes leave out no layers; export to AdapterHub"));
        }
        let own = [
            ("peft_type", json!("PREFIX_TUNING")),
            ("prefix_projection", json!(false)),
            ("encoder_hidden_size", json!(encoder.hidden)),
        ];
        own.into_iter().for_each(|(name, value)| fields[name] = value);
        let layers = 0..encoder.layers;
        let names = layers.flat_map(|l| [of_layer(l, "key"), of_layer(l, "value")]);
        let all = names.map(|name| tensors.get(&name).ok_or(name)).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|name| cannot(format!("the adapter lacks '{name}'")))?;
        let (n, d) = (all.first().map_or(0, |t| t.shape[0]), encoder.hidden);
        let rows = (0..n).flat_map(|row| all.iter().map(move |t| &t.data[row * d..][..d]));
        Tensor::new([n, all.len() * d], rows.flatten().copied().collect())
    } else {
        fields["peft_type"] = json!("PROMPT_TUNING");
        fields["prompt_tuning_init"] = json!("RANDOM");
        let vectors = tensors.get(PROMPT).cloned();
        vectors.ok_or_else(|| cannot(format!("the adapter lacks '{PROMPT}'")))?
    };
    let Value::Object(fields) = fields else { return Err(cannot("no fields")) };
    Ok((fields, vectors))
}
