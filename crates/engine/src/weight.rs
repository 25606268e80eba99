//! Weights in the form in which the device multiplies them.

use budwood_kernels::Isa;
use budwood_kernels::ops::elementwise;
use budwood_kernels::ops::gemm::{MatRef, PackedB};
use budwood_kernels::ops::int8::{PackedInt8, add_scaled_bytes, quantize_weight};

use crate::device::Device;
use crate::precision::Precision;

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
    Int8 { forward: PackedInt8, backward: Option<Int8Backward> },
}

/// How gradients flow through bytes.
#[derive(Clone, Debug)]
pub(crate) enum Int8Backward {
    /// The same bytes; the outputs' scales multiply the gradient before it is quantised.
    Int8 {
        scales: Vec<f32>,
        packed: PackedInt8,
    },
    F32(PackedB),
}

impl Weight {
    /// Packs `weight`, row-major `[outputs, inputs]`. Without `backward`, no gradient can flow
    /// through it.
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
        if precision == Precision::F32 {
            let mut packed = Self::unfilled(outputs, inputs, backward);
            packed.set(device, weight);
            return packed;
        }
        assert_eq!(weight.len(), outputs * inputs, "a weight of another size");
        let store = int8_store(device, weight, inputs, precision, backward);
        Self { outputs, inputs, store }
    }

    /// A weight in f32 that waits for its elements: [`Weight::set`].
    pub fn unfilled(outputs: usize, inputs: usize, backward: bool) -> Self {
        let (forward, backward) = (PackedB::default(), backward.then(PackedB::default));
        Self { outputs, inputs, store: Store::F32 { forward, backward } }
    }

    /// As [`Weight::unfilled`], in memory that is taken at once. What is read later to fill it lies
    /// behind it, and leaves no hole between weights when it is let go.
    pub fn with_room(device: Device, outputs: usize, inputs: usize, backward: bool) -> Self {
        let mut weight = Self::unfilled(outputs, inputs, backward);
        if let Store::F32 { forward, backward } = &mut weight.store {
            forward.reserve(device.isa(), inputs, outputs);
            if let Some(backward) = backward {
                backward.reserve(device.isa(), outputs, inputs);
            }
        }
        weight
    }

    /// Replaces the elements, in the storage that is there.
    ///
    /// # Panics
    /// If the number of elements does not fit, or the weight is held in bytes: those are frozen.
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
            Store::Int8 { .. } => panic!("a weight in bytes is frozen"),
        }
    }

    /// The elements, `[outputs, inputs]`; none where they are held in bytes.
    pub fn elements(&self) -> Option<Vec<f32>> {
        match &self.store {
            Store::F32 { forward, .. } => Some(forward.unpack_transposed()),
            Store::Int8 { .. } => None,
        }
    }

    /// The squared norm of each row (each output).
    pub fn row_squares(&self) -> Vec<f32> {
        match &self.store {
            Store::F32 { forward, .. } => forward.column_squares(),
            Store::Int8 { forward, .. } => forward.column_squares(),
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
            Store::Int8 { forward, backward } => {
                forward.bytes()
                    + match backward {
                        None => 0,
                        Some(Int8Backward::Int8 { packed, .. }) => packed.bytes(),
                        Some(Int8Backward::F32(packed)) => packed.bytes(),
                    }
            }
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }
}

fn int8_store(
    device: Device,
    weight: &[f32],
    inputs: usize,
    precision: Precision,
    backward: bool,
) -> Store {
    let (bytes, scales) = quantize_weight(device.isa(), weight, inputs);
    let forward = PackedInt8::new(inputs, &scales, |i, o| bytes[o * inputs + i]);
    let backward = backward.then(|| {
        if precision == Precision::Int8Forward {
            let back = bytes.iter().enumerate().map(|(at, &b)| f32::from(b) * scales[at / inputs]);
            let back: Vec<f32> = back.collect();
            let matrix = MatRef::new(&back, scales.len(), inputs, inputs);
            return Int8Backward::F32(PackedB::new(device.isa(), matrix));
        }
        let ones = vec![1.0; inputs];
        let packed = PackedInt8::new(scales.len(), &ones, |o, i| bytes[o * inputs + i]);
        Int8Backward::Int8 { packed, scales }
    });
    Store::Int8 { forward, backward }
}

/// A table of rows that are looked up, such as the word embeddings.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Rows,
    columns: usize,
}

#[derive(Clone, Debug)]
enum Rows {
    F32(Vec<f32>),
    /// Bytes with a scale for each row.
    Int8(Vec<i8>, Vec<f32>),
}

impl Table {
    /// A table over `data`, row-major, held as `precision` says.
    ///
    /// # Panics
    /// If the last row is not whole.
    pub fn new(device: Device, data: Vec<f32>, columns: usize, precision: Precision) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "the last row is not whole");
        let rows = match precision {
            Precision::F32 => Rows::F32(data),
            Precision::Int8 | Precision::Int8Forward => {
                let (bytes, scales) = quantize_weight(device.isa(), &data, columns);
                Rows::Int8(bytes, scales)
            }
        };
        Self { rows, columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        match &self.rows {
            Rows::F32(data) => data.len() / self.columns,
            Rows::Int8(_, scales) => scales.len(),
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The elements, row-major; none where they are held in bytes.
    pub fn elements(&self) -> Option<&[f32]> {
        match &self.rows {
            Rows::F32(data) => Some(data),
            Rows::Int8(..) => None,
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.rows {
            Rows::F32(data) => size_of_val(&data[..]),
            Rows::Int8(bytes, scales) => bytes.len() + size_of_val(&scales[..]),
        }
    }

    /// Adds row `i` to `y`.
    pub(crate) fn add_row(&self, isa: Isa, y: &mut [f32], i: usize) {
        let range = i * self.columns..(i + 1) * self.columns;
        match &self.rows {
            Rows::F32(data) => elementwise::add(isa, y, &data[range]),
            Rows::Int8(bytes, scales) => add_scaled_bytes(isa, y, scales[i], &bytes[range]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that panels of every instruction set divide, so that nothing is padded.
    #[test]
    fn bytes_are_those_of_what_is_held() {
        let (outputs, inputs) = (64, 128);
        let data = vec![0.5; outputs * inputs];
        let table = |precision| Table::new(Device::cpu(), data.clone(), inputs, precision).bytes();
        assert_eq!(table(Precision::F32), 4 * outputs * inputs);
        assert_eq!(table(Precision::Int8), outputs * inputs + 4 * outputs);
        let device = Device::cpu();
        let weight = |precision, backward| {
            Weight::new(device, &data, outputs, inputs, precision, backward).bytes()
        };
        assert_eq!(weight(Precision::F32, false), 4 * outputs * inputs);
        assert_eq!(weight(Precision::F32, true), 2 * 4 * outputs * inputs);
        // A scale and a sum for each column, and here one block of them.
        let int8 = weight(Precision::Int8, false);
        assert!((outputs * inputs..outputs * inputs + 16 * outputs).contains(&int8), "{int8}");
        assert_eq!(weight(Precision::Int8Forward, true), 4 * outputs * inputs + int8);
    }
}
