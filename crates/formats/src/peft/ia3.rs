//! (IA)³, whose vectors scale what products give, or what they read.

use std::collections::{BTreeMap, BTreeSet};

use budwood_base::method::MethodPart;
use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};

use super::low_rank::Site;
use crate::Error;
use crate::weights::Weights;

/// Results are scaled, or what a product reads (`feedforward_modules`); a scaled input of
/// attention's output product is a scaled value.
pub(super) fn scales(
    file: &Weights,
    sites: BTreeMap<Site, BTreeMap<&str, Tensor>>,
) -> Result<(MethodPart, TensorMap), Error> {
    let mut scales: BTreeMap<(Site, &str), Vec<f32>> = BTreeMap::new();
    for (site, mut roles) in sites {
        let Some(tensor) = roles.remove("scale") else { continue };
        let of_input = tensor.shape.len() == 2 && tensor.shape[0] == 1 && tensor.shape[1] != 1;
        let target = match (of_input, site.name) {
            (false, _) => (site, "scale"),
            (true, names::ATTENTION_OUT) => (Site { name: names::VALUE, ..site }, "scale"),
            (true, _) => (site, "input"),
        };
        match scales.get_mut(&target) {
            None => {
                scales.insert(target, tensor.data);
            }
            Some(there) if there.len() == tensor.data.len() => {
                there.iter_mut().zip(&tensor.data).for_each(|(x, y)| *x *= y);
            }
            Some(_) => {
                let message = format!("scales '{}' by vectors of two lengths", target.0.name);
                return Err(Error::content(file.path(), message));
            }
        }
    }
    // What one layer scales, all do: by ones where the file has nothing.
    let kinds: BTreeSet<_> = scales.keys().map(|(site, role)| (site.name, *role)).collect();
    let layers: BTreeSet<_> = scales.keys().map(|(site, _)| site.layer).collect();
    for &(name, role) in &kinds {
        let like = scales.iter().find(|((s, r), _)| (s.name, *r) == (name, role));
        let length = like.map_or(0, |(_, values)| values.len());
        for &layer in &layers {
            let place = (Site { layer, name }, role);
            scales.entry(place).or_insert_with(|| vec![1.0; length]);
        }
    }
    let of = |wanted: &str| -> Vec<&str> {
        kinds.iter().filter(|(_, role)| *role == wanted).map(|(name, _)| *name).collect()
    };
    let (targets, inputs) = (of("scale"), of("input"));
    if targets.is_empty() {
        let message = "scales no product's result (target_modules), but inputs alone";
        return Err(Error::content(file.path(), message));
    }
    if let Some(name) = targets.iter().find(|name| inputs.contains(name)) {
        let message = format!("scales the result of '{name}' in one layer, its input in another");
        return Err(Error::content(file.path(), message));
    }
    let mut part =
        MethodPart { name: "ia3".into(), options: Default::default() }.with("targets", targets);
    if !inputs.is_empty() {
        part = part.with("inputs", inputs);
    }
    let tensor = |((site, role), data): ((Site, &str), Vec<f32>)| {
        (site.of("ia3", role), Tensor::new(vec![data.len()], data))
    };
    Ok((part, scales.into_iter().map(tensor).collect()))
}
