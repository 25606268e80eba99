//! What the bottleneck computes, forward and backward.

use budwood_base::random::Key;
use budwood_engine::{
    Activation, Buf, Context, Device, Dropout, Product, Spans, View, ViewMut, Weight,
};

use crate::base::engine_activation;
use crate::bottleneck::{Bottleneck, Initial, Scaling};
use crate::builder::Builder;
use crate::drop_path::drop_path;
use crate::error::ModelError;
use crate::gate::Gate;
use crate::linear::TrainedMatrix;
use crate::modules::BottleneckInput as Input;
use crate::params::{Init, Slot};
use crate::phm::{Phm, Rule, Sizes};
use crate::site::{OutputBackward, OutputForward, OutputSite};
use crate::tape::{Grads, Save};

impl Bottleneck {
    /// Adds its parameters and puts it at its site.
    pub(crate) fn build(
        self,
        builder: &mut Builder<'_>,
        rule: Option<&Rule>,
    ) -> Result<(), ModelError> {
        let (layer, sublayer) = (self.layer, self.sublayer);
        builder.set_output(layer, sublayer, |builder| BottleneckSite::new(self, builder, rule))
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

/// The bottleneck at its site.
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
        let (input, plain) = (self.config.input, self.is_plain(dropout));
        // Else D reads x where it stands.
        let copies = save.is_on() || !plain || input == Input::NormedSum;
        let mut x = copies.then(|| match input {
            Input::Residual => cx.copy(residual),
            Input::Output | Input::NormedSum => cx.copy(out.read()),
        });
        if let (Input::NormedSum, Some(x)) = (input, &mut x) {
            cx.add(x.view_mut(), residual);
            if let Some(norm) = &norm {
                norm.forward(cx, x.view_mut(), save.reborrow());
            }
        }
        let pre = match (&x, input) {
            (Some(x), _) => self.pre(cx, params, x.view()),
            (None, Input::Residual) => self.pre(cx, params, residual),
            (None, _) => self.pre(cx, params, out.read()),
        };
        let active = self.active(cx, dropout, &pre);
        save.push(cx, pre);
        let (weight, bias) = (self.up.packed(), Some(&params[self.up_bias.clone()]));
        let changed = x.as_ref().filter(|_| !plain).map(|x| {
            let mut up = cx.take(x.rows(), x.columns());
            cx.linear(active.view(), &mut [Product { weight, bias, out: up.view_mut() }]);
            self.change(cx, params, x, &mut up, Rows { spans, dropout }, save.reborrow());
            up
        });
        if let (Input::NormedSum, false, Some(x)) = (input, self.config.residual_before_norm, &x) {
            cx.assign(out.reborrow(), x.view());
        }
        match changed {
            None => cx.add_linear(active.view(), Product { weight, bias, out: out.reborrow() }),
            Some(up) => {
                cx.add(out.reborrow(), up.view());
                cx.give(up);
            }
        }
        cx.give(active);
        if let Some(x) = x {
            save.push(cx, x);
        }
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
        let inner = self.inner_backward(cx, params, &x, d.read(), rows, grads);
        match self.config.input {
            Input::Output => self.input_backward(cx, inner, d, true),
            Input::Residual => self.input_backward(cx, inner, d_residual, true),
            Input::NormedSum => {
                let mut d_x = cx.take(x.rows(), x.columns());
                self.input_backward(cx, inner, d_x.view_mut(), false);
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
                cx.give(d_x);
            }
        }
        cx.give(x);
    }

    fn reads_sequences(&self) -> bool {
        self.gate.is_some()
    }

    fn refresh(&mut self, device: Device, params: &[f32]) {
        self.down.refresh(device, params);
        self.up.refresh(device, params);
        if let Some(gate) = &mut self.gate {
            gate.refresh(device, params);
        }
    }
}

/// Gradients inside the bottleneck.
struct Inner {
    /// Of the result of D, `[T, m]`.
    d_pre: Buf,
    /// Of x along the gate, `[T, d]`, where there is one.
    d_gate: Option<Buf>,
}

impl BottleneckSite {
    /// Adds its parameters.
    fn new(
        config: Bottleneck,
        builder: &mut Builder<'_>,
        rule: Option<&Rule>,
    ) -> Result<Self, ModelError> {
        let (d, m) = (builder.base().spec().hidden, config.width);
        let name = |role: &str| config.name(role);
        let (down_init, up_init) = match config.init {
            Initial::Normal(s) => (Init::Normal(s), Init::Normal(s)),
            Initial::Truncated(s) => (Init::TruncatedNormal(s), Init::TruncatedNormal(s)),
            Initial::Lora => (Init::Uniform(1.0 / (d as f64).sqrt()), Init::Constant(0.0)),
        };
        let zero = || Init::Constant(0.0);
        let down = matrix(builder, &name("down"), (m, d), down_init, rule)?;
        let down_bias = builder.parameter(name("down.bias"), &[m], zero())?;
        let up = matrix(builder, &name("up"), (d, m), up_init, rule)?;
        let up_bias = builder.parameter(name("up.bias"), &[d], zero())?;
        let scaling = match config.scaling {
            Scaling::Fixed(_) => None,
            Scaling::Learned => {
                Some(builder.parameter(name("scaling"), &[1], Init::Constant(1.0))?)
            }
            Scaling::Channel => {
                Some(builder.parameter(name("scaling"), &[d], Init::Constant(1.0))?)
            }
        };
        let gate = config.gate.then(|| builder.gate(&name("gate"), 1, d)).transpose()?;
        Ok(Self {
            activation: engine_activation(config.activation),
            config,
            down,
            down_bias,
            up,
            up_bias,
            scaling,
            gate,
        })
    }

