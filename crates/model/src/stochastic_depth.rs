//! Stochastic depth (Huang et al. 2016): whole sequences pass a result by.

use budwood_engine::{Buf, Context, Dropout, Spans};

/// Forward and backward: the rows of some sequences become 0, those of the others grow by what keeps the mean.
pub(crate) fn drop_sequences(cx: &mut Context, dropout: Dropout, spans: &Spans, y: &mut Buf) {
    let factors: Vec<f32> = (0..spans.len()).map(|i| dropout.factor(i as u32)).collect();
    let factors = cx.upload(&factors, 1);
    cx.scale_spans(y.view_mut(), spans, factors.view());
    cx.give(factors);
}
