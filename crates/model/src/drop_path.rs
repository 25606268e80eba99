//! Stochastic depth, also called drop path (Huang et al. 2016): in training, whole sequences skip a
//! sub-layer.

use budwood_engine::{Buf, Context, Dropout, Spans};

/// Forward and backward: the rows of some sequences become 0. The others grow, so that the mean
/// stays the same.
pub(crate) fn drop_path(cx: &mut Context, dropout: Dropout, spans: &Spans, y: &mut Buf) {
    let factors: Vec<f32> = (0..spans.len()).map(|i| dropout.factor(i as u64)).collect();
    let factors = cx.upload(&factors, 1);
    cx.scale_spans(y.view_mut(), spans, factors.view());
    cx.give(factors);
}
