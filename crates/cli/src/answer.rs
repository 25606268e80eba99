//! Answers in words: for the store, for files and for people.

use budwood_base::head::HeadKind;
use budwood_base::record::Prediction;
use budwood_tasks::metric::entities::entities;
use budwood_tasks::metric::squad;
use budwood_tasks::{AnswerLimits, Candidate, Dataset, Example, Input, Target};
use budwood_train::{Answers, Prepared};
use serde_json::{Value, json};

/// The answers to a data set's examples, beside what they should be.
pub(crate) fn answered(
    data: &Dataset,
    prepared: &Prepared,
    answers: &Answers,
    labels: &[String],
) -> Vec<Prediction> {
    let name = |class: u32| labels.get(class as usize).map_or("", String::as_str);
    let joined = |names: &mut dyn Iterator<Item = u32>, by: &str| {
        names.map(name).collect::<Vec<_>>().join(by)
    };
    let candidates = answers.candidates(prepared, AnswerLimits::default());
    let none = no_answers(answers, prepared, &candidates);
    let tags = answers.tags(prepared);
    let answer = |(i, example): (usize, &Example)| {
        let (expected, predicted, confidence) = match &example.target {
            Target::Class(c) => {
                let class = answers.class(i);
                let confidence = answers.probabilities(i).get(class as usize).copied();
                (name(*c).to_string(), name(class).to_string(), confidence)
            }
            Target::Labels(holds) => {
                let mut expected = (0u32..).zip(holds).filter(|(_, h)| **h > 0.0).map(|(l, _)| l);
                let mut predicted = answers.labels(i).into_iter();
                (joined(&mut expected, "|"), joined(&mut predicted, "|"), None)
            }
            Target::Value(v) => (v.to_string(), answers.value(i).to_string(), None),
            Target::Answers(right) => {
                let best = candidates[i].first().filter(|_| !none[i]);
                let text = best.map_or("", |c| c.text.as_str());
                // Of several right answers the one that the given comes closest to.
                let closer = |a: &&str, b: &&str| {
                    let by = |score: fn(&str, &str) -> f64| score(text, a) - score(text, b);
                    (by(squad::exact_match), by(squad::f1)) > (0.0, 0.0)
                };
                let texts = right.iter().map(|a| a.text.as_str());
                let expected = texts.reduce(|a, b| if closer(&b, &a) { b } else { a });
                let confidence = best.map(|c| c.probability);
                (expected.unwrap_or_default().into(), text.into(), confidence)
            }
            Target::Tags(right) => {
                let expected = joined(&mut right.iter().copied(), " ");
                let given = joined(&mut tags[i].iter().map(|(tag, _)| *tag), " ");
                (expected, given, tags[i].iter().map(|(_, p)| *p).reduce(f32::min))
            }
            Target::None => (String::new(), name(answers.class(i)).to_string(), None),
        };
        Prediction { row: i as u64, expected, predicted, confidence }
    };
    data.examples.iter().enumerate().map(answer).collect()
}

/// For each question whether no answer is given.
fn no_answers(answers: &Answers, prepared: &Prepared, candidates: &[Vec<Candidate>]) -> Vec<bool> {
    let margins = answers.none_margins(prepared, candidates);
    match answers.none_threshold(prepared) {
        Some(threshold) => margins.into_iter().map(|margin| margin > threshold).collect(),
        None => vec![false; candidates.len()],
    }
}

/// A cell of a table of answers.
pub(crate) enum Cell {
    Text(String),
    Number(f32),
}

