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
use budwood_base::random::Key;
use budwood_base::site::Sublayer;
use budwood_base::tensor::Tensor;
use budwood_engine::{Activation, Buf, Context, Device, Dropout, Product, Spans, View, Weight};

use crate::base::engine_activation;
use crate::builder::Builder;
use crate::drop_path::drop_path;
use crate::error::ModelError;
use crate::gate::Gate;
use crate::linear::TrainedMatrix;
use crate::method::merging::Merging;
use crate::modules::{Affine, BottleneckInput as Input, BottleneckModule};
use crate::params::{Init, Slot};
use crate::phm::{Phm, Rule, Sizes};
use crate::site::{OutputBackward, OutputForward, OutputSite};
use crate::tape::{Grads, Save};

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
    /// Adds its parameters and puts it at its site.
    pub(crate) fn build(
        self,
        builder: &mut Builder<'_>,
        rule: Option<&Rule>,
    ) -> Result<(), ModelError> {
        let (layer, sublayer) = (self.layer, self.sublayer);
        builder.set_output(layer, sublayer, |builder| self.site(builder, rule))
    }

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

    fn site(
        self,
        builder: &mut Builder<'_>,
        rule: Option<&Rule>,
    ) -> Result<BottleneckSite, ModelError> {
        let (d, m) = (builder.base().spec().hidden, self.width);
        let name = |role: &str| self.name(role);
        let (down_init, up_init) = match self.init {
            Initial::Normal(s) => (Init::Normal(s), Init::Normal(s)),
            Initial::Truncated(s) => (Init::TruncatedNormal(s), Init::TruncatedNormal(s)),
            Initial::Lora => (Init::Uniform(1.0 / (d as f64).sqrt()), Init::Constant(0.0)),
        };
        let zero = || Init::Constant(0.0);
        let down = matrix(builder, &name("down"), (m, d), down_init, rule)?;
        let down_bias = builder.parameter(name("down.bias"), &[m], zero())?;
        let up = matrix(builder, &name("up"), (d, m), up_init, rule)?;
        let up_bias = builder.parameter(name("up.bias"), &[d], zero())?;
        let scaling = match self.scaling {
            Scaling::Fixed(_) => None,
            Scaling::Learned => {
                Some(builder.parameter(name("scaling"), &[1], Init::Constant(1.0))?)
            }
            Scaling::Channel => {
                Some(builder.parameter(name("scaling"), &[d], Init::Constant(1.0))?)
            }
        };
        let gate = self.gate.then(|| builder.gate(&name("gate"), 1, d)).transpose()?;
        Ok(BottleneckSite {
            activation: engine_activation(self.activation),
            config: self,
            down,
            down_bias,
            up,
            up_bias,
            scaling,
            gate,
        })
    }
}

/// Where a product's weight comes from.
enum Matrix {
    Dense(TrainedMatrix),
    Phm { phm: Phm, packed: Weight },
}

/// Adds the parameters of a weight `[outputs, inputs]`.
fn matrix(
    builder: &mut Builder<'_>,
    name: &str,
    (outputs, inputs): (usize, usize),
    init: Init<'_>,
    rule: Option<&Rule>,
) -> Result<Matrix, ModelError> {
    let Some(rule) = rule.cloned() else {
        let name = format!("{name}.weight");
        return Ok(Matrix::Dense(builder.matrix(name, [outputs, inputs], init)?));
    };
    let Sizes { n, rank: r } = rule.sizes;
    let (rows, columns) = (inputs / n, outputs / n);
    // Xavier's normal distribution for each small factor.
    let xavier = |a: usize, b: usize| Init::Normal((2.0 / (a + b) as f64).sqrt());
    let (left, right) = ([n, rows, r], [n, r, columns]);
    let left = builder.parameter(format!("{name}.w_left"), &left, xavier(rows, r))?;
    let right = builder.parameter(format!("{name}.w_right"), &right, xavier(r, columns))?;
    let packed = builder.unfilled([outputs, inputs]);
    Ok(Matrix::Phm { phm: Phm { rule, left, right, rows, columns }, packed })
}

impl Matrix {
    /// Packs the values again after they have changed.
    fn refresh(&mut self, device: Device, params: &[f32]) {
        match self {
            Matrix::Dense(matrix) => matrix.refresh(device, params),
            Matrix::Phm { phm, packed } => packed.set(device, &phm.dense(params)),
        }
    }

    /// The copy that is multiplied.
    fn packed(&self) -> &Weight {
        match self {
            Matrix::Dense(matrix) => matrix.packed(),
            Matrix::Phm { packed, .. } => packed,
        }
    }

