//! The trained parameters of one adapter: one flat vector with named ranges. Gradients and the
//! optimizer's moments have the same layout.

use std::ops::Range;

use budwood_base::random::Key;
use budwood_base::tensor::{Tensor, TensorMap};

/// The place of a tensor in the flat vector.
pub type Slot = Range<usize>;

/// One trained tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Canonical name.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Its place; empty where the values are held elsewhere.
    pub slot: Slot,
}

impl Param {
    /// Whether it is a bias or a layer norm's gain or bias: what BERT's code excludes from weight
    /// decay by its pattern `["LayerNorm", "layer_norm", "bias"]`.
    pub fn is_bias_or_norm(&self) -> bool {
        self.name.ends_with(".bias") || self.name.contains("norm")
    }
}

/// How a tensor begins.
#[derive(Clone, Debug)]
pub enum Init<'a> {
    /// The same number everywhere.
    Constant(f32),
    /// Normal with this deviation.
    Normal(f64),
    /// Normal with this deviation, cut at two of them.
    TruncatedNormal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    /// These values.
    Copy(&'a [f32]),
}

/// All trained parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// The elements of the tensors, one after another.
    pub values: Vec<f32>,
    entries: Vec<Param>,
    /// Bytes of tensors whose values are held elsewhere.
    elsewhere: usize,
}

impl Params {
    /// Adds a tensor. Its random numbers depend on the key and its name only.
    ///
    /// # Panics
    /// If the name is there already, or values to copy are of another number.
    pub fn add(&mut self, key: Key, name: String, shape: &[usize], init: Init<'_>) -> Slot {
        assert!(self.get(&name).is_none(), "parameter {name} is there already");
        let len: usize = shape.iter().product();
        let slot = self.values.len()..self.values.len() + len;
        let stream = key.named(&name);
        match init {
            Init::Constant(x) => self.values.extend(std::iter::repeat_n(x, len)),
            Init::Normal(deviation) => {
                let numbers = (0..len as u64).map(|i| (deviation * stream.normal(i)) as f32);
                self.values.extend(numbers);
            }
            Init::TruncatedNormal(deviation) => {
                let numbers =
                    (0..len as u64).map(|i| (deviation * stream.truncated_normal(i)) as f32);
                self.values.extend(numbers);
            }
            Init::Uniform(bound) => {
                let numbers =
                    (0..len as u64).map(|i| (bound * (2.0 * stream.uniform(i) - 1.0)) as f32);
                self.values.extend(numbers);
            }
            Init::Copy(values) => {
                assert_eq!(values.len(), len, "values of another number for {name}");
                self.values.extend_from_slice(values);
            }
        }
        self.entries.push(Param { name, shape: shape.to_vec(), slot: slot.clone() });
        slot
    }

    /// Notes a tensor whose values are held elsewhere, in so many bytes.
    pub(crate) fn note(&mut self, name: String, shape: &[usize], bytes: usize) {
        self.elsewhere += bytes;
        self.entries.push(Param { name, shape: shape.to_vec(), slot: 0..0 });
    }

    /// All tensors in the order of the vector.
    pub fn entries(&self) -> &[Param] {
        &self.entries
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.entries.iter().find(|p| p.name == name)
    }

    /// Number of elements in the vector.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of all tensors, wherever they are held.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.values[..]) + self.elsewhere
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The tensors by name.
    ///
    /// # Panics
    /// If the values of one are held elsewhere: see [`Adapter::from_tensors`].
    ///
    /// [`Adapter::from_tensors`]: crate::Adapter::from_tensors
    pub fn to_tensors(&self) -> TensorMap {
        let tensor = |p: &Param| Tensor::new(p.shape.clone(), self.values[p.slot.clone()].to_vec());
        self.entries.iter().map(|p| (p.name.clone(), tensor(p))).collect()
    }
}
