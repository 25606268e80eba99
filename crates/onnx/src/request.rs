//! What becomes a graph.

use budwood_base::encoder::EncoderSpec;
use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::tensor::TensorMap;

use crate::SharedBase;

/// How the weights of the layers' products are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Precision {
    /// Four bytes a weight, as they are.
    F32,
    /// One byte a weight of products and words.
    ///
    /// A scale stands for each column; what they are multiplied with is quantised while the model
    /// runs. Other embeddings, norms, modules and heads stay in f32.
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
    /// The file of the base's weights that the graph refers to, where it has not its own.
    pub shared: Option<&'a SharedBase>,
}