/// The answer to one example, in the two forms that it is written in.
pub(crate) struct Reply {
    /// Fields of a JSON object.
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// Cells of a table; the names are the same for all examples.
    pub(crate) cells: Vec<(&'static str, Cell)>,
    /// For sentences, each word with its tag.
    pub(crate) words: Vec<(String, String)>,
}

/// The answers of a head of this kind to a data set's examples; of classes only the `top` most likely are listed, and [`NONE`] is
/// given in the place of one less likely than `abstain_below`.
pub(crate) fn replies(
    kind: HeadKind,
    labels: &[String],
    (data, prepared): (&Dataset, &Prepared),
    answers: &Answers,
    (limits, top, abstain_below): (AnswerLimits, Option<usize>, Option<f32>),
) -> Vec<Reply> {
    let candidates = answers.candidates(prepared, limits);
    let none = no_answers(answers, prepared, &candidates);
    let tags = answers.tags(prepared);
    let reply = |(i, example): (usize, &Example)| match kind {
        HeadKind::Classification => classes(labels, answers, i, (top, abstain_below)),
        HeadKind::MultiLabel => label_set(labels, answers, i),
        HeadKind::Regression => {
            let value = answers.value(i);
            let fields = vec![("value", json!(value))];
            Reply { fields, cells: vec![("value", Cell::Number(value))], words: Vec::new() }
        }
        HeadKind::QuestionAnswering => answer_in_text(&example.input, &candidates[i], none[i]),
        HeadKind::TokenClassification => sentence(labels, &example.input, &tags[i]),
    };
    data.examples.iter().enumerate().map(reply).collect()
}

fn by_name(labels: &[String], probabilities: &[f32]) -> Value {
    let all = labels.iter().zip(probabilities);
    Value::Object(all.map(|(l, p)| (l.clone(), json!(p))).collect())
}

/// The answer where no class is likely enough.
const NONE: &str = "none";

fn classes(
    labels: &[String],
    answers: &Answers,
    i: usize,
    (top, abstain_below): (Option<usize>, Option<f32>),
) -> Reply {
    let (class, probabilities) = (answers.class(i) as usize, answers.probabilities(i));
    let score = probabilities[class];
    // What is no number is not sure either.
    let abstains = abstain_below.map(|least| score < least || score.is_nan());
    let label = if abstains == Some(true) { NONE.into() } else { labels[class].clone() };
    let scores = match top {
        None => by_name(labels, &probabilities),
        Some(n) => {
            let mut order: Vec<usize> = (0..labels.len()).collect();
            order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
            let named = |i: usize| (labels[i].clone(), json!(probabilities[i]));
            Value::Object(order.into_iter().take(n).map(named).collect())
        }
    };
    let mut fields = vec![("label", json!(label)), ("score", json!(score)), ("scores", scores)];
    // A class may have that name too.
    fields.extend(abstains.map(|abstains| ("abstained", json!(abstains))));
    let cells = vec![("label", Cell::Text(label)), ("score", Cell::Number(score))];
    Reply { fields, cells, words: Vec::new() }
}

fn label_set(labels: &[String], answers: &Answers, i: usize) -> Reply {
    let (set, probabilities) = (answers.labels(i), answers.label_probabilities(i));
    let names: Vec<&str> = set.iter().map(|&l| labels[l as usize].as_str()).collect();
    // Of several labels, the least sure one.
    let score = set.iter().map(|&l| probabilities[l as usize]).fold(1.0, f32::min);
    let fields = vec![("labels", json!(names)), ("scores", by_name(labels, &probabilities))];
    let cells = vec![("label", Cell::Text(names.join("|"))), ("score", Cell::Number(score))];
    Reply { fields, cells, words: Vec::new() }
}

/// Places are counted in characters, as SQuAD does. Where the text holds no answer, the answer is empty.
fn answer_in_text(input: &Input, candidates: &[Candidate], none: bool) -> Reply {
    let Input::Question { context, .. } = input else {
        panic!("a head of answers has questions");
    };
    let candidate = |c: &Candidate| {
        let start = context[..c.bytes.start].chars().count();
        json!({ "answer": c.text, "start": start, "score": c.probability })
    };
    let best = candidates.first().filter(|_| !none);
    let (text, score) = best.map_or(("", 0.0), |c| (&c.text, c.probability));
    let all: Vec<Value> = candidates.iter().map(candidate).collect();
    let start = all.first().filter(|_| !none).map_or(Value::Null, |c| c["start"].clone());
    let fields = vec![
        ("answer", json!(text)),
        ("start", start),
        ("score", json!(score)),
        ("candidates", json!(all)),
    ];
    let cells = vec![("answer", Cell::Text(text.into())), ("score", Cell::Number(score))];
    Reply { fields, cells, words: Vec::new() }
}

/// Entities with their words, counted from 0, and their characters in the words with a blank between.
fn sentence(labels: &[String], input: &Input, tags: &[(u32, f32)]) -> Reply {
    let Input::Words(words) = input else { panic!("a head of tags has sentences") };
    let names: Vec<&str> = tags.iter().map(|(tag, _)| labels[*tag as usize].as_str()).collect();
    let scores: Vec<f32> = tags.iter().map(|(_, p)| *p).collect();
    let mut starts = Vec::with_capacity(words.len());
    let mut end = 0;
    for word in words {
        starts.push(end);
        end += word.chars().count() + 1;
    }
    let found = entities(&names);
    let text = |e: &budwood_tasks::metric::entities::Entity<'_>| words[e.first..=e.last].join(" ");
    let entity = |e: &budwood_tasks::metric::entities::Entity<'_>| {
        let text = text(e);
        let (start, length) = (starts[e.first], text.chars().count());
        let score = scores[e.first..=e.last].iter().copied().fold(1.0, f32::min);
        json!({
            "type": e.kind, "text": text, "first_word": e.first, "last_word": e.last,
            "start": start, "end": start + length, "score": score,
        })
    };
    let fields = vec![
        ("words", json!(words)),
        ("tags", json!(names)),
        ("scores", json!(scores)),
        ("entities", json!(found.iter().map(entity).collect::<Vec<_>>())),
    ];
    let list = found.iter().map(|e| format!("{}: {}", e.kind, text(e))).collect::<Vec<_>>();
    let cells =
        vec![("tags", Cell::Text(names.join(" "))), ("entities", Cell::Text(list.join("; ")))];
    let words = words.iter().cloned().zip(names.iter().map(ToString::to_string)).collect();
    Reply { fields, cells, words }
}
