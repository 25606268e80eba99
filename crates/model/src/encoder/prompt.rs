//! Trained rows before (or within) the embedded input.

use budwood_engine::{Buf, Context};

use super::pass::Pass;

/// The embedded tokens with each part's prompt in every sequence. Consumes `x`.
pub(super) fn insert(cx: &mut Context, pass: &Pass<'_>, x: Buf) -> Buf {
    if !pass.has_prompts() {
        return x;
    }
    let mut y = cx.zeros(pass.spans.rows(), x.columns());
    for part in &pass.parts {
        let (mut token, prompt) = (part.tokens.start, part.acting.prompt());
        for rows in part.spans.iter() {
            let rows = part.rows.start + rows.start..part.rows.start + rows.end;
            let (length, at) = prompt.map_or((0, 0), |p| (p.length, p.at));
            if let Some(prompt) = prompt {
                let table = &part.acting.params()[prompt.slot.clone()];
                let place = rows.start + at..rows.start + at + length;
                cx.add_rows(y.view_mut().rows(place), table, &prompt.numbers);
            }
            let after = rows.len() - length - at;
            let (head, tail) = (token..token + at, token + at..token + at + after);
            cx.assign(y.view_mut().rows(rows.start..rows.start + at), x.view().rows(head));
            cx.assign(y.view_mut().rows(rows.end - after..rows.end), x.view().rows(tail));
            token += at + after;
        }
    }
    cx.give(x);
    y
}

/// The gradient of the embedded tokens; adds that of the prompts. Consumes `d`.
pub(super) fn remove(cx: &mut Context, pass: &Pass<'_>, d: Buf, gradient: &mut [f32]) -> Buf {
    if !pass.has_prompts() {
        return d;
    }
    let mut d_x = cx.take(pass.batch.tokens(), d.columns());
    for part in &pass.parts {
        let (mut token, prompt) = (part.tokens.start, part.acting.prompt());
        for rows in part.spans.iter() {
            let rows = part.rows.start + rows.start..part.rows.start + rows.end;
            let (length, at) = prompt.map_or((0, 0), |p| (p.length, p.at));
            if let Some(prompt) = prompt {
                let place = rows.start + at..rows.start + at + length;
                let d_table = &mut gradient[prompt.slot.clone()];
                cx.add_rows_backward(d.view().rows(place), &prompt.numbers, d_table);
            }
            let after = rows.len() - length - at;
            let (head, tail) = (token..token + at, token + at..token + at + after);
            cx.assign(d_x.view_mut().rows(head), d.view().rows(rows.start..rows.start + at));
            cx.assign(d_x.view_mut().rows(tail), d.view().rows(rows.end - after..rows.end));
            token += at + after;
        }
    }
    cx.give(d);
    d_x
}
