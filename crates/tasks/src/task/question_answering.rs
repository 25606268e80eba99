//! An answer that stands in a text (SQuAD 1.1). The texts of a row are the question and the context; its label is `{"text": [..], "answer_start": [..]}` as
//! in the Hugging Face form, or a list of `{"text": .., "answer_start": ..}` as in SQuAD's own, with places in characters.

use budwood_base::head::HeadKind;
use serde_json::Value;

use super::{Cells, Task};
use crate::dataset::Answer;
use crate::{Error, Input, Target};

pub(super) const TASK: Task = Task {
    name: "question-answering",
    head: HeadKind::QuestionAnswering,
    metrics: &["f1", "exact_match"],
    labels: |_, _, _| Ok(Vec::new()),
    input,
    target,
};

fn input(cells: &Cells<'_>) -> Result<Input, Error> {
    let (question, Some(context)) = cells.texts() else {
        let message = "a question needs two text columns: the question and the context";
        return Err(Error::Usage(message.into()));
    };
    let article = cells.named("title").filter(|t| !t.is_empty()).unwrap_or(context);
    let (question, context, article) = (question.trim().into(), context.into(), article.into());
    Ok(Input::Question { question, context, article })
}

/// Whether a cell holds answers with their places.
pub(super) fn is_answers(cell: &str) -> bool {
    answers(cell).is_some_and(|answers| answers.iter().all(|(_, start)| start.is_some()))
}

/// Answers and the characters that they begin at.
fn answers(cell: &str) -> Option<Vec<(String, Option<u64>)>> {
    let text = |v: &Value| v.as_str().map(str::to_string);
    match serde_json::from_str(cell).ok()? {
        Value::Object(columns) => {
            let texts = columns.get("text")?.as_array()?;
            let starts = columns.get("answer_start")?.as_array()?;
            let pairs = texts.iter().zip(starts);
            (texts.len() == starts.len()).then_some(())?;
            pairs.map(|(t, s)| Some((text(t)?, s.as_u64()))).collect()
        }
        Value::Array(list) if list.iter().all(Value::is_object) => list
            .iter()
            .map(|a| Some((text(a.get("text")?)?, a.get("answer_start").and_then(Value::as_u64))))
            .collect(),
        _ => None,
    }
}

fn target(cells: &Cells<'_>, input: &Input, _: &[String]) -> Result<Target, Error> {
    let Input::Question { context, .. } = input else {
        return Err(cells.fault("is no question"));
    };
    let id = cells.named("id").filter(|id| !id.is_empty());
    let question = id.map_or("the question".into(), |id| format!("question '{id}'"));
    let fault = |message: String| cells.fault(format!("{question} {message}"));
    let Some(answers) = answers(cells.label()) else {
        let message = "has no answers of the form {\"text\": [..], \"answer_start\": [..]}";
        return Err(fault(message.into()));
    };
    if answers.is_empty() {
        return Err(fault("has no answer; SQuAD 1.1 is read, whose questions all have one, not 2.0: take out the questions that have none".into()));
    }
    let mut placed = Vec::with_capacity(answers.len());
    for (text, start) in answers {
        let Some(start) = start else {
            return Err(fault(format!("does not say where its answer '{text}' begins")));
        };
        let ends = || context.char_indices().map(|(byte, _)| byte).chain([context.len()]);
        let byte = ends().nth(start as usize).filter(|&b| context[b..].starts_with(&text));
        let Some(start) = byte.filter(|_| !text.trim().is_empty()) else {
            return Err(fault(format!(
                "has the answer '{text}', which does not stand at character {start} of its context"
            )));
        };
        placed.push(Answer { text, start });
    }
    Ok(Target::Answers(placed))
}
