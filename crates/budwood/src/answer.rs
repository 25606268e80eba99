//! Answers in words: as values, and beside what they should be.

use budwood_base::head::HeadKind;
use budwood_base::record::Prediction;
use budwood_tasks::metric::entities::{self, entities};
use budwood_tasks::metric::squad;
use budwood_tasks::{AnswerLimits, Candidate, Dataset, Example, Input, Target};
use budwood_train::{Answers, Filled, Prepared};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The answers to a data set's examples, beside what they should be.
pub fn answered(
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
    if prepared.mask().is_some() {
        return filled_answers(prepared, answers);
    }
    let answer = |(i, example): (usize, &Example)| {
        let (expected, predicted, confidence) = match &example.target {
            Target::Class(c) => {
                let class = answers.class(i);
                let confidence = answers.probabilities(i).get(class as usize).copied();
                (name(*c).to_string(), name(class).to_string(), confidence)
            }
            Target::Labels(holds) => {
                let mut expected = (0u32..).zip(holds).filter(|(_, h)| **h > 0.0).map(|(l, _)| l);
                let mut predicted = answers.labels(i, prepared).into_iter();
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

/// The words given for the masked places of each text, beside those that stood there.
fn filled_answers(prepared: &Prepared, answers: &Answers) -> Vec<Prediction> {
    let joined = |words: &mut dyn Iterator<Item = u32>| {
        words.map(|word| prepared.written(word)).collect::<Vec<_>>().join(" ")
    };
    let mut right = prepared.right_words().into_iter();
    let of_text = |(row, places): (usize, Vec<Filled>)| {
        let best = || places.iter().filter_map(|place| place.words.first());
        Prediction {
            row: row as u64,
            expected: joined(&mut right.next().unwrap_or_default().into_iter()),
            predicted: joined(&mut best().map(|(word, _)| *word)),
            confidence: best().map(|(_, p)| *p).reduce(f32::min),
        }
    };
    answers.filled(prepared).into_iter().enumerate().map(of_text).collect()
}

/// For each question whether no answer is given.
fn no_answers(answers: &Answers, prepared: &Prepared, candidates: &[Vec<Candidate>]) -> Vec<bool> {
    let margins = answers.none_margins(prepared, candidates);
    match answers.none_threshold(prepared) {
        Some(threshold) => margins.into_iter().map(|margin| margin > threshold).collect(),
        None => vec![false; candidates.len()],
    }
}

/// What an adapter says of one input. Its JSON is that of `budwood predict`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Answer {
    /// One of several classes.
    Class {
        /// The likeliest class; `none` where the adapter abstains.
        label: String,
        /// Its probability.
        score: f32,
        /// Probabilities by class: of all in their order, or of the likeliest, likeliest first.
        #[serde(serialize_with = "by_name")]
        scores: Vec<(String, f32)>,
        /// Whether the likeliest class was not likely enough; `None` where that was not asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        abstained: Option<bool>,
    },
    /// The labels that hold.
    Labels {
        /// Those with a probability above the adapter's threshold for them, 0.5 where it has none.
        labels: Vec<String>,
        /// The probability of each label, by itself.
        #[serde(serialize_with = "by_name")]
        scores: Vec<(String, f32)>,
    },
    /// A number, in the unit of the data.
    Value {
        /// The number.
        value: f32,
    },
    /// A part of the text that answers a question.
    Span {
        /// The answer; empty where the text holds none.
        answer: String,
        /// The character of the text at which it begins, counted from 0 as SQuAD does.
        start: Option<usize>,
        /// Its probability.
        score: f32,
        /// The best answers, best first.
        candidates: Vec<SpanCandidate>,
    },
    /// A tag for each word.
    Words {
        /// The words.
        words: Vec<String>,
        /// Their tags.
        tags: Vec<String>,
        /// The probability of each tag.
        scores: Vec<f32>,
        /// What the tags mark.
        entities: Vec<Entity>,
    },
    /// The words that belong at the masked places of a text.
    Filled {
        /// The text with the likeliest word at each place.
        filled: String,
        /// The places in the order of the text.
        places: Vec<Vec<FilledWord>>,
    },
}

/// A word that may belong at a masked place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilledWord {
    /// The word, or a part of one, as the vocabulary has it.
    pub word: String,
    /// Its probability.
    pub score: f32,
}

/// A part of a text that may answer a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpanCandidate {
    /// The answer.
    pub answer: String,
    /// The character at which it begins, counted from 0.
    pub start: usize,
    /// Its probability.
    pub score: f32,
}

/// Neighbouring words that are one thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entity {
    /// What it is, such as `PER`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its words with blanks between.
    pub text: String,
    /// Its first word, counted from 0.
    pub first_word: usize,
    /// Its last word.
    pub last_word: usize,
    /// Its first character in the words with blanks between.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
    /// The probability of its least sure tag.
    pub score: f32,
}

fn by_name<S: Serializer>(scores: &[(String, f32)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(scores.len()))?;
    for (name, score) in scores {
        map.serialize_entry(name, score)?;
    }
    map.end()
}

/// What of the answers is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerOptions {
    /// Of answers to questions.
    pub limits: AnswerLimits,
    /// How many of the likeliest classes are listed; `None` for all, in their order.
    pub top: Option<usize>,
    /// The probability below which the answer is `none`.
    pub abstain_below: Option<f32>,
}

