//! The frozen weights of a base in one file that graphs of many adapters refer to.

use std::collections::BTreeMap;
use std::io::Write;

use budwood_base::encoder::{EncoderSpec, TensorKind};
use budwood_base::names;
use budwood_base::tensor::Tensor;

use crate::Error;
use crate::elements::{put_floats, transposed_places};

/// A base's weights as they stand in their file, one after another in f32, in the order of
/// [`EncoderSpec::tensors`]. Matrices of products are `[inputs, outputs]` there.
#[derive(Clone, Debug)]
pub struct SharedBase {
    /// The file's name, as graphs in the same folder say it.
    file: String,
    places: BTreeMap<String, Place>,
}

/// Where a tensor stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The first byte.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Whether graphs read a tensor with rows and columns exchanged.
fn is_transposed(name: &str, kind: TensorKind) -> bool {
    kind == TensorKind::Product && name.strip_suffix(".weight") != Some(names::PATCH)
}

impl SharedBase {
    /// The file of a base, under this name.
    pub fn new(encoder: &EncoderSpec, file: &str) -> Self {
        let mut offset = 0;
        let place = |tensor: budwood_base::encoder::TensorSpec| {
            let bytes = 4 * tensor.shape.iter().product::<usize>() as u64;
            let place = Place { offset, bytes };
            offset += bytes;
            (tensor.name, place)
        };
        let places = encoder.tensors().into_iter().map(place).collect();
        Self { file: file.into(), places }
    }

    /// The file's name.
    pub fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn place(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    /// Writes the file; `fetch` gives the base's tensors by canonical name.
    ///
    /// # Errors
    /// If the file cannot be written, or what `fetch` gives.
    pub fn write<E: From<Error>>(
        &self,
        encoder: &EncoderSpec,
        file: &mut impl Write,
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        for spec in encoder.tensors() {
            let data = fetch(&spec.name)?.data;
            match is_transposed(&spec.name, spec.kind) {
                true => {
                    let places = transposed_places(spec.shape[0], spec.shape[1]);
                    put_floats(file, places.map(|at| data[at]))?;
                }
                false => put_floats(file, data.into_iter())?,
            }
        }
        Ok(())
    }
}
