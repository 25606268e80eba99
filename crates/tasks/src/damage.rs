//! Signs that a text was damaged before it was written: what cannot be mended here is said.

use crate::{Example, Input};

/// What stands where UTF-8 was read as Windows-1252: the second and third bytes of a character.
const SECOND: &str = "\u{20ac}\u{201a}\u{192}\u{201e}\u{2026}\u{2020}\u{2021}\u{2c6}\u{2030}\u{160}\
                      \u{2039}\u{152}\u{17d}\u{2018}\u{2019}\u{201c}\u{201d}\u{2022}\u{2013}\u{2014}\
                      \u{2dc}\u{2122}\u{161}\u{203a}\u{153}\u{17e}\u{178}";

/// A note on texts with U+FFFD, and on those with UTF-8 that was read as something else (`cafÃ©`).
pub(crate) fn note(examples: &[Example]) -> Option<String> {
    let (mut lost, mut twice, mut first) = (0, 0, None);
    for example in examples {
        let any = |is: fn(&str) -> bool| texts(&example.input).any(is);
        let (is_lost, is_twice) = (any(|t| t.contains('\u{fffd}')), any(encoded_twice));
        lost += usize::from(is_lost);
        twice += usize::from(is_twice);
        if first.is_none() && (is_lost || is_twice) {
            first = texts(&example.input).find(|t| t.contains('\u{fffd}') || encoded_twice(t));
        }
    }
    let shown: String = first?.chars().take(40).collect();
    Some(format!(
        "{lost} texts have the sign for a lost character (U+FFFD) and {twice} look like UTF-8 that \
         was read in another encoding; the first is '{shown}'. Such files were damaged before: make \
         them anew"
    ))
}

fn texts(input: &Input) -> impl Iterator<Item = &str> {
    let all: Vec<&str> = match input {
        Input::Text(text) => vec![text],
        Input::Pair(a, b) => vec![a, b],
        Input::Question { question, context, .. } => vec![question, context],
        Input::Words(words) => words.iter().map(String::as_str).collect(),
        Input::Image(_) => Vec::new(),
    };
    all.into_iter()
}

/// Whether a character of two or three bytes of UTF-8 stands in it as two or three characters.
fn encoded_twice(text: &str) -> bool {
    let second = |c: char| ('\u{80}'..='\u{bf}').contains(&c) || SECOND.contains(c);
    let mut rest = text;
    while let Some(at) = rest.find(['\u{c3}', '\u{e2}']) {
        let mut after = rest[at..].chars();
        let needed = if after.next() == Some('\u{c3}') { 1 } else { 2 };
        if after.by_ref().take(needed).filter(|c| second(*c)).count() == needed {
            return true;
        }
        rest = &rest[at + 2..];
    }
    false
}
