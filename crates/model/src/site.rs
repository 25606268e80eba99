//! Sites: the places of a layer where a method may act, and what it may do there.

use budwood_base::names;
use budwood_base::random::Key;
use budwood_engine::{Buf, Context, Device, Spans, View, ViewMut};

use crate::Slot;

/// The two halves of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sublayer {
    /// Multi-head attention with its output product.
    Attention,
    /// The feed-forward network.
    Ffn,
}

impl Sublayer {
    /// Both, in the order of the data flow.
    pub const ALL: [Self; 2] = [Self::Attention, Self::Ffn];

    /// Canonical name of its output site.
    pub fn output_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_OUT,
            Self::Ffn => names::FFN_OUT,
        }
    }

    /// Canonical name of its norm.
    pub fn norm_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_NORM,
            Self::Ffn => names::FFN_NORM,
        }
    }

    /// Canonical name of its layer scale.
    pub fn scale_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_SCALE,
            Self::Ffn => names::FFN_SCALE,
        }
    }
}

/// The six products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightSite {
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Attention's output.
    AttentionOut,
    /// The first product of the feed-forward network.
    FfnIn,
    /// The second.
    FfnOut,
}

impl WeightSite {
    /// All six, in the order of the data flow.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Key, Self::Value, Self::AttentionOut, Self::FfnIn, Self::FfnOut];

    /// Canonical name.
    pub fn name(self) -> &'static str {
        names::WEIGHT_SITES[self as usize]
    }

    /// `(outputs, inputs)` for a residual stream of width `d` and a feed-forward width `f`.
    pub fn shape(self, d: usize, f: usize) -> (usize, usize) {
        match self {
            Self::FfnIn => (f, d),
            Self::FfnOut => (d, f),
            _ => (d, d),
        }
    }
}

/// What a method trains at the output of a sub-layer: it makes the sub-layer's result from the output
/// of its last product, its input, and its norm.
///
/// The plain encoder computes `y = norm(h + r)` (post-norm) or `y = h + r` (pre-norm).
pub(crate) trait OutputSite: Send + Sync {
    /// `io.out` holds h and receives y. What backward needs is pushed on `saved`, if it is given.
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: OutputForward<'_>,
        saved: Option<&mut Vec<Buf>>,
    );

    /// `io.d` holds dy and receives dh; `io.d_residual` receives dr. Parameter gradients are added to
    /// `gradient`. Takes from `saved` what forward pushed.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: OutputBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    );

    /// Brings packed copies of the parameters up to date.
    fn refresh(&mut self, device: Device, params: &[f32]);
}

/// Arguments of [`OutputSite::forward`].
pub(crate) struct OutputForward<'a> {
    pub(crate) out: ViewMut<'a>,
    pub(crate) residual: View<'a>,
    pub(crate) norm: Option<NormRef<'a>>,
    /// The sequences among these rows.
    pub(crate) spans: &'a Spans,
    /// The key of the method's own dropout here; `None` outside training.
    pub(crate) dropout: Option<Key>,
}

/// Arguments of [`OutputSite::backward`].
pub(crate) struct OutputBackward<'a> {
    pub(crate) d: ViewMut<'a>,
    pub(crate) d_residual: ViewMut<'a>,
    pub(crate) norm: Option<NormRef<'a>>,
    pub(crate) spans: &'a Spans,
    pub(crate) dropout: Option<Key>,
}

/// The sub-layer's end where no method acts.
pub(crate) struct Plain;

impl OutputSite for Plain {
    fn forward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: OutputForward<'_>,
        saved: Option<&mut Vec<Buf>>,
    ) {
        let mut out = io.out;
        cx.add(out.again(), io.residual);
        if let Some(norm) = io.norm {
            norm.forward(cx, out, saved);
        }
    }

    fn backward(
        &self,
        cx: &mut Context,
        _: &[f32],
        io: OutputBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        let mut d = io.d;
        if let Some(norm) = io.norm {
            norm.backward(cx, d.again(), saved, gradient);
        }
        cx.assign(io.d_residual, d.read());
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

/// Where a trained norm stands in the parameter vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormSlots {
    pub(crate) gamma: Slot,
    pub(crate) beta: Slot,
}

