//! `budwood predict --explain`: answers with the words that they hang on.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use budwood::answer::AnswerOptions;
use budwood::{Adapter, Error, Explained, Explanation, Input, Word};
use budwood_report::{Marked, explanation_page};
use budwood_tasks::Dataset;
use serde_json::{Map, Value, json};

use crate::out;
use crate::output::{say, stdout, table};

/// Words with the largest effects that are listed.
const LISTED: usize = 10;
/// Shares of the largest effect from which on a word is marked once, and twice.
const MARKED: (f32, f32) = (0.1, 0.5);

pub(super) fn run(
    adapter: &Adapter,
    data: &Dataset,
    options: &AnswerOptions,
    (as_json, html): (bool, Option<&Path>),
) -> Result<()> {
    let mut page = Vec::new();
    for (row, example) in data.examples.iter().enumerate() {
        let explained = adapter.explain(&example.input, options).map_err(|e| match e {
            Error::Input { message, .. } => Error::Input { row: row + 1, message },
            other => other,
        })?;
        match as_json {
            true => write_json(&example.input, &explained)?,
            false => write_text(&example.input, &explained)?,
        }
        if html.is_some() {
            page.extend(explained.explained.iter().map(|e| on_page(&example.input, e)));
        }
    }
    if let Some(path) = html {
        let name = &adapter.meta().task.name;
        let note = "Each word was left out in turn and the text answered again. Blue words make the \
                    number larger, orange ones smaller; a word's effect is shown where the pointer \
                    rests on it.";
        let page = explanation_page(&format!("What answers of {name} hang on"), note, &page);
        out::write_file(path, page.as_bytes())?;
        if !as_json {
            say!("explanation: {}", path.display())?;
        }
    }
    Ok(())
}

fn write_json(input: &Input, explained: &Explanation) -> Result<()> {
    let cells = input.cells().into_iter().map(|(name, cell)| (name.to_string(), json!(cell)));
    let mut object: Map<_, _> = cells.collect();
    if let Value::Object(fields) = serde_json::to_value(explained)? {
        object.extend(fields);
    }
    writeln!(stdout(), "{}", Value::Object(object))?;
    Ok(())
}

/// What is explained, with its number.
fn title(explained: &Explained) -> String {
    match explained.of.as_str() {
        "value" => format!("value {}", explained.number),
        of => format!("{of}, probability {:.3}", explained.number),
    }
}

fn largest(explained: &Explained) -> f32 {
    explained.words.iter().map(|w| w.effect.abs()).fold(0.0, f32::max)
}

fn write_text(input: &Input, all: &Explanation) -> Result<()> {
    for explained in &all.explained {
        let largest = largest(explained);
        say!("{}", title(explained))?;
        for (part, text) in input.cells() {
            say!("  {}", marked(&text, part, explained, largest))?;
        }
        let mut strongest: Vec<&Word> = explained.words.iter().collect();
        strongest.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
        let row = |w: &&Word| vec![format!("{:+.4}", w.effect), w.word.clone()];
        let head = ["effect", "word"].map(String::from).to_vec();
        let rows = strongest.iter().filter(|w| w.effect != 0.0).take(LISTED).map(row);
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        match rows.len() {
            1 => say!("  no word by itself changes the answer")?,
            _ => table(&rows)?,
        }
        say!("")?;
    }
    Ok(())
}

/// A text whose words bear their marks: `+` and `++` make the number larger, `-` and `--` smaller.
fn marked(text: &str, part: &str, explained: &Explained, largest: f32) -> String {
    let mut out = String::new();
    let mut words = explained.words.iter().filter(|w| w.part == part).peekable();
    for (i, c) in text.chars().enumerate() {
        if let Some(word) = words.next_if(|w| w.start == i) {
            let sign = if word.effect >= 0.0 { "+" } else { "-" };
            let times = match word.effect.abs() / largest {
                share if share >= MARKED.1 => 2,
                share if share >= MARKED.0 => 1,
                _ => 0,
            };
            out += &sign.repeat(times);
        }
        out.push(if c.is_whitespace() { ' ' } else { c });
    }
    out
}

fn on_page(input: &Input, explained: &Explained) -> budwood_report::Explained {
    let text = |(part, text): (&str, std::borrow::Cow<'_, str>)| {
        let mut bytes: Vec<usize> = text.char_indices().map(|(byte, _)| byte).collect();
        bytes.push(text.len());
        let own = explained.words.iter().filter(|w| w.part == part);
        let word = |w: &Word| Marked { start: bytes[w.start], end: bytes[w.end], effect: w.effect };
        let words = own.map(word).collect();
        (text.into_owned(), words)
    };
    let texts = input.cells().into_iter().map(text).collect();
    budwood_report::Explained { title: title(explained), texts }
}