/// The answers of a head of this kind, with classes or tags of these names, to a data set's
/// examples.
pub fn typed(
    (kind, labels): (HeadKind, &[String]),
    (data, prepared): (&Dataset, &Prepared),
    answers: &Answers,
    options: &AnswerOptions,
) -> Vec<Answer> {
    let candidates = answers.candidates(prepared, options.limits);
    let none = no_answers(answers, prepared, &candidates);
    let tags = answers.tags(prepared);
    let filled_places = answers.filled(prepared);
    let answer = |(i, example): (usize, &Example)| match kind {
        HeadKind::Classification => class(labels, answers, i, options),
        HeadKind::MultiLabel => {
            let holding = answers.labels(i, prepared).into_iter();
            let holding = holding.map(|l| labels[l as usize].clone());
            let scores = named(labels, &answers.label_probabilities(i));
            Answer::Labels { labels: holding.collect(), scores }
        }
        HeadKind::Regression => Answer::Value { value: answers.value(i) },
        HeadKind::QuestionAnswering => span(&example.input, &candidates[i], none[i]),
        HeadKind::TokenClassification => sentence(labels, &example.input, &tags[i]),
        HeadKind::MaskedLm => filled(&example.input, &filled_places[i], prepared, options),
    };
    data.examples.iter().enumerate().map(answer).collect()
}

/// Words that are listed for each place where nothing else is asked for.
const WORDS: usize = 5;

/// The masked places of a text with their likeliest words.
fn filled(
    input: &Input,
    places: &[Filled],
    prepared: &Prepared,
    options: &AnswerOptions,
) -> Answer {
    let word =
        |(token, score): &(u32, f32)| FilledWord { word: prepared.written(*token), score: *score };
    let of_place = |place: &Filled| {
        place.words.iter().take(options.top.unwrap_or(WORDS)).map(word).collect::<Vec<_>>()
    };
    let places: Vec<Vec<FilledWord>> = places.iter().map(of_place).collect();
    let text = if let Input::Text(text) = input { text.as_str() } else { "" };
    let mut filled = String::new();
    let mut best = places.iter().map(|words| words.first().map_or("", |w| w.word.as_str()));
    let mask = prepared.mask().unwrap_or_default();
    for (i, part) in text.split(mask).enumerate() {
        filled += if i > 0 { best.next().unwrap_or(mask) } else { "" };
        filled += part;
    }
    Answer::Filled { filled, places }
}

fn named(labels: &[String], probabilities: &[f32]) -> Vec<(String, f32)> {
    labels.iter().cloned().zip(probabilities.iter().copied()).collect()
}

/// The answer where no class is likely enough.
const NONE: &str = "none";

fn class(labels: &[String], answers: &Answers, i: usize, options: &AnswerOptions) -> Answer {
    let (class, probabilities) = (answers.class(i) as usize, answers.probabilities(i));
    let score = probabilities[class];
    // What is not a number is not sure either.
    let abstained = options.abstain_below.map(|least| score.is_nan() || score < least);
    let label = if abstained == Some(true) { NONE.into() } else { labels[class].clone() };
    let mut scores = named(labels, &probabilities);
    if let Some(n) = options.top {
        scores.sort_by(|a, b| b.1.total_cmp(&a.1));
        scores.truncate(n);
    }
    // A class may have the name `none` too: that the adapter abstained is said by itself.
    Answer::Class { label, score, scores, abstained }
}

/// Places are counted in characters, as SQuAD does. Where the text holds no answer, it is empty.
fn span(input: &Input, candidates: &[Candidate], none: bool) -> Answer {
    let Input::Question { context, .. } = input else {
        panic!("a head of answers has questions");
    };
    let candidate = |c: &Candidate| SpanCandidate {
        answer: c.text.clone(),
        start: context[..c.bytes.start].chars().count(),
        score: c.probability,
    };
    let candidates: Vec<SpanCandidate> = candidates.iter().map(candidate).collect();
    let best = candidates.first().filter(|_| !none);
    Answer::Span {
        answer: best.map_or(String::new(), |c| c.answer.clone()),
        start: best.map(|c| c.start),
        score: best.map_or(0.0, |c| c.score),
        candidates,
    }
}

/// Entities with their words, and their characters in the words with a blank between.
fn sentence(labels: &[String], input: &Input, tags: &[(u32, f32)]) -> Answer {
    let Input::Words(words) = input else { panic!("a head of tags has sentences") };
    let names: Vec<&str> = tags.iter().map(|(tag, _)| labels[*tag as usize].as_str()).collect();
    let scores: Vec<f32> = tags.iter().map(|(_, p)| *p).collect();
    let mut starts = Vec::with_capacity(words.len());
    let mut end = 0;
    for word in words {
        starts.push(end);
        end += word.chars().count() + 1;
    }
    let entity = |e: &entities::Entity<'_>| {
        let text = words[e.first..=e.last].join(" ");
        let start = starts[e.first];
        Entity {
            kind: e.kind.to_string(),
            first_word: e.first,
            last_word: e.last,
            start,
            end: start + text.chars().count(),
            score: scores[e.first..=e.last].iter().copied().fold(1.0, f32::min),
            text,
        }
    };
    let entities = entities(&names).iter().map(entity).collect();
    let tags = names.iter().map(ToString::to_string).collect();
    Answer::Words { words: words.clone(), tags, scores, entities }
}