    /// Adds the gradient of the weight in `dy = x Wᵀ`.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        d_y: View<'_>,
        x: View<'_>,
        grads: &mut Grads<'_>,
    ) {
        match self {
            Matrix::Dense(matrix) => matrix.add_gradient(cx, x, d_y, grads),
            Matrix::Phm { phm, .. } => {
                let mut d = vec![0.0; d_y.n_columns() * x.n_columns()];
                cx.linear_backward_weight(d_y, x, &mut d);
                phm.backward(params, &d, grads.gradient);
            }
        }
    }
}

/// The sequences among a site's rows, and the key of its dropout; `None` outside training.
#[derive(Clone, Copy)]
struct Rows<'a> {
    spans: &'a Spans,
    dropout: Option<Key>,
}

struct BottleneckSite {
    config: Bottleneck,
    activation: Activation,
    down: Matrix,
    down_bias: Slot,
    up: Matrix,
    up_bias: Slot,
    scaling: Option<Slot>,
    gate: Option<Gate>,
}

impl OutputSite for BottleneckSite {
    fn forward(&self, cx: &mut Context, params: &[f32], io: OutputForward<'_>, mut save: Save<'_>) {
        let OutputForward { mut out, residual, norm, spans, dropout } = io;
        let mut x = match self.config.input {
            Input::Residual => cx.copy(residual),
            Input::Output | Input::NormedSum => cx.copy(out.read()),
        };
        if self.config.input == Input::NormedSum {
            cx.add(x.view_mut(), residual);
            if let Some(norm) = &norm {
                norm.forward(cx, x.view_mut(), save.reborrow());
            }
        }
        let up = self.bottleneck(cx, params, &x, Rows { spans, dropout }, save.reborrow());
        if !self.config.residual_before_norm && self.config.input == Input::NormedSum {
            cx.assign(out.reborrow(), x.view());
        }
        cx.add(out.reborrow(), up.view());
        cx.give(up);
        save.push(cx, x);
        if self.config.norm_after {
            cx.add(out.reborrow(), residual);
            if let Some(norm) = &norm {
                norm.forward(cx, out, save);
            }
        }
    }

    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: OutputBackward<'_>,
        grads: &mut Grads<'_>,
    ) {
        let OutputBackward { mut d, mut d_residual, norm, spans, dropout } = io;
        if self.config.norm_after {
            if let Some(norm) = &norm {
                norm.backward(cx, d.reborrow(), grads);
            }
            cx.assign(d_residual.reborrow(), d.read());
        } else {
            let zero = cx.zeros(d.n_rows(), d.n_columns());
            cx.assign(d_residual.reborrow(), zero.view());
            cx.give(zero);
        }
        let x = grads.pop();
        let rows = Rows { spans, dropout };
        let mut d_x = self.bottleneck_backward(cx, params, &x, d.read(), rows, grads);
        cx.give(x);
        match self.config.input {
            Input::Output => cx.add(d, d_x.view()),
            Input::Residual => cx.add(d_residual, d_x.view()),
            Input::NormedSum => {
                if !self.config.residual_before_norm {
                    // The bottleneck's own residual came from x, and h reaches the result through x
                    // only.
                    cx.add(d_x.view_mut(), d.read());
                    cx.scale(d.reborrow(), 0.0);
                }
                if let Some(norm) = &norm {
                    norm.backward(cx, d_x.view_mut(), grads);
                }
                cx.add(d, d_x.view());
                cx.add(d_residual, d_x.view());
            }
        }
        cx.give(d_x);
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.down.refresh(device, params);
        self.up.refresh(device, params);
        if let Some(gate) = &mut self.gate {
            gate.refresh(device, params);
        }
    }
}

impl BottleneckSite {
    /// `s U(f(D x))`, with dropout and gate. Saves the result of D and, where the scaling is
    /// learned, that of U, and what the gate needs.
    fn bottleneck(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: &Buf,
        Rows { spans, dropout }: Rows<'_>,
        mut save: Save<'_>,
    ) -> Buf {
        let rows = x.rows();
        let mut pre = cx.take(rows, self.config.width);
        let mut up = cx.take(rows, x.columns());
        let (weight, bias) = (self.down.packed(), Some(&params[self.down_bias.clone()]));
        cx.linear(x.view(), &mut [Product { weight, bias, out: pre.view_mut() }]);
        let active = self.active(cx, dropout, &pre);
        let (weight, bias) = (self.up.packed(), Some(&params[self.up_bias.clone()]));
        cx.linear(active.view(), &mut [Product { weight, bias, out: up.view_mut() }]);
        cx.give(active);
        save.push(cx, pre);
        self.drop_path(cx, dropout, spans, &mut up);
        match (self.config.scaling, &self.scaling) {
            (Scaling::Fixed(1.0), _) => {}
            (Scaling::Fixed(factor), _) => cx.scale(up.view_mut(), factor),
            (_, Some(slot)) => {
                save.push_copy(cx, up.view());
                self.apply_scaling(cx, &params[slot.clone()], &mut up);
            }
            (_, None) => {}
        }
        self.drop_elements(cx, dropout, &mut up);
        if let Some(gate) = &self.gate {
            let open = gate.forward(cx, params, x.view(), spans, save.reborrow());
            save.push_copy(cx, up.view());
            cx.scale_spans(up.view_mut(), spans, open.view());
            save.push(cx, open);
        }
        up
    }

