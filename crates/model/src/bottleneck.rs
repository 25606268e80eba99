//! The bottleneck at a sub-layer's output: d -> m -> d around a non-linearity, in all the places
//! that the methods of this family put it.
//!
//! With h the sub-layer's output, r its input, U and D the two products, `f` the non-linearity and
//! s the scaling, a = s U(f(D x)) and
//!
//! | input x | result before the last norm |
//! |---|---|
//! | h ([`Input::Output`], Houlsby et al. 2019) | h + a + r |
//! | norm(h + r) ([`Input::NormedSum`], Pfeiffer et al. 2020) | h + a + r, or x + a + r |
//! | r ([`Input::Residual`], He et al. 2022) | h + a + r |
//!
//! With [`Input::NormedSum`] the bottleneck's own residual is h or x: `residual_before_norm`.
//!
//! The orders are those of `adapters` 1.3, `methods/modeling.py`. Pre-norm encoders have no norm
//! here.

use budwood_base::encoder::Activation as ActivationName;
use budwood_base::names;
use budwood_base::site::Sublayer;
use budwood_base::tensor::Tensor;

use crate::error::ModelError;
use crate::method::merging::Merging;
use crate::modules::{Affine, BottleneckInput as Input, BottleneckModule};
use crate::phm::{Phm, Rule, Sizes};

/// How its result is scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scaling {
    /// By a constant.
    Fixed(f32),
    /// By one learned number.
    Learned,
    /// By one learned number a channel.
    Channel,
}

/// Initial values of its products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    /// Normal with this deviation.
    Normal(f64),
    /// Normal with this deviation, cut at two of them.
    Truncated(f64),
    /// Uniform below (Kaiming with a = √5, as LoRA), zero above.
    Lora,
}

/// A bottleneck's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Bottleneck {
    pub(crate) layer: usize,
    pub(crate) sublayer: Sublayer,
    pub(crate) width: usize,
    pub(crate) activation: ActivationName,
    pub(crate) input: Input,
    /// Whether the sub-layer's residual sum and norm come after the bottleneck.
    pub(crate) norm_after: bool,
    /// Whether the bottleneck's own residual is h; otherwise it is x.
    pub(crate) residual_before_norm: bool,
    pub(crate) scaling: Scaling,
    pub(crate) init: Initial,
    /// Makes both products from Kronecker products with these rules.
    pub(crate) phm: Option<Sizes>,
    /// Whether a gate that reads x scales the result for each sequence.
    pub(crate) gate: bool,
    /// Dropout between the non-linearity and U.
    pub(crate) inner_dropout: f32,
    /// Dropout on the result.
    pub(crate) dropout: f32,
    /// The probability that a sequence gets no result (stochastic depth).
    pub(crate) stochastic_depth: f32,
}

impl Bottleneck {
    /// The canonical name of a tensor of it.
    pub(crate) fn name(&self, role: &str) -> String {
        let site = self.sublayer.output_name();
        names::in_layer(self.layer, &format!("{site}.bottleneck.{role}"))
    }

    /// Takes its tensors and puts it among the modules that stay beside the weights; `rules` are
    /// those of its Kronecker products.
    pub(crate) fn stay(
        &self,
        merging: &mut Merging<'_>,
        rules: Option<&Tensor>,
    ) -> Result<(), ModelError> {
        let (d, m) = (merging.encoder().hidden, self.width);
        let down = self.dense(merging, "down", [m, d], rules)?;
        let mut up = self.dense(merging, "up", [d, m], rules)?;
        let scales = match self.scaling {
            Scaling::Fixed(factor) => vec![factor],
            Scaling::Learned | Scaling::Channel => merging.take(&self.name("scaling"))?.data,
        };
        for (channel, bias) in up.bias.data.iter_mut().enumerate() {
            let scale = scales[channel % scales.len()];
            *bias *= scale;
            up.weight.data[channel * m..][..m].iter_mut().for_each(|x| *x *= scale);
        }
        let gate = self.gate.then(|| merging.affine(&self.name("gate"))).transpose()?;
        let module = BottleneckModule {
            input: self.input,
            down,
            activation: self.activation,
            up,
            norm_after: self.norm_after,
            keeps_input: !self.residual_before_norm && self.input == Input::NormedSum,
            gate,
        };
        merging.modules.bottlenecks.insert((self.layer, self.sublayer), module);
        Ok(())
    }

    /// Takes a product of it, `[outputs, inputs]`, and makes it of its factors where it has some.
    fn dense(
        &self,
        merging: &mut Merging<'_>,
        role: &str,
        [outputs, inputs]: [usize; 2],
        rules: Option<&Tensor>,
    ) -> Result<Affine, ModelError> {
        let name = self.name(role);
        let (Some(sizes), Some(rules)) = (self.phm, rules) else { return merging.affine(&name) };
        let mut take = |role: &str| merging.take(&format!("{name}.{role}"));
        let (left, right, bias) = (take("w_left")?, take("w_right")?, take("bias")?);
        let values = [&rules.data[..], &left.data, &right.data].concat();
        let (a, b) = (rules.len(), rules.len() + left.len());
        let phm = Phm {
            rule: Rule { slot: 0..a, sizes },
            left: a..b,
            right: b..values.len(),
            rows: inputs / sizes.n,
            columns: outputs / sizes.n,
        };
        Ok(Affine { weight: Tensor::new([outputs, inputs], phm.dense(&values)), bias })
    }
}
