//! Keys and values that prefixes put before those of each sequence.

use budwood_engine::{Buf, Context, Spans, View};

use super::kept::{PrefixGates, Prefixes};
use super::pass::{At, Part, Pass};
use crate::tape::Save;

/// What the prefixes of all parts put before the sequences' keys and values.
pub(super) fn make(cx: &mut Context, pass: &Pass<'_>, keep: bool) -> Prefixes {
    let mut saved = Vec::new();
    let make = |part: &Part<'_>| {
        let (prefix, params) = (part.acting.prefix()?, part.acting.params());
        Some(prefix.rows(cx, params, Save::on_any(keep.then_some(&mut saved))))
    };
    let rows = pass.parts.iter().map(make).collect();
    Prefixes { rows, saved }
}

/// How far each part's prefix is open for each of its sequences; `x` is the input of queries, keys
/// and values.
pub(super) fn gates(cx: &mut Context, at: At<'_>, x: View<'_>, keep: bool) -> PrefixGates {
    let mut saved = Vec::new();
    let gates = at.pass.parts.iter().map(|part| {
        let gate = part.acting.prefix_gate(at.layer)?;
        let save = Save::on_any(keep.then_some(&mut saved));
        let x = x.rows(part.rows.clone());
        Some(gate.forward(cx, part.acting.params(), x, &part.spans, save))
    });
    PrefixGates { parts: gates.collect(), saved }
}

/// Keys and values with the prefixes before each sequence's own.
pub(super) struct Longer {
    pub(super) k: Buf,
    pub(super) v: Buf,
    /// Where each sequence's keys stand, those of its prefix first.
    pub(super) spans: Spans,
}

impl Longer {
    pub(super) fn free(self, cx: &mut Context) {
        [self.k, self.v].into_iter().for_each(|buffer| cx.give(buffer));
    }
}

/// Keys and values with the prefixes before each sequence's own; none if no part has a prefix in
/// this layer.
pub(super) fn extended(
    cx: &mut Context,
    at: At<'_>,
    (k, v): (&Buf, &Buf),
    prefixes: &Prefixes,
    gates: &PrefixGates,
) -> Option<Longer> {
    let pass = at.pass;
    let of_part = |part: usize| {
        let columns = pass.parts[part].acting.prefix_columns(at.layer)?;
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
                    cx.assign(to.reborrow(), prefix.view().columns(columns.clone()));
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
    Some(Longer { k: k2, v: v2, spans: keys })
}

/// The gradient of what [`make`] gave, for a pass of one part.
pub(super) struct PrefixGradient<'a> {
    pub(super) made: &'a Prefixes,
    /// `[length, 2 d places]`; none where there is no prefix.
    pub(super) d: Option<&'a mut Buf>,
}

impl PrefixGradient<'_> {
    /// Adds the gradient of the prefix's rows from those of all keys and values. Returns that of
    /// its gates, `[sequences, gates]`, where it has some.
    pub(super) fn add(
        self,
        cx: &mut Context,
        at: At<'_>,
        keys: &Spans,
        gates: &PrefixGates,
        [d_k, d_v]: [&mut Buf; 2],
    ) -> Option<Buf> {
        let gates = gates.parts.first().and_then(Option::as_ref);
        let mut d_gates = gates.map(|gates| cx.zeros(gates.rows(), gates.columns()));
        let columns = at.pass.parts.first().and_then(|p| p.acting.prefix_columns(at.layer));
        let made = self.made.rows.first().and_then(Option::as_ref);
        let (Some(d_prefix), Some(made), Some((key, value))) = (self.d, made, columns) else {
            return d_gates;
        };
        let all = Spans::from_lengths([d_prefix.rows()]);
        for (i, at) in keys.iter().enumerate() {
            let at = at.start..at.start + d_prefix.rows();
            for (which, columns, d) in [(0, &key, &mut *d_k), (1, &value, &mut *d_v)] {
                let mut d = d.view_mut().rows(at.clone());
                if let (Some(gates), Some(d_gates)) = (gates, &mut d_gates) {
                    let which = which.min(gates.columns() - 1);
                    let rows = made.view().columns(columns.clone());
                    let (one, column) = (i..i + 1, which..which + 1);
                    let mut dot = cx.take(1, 1);
                    cx.span_dots(rows, d.read(), &all, dot.view_mut());
                    let target = d_gates.view_mut().rows(one.clone()).columns(column.clone());
                    cx.add(target, dot.view());
                    cx.give(dot);
                    let factor = gates.view().rows(one).columns(column);
                    cx.scale_spans(d.reborrow(), &all, factor);
                }
                cx.add(d_prefix.view_mut().columns(columns.clone()), d.read());
            }
        }
        d_gates
    }
}

/// The rows of each sequence's own keys or values, `[T, d]`, out of those with prefixes. Consumes
/// `longer`.
pub(super) fn own_rows(cx: &mut Context, at: At<'_>, keys: &Spans, longer: Buf) -> Buf {
    let mut own = cx.take(at.pass.spans.rows(), longer.columns());
    for (rows, at) in at.pass.spans.iter().zip(keys.iter()) {
        let at = at.end - rows.len()..at.end;
        cx.assign(own.view_mut().rows(rows), longer.view().rows(at));
    }
    cx.give(longer);
    own
}