/// A layer norm to apply, the base's or an adapter's own.
#[derive(Clone, Copy)]
pub(crate) struct NormRef<'a> {
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: &'a [f32],
    pub(crate) eps: f32,
    /// Where its gradients go; `None` for a frozen norm.
    pub(crate) slots: Option<&'a NormSlots>,
}

impl NormRef<'_> {
    /// Normalises `x` in place.
    pub(crate) fn forward(&self, cx: &mut Context, x: ViewMut<'_>, saved: Option<&mut Vec<Buf>>) {
        match saved {
            None => cx.norm_in_place(x, self.gamma, self.beta, self.eps),
            Some(saved) => {
                let (normal, rstd) = cx.norm(x, self.gamma, self.beta, self.eps);
                saved.push(normal);
                saved.push(rstd);
            }
        }
    }

    /// Turns dy into dx in place and adds the gradients of a trained norm.
    pub(crate) fn backward(
        &self,
        cx: &mut Context,
        d: ViewMut<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    ) {
        let rstd = pop(saved);
        let normal = pop(saved);
        if let Some(slots) = self.slots {
            let (d_gamma, d_beta) = two_slots(gradient, &slots.gamma, &slots.beta);
            cx.norm_backward_parameters(normal.view(), d.read(), d_gamma, d_beta);
        }
        cx.norm_backward_input(self.gamma, (normal.view(), rstd.view()), d);
        cx.give(normal);
        cx.give(rstd);
    }
}

/// Takes the newest saved buffer.
///
/// # Panics
/// If backward takes more than forward saved.
pub(crate) fn pop(saved: &mut Vec<Buf>) -> Buf {
    match saved.pop() {
        Some(buffer) => buffer,
        None => panic!("backward takes more than forward saved"),
    }
}

/// Two neighbouring slots at once; parameters are added in this order.
pub(crate) fn two_slots<'a>(
    gradient: &'a mut [f32],
    first: &Slot,
    second: &Slot,
) -> (&'a mut [f32], &'a mut [f32]) {
    assert_eq!(first.end, second.start, "slots are not neighbours");
    gradient[first.start..second.end].split_at_mut(first.len())
}

/// What a method trains at one of the six products `y = x Wᵀ + b`.
pub(crate) trait ProductSite: Send + Sync {
    /// `y` holds the frozen product, unless the site replaces it, and receives the method's result.
    fn forward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductForward<'_>,
        saved: Option<&mut Vec<Buf>>,
    );

    /// `d_y` is turned into the gradient of the frozen product's result. What flows to the input past the
    /// frozen product is added to `d_x`.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        saved: &mut Vec<Buf>,
        gradient: &mut [f32],
    );

    /// Whether backward needs the product's input.
    fn needs_input(&self) -> bool;

    /// Whether the frozen product is not used at all.
    fn replaces(&self) -> bool {
        false
    }

    /// Brings packed copies of the parameters up to date.
    fn refresh(&mut self, device: Device, params: &[f32]);
}

/// Arguments of [`ProductSite::forward`].
pub(crate) struct ProductForward<'a> {
    pub(crate) base: &'a crate::Linear,
    pub(crate) x: View<'a>,
    pub(crate) y: ViewMut<'a>,
    /// The sequences among these rows.
    pub(crate) spans: &'a Spans,
    /// The key of the method's own dropout here; `None` outside training.
    pub(crate) dropout: Option<Key>,
}

/// Arguments of [`ProductSite::backward`].
pub(crate) struct ProductBackward<'a> {
    /// The input; `None` where [`ProductSite::needs_input`] is false.
    pub(crate) x: Option<View<'a>>,
    pub(crate) d_y: ViewMut<'a>,
    pub(crate) d_x: ViewMut<'a>,
    pub(crate) spans: &'a Spans,
    pub(crate) dropout: Option<Key>,
}
