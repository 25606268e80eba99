//! Frozen weights in the form in which the device multiplies them: products, norms, poolers.

use budwood_base::encoder::EncoderSpec;
use budwood_base::names;
use budwood_engine::Weight;

/// One affine product.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The weight `[out, in]`.
    pub weight: Weight,
    /// The bias `[out]`, if it has one.
    pub bias: Option<Vec<f32>>,
}

/// Gain and bias of one layer norm.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    /// Gain (γ).
    pub(crate) gamma: Vec<f32>,
    /// Bias (β); zeros where the encoder's norms have none.
    pub(crate) beta: Vec<f32>,
    pub(crate) has_bias: bool,
}

/// A checkpoint's own pooler.
#[derive(Clone, Debug)]
pub(crate) enum Pooler {
    /// A product of the first token and tanh.
    FirstToken(Box<Linear>),
    /// Attention to all tokens.
    Attention(Box<AttentionPooler>),
}

/// The products of pooling by attention, in the order of the data flow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PoolerProduct {
    /// Query, keys and values, `[3 d, d]`.
    In,
    Out,
    FfnIn,
    FfnOut,
}

impl PoolerProduct {
    pub(crate) const ALL: [Self; 4] = [Self::In, Self::Out, Self::FfnIn, Self::FfnOut];

    /// Its canonical name.
    pub(crate) fn name(self) -> &'static str {
        [names::POOLER_IN, names::POOLER_OUT, names::POOLER_FFN_IN, names::POOLER_FFN_OUT]
            [self as usize]
    }

    /// `[outputs, inputs]`.
    pub(crate) fn shape(self, spec: &EncoderSpec) -> [usize; 2] {
        let (d, f) = (spec.hidden, spec.intermediate);
        [[3 * d, d], [d, d], [f, d], [d, f]][self as usize]
    }
}

/// The weights of pooling by attention.
#[derive(Clone, Debug)]
pub(crate) struct AttentionPooler {
    /// The query, `[d]`.
    pub(crate) probe: Vec<f32>,
    pub(crate) products: [Linear; 4],
    pub(crate) norm: Norm,
}
