//! Adapters that are changes of the model's own weights, as weights.

use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};
use serde_json::Value;

use crate::ModelError;

/// The base's tensors as an adapter changes them, by canonical name; the head is left out. LoRA in all its forms, (IA)³, and
/// whatever trains the model's own tensors can be merged.
///
/// # Errors
/// If the method puts anything into the encoder that no weight can hold, or `base` cannot give a tensor.
pub fn merged<E: From<ModelError>>(
    spec: &MethodSpec,
    tensors: &TensorMap,
    mut base: impl FnMut(&str) -> Result<Tensor, E>,
) -> Result<TensorMap, E> {
    let mut changed = TensorMap::new();
    for (name, tensor) in tensors.iter().filter(|(name, _)| !name.starts_with("head.")) {
        if let Some(site) = name.strip_suffix(".lora.a") {
            let of = |role: &str| tensors.get(&format!("{site}.lora.{role}"));
            let b = of("b").ok_or_else(|| cannot(name))?;
            let weight = base(&format!("{site}.weight"))?;
            let update = updated(weight, tensor, b, scale(spec)?, of("magnitude"));
            changed.insert(format!("{site}.weight"), update);
        } else if let Some(site) = name.strip_suffix(".ia3.scale") {
            for role in ["weight", "bias"] {
                let mut values = base(&format!("{site}.{role}"))?;
                let columns = values.len() / tensor.len();
                for (row, factor) in values.data.chunks_mut(columns).zip(&tensor.data) {
                    row.iter_mut().for_each(|x| *x *= factor);
                }
                changed.insert(format!("{site}.{role}"), values);
            }
        } else if name.contains(".lora.gate.") {
            return Err(cannot(name).into());
        } else if name.contains(".lora.") {
            // With its `a`.
        } else if is_of_the_base(name) {
            changed.insert(name.clone(), tensor.clone());
        } else {
            return Err(cannot(name).into());
        }
    }
    Ok(changed)
}

fn cannot(name: &str) -> ModelError {
    ModelError::Base(format!(
        "'{name}' is no change of the model's weights: only lora, ia3 and methods that train the model's own tensors can be merged"
    ))
}

/// Whether a trained tensor has the name of one of the base's.
fn is_of_the_base(name: &str) -> bool {
    let rest = names::split_layer(name).map_or(name, |(_, rest)| rest);
    let stem = rest.trim_end_matches(".weight").trim_end_matches(".bias");
    let norms = [names::ATTENTION_NORM, names::FFN_NORM, names::EMBEDDING_NORM, names::FINAL_NORM];
    let others = [
        names::WORD,
        names::POSITION,
        names::TOKEN_TYPE,
        names::PATCH,
        names::CLASS_TOKEN,
        names::DISTILLATION_TOKEN,
        names::ATTENTION_SCALE,
        names::FFN_SCALE,
        "pooler",
    ];
    names::WEIGHT_SITES.contains(&stem) || norms.contains(&stem) || others.contains(&stem)
}

/// What LoRA's update counts.
fn scale(spec: &MethodSpec) -> Result<f32, ModelError> {
    let mut parts = spec.parts.iter().filter(|p| p.name == "lora");
    let (Some(part), None) = (parts.next(), parts.next()) else {
        return Err(ModelError::Base("a union of several LoRAs cannot be merged".into()));
    };
    let number = |name: &str| part.options.get(name).and_then(Value::as_f64).unwrap_or(8.0);
    let root = part.options.get("rslora").and_then(Value::as_bool).unwrap_or(false);
    let rank = number("r");
    Ok((number("alpha") / if root { rank.sqrt() } else { rank }) as f32)
}

/// W + s B A; with DoRA's magnitudes, its rows at those lengths.
fn updated(
    mut weight: Tensor,
    a: &Tensor,
    b: &Tensor,
    scale: f32,
    magnitude: Option<&Tensor>,
) -> Tensor {
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    for (o, row) in weight.data.chunks_mut(inputs).enumerate() {
        for r in 0..rank {
            let factor = scale * b.data[o * rank + r];
            let a_row = &a.data[r * inputs..][..inputs];
            row.iter_mut().zip(a_row).for_each(|(w, a)| *w += factor * a);
        }
        if let Some(magnitude) = magnitude {
            let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            let factor = (f64::from(magnitude.data[o]) / norm) as f32;
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gate depends on the input: an update behind one is no change of a weight, and must not become one without a word.
    #[test]
    fn an_update_behind_a_gate_is_refused() {
        let spec: MethodSpec =
            "lora[r=1,use_gating=true]".parse().unwrap_or_else(|e| panic!("{e}"));
        let mut tensors = TensorMap::new();
        for (role, shape) in [("a", [1, 2]), ("b", [2, 1]), ("gate.weight", [1, 2])] {
            tensors.insert(format!("layers.0.query.lora.{role}"), Tensor::zeros(shape));
        }
        let base = |_: &str| Ok::<_, ModelError>(Tensor::zeros([2, 2]));
        let error = merged(&spec, &tensors, base).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("lora.gate.weight")));
        tensors.remove("layers.0.query.lora.gate.weight");
        assert!(merged(&spec, &tensors, base).is_ok());
    }
}
