//! What a method may do at the sites of a layer: after a sub-layer's last product, and at each
//! product.

use budwood_base::random::Key;
use budwood_engine::{Context, Device, Spans, View, ViewMut};

use crate::frozen::Linear;
use crate::norm::NormRef;
use crate::tape::{Grads, Save};

/// What a method trains at the output of a sub-layer: it makes the sub-layer's result from the
/// output of its last product, its input, and its norm.
///
/// The plain encoder computes `y = norm(h + r)` (post-norm) or `y = h + r` (pre-norm).
pub(crate) trait OutputSite: Send + Sync {
    /// `io.out` holds h and receives y. What backward needs is pushed on `save`.
    fn forward(&self, cx: &mut Context, params: &[f32], io: OutputForward<'_>, save: Save<'_>);

    /// `io.d` holds dy and receives dh; `io.d_residual` receives dr. Adds the parameters'
    /// gradients, and takes what forward pushed.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: OutputBackward<'_>,
        grads: &mut Grads<'_>,
    );

    /// Whether what it makes of a row depends on the other rows of its sequence.
    fn reads_sequences(&self) -> bool {
        false
    }

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
    fn forward(&self, cx: &mut Context, _: &[f32], io: OutputForward<'_>, save: Save<'_>) {
        let mut out = io.out;
        cx.add(out.reborrow(), io.residual);
        if let Some(norm) = io.norm {
            norm.forward(cx, out, save);
        }
    }

    fn backward(&self, cx: &mut Context, _: &[f32], io: OutputBackward<'_>, grads: &mut Grads<'_>) {
        let mut d = io.d;
        if let Some(norm) = io.norm {
            norm.backward(cx, d.reborrow(), grads);
        }
        cx.assign(io.d_residual, d.read());
    }

    fn refresh(&mut self, _: Device, _: &[f32]) {}
}

/// What a method does at one of the six products `y = x Wᵀ + b` on the way forward.
///
/// On the way back it is either an [`OutputGradient`] or an [`InputGradient`].
pub(crate) trait ProductSite: Send + Sync {
    /// `y` holds the frozen product, unless the site replaces it, and receives the method's result.
    fn forward(&self, cx: &mut Context, params: &[f32], io: ProductForward<'_>, save: Save<'_>);

    /// Whether the frozen product is not used at all.
    fn replaces(&self) -> bool {
        false
    }

    /// Whether what it makes of a row depends on the other rows of its sequence.
    fn reads_sequences(&self) -> bool {
        false
    }

    /// Brings packed copies of the parameters up to date.
    fn refresh(&mut self, device: Device, params: &[f32]);
}

/// A product site whose gradients follow from `dy` and from what the site itself kept. The encoder
/// need not keep x for it.
pub(crate) trait OutputGradient: ProductSite {
    /// `io.d_y` is turned into the gradient of the frozen product's result. What flows to the input
    /// past the frozen product is added to `io.d_x`.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    );
}

/// A product site whose gradients need the product's input x.
pub(crate) trait InputGradient: ProductSite {
    /// As [`OutputGradient::backward`]; `x` is what forward read.
    fn backward(
        &self,
        cx: &mut Context,
        params: &[f32],
        x: View<'_>,
        io: ProductBackward<'_>,
        grads: &mut Grads<'_>,
    );
}

/// A method's site at a product, with what its gradients need.
pub(crate) enum AtProduct {
    /// Its gradients need dy alone.
    Output(Box<dyn OutputGradient>),
    /// Its gradients need x too.
    Input(Box<dyn InputGradient>),
}

impl AtProduct {
    pub(crate) fn forward_site(&self) -> &dyn ProductSite {
        match self {
            Self::Output(site) => &**site,
            Self::Input(site) => &**site,
        }
    }

    pub(crate) fn refresh(&mut self, device: Device, params: &[f32]) {
        match self {
            Self::Output(site) => site.refresh(device, params),
            Self::Input(site) => site.refresh(device, params),
        }
    }

    /// Whether the encoder must keep the product's input.
    pub(crate) fn needs_input(&self) -> bool {
        matches!(self, Self::Input(_))
    }
}

/// Arguments of [`ProductSite::forward`].
pub(crate) struct ProductForward<'a> {
    pub(crate) base: &'a Linear,
    pub(crate) x: View<'a>,
    pub(crate) y: ViewMut<'a>,
    /// The sequences among these rows.
    pub(crate) spans: &'a Spans,
    /// The key of the method's own dropout here; `None` outside training.
    pub(crate) dropout: Option<Key>,
}

/// Arguments of the ways back through a product.
pub(crate) struct ProductBackward<'a> {
    pub(crate) base: &'a Linear,
    pub(crate) d_y: ViewMut<'a>,
    pub(crate) d_x: ViewMut<'a>,
    pub(crate) spans: &'a Spans,
    pub(crate) dropout: Option<Key>,
}