    /// Whether its result is that of U as it is, so that it can be added where it is computed.
    fn is_plain(&self, dropout: Option<Key>) -> bool {
        let Bottleneck { scaling, dropout: p, stochastic_depth, .. } = self.config;
        let drops = dropout.is_some() && (p > 0.0 || stochastic_depth > 0.0);
        self.gate.is_none() && scaling == Scaling::Fixed(1.0) && !drops
    }

    /// The result of D, `[T, m]`.
    fn pre(&self, cx: &mut Context, params: &[f32], x: View<'_>) -> Buf {
        let mut pre = cx.take(x.n_rows(), self.config.width);
        let (weight, bias) = (self.down.packed(), Some(&params[self.down_bias.clone()]));
        cx.linear(x, &mut [Product { weight, bias, out: pre.view_mut() }]);
        pre
    }

    /// Scaling, dropout and gate: the result of U becomes that of the bottleneck. Saves `up` where
    /// scaling or gate is learned, and what the gate needs.
    fn change(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: &Buf,
        up: &mut Buf,
        Rows { spans, dropout }: Rows<'_>,
        mut save: Save<'_>,
    ) {
        self.drop_path(cx, dropout, spans, up);
        match (self.config.scaling, &self.scaling) {
            (Scaling::Fixed(1.0), _) => {}
            (Scaling::Fixed(factor), _) => cx.scale(up.view_mut(), factor),
            (_, Some(slot)) => {
                save.push_copy(cx, up.view());
                self.apply_scaling(cx, &params[slot.clone()], up);
            }
            (_, None) => {}
        }
        self.drop_elements(cx, dropout, up);
        if let Some(gate) = &self.gate {
            let open = gate.forward(cx, params, x.view(), spans, save.reborrow());
            save.push_copy(cx, up.view());
            cx.scale_spans(up.view_mut(), spans, open.view());
            save.push(cx, open);
        }
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

    /// Adds the parameters' gradients. `x` is what D read, `d_up` the gradient of the result.
    fn inner_backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: &Buf,
        d_up: View<'_>,
        rows: Rows<'_>,
        grads: &mut Grads<'_>,
    ) -> Inner {
        let (mut changed, mut d_gate) = (None, None);
        if !self.is_plain(rows.dropout) {
            let mut d_up = cx.copy(d_up);
            d_gate = self.change_backward(cx, params, x, &mut d_up, rows, grads);
            changed = Some(d_up);
        }
        let d_up = changed.as_ref().map_or(d_up, Buf::view);
        let pre = grads.pop();
        let active = self.active(cx, rows.dropout, &pre);
        self.up.backward(cx, params, d_up, active.view(), grads);
        cx.linear_backward_bias(d_up, grads.of(&self.up_bias));
        let mut d_pre = active;
        cx.linear_backward_input(d_up, self.up.packed(), d_pre.view_mut(), false);
        self.drop_inside(cx, rows.dropout, &mut d_pre);
        cx.activation_backward(self.activation, pre.view(), d_pre.view_mut());
        self.down.backward(cx, params, d_pre.view(), x.view(), grads);
        cx.linear_backward_bias(d_pre.view(), grads.of(&self.down_bias));
        cx.give(pre);
        if let Some(changed) = changed {
            cx.give(changed);
        }
        Inner { d_pre, d_gate }
    }

    /// Back through [`Self::change`]: `d_up` becomes the gradient of the result of U. Returns that
    /// of x along the gate.
    fn change_backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: &Buf,
        d_up: &mut Buf,
        Rows { spans, dropout }: Rows<'_>,
        grads: &mut Grads<'_>,
    ) -> Option<Buf> {
        let d_gate = self.gate.as_ref().map(|gate| {
            let open = grads.pop();
            let up = grads.pop();
            let mut d_open = cx.take(spans.len(), 1);
            cx.span_dots(up.view(), d_up.view(), spans, d_open.view_mut());
            cx.scale_spans(d_up.view_mut(), spans, open.view());
            [open, up].into_iter().for_each(|buffer| cx.give(buffer));
            gate.backward(cx, x.view(), spans, d_open, grads)
        });
        self.drop_elements(cx, dropout, d_up);
        match (self.config.scaling, &self.scaling) {
            (Scaling::Fixed(1.0), _) => {}
            (Scaling::Fixed(factor), _) => cx.scale(d_up.view_mut(), factor),
            (_, Some(slot)) => {
                let up = grads.pop();
                self.scaling_backward(cx, &up, d_up, grads.of(slot));
                self.apply_scaling(cx, &params[slot.clone()], d_up);
                cx.give(up);
            }
            (_, None) => {}
        }
        self.drop_path(cx, dropout, spans, d_up);
        d_gate
    }

    /// The gradient of x, written to `d_x` or, with `add`, added to it.
    fn input_backward(
        &self,
        cx: &mut Context,
        Inner { d_pre, d_gate }: Inner,
        mut d_x: ViewMut<'_>,
        add: bool,
    ) {
        cx.linear_backward_input(d_pre.view(), self.down.packed(), d_x.reborrow(), add);
        cx.give(d_pre);
        if let Some(d_gate) = d_gate {
            cx.add(d_x, d_gate.view());
            cx.give(d_gate);
        }
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
