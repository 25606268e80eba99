//! SQuAD's JSON, of versions 1.1 and 2.0: articles of paragraphs with questions and answers.

use std::path::Path;

use serde::Deserialize;

use super::{Form, Table};
use crate::{Cell, Error};

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

/// Whether a text is of this form, by how it begins: a list of articles, which have paragraphs.
pub(super) fn is_squad(text: &str) -> bool {
    let begin: String = text.chars().take(2000).filter(|c| !c.is_whitespace()).collect();
    begin.starts_with('{') && begin.contains("\"data\":[{") && text.contains("\"paragraphs\"")
}

/// A row for each question, with the columns that the Hugging Face form has: `id`, `title`,
/// `context`, `question`, `answers`. A question that SQuAD 2.0 calls impossible has no answers.
pub(crate) fn read(path: &Path, form: Form, text: &str) -> Result<Table, Error> {
    let file: File = serde_json::from_str(text).map_err(|e| {
        let message = format!("is not SQuAD's JSON (column {}): {e}", e.column());
        Error::row(path, "line", e.line(), message)
    })?;
    let mut table = Table::new(path, form, &["id", "title", "context", "question", "answers"]);
    for article in file.data {
        for paragraph in article.paragraphs {
            for q in paragraph.qas {
                let (mut texts, mut starts) = (Vec::new(), Vec::new());
                for answer in q.answers {
                    texts.push(Cell::Text(answer.text));
                    starts
                        .push(i64::try_from(answer.answer_start).map_or(Cell::Missing, Cell::Int));
                }
                let answers = vec![
                    ("text".into(), Cell::List(texts)),
                    ("answer_start".into(), Cell::List(starts)),
                ];
                let cells = [
                    q.id.into(),
                    article.title.clone().into(),
                    paragraph.context.clone().into(),
                    q.question.into(),
                    Cell::Dict(answers),
                ];
                let place = table.len() + 1;
                table.push(place, cells);
            }
        }
    }
    Ok(table)
}
