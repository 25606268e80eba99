//! SQuAD 1.1's JSON: articles of paragraphs with questions and answers.

use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{Row, Table};
use crate::Error;

#[derive(Deserialize)]
struct File {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    #[serde(default)]
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    id: String,
    question: String,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    answer_start: usize,
}

/// Whether a text is of this form, by how it begins.
pub(super) fn is_squad(text: &str) -> bool {
    let mut marks = text.split_whitespace().flat_map(str::chars).take(200).collect::<String>();
    if let Some(rest) = marks.strip_prefix("{\"version\":\"") {
        marks = format!("{{{}", rest.split_once("\",").map_or("", |(_, rest)| rest));
    }
    marks.starts_with("{\"data\":[")
}

/// A row for each question, with the columns that the Hugging Face form has: `id`, `title`, `context`, `question`, `answers`.
pub(crate) fn read(path: &Path, text: &str) -> Result<Table, Error> {
    let file: File = serde_json::from_str(text).map_err(|e| {
        Error::row(path, e.line(), format!("is not SQuAD's JSON (column {}): {e}", e.column()))
    })?;
    let mut rows = Vec::new();
    for article in &file.data {
        for paragraph in &article.paragraphs {
            for q in &paragraph.qas {
                let texts: Vec<&str> = q.answers.iter().map(|a| a.text.as_str()).collect();
                let starts: Vec<usize> = q.answers.iter().map(|a| a.answer_start).collect();
                let answers = json!({ "text": texts, "answer_start": starts });
                let cells =
                    [&q.id, &article.title, &paragraph.context, &q.question, &answers.to_string()];
                rows.push(Row { number: rows.len() + 1, cells: cells.map(String::clone).to_vec() });
            }
        }
    }
    let columns = ["id", "title", "context", "question", "answers"].map(String::from).to_vec();
    Ok(Table { path: path.into(), columns, rows })
}
