//! Trained rows before (or within) the embedded input.

use budwood_engine::{Buf, Context};

use super::pass::Pass;
use super::text;
use crate::tape::{Grads, Save};

/// The embedded tokens with each part's prompt in every sequence. Consumes `x`.
pub(super) fn insert(cx: &mut Context, pass: &Pass<'_>, x: Buf, mut save: Save<'_>) -> Buf {
    if !pass.has_prompts() {
        return x;
    }
    let mut y = cx.zeros(pass.spans.rows(), x.columns());
    for part in &pass.parts {
        let (mut token, prompt) = (part.tokens.start, part.acting.prompt());
        let words = prompt.filter(|prompt| prompt.as_words);
        let made = words.map(|p| text::embed_prompt(cx, pass, part, p, save.reborrow()));
        for rows in part.spans.iter() {
            let rows = part.rows.start + rows.start..part.rows.start + rows.end;
            let (length, at) = prompt.map_or((0, 0), |p| (p.length, p.at));
            if let Some(prompt) = prompt {
                let place = y.view_mut().rows(rows.start + at..rows.start + at + length);
                match &made {
                    Some(made) => cx.assign(place, made.view()),
                    None => {
                        let table = &part.acting.params()[prompt.slot.clone()];
                        cx.add_rows(place, table, &prompt.numbers);
                    }
                }
            }
            let after = rows.len() - length - at;
            let (head, tail) = (token..token + at, token + at..token + at + after);
            cx.assign(y.view_mut().rows(rows.start..rows.start + at), x.view().rows(head));
            cx.assign(y.view_mut().rows(rows.end - after..rows.end), x.view().rows(tail));
            token += at + after;
        }
        made.into_iter().for_each(|made| cx.give(made));
    }
    cx.give(x);
    y
}

/// The gradient of the embedded tokens; adds that of the prompts. Consumes `d`.
pub(super) fn remove(cx: &mut Context, pass: &Pass<'_>, d: Buf, grads: &mut Grads<'_>) -> Buf {
    if !pass.has_prompts() {
        return d;
    }
    let mut d_x = cx.take(pass.batch.tokens(), d.columns());
    for part in &pass.parts {
        let (mut token, prompt) = (part.tokens.start, part.acting.prompt());
        let words = prompt.filter(|prompt| prompt.as_words);
        let mut d_made = words.map(|prompt| cx.zeros(prompt.length, d.columns()));
        for rows in part.spans.iter() {
            let rows = part.rows.start + rows.start..part.rows.start + rows.end;
            let (length, at) = prompt.map_or((0, 0), |p| (p.length, p.at));
            if let Some(prompt) = prompt {
                let place = d.view().rows(rows.start + at..rows.start + at + length);
                match &mut d_made {
                    Some(d_made) => cx.add(d_made.view_mut(), place),
                    None => cx.add_rows_backward(place, &prompt.numbers, grads.of(&prompt.slot)),
                }
            }
            let after = rows.len() - length - at;
            let (head, tail) = (token..token + at, token + at..token + at + after);
            cx.assign(d_x.view_mut().rows(head), d.view().rows(rows.start..rows.start + at));
            cx.assign(d_x.view_mut().rows(tail), d.view().rows(rows.end - after..rows.end));
            token += at + after;
        }
        if let (Some(prompt), Some(d_made)) = (words, d_made) {
            text::embed_prompt_backward(cx, pass, part, prompt, d_made, grads);
        }
    }
    cx.give(d);
    d_x
}
