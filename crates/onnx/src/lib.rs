//! A whole model, base, adapter and head, as one graph of ONNX.
//!
//! What an adapter changes in weights is merged into them; bottlenecks, gated updates, prefixes and
//! prompts become nodes. The graph follows the axes of `budwood_base::encoder`, as the encoder of
//! `budwood_model` does. Operators are those of opset 17; numbers of rows and lengths are free.
//!
//! | input | type | shape | |
//! |---|---|---|---|
//! | `input_ids` | int64 | `[batch, sequence]` | padding after the tokens |
//! | `attention_mask` | int64 | `[batch, sequence]` | 1 for tokens, 0 for padding |
//! | `token_type_ids` | int64 | `[batch, sequence]` | where the model has several types |
//! | `pixel_values` | f32 | `[batch, channels, height, width]` | images, of one size |
//!
//! | output | shape | of |
//! |---|---|---|
//! | `logits` | `[batch, outputs]` | heads over sequences |
//! | `logits` | `[batch, sequence, outputs]` | tags |
//! | `start_logits`, `end_logits` | `[batch, sequence]` | questions |

mod builder;
mod embed;
mod graph;
mod head;
mod int8;
mod layer;
mod proto;
mod scores;

use std::io::Write;

use budwood_base::encoder::EncoderSpec;
use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_model::{ModelError, Parted, parted};

use builder::Builder;
use graph::Graph;

/// Why a model cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The adapter does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There is no such graph.
    #[error("cannot be exported to ONNX: {0}")]
    Cannot(String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(std::io::Error),
}

/// How the weights of the layers' products are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// As bytes with a scale for each column; what they are multiplied with is quantised while the
    /// model runs. So is the table of words. Embeddings, norms, modules and heads stay in f32.
    Int8,
}

/// What becomes a graph.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The base.
    pub encoder: &'a EncoderSpec,
    /// The adapter's method.
    pub method: &'a MethodSpec,
    /// Its head.
    pub head: &'a HeadSpec,
    /// Its tensors, which are those of the method (`budwood_model::Adapter::from_tensors`).
    pub tensors: &'a TensorMap,
    /// How weights are held.
    pub precision: Precision,
    /// Whether token types are an input, where the base has several; else all are 0.
    pub token_types: bool,
    /// Height and width of images in pixels.
    pub image: (usize, usize),
}

/// A graph, with what its file needs beside the base's tensors.
pub struct Model {
    graph: Graph,
    parted: Parted,
}

impl Model {
    /// Makes the graph. `fetch` gives the base's tensors by canonical name; in f32 nearly all of
    /// them are asked for only when the file is written.
    ///
    /// # Errors
    /// If the adapter's tensors are not those of its method, patches do not cover images of that
    /// size, the file would be larger than readers of ONNX take (2 GiB), or `fetch` fails.
    pub fn new<E: From<Error>>(
        request: &Request<'_>,
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<Self, E> {
        let Request { method, encoder, tensors, .. } = request;
        let mut parted = parted(method, encoder, tensors).map_err(Error::from)?;
        let modules = std::mem::take(&mut parted.modules);
        let mut changed = |name: &str| parted.take(name, &mut fetch);
        let graph = Builder::new(request, &modules, &mut changed).model()?;
        if graph.is_too_large() {
            let message =
                "the file would have more than 2 GiB, which readers of ONNX do not take; use int8";
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
