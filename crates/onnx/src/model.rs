//! A graph from its request to its file.

use std::io::Write;

use budwood_base::tensor::Tensor;
use budwood_model::modules::Small;
use budwood_model::{Parted, parted};

use crate::builder::Builder;
use crate::graph::Graph;
use crate::{Error, Request};

/// A graph, with what its file needs beside the base's tensors.
pub struct Model {
    graph: Graph,
    parted: Parted,
}

impl Model {
    /// Makes the graph. With a shared base its file holds what the adapter has more: modules, and
    /// weights that it changes as a whole. `fetch` gives the base's tensors by canonical name; in
    /// f32 nearly all of them are asked for only when the file is written.
    ///
    /// # Errors
    /// If the adapter's tensors are not those of its method, patches do not cover images of that
    /// size, the file would be larger than readers of ONNX take (2 GiB), or `fetch` fails.
    pub fn new<E: From<Error>>(
        request: &Request<'_>,
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<Self, E> {
        let Request { method, encoder, tensors, .. } = request;
        let small = if request.shared.is_some() { Small::Kept } else { Small::Merged };
        let mut parted = parted(method, encoder, tensors, small).map_err(Error::from)?;
        let modules = std::mem::take(&mut parted.modules);
        let mut changed = |name: &str| parted.take(name, &mut fetch);
        let mut graph = Builder::new(request, &modules, &mut changed).model()?;
        if let Some(shared) = request.shared {
            graph.share(shared, |name| !parted.changes(name));
        }
        if graph.is_too_large() {
            let message = "the file would have more than 2 GiB, which readers of ONNX do not take; \
                 write int8, or --shared-base";
            return Err(Error::Cannot(message.into()).into());
        }
        Ok(Self { graph, parted })
    }

    /// Writes the file, tensor by tensor; `fetch` is that of [`Model::new`].
    ///
    /// # Errors
    /// If the file cannot be written, or what `fetch` gives.
    pub fn write<E: From<Error>>(
        mut self,
        file: &mut impl Write,
        metadata: &[(&str, String)],
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        self.graph.write(file, metadata, |name| self.parted.take(name, &mut fetch))
    }
}
