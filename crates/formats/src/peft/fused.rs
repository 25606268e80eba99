//! Modules that hold several of our products one after another, such as `Wqkv`: a tensor of such a
//! module in pieces, and the tensors of its products as those of the module.

use std::collections::BTreeMap;

use budwood_base::names;
use budwood_base::tensor::{Tensor, TensorMap};

use crate::Error;
use crate::export::cannot;
use crate::family::Family;

/// A tensor of a module in as many pieces as it holds products: what stands on the side of the
/// results is cut into rows, and what all of them read is the same for each.
pub(super) fn pieces(tensor: Tensor, role: &str, n: usize) -> Result<Vec<Tensor>, String> {
    if n == 1 {
        return Ok(vec![tensor]);
    }
    let rows = tensor.shape.first().copied().unwrap_or(0);
    match role {
        "vera_b" | "vera_d" => Err("is VeRA's of a module of several products: not read".into()),
        "a" | "e" => Ok(vec![tensor; n]),
        // Of (IA)³: what is read.
        "scale" if rows == 1 => Ok(vec![tensor; n]),
        _ if tensor.data.is_empty() || !rows.is_multiple_of(n) => {
            Err(format!("has {rows} rows for {n} products"))
        }
        _ => {
            let shape = [&[rows / n], &tensor.shape[1..]].concat();
            let pieces = tensor.data.chunks(tensor.len() / n);
            Ok(pieces.map(|data| Tensor::new(shape.clone(), data.to_vec())).collect())
        }
    }
}

/// The tensors of a layer's products of one role, in the module's order; none of a product that is
/// not trained.
type Parts<'a> = Vec<Option<&'a Tensor>>;

/// What fused modules have instead of their products.
#[derive(Default)]
pub(super) struct Joined {
    /// By layer, module and role.
    pub(super) tensors: BTreeMap<(usize, &'static str, &'static str), Tensor>,
    /// The rank of LoRA in a module.
    pub(super) ranks: BTreeMap<&'static str, usize>,
}

/// What the method has for products inside of fused modules, as tensors of these modules.
///
/// # Errors
/// If the module has no values with which it answers as its products do.
pub(super) fn joined(family: &Family, tensors: &TensorMap) -> Result<Joined, Error> {
    let mut joined = Joined::default();
    for &(module, products) in family.fused {
        let mut by_role: BTreeMap<(&'static str, usize), Parts<'_>> = BTreeMap::new();
        for (name, tensor) in tensors {
            let Some((layer, rest)) = names::split_layer(name) else { continue };
            let Some((site, role)) = rest.split_once('.') else { continue };
            let Some(place) = products.iter().position(|product| *product == site) else {
                continue;
            };
            let role = ROLES
                .iter()
                .find(|known| **known == role)
                .ok_or_else(|| cannot(format!("PEFT has no place for the tensor '{name}'")))?;
            let parts = by_role.entry((role, layer)).or_insert_with(|| vec![None; products.len()]);
            parts[place] = Some(tensor);
        }
        // All products of a layer read the same through one A, or each through its own.
        let mut of_a = by_role.iter().filter(|((role, _), _)| *role == A);
        let shares_a = of_a.all(|(_, parts)| {
            let mut there = parts.iter().flatten();
            let first = there.next();
            there.all(|other| Some(other) == first)
        });
        for ((role, layer), parts) in &by_role {
            let tensor = match *role {
                A if shares_a => there(parts)[0].clone(),
                A => stacked(&there(parts)),
                B if shares_a => stacked(&filled(parts, 0.0)),
                B => diagonal(parts),
                SCALE => stacked(&filled(parts, 1.0)),
                MAGNITUDE if there(parts).len() < parts.len() => {
                    return Err(cannot(format!(
                        "PEFT's DoRA adapts the whole of '{module}', but the adapter has {} of its {} products; export to \
                         transformers, which merges it",
                        there(parts).len(),
                        parts.len()
                    )));
                }
                MAGNITUDE => stacked(&there(parts)),
                // What is read.
                _ if parts.iter().all(|part| part.is_some() && *part == parts[0]) => {
                    there(parts)[0].clone()
                }
                _ => {
                    return Err(cannot(format!(
                        "the products of '{module}' read one input in PEFT, which the adapter scales differently for each; \
                         export to transformers, which merges it"
                    )));
                }
            };
            if *role == A {
                joined.ranks.insert(module, tensor.shape[0]);
            }
            joined.tensors.insert((*layer, module, role), tensor);
        }
    }
    Ok(joined)
}

const A: &str = "lora.a";
const B: &str = "lora.b";
const MAGNITUDE: &str = "lora.magnitude";
const SCALE: &str = "ia3.scale";
const ROLES: [&str; 5] = [A, B, MAGNITUDE, SCALE, "ia3.input"];

fn there(parts: &Parts<'_>) -> Vec<Tensor> {
    parts.iter().flatten().map(|tensor| (*tensor).clone()).collect()
}

/// With a tensor of one value for each product that is not trained.
fn filled(parts: &Parts<'_>, value: f32) -> Vec<Tensor> {
    let like = parts.iter().flatten().next();
    let constant = || {
        let shape = like.map(|tensor| tensor.shape.clone()).unwrap_or_default();
        let elements = shape.iter().product();
        Tensor::new(shape, vec![value; elements])
    };
    parts.iter().map(|part| part.cloned().unwrap_or_else(constant)).collect()
}

/// Tensors of one shape under each other.
fn stacked(parts: &[Tensor]) -> Tensor {
    let mut shape = parts[0].shape.clone();
    shape[0] *= parts.len();
    Tensor::new(shape, parts.iter().flat_map(|tensor| tensor.data.iter().copied()).collect())
}

/// Each product's B in its own columns, which are those of its own rows of A.
fn diagonal(parts: &Parts<'_>) -> Tensor {
    let trained = there(parts);
    let (rows, rank) = (trained[0].shape[0], trained[0].shape[1]);
    let columns = rank * trained.len();
    let mut all = Tensor::zeros([rows * parts.len(), columns]);
    let mut column = 0;
    for (place, part) in parts.iter().enumerate() {
        let Some(part) = part else { continue };
        for (row, values) in part.data.chunks(rank).enumerate() {
            let from = (place * rows + row) * columns + column;
            all.data[from..from + rank].copy_from_slice(values);
        }
        column += rank;
    }
    all
}
