//! An answer that stands in a text (SQuAD). The texts of a row are the question and the context;
//! its label is `{"text": [..], "answer_start": [..]}` as in the Hugging Face form, a list of
//! `{"text": .., "answer_start": ..}` as in SQuAD's own, with places in characters, or the text of
//! the answer alone, which is looked for. An empty list of answers says that the text holds none
//! (SQuAD 2.0).

use budwood_base::head::HeadKind;

use super::definition::{Row, Task};
use crate::dataset::Answer;
use crate::labels::Classes;
use crate::{Cell, Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "question-answering",
    head: HeadKind::QuestionAnswering,
    images: false,
    labelled: true,
    labels: |_| Ok((Vec::new(), Vec::new())),
    input,
    target,
};

fn input(row: &mut Row<'_>) -> Result<Input, Error> {
    let title = row.named("title").map(|t| t.text().into_owned()).filter(|t| !t.is_empty());
    let (question, Some(context)) = row.texts()? else {
        let message = "a question needs two text columns: the question and the context";
        return Err(Error::Usage(message.into()));
    };
    let article = title.map_or_else(|| context.as_str().into(), Into::into);
    Ok(Input::Question { question: question.trim().into(), context: context.into(), article })
}

/// Answers and the characters that they begin at.
fn answers(cell: &Cell) -> Option<Vec<(String, Option<u64>)>> {
    let text = |c: &Cell| match c {
        Cell::List(_) | Cell::Dict(_) | Cell::Bytes(_) | Cell::Absent | Cell::Missing => None,
        other => Some(other.text().into_owned()),
    };
    let start = |c: &Cell| c.number().filter(|x| *x >= 0.0 && x.fract() == 0.0).map(|x| x as u64);
    match cell {
        Cell::List(list) => list
            .iter()
            .map(|a| Some((text(a.entry("text")?)?, a.entry("answer_start").and_then(start))))
            .collect(),
        _ => match (cell.entry("text")?, cell.entry("answer_start")?) {
            (Cell::List(texts), Cell::List(starts)) => {
                (texts.len() == starts.len()).then_some(())?;
                texts.iter().zip(starts).map(|(t, s)| Some((text(t)?, start(s)))).collect()
            }
            (one, at) => Some(vec![(text(one)?, start(at))]),
        },
    }
}

fn target(row: &Row<'_>, input: &Input, _: &Classes<'_>) -> Result<Target, Error> {
    let Input::Question { context, .. } = input else {
        return Err(row.fault("is not a question"));
    };
    let id = row.named("id").filter(|id| !id.is_empty());
    let question = id.map_or("the question".into(), |id| format!("question '{}'", id.text()));
    let fault = |message: String| row.fault(format!("{question} {message}"));
    if let Cell::Text(answer) = row.label() {
        let start = row.named("answer_start").and_then(Cell::number);
        if start.is_none() {
            let start = context.find(answer.trim()).ok_or_else(|| {
                fault(format!(
                    "has the answer '{}', which does not stand in its context",
                    answer.trim()
                ))
            })?;
            return Ok(Target::Answers(vec![Answer { text: answer.trim().into(), start }]));
        }
        let start = start.filter(|x| *x >= 0.0).map(|x| x as u64);
        return Ok(Target::Answers(vec![placed(context, answer.clone(), start, fault)?]));
    }
    let Some(answers) = answers(row.label()) else {
        let message = "has no answers of the form {\"text\": [..], \"answer_start\": [..]}";
        return Err(fault(message.into()));
    };
    let placed = answers.into_iter().map(|(text, start)| placed(context, text, start, fault));
    placed.collect::<Result<_, _>>().map(Target::Answers)
}

/// An answer at its place in the context, which is given in characters.
fn placed(
    context: &str,
    text: String,
    start: Option<u64>,
    fault: impl Fn(String) -> Error,
) -> Result<Answer, Error> {
    let Some(start) = start else {
        return Err(fault(format!("does not say where its answer '{text}' begins")));
    };
    let mut ends = context.char_indices().map(|(byte, _)| byte).chain([context.len()]);
    let byte = usize::try_from(start).ok().and_then(|start| ends.nth(start));
    let byte = byte.filter(|&b| context[b..].starts_with(&text));
    match byte.filter(|_| !text.trim().is_empty()) {
        Some(start) => Ok(Answer { text, start }),
        None => Err(fault(format!(
            "has the answer '{text}', which does not stand at character {start} of its context"
        ))),
    }
}
