//! Weights in the form in which the device multiplies them.

use budwood_kernels::ops::gemm::{MatRef, PackedB};

use crate::Device;

/// The form in which frozen weights are held and multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floating point.
    F32,
}

/// A product's weight `[out, in]`, packed for `x Wᵀ` and, if asked for, for `dy W`.
#[derive(Clone, Debug)]
pub struct Weight {
    outputs: usize,
    inputs: usize,
    store: Store,
}

#[derive(Clone, Debug)]
pub(crate) enum Store {
    F32 { forward: PackedB, backward: Option<PackedB> },
}

impl Weight {
    /// Packs `weight`, row-major `[outputs, inputs]`. Without `backward`, no gradient can flow through it.
    ///
    /// # Panics
    /// If the number of elements does not fit.
    pub fn new(
        device: Device,
        weight: &[f32],
        outputs: usize,
        inputs: usize,
        precision: Precision,
        backward: bool,
    ) -> Self {
        let store = match precision {
            Precision::F32 => Store::F32 {
                forward: PackedB::default(),
                backward: backward.then(PackedB::default),
            },
        };
        let mut packed = Self { outputs, inputs, store };
        packed.set(device, weight);
        packed
    }

    /// Replaces the elements, in the storage that is there.
    ///
    /// # Panics
    /// If the number of elements does not fit.
    pub fn set(&mut self, device: Device, weight: &[f32]) {
        assert_eq!(weight.len(), self.outputs * self.inputs, "a weight of another size");
        let isa = device.isa();
        let matrix = MatRef::new(weight, self.outputs, self.inputs, self.inputs);
        match &mut self.store {
            Store::F32 { forward, backward } => {
                forward.pack(isa, matrix.transposed());
                if let Some(backward) = backward {
                    backward.pack(isa, matrix);
                }
            }
        }
    }

    /// Width of the result.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.store {
            Store::F32 { forward, backward } => {
                forward.bytes() + backward.as_ref().map_or(0, PackedB::bytes)
            }
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

/// A table of rows that are looked up, such as the word embeddings.
#[derive(Clone, Debug)]
pub struct Table {
    data: Vec<f32>,
    columns: usize,
}

impl Table {
    /// A table over `data`, row-major.
    ///
    /// # Panics
    /// If the last row is not whole.
    pub fn new(data: Vec<f32>, columns: usize) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "the last row is not whole");
        Self { data, columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.columns
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.columns..][..self.columns]
    }
}
