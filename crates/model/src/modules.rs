//! What methods put into an encoder that no weight can hold, as plain data: for whoever writes the
//! whole model in another form. All tensors are `[outputs, inputs]` as `torch.nn.Linear`, and what
//! scales a result is multiplied into them.

use std::collections::BTreeMap;

use budwood_base::encoder::Activation;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_base::tensor::Tensor;

/// What stays beside the weights of an adapted encoder. Layers are those that have weights of their
/// own.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    /// Bottlenecks at the outputs of sub-layers.
    pub bottlenecks: BTreeMap<(usize, Sublayer), BottleneckModule>,
    /// What is added to products, or multiplies them.
    pub updates: BTreeMap<(usize, WeightSite), UpdateModule>,
    /// Keys and values before those of each sequence, by layer.
    pub prefixes: BTreeMap<usize, PrefixModule>,
    /// Rows among the embedded tokens of each sequence.
    pub prompt: Option<PromptModule>,
    /// Positions before those of a text's tokens.
    pub positions_before: usize,
}

/// An affine product.
#[derive(Clone, Debug)]
pub struct Affine {
    /// `[outputs, inputs]`
    pub weight: Tensor,
    /// `[outputs]`
    pub bias: Tensor,
}

/// What a bottleneck reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BottleneckInput {
    /// The sub-layer's output.
    Output,
    /// The sub-layer's output and input, added and normed.
    NormedSum,
    /// The sub-layer's input.
    Residual,
}

/// `a = U f(D x)` at a sub-layer's output h with the sub-layer's input r. The result is `h + a`, or
/// `x + a`; then, with `norm_after`, `norm(h + a + r)`. Encoders with norms before their sub-layers
/// have no norm here.
#[derive(Clone, Debug)]
pub struct BottleneckModule {
    /// What x is.
    pub input: BottleneckInput,
    /// D, `[m, d]`.
    pub down: Affine,
    /// f
    pub activation: Activation,
    /// U, `[d, m]`.
    pub up: Affine,
    /// Whether the sub-layer's residual sum and norm follow.
    pub norm_after: bool,
    /// Whether `x + a` is the result, not `h + a`; only where x is the normed sum.
    pub keeps_input: bool,
    /// What opens a for each sequence, `[1, d]`.
    pub gate: Option<Affine>,
}

/// What happens to a product's result.
#[derive(Clone, Debug)]
pub enum UpdateModule {
    /// `g B A x` is added, with a gate g for each sequence where there is one: σ of an affine
    /// product, averaged over the sequence's rows.
    LowRank {
        /// A, `[r, inputs]`.
        a: Tensor,
        /// B, `[outputs, r]`.
        b: Tensor,
        /// The gate's product, `[1, inputs]`.
        gate: Option<Affine>,
    },
    /// It is multiplied, with its bias, element by element: `[outputs]`.
    Scale(Tensor),
    /// What it reads is multiplied, element by element: `[inputs]`.
    ScaleInput(Tensor),
}

/// What becomes weights of what could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// All of it.
    Merged,
    /// Updates of low rank and scales stay modules: they are small beside the weights.
    Kept,
}

/// Keys and values before those of each sequence. They are met from everywhere, and without what
/// distances add to scores.
#[derive(Clone, Debug)]
pub struct PrefixModule {
    /// `[length, d]`
    pub key: Tensor,
    /// `[length, d]`
    pub value: Tensor,
    /// What opens them, of the input of queries: `[1, d]`, or `[2, d]` for keys and values.
    pub gate: Option<Affine>,
}

/// Rows that every sequence has among its embedded tokens.
#[derive(Clone, Debug)]
pub struct PromptModule {
    /// `[length, d]`
    pub rows: Tensor,
    /// Tokens before them.
    pub at: usize,
    /// Whether they are vectors of words, `[length, width of embeddings]`: the first positions, the
    /// first token type, norm and projection of the embeddings make rows of them.
    pub as_words: bool,
}
