//! Tensors in memory by name: the form in which weights travel between files and the model.

use std::collections::BTreeMap;

/// A dense row-major `f32` tensor. Matrices follow `torch.nn.Linear`: `[out, in]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Size of each dimension; an empty list is a scalar.
    pub shape: Vec<usize>,
    /// The elements, last dimension fastest.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Panics
    /// If the number of elements does not fit the shape: that is a fault of the caller.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "shape {shape:?} and data differ");
        Self { shape, data }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let len = shape.iter().product();
        Self { shape, data: vec![0.0; len] }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether the tensor holds no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

/// Tensors by name, in the order of their names, so that files made from it are reproducible.
pub type TensorMap = BTreeMap<String, Tensor>;