    /// Stochastic depth, forward and backward.
    fn drop_path(&self, cx: &mut Context, key: Option<Key>, spans: &Spans, y: &mut Buf) {
        let p = self.config.stochastic_depth;
        if let Some(key) = key.filter(|_| p > 0.0) {
            drop_path(cx, Dropout::new(p, key.named("depth").raw()), spans, y);
        }
    }

    /// What U reads.
    fn active(&self, cx: &mut Context, dropout: Option<Key>, pre: &Buf) -> Buf {
        let mut active = cx.take(pre.rows(), pre.columns());
        cx.activation(self.activation, pre.view(), active.view_mut());
        self.drop_inside(cx, dropout, &mut active);
        active
    }

    /// Dropout before U, forward and backward.
    fn drop_inside(&self, cx: &mut Context, key: Option<Key>, y: &mut Buf) {
        let p = self.config.inner_dropout;
        if let Some(key) = key.filter(|_| p > 0.0) {
            cx.dropout(Dropout::new(p, key.named("inside").raw()), y.view_mut());
        }
    }

    /// Dropout of single elements, forward and backward.
    fn drop_elements(&self, cx: &mut Context, key: Option<Key>, y: &mut Buf) {
        if let Some(key) = key.filter(|_| self.config.dropout > 0.0) {
            cx.dropout(Dropout::new(self.config.dropout, key.raw()), y.view_mut());
        }
    }

    fn apply_scaling(&self, cx: &mut Context, scaling: &[f32], y: &mut Buf) {
        match scaling {
            [one] => cx.scale(y.view_mut(), *one),
            channels => cx.multiply_row(y.view_mut(), channels),
        }
    }

    /// Adds the parameters' gradients and returns that of x.
    fn bottleneck_backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: &Buf,
        d_up: View<'_>,
        Rows { spans, dropout }: Rows<'_>,
        grads: &mut Grads<'_>,
    ) -> Buf {
        let mut d_up = cx.copy(d_up);
        let d_gate = self.gate.as_ref().map(|gate| {
            let open = grads.pop();
            let up = grads.pop();
            let mut d_open = cx.take(spans.len(), 1);
            cx.span_dots(up.view(), d_up.view(), spans, d_open.view_mut());
            cx.scale_spans(d_up.view_mut(), spans, open.view());
            [open, up].into_iter().for_each(|buffer| cx.give(buffer));
            gate.backward(cx, x.view(), spans, d_open, grads)
        });
        self.drop_elements(cx, dropout, &mut d_up);
        match (self.config.scaling, &self.scaling) {
            (Scaling::Fixed(1.0), _) => {}
            (Scaling::Fixed(factor), _) => cx.scale(d_up.view_mut(), factor),
            (_, Some(slot)) => {
                let up = grads.pop();
                self.scaling_backward(cx, &up, &d_up, grads.of(slot));
                self.apply_scaling(cx, &params[slot.clone()], &mut d_up);
                cx.give(up);
            }
            (_, None) => {}
        }
        self.drop_path(cx, dropout, spans, &mut d_up);
        let pre = grads.pop();
        let active = self.active(cx, dropout, &pre);
        self.up.backward(cx, params, d_up.view(), active.view(), grads);
        cx.linear_backward_bias(d_up.view(), grads.of(&self.up_bias));
        let mut d_pre = active;
        cx.linear_backward_input(d_up.view(), self.up.packed(), d_pre.view_mut(), false);
        self.drop_inside(cx, dropout, &mut d_pre);
        cx.activation_backward(self.activation, pre.view(), d_pre.view_mut());
        self.down.backward(cx, params, d_pre.view(), x.view(), grads);
        cx.linear_backward_bias(d_pre.view(), grads.of(&self.down_bias));
        let mut d_x = d_up;
        cx.linear_backward_input(d_pre.view(), self.down.packed(), d_x.view_mut(), false);
        if let Some(d_gate) = d_gate {
            cx.add(d_x.view_mut(), d_gate.view());
            cx.give(d_gate);
        }
        cx.give(pre);
        cx.give(d_pre);
        d_x
    }

    fn scaling_backward(&self, cx: &mut Context, up: &Buf, d_up: &Buf, gradient: &mut [f32]) {
        match gradient {
            // Terms of both signs nearly cancel here.
            [one] => {
                let dots = cx.row_dots(up.view(), d_up.view());
                *one += dots.iter().map(|&x| f64::from(x)).sum::<f64>() as f32;
            }
            channels => cx.add_column_dots(up.view(), d_up.view(), channels),
        }
    }
}
