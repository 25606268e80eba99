//! A tensor's place in a file.

use std::collections::BTreeMap;

use safetensors::Dtype;

/// The tensors of a file by name.
pub(crate) type Entries = BTreeMap<String, Entry>;

/// Where a tensor lies in its file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// From its first element to its last.
    pub(crate) range: std::ops::Range<usize>,
    /// Elements from one neighbour to the next in each dimension, where they do not simply follow
    /// each other.
    pub(crate) strides: Option<Vec<usize>>,
}

impl Entry {
    /// How many it has.
    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its elements in order, out of the bytes from its first to its last.
    pub(crate) fn in_order(&self, bytes: &[u8], strides: &[usize]) -> Vec<u8> {
        let size = self.dtype.bitsize() / 8;
        let mut place = vec![0; self.shape.len()];
        let mut ordered = Vec::with_capacity(self.elements() * size);
        for _ in 0..self.elements() {
            let at: usize = place.iter().zip(strides).map(|(i, stride)| i * stride).sum();
            ordered.extend_from_slice(&bytes[at * size..][..size]);
            for (i, d) in place.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *d {
                    break;
                }
                *i = 0;
            }
        }
        ordered
    }
}
