//! Attention of each sequence by itself, with the keys and values that prefixes put before its own.

use budwood_engine::{Buf, Context, Spans};

use super::{DropoutPlace, LayerTape, Pass, Prefixes};

/// Context rows and the probabilities that backward needs.
pub(super) fn forward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    qkv: &[Buf; 3],
    prefixes: &Prefixes,
) -> (Buf, Buf) {
    let spec = pass.base.spec();
    let [q, k, v] = qkv;
    let longer = extended(cx, pass, layer, k, v, prefixes);
    let (k, v, keys) = match &longer {
        Some((k, v, keys)) => (k, v, keys),
        None => (k, v, &pass.spans),
    };
    let saved = Context::attention_saved(spec.heads, &pass.spans, keys);
    let mut probabilities = cx.take(1, saved);
    let mut context = cx.take(q.rows(), spec.hidden);
    cx.attention(
        spec.heads,
        (q.view(), k.view(), v.view()),
        (&pass.spans, keys),
        pass.dropout(layer, DropoutPlace::Probabilities, spec.attention_dropout),
        probabilities.view_mut(),
        context.view_mut(),
    );
    if let Some((k, v, _)) = longer {
        [k, v].into_iter().for_each(|buffer| cx.give(buffer));
    }
    (context, probabilities)
}

/// Gradients of queries, keys and values; adds those of the prefix to `d_prefix`.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    tape: &LayerTape,
    d_context: &Buf,
    (prefixes, d_prefix): (&Prefixes, Option<&mut Buf>),
) -> [Buf; 3] {
    let spec = pass.base.spec();
    let (rows, d) = (d_context.rows(), spec.hidden);
    let [q, k, v] = &tape.qkv;
    let longer = extended(cx, pass, layer, k, v, prefixes);
    let (k, v, keys) = match &longer {
        Some((k, v, keys)) => (k, v, keys),
        None => (k, v, &pass.spans),
    };
    let mut d_q = cx.take(rows, d);
    let (mut d_k, mut d_v) = (cx.take(k.rows(), d), cx.take(k.rows(), d));
    cx.attention_backward(
        spec.heads,
        (q.view(), k.view(), v.view()),
        (&pass.spans, keys),
        pass.dropout(layer, DropoutPlace::Probabilities, spec.attention_dropout),
        tape.probabilities.view(),
        d_context.view(),
        (d_q.view_mut(), d_k.view_mut(), d_v.view_mut()),
    );
    let Some((k, v, keys)) = longer else { return [d_q, d_k, d_v] };
    [k, v].into_iter().for_each(|buffer| cx.give(buffer));
    let columns = pass.parts.first().and_then(|part| part.acting.prefix_columns(layer));
    if let (Some(d_prefix), Some((key, value))) = (d_prefix, columns) {
        let n = d_prefix.rows();
        for at in keys.iter() {
            let at = at.start..at.start + n;
            cx.add(d_prefix.view_mut().columns(key.clone()), d_k.view().rows(at.clone()));
            cx.add(d_prefix.view_mut().columns(value.clone()), d_v.view().rows(at));
        }
    }
    let [d_k, d_v] = [d_k, d_v].map(|longer| {
        let mut own = cx.take(rows, d);
        for (rows, at) in pass.spans.iter().zip(keys.iter()) {
            let at = at.end - rows.len()..at.end;
            cx.assign(own.view_mut().rows(rows), longer.view().rows(at));
        }
        cx.give(longer);
        own
    });
    [d_q, d_k, d_v]
}

/// Keys and values with the prefixes before each sequence's own, and where they stand; none if no part has a
/// prefix in this layer.
fn extended(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    k: &Buf,
    v: &Buf,
    prefixes: &Prefixes,
) -> Option<(Buf, Buf, Spans)> {
    let of_part = |part: usize| {
        let columns = pass.parts[part].acting.prefix_columns(layer)?;
        prefixes.rows.get(part)?.as_ref().map(|rows| (rows, columns))
    };
    let parts = 0..pass.parts.len();
    if parts.clone().all(|part| of_part(part).is_none()) {
        return None;
    }
    let lengths = parts.clone().flat_map(|part| {
        let more = of_part(part).map_or(0, |(rows, _)| rows.rows());
        pass.parts[part].spans.iter().map(move |rows| rows.len() + more).collect::<Vec<_>>()
    });
    let keys = Spans::from_lengths(lengths);
    let (mut k2, mut v2) = (cx.take(keys.rows(), k.columns()), cx.take(keys.rows(), v.columns()));
    let mut places = pass.spans.iter().zip(keys.iter());
    for part in parts {
        let prefix = of_part(part);
        for (rows, at) in places.by_ref().take(pass.parts[part].spans.len()) {
            let own = at.end - rows.len()..at.end;
            cx.assign(k2.view_mut().rows(own.clone()), k.view().rows(rows.clone()));
            cx.assign(v2.view_mut().rows(own.clone()), v.view().rows(rows));
            if let Some((prefix, (key, value))) = &prefix {
                let before = at.start..own.start;
                cx.assign(k2.view_mut().rows(before.clone()), prefix.view().columns(key.clone()));
                cx.assign(v2.view_mut().rows(before), prefix.view().columns(value.clone()));
            }
        }
    }
    drop(places);
    Some((k2, v2, keys))
}
