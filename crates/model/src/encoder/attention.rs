//! Attention of each sequence by itself, with the keys and values that prefixes put before its own.

use budwood_engine::{Buf, Context, Spans, View};

use super::{DropoutPlace, LayerTape, Pass, PrefixGates, Prefixes};

/// How far each part's prefix is open for each of its sequences; `x` is the input of queries, keys and values.
pub(super) fn prefix_gates(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    x: View<'_>,
    save: bool,
) -> PrefixGates {
    let mut saved = Vec::new();
    let gates = pass.parts.iter().map(|part| {
        let gate = part.acting.prefix_gate(layer)?;
        let (x, saved) = (x.rows(part.rows.clone()), save.then_some(&mut saved));
        Some(gate.forward(cx, part.acting.params(), x, &part.spans, saved))
    });
    PrefixGates { parts: gates.collect(), saved }
}

/// Context rows and the probabilities that backward needs.
pub(super) fn forward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    qkv: &[Buf; 3],
    prefixes: &Prefixes,
    gates: &PrefixGates,
) -> (Buf, Buf) {
    let spec = pass.base.spec();
    let [q, k, v] = qkv;
    let longer = extended(cx, pass, layer, (k, v), prefixes, gates);
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

/// Gradients of queries, keys and values, and of the prefix's gates where it has some; adds those of the prefix to
/// `d_prefix`.
pub(super) fn backward(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    tape: &LayerTape,
    d_context: &Buf,
    (prefixes, d_prefix): (&Prefixes, Option<&mut Buf>),
) -> ([Buf; 3], Option<Buf>) {
    let spec = pass.base.spec();
    let (rows, d) = (d_context.rows(), spec.hidden);
    let [q, k, v] = &tape.qkv;
    let longer = extended(cx, pass, layer, (k, v), prefixes, &tape.gates);
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
    let Some((k, v, keys)) = longer else { return ([d_q, d_k, d_v], None) };
    [k, v].into_iter().for_each(|buffer| cx.give(buffer));
    let gates = tape.gates.parts.first().and_then(Option::as_ref);
    let mut d_gates = gates.map(|gates| cx.zeros(gates.rows(), gates.columns()));
    let columns = pass.parts.first().and_then(|part| part.acting.prefix_columns(layer));
    let made = prefixes.rows.first().and_then(Option::as_ref);
    if let (Some(d_prefix), Some(made), Some((key, value))) = (d_prefix, made, columns) {
        let n = d_prefix.rows();
        for (i, at) in keys.iter().enumerate() {
            let at = at.start..at.start + n;
            for (which, columns, d) in [(0, &key, &mut d_k), (1, &value, &mut d_v)] {
                let mut d = d.view_mut().rows(at.clone());
                if let (Some(gates), Some(d_gates)) = (gates, &mut d_gates) {
                    let which = which.min(gates.columns() - 1);
                    let (rows, all) =
                        (made.view().columns(columns.clone()), Spans::from_lengths([n]));
                    let (one, column) = (i..i + 1, which..which + 1);
                    let mut dot = cx.take(1, 1);
                    cx.span_dots(rows, d.read(), &all, dot.view_mut());
                    let target = d_gates.view_mut().rows(one.clone()).columns(column.clone());
                    cx.add(target, dot.view());
                    cx.give(dot);
                    let factor = gates.view().rows(one).columns(column);
                    cx.scale_spans(d.again(), &all, factor);
                }
                cx.add(d_prefix.view_mut().columns(columns.clone()), d.read());
            }
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
    ([d_q, d_k, d_v], d_gates)
}

/// Keys and values with the prefixes before each sequence's own, and where they stand; none if no part has a
/// prefix in this layer.
fn extended(
    cx: &mut Context,
    pass: &Pass<'_>,
    layer: usize,
    (k, v): (&Buf, &Buf),
    prefixes: &Prefixes,
    gates: &PrefixGates,
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
        let gates = gates.parts.get(part).and_then(Option::as_ref);
        for (i, (rows, at)) in places.by_ref().take(pass.parts[part].spans.len()).enumerate() {
            let own = at.end - rows.len()..at.end;
            cx.assign(k2.view_mut().rows(own.clone()), k.view().rows(rows.clone()));
            cx.assign(v2.view_mut().rows(own.clone()), v.view().rows(rows));
            if let Some((prefix, (key, value))) = &prefix {
                let before = at.start..own.start;
                for (which, columns, to) in [(0, key, &mut k2), (1, value, &mut v2)] {
                    let mut to = to.view_mut().rows(before.clone());
                    cx.assign(to.again(), prefix.view().columns(columns.clone()));
                    if let Some(gates) = gates {
                        let which = which.min(gates.columns() - 1);
                        let factor = gates.view().rows(i..i + 1).columns(which..which + 1);
                        cx.scale_spans(to, &Spans::from_lengths([before.len()]), factor);
                    }
                }
            }
        }
    }
    drop(places);
    Some((k2, v2, keys))
}
