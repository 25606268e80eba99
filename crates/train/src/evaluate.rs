//! Answers of an adapter, and their scores.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use budwood_engine::{Context, Workers};
use budwood_model::{
    Adapter, Base, Batch, Segment, Targets, hidden_states, lowest_states, predict,
};
use budwood_tasks::batch::{self, BatchSize};
use budwood_tasks::metric::{self, entities, squad, words};
use budwood_tasks::{AnswerLimits, Candidate};

use crate::data::Parts;
use crate::filled::{self, Filled};
use crate::prefix_cache::PrefixCache;
use crate::{Doubt, Error, Prepared};

/// Tokens that one thread predicts at a time: enough for the products' full speed, few enough for
/// the caches.
pub const CHUNK_TOKENS: usize = 256;

/// The outputs of the head for each input.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Logits, or the one number of a regression; of heads over tokens those of each token, one
    /// after another.
    pub outputs: Vec<Vec<f32>>,
}

/// One score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Name of the metric.
    pub name: String,
    /// Its value; not a number where the metric is undefined.
    pub value: f64,
}

/// Seconds that the base alone needs for all inputs, judged by those that it gets through in
/// `at_most`, and one batch at least.
///
/// # Errors
/// If an image cannot be decoded.
pub fn base_seconds(
    workers: &mut Workers,
    base: &Base,
    data: &Prepared,
    at_most: Duration,
) -> Result<f64, Error> {
    let lengths = data.lengths();
    let plan = batch::evaluation(&lengths, BatchSize::Tokens(CHUNK_TOKENS));
    let begin = Instant::now();
    let tokens = workers.map(plan.len(), |cx, i| {
        if i > 0 && begin.elapsed() > at_most {
            return Ok(0);
        }
        let batch = data.batch(&plan[i])?;
        let alone = Segment { adapter: None, sequences: 0..plan[i].len() };
        hidden_states(cx, base, &batch, &[alone]);
        Ok::<_, Error>(plan[i].iter().map(|&input| lengths[input]).sum())
    });
    let mut done = 0usize;
    for tokens in tokens {
        done += tokens?;
    }
    let all: usize = lengths.iter().sum();
    Ok(begin.elapsed().as_secs_f64() * all as f64 / done.max(1) as f64)
}

/// Runs an adapter over all inputs, each rank over a part of them; all get all answers.
///
/// # Errors
/// If an image cannot be decoded, or an output is not a finite number.
pub fn answers(
    workers: &mut Workers,
    base: &Base,
    adapter: &Adapter,
    data: &Prepared,
) -> Result<Answers, Error> {
    answers_from(workers, base, adapter, data, None)
}

/// As [`answers`], with what is known of the inputs.
pub(crate) fn answers_from(
    workers: &mut Workers,
    base: &Base,
    adapter: &Adapter,
    data: &Prepared,
    cache: Option<&PrefixCache<'_>>,
) -> Result<Answers, Error> {
    let all =
        answers_while(workers, base, (adapter, data), cache, &mut |_, _| ControlFlow::Continue(()));
    Ok(all?.unwrap_or(Answers { outputs: Vec::new() }))
}

/// Batches between two questions whether to go on.
const ASKED_AFTER: usize = 64;

/// As [`answers`], as long as `go_on` says so on all ranks: it is told how many inputs are done, of
/// how many. None if it stopped.
pub(crate) fn answers_while(
    workers: &mut Workers,
    base: &Base,
    (adapter, data): (&Adapter, &Prepared),
    cache: Option<&PrefixCache<'_>>,
    go_on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<Answers>, Error> {
    let plan = batch::evaluation(&data.lengths(), BatchSize::Tokens(CHUNK_TOKENS));
    let mut outputs = vec![Vec::new(); data.len()];
    let mut done = 0;
    for plan in plan.chunks(ASKED_AFTER * workers.ranks().size()) {
        if workers.ranks().any(go_on(done, data.len()).is_break())? {
            return Ok(None);
        }
        let rows = workers.rows(plan.len(), |cx, i| {
            let batch = match cache {
                Some(cache) => cache.batch(cx, &plan[i])?,
                None => data.batch(&plan[i])?,
            };
            let segment = Segment { adapter: Some(adapter), sequences: 0..plan[i].len() };
            let outputs = predict(cx, base, &batch, &[segment]);
            let kept = |(output, &input)| data.kept(adapter, input, output);
            Ok::<_, Error>(outputs.into_iter().zip(&plan[i]).map(kept).collect::<Vec<_>>())
        })?;
        for (&example, output) in plan.iter().flatten().zip(rows) {
            outputs[example] = output;
            done += 1;
        }
    }
    let answers = Answers { outputs };
    answers.check(data)?;
    Ok(Some(answers))
}

/// The outputs of some inputs of some adapters, in their order, computed by one thread. An output
/// is that of its input alone, to the bit. Inputs of one adapter share its small products where
/// they are neighbours. A text that stands there for several adapters goes once through the layers
/// in which none of them changes anything.
///
/// Numbers that are not finite are for the caller to find ([`Answers::check`]), as they concern one
/// input alone.
///
/// # Errors
/// If an image cannot be decoded.
///
/// # Panics
/// If there are images beside other inputs; a batch of those has one adapter's.
pub fn chunk_outputs(
    cx: &mut Context,
    base: &Base,
    inputs: &[(&Adapter, &Prepared, usize)],
) -> Result<Vec<Vec<f32>>, Error> {
    if let Some((_, data, _)) = inputs.first().filter(|(_, data, _)| data.images().is_some()) {
        let same = inputs.iter().all(|(_, other, _)| std::ptr::eq(*other, *data));
        assert!(same, "images of one request are a batch of their own");
        let batch = data.batch(&inputs.iter().map(|(.., input)| *input).collect::<Vec<_>>())?;
        return Ok(batch_outputs(cx, base, inputs, batch));
    }
    let mut outputs = vec![Vec::new(); inputs.len()];
    for (layers, places) in shared_layers(inputs) {
        let own: Vec<_> = places.iter().map(|&place| inputs[place]).collect();
        let batch = match layers {
            0 => Batch::from_sequences(own.iter().map(|(_, data, input)| data.sequence(*input))),
            _ => after_shared_layers(cx, base, layers, &own),
        };
        let batch = batch.asking(own.iter().map(|(_, data, input)| data.asked(*input)));
        for (place, output) in places.into_iter().zip(batch_outputs(cx, base, &own, batch)) {
            outputs[place] = output;
        }
    }
    Ok(outputs)
}

/// An input of an adapter.
type Asked<'a> = (&'a Adapter, &'a Prepared, usize);

/// The outputs of a batch of these inputs.
fn batch_outputs(
    cx: &mut Context,
    base: &Base,
    inputs: &[Asked<'_>],
    batch: Batch,
) -> Vec<Vec<f32>> {
    let mut segments = Vec::new();
    let mut first = 0;
    for own in inputs.chunk_by(|a, b| std::ptr::eq(a.0, b.0)) {
        let sequences = first..first + own.len();
        first = sequences.end;
        segments.push(Segment { adapter: Some(own[0].0), sequences });
    }
    let outputs = predict(cx, base, &batch, &segments);
    let kept =
        |(output, &(adapter, data, input)): (_, &Asked<'_>)| data.kept(adapter, input, output);
    outputs.into_iter().zip(inputs).map(kept).collect()
}

/// Whether two inputs go through the same frozen layers with the same tokens.
fn share_layers(a: &Asked<'_>, b: &Asked<'_>) -> bool {
    let layers = a.0.frozen_layers();
    layers > 0 && layers == b.0.frozen_layers() && a.1.sequence(a.2) == b.1.sequence(b.2)
}

/// The places of inputs by how many of the lowest layers they share with another.
fn shared_layers(inputs: &[Asked<'_>]) -> BTreeMap<usize, Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, input) in inputs.iter().enumerate() {
        let others = inputs[..place].iter().chain(&inputs[place + 1..]);
        let shares = others.into_iter().any(|other| share_layers(input, other));
        let layers = if shares { input.0.frozen_layers() } else { 0 };
        groups.entry(layers).or_default().push(place);
    }
    groups
}

/// A batch of inputs whose lowest layers are done, once for inputs that are alike.
fn after_shared_layers(
    cx: &mut Context,
    base: &Base,
    layers: usize,
    inputs: &[Asked<'_>],
) -> Batch {
    let mut sequences: Vec<(&[u32], &[u32])> = Vec::new();
    let mut which = Vec::with_capacity(inputs.len());
    for (_, data, input) in inputs {
        let sequence = data.sequence(*input);
        let place = sequences.iter().position(|other| *other == sequence);
        which.push(place.unwrap_or_else(|| {
            sequences.push(sequence);
            sequences.len() - 1
        }));
    }
    let batch = Batch::from_sequences(sequences);
    let states = lowest_states(cx, base, &batch, layers);
    let width = base.spec().hidden;
    let (mut rows, mut lengths) = (Vec::new(), Vec::with_capacity(inputs.len()));
    for sequence in which {
        let own = batch.spans.get(sequence);
        lengths.push(own.len());
        rows.extend_from_slice(&states[own.start * width..own.end * width]);
    }
    Batch::from_states(layers, rows, &lengths, None)
}

/// Copies of one text, for adapters that share all layers, that count as one in a chunk: the copies
/// take memory.
const COPIES: usize = 16;

/// Tokens that an input adds to the work on a chunk: fewer than its own where it shares layers with
/// one that is there already.
pub fn tokens_beside<'a>(
    base: &Base,
    chunk: impl IntoIterator<Item = (&'a Adapter, &'a Prepared, usize)>,
    input: (&Adapter, &Prepared, usize),
) -> usize {
    let tokens = input.1.length(input.2);
    let shares = |other| share_layers(&input, &other);
    if input.1.images().is_some() || !chunk.into_iter().any(shares) {
        return tokens;
    }
    let layers = base.spec().layers;
    (tokens * (layers - input.0.frozen_layers()) / layers).max(tokens.div_ceil(COPIES))
}

/// Runs several adapters, each over its own inputs, and gives the answers of each. Texts of all
/// adapters share batches, planned by length; an output is that of its adapter alone, to the bit,
/// as a row does not depend on its neighbours.
///
/// # Errors
/// If an image cannot be decoded, or an output is not a finite number.
pub fn mixed_answers(
    workers: &mut Workers,
    base: &Base,
    parts: &[(&Adapter, &Prepared)],
) -> Result<Vec<Answers>, Error> {
    // Adapters may read images in different sizes, which no batch holds.
    if parts.len() == 1 || parts.iter().any(|(_, data)| data.images().is_some()) {
        return parts.iter().map(|(a, data)| answers(workers, base, a, data)).collect();
    }
    let inputs = |(part, (_, data)): (usize, &(&Adapter, &Prepared))| {
        (0..data.len()).map(|input| (part, input)).collect::<Vec<_>>()
    };
    let all: Vec<(usize, usize)> = parts.iter().enumerate().flat_map(inputs).collect();
    let lengths: Vec<usize> = all.iter().map(|&(p, input)| parts[p].1.length(input)).collect();
    let mut plan = batch::evaluation(&lengths, BatchSize::Tokens(CHUNK_TOKENS));
    // The inputs of an adapter are neighbours in a batch.
    plan.iter_mut().for_each(|batch| batch.sort_by_key(|&i| all[i].0));
    let pieces = workers.map(plan.len(), |cx, i| {
        let input = |&i: &usize| (parts[all[i].0].0, parts[all[i].0].1, all[i].1);
        chunk_outputs(cx, base, &plan[i].iter().map(input).collect::<Vec<_>>())
    });
    let empty =
        |(_, data): &(&Adapter, &Prepared)| Answers { outputs: vec![Vec::new(); data.len()] };
    let mut answers: Vec<Answers> = parts.iter().map(empty).collect();
    for (inputs, piece) in plan.iter().zip(pieces) {
        for (&i, output) in inputs.iter().zip(piece?) {
            let (part, input) = all[i];
            answers[part].outputs[input] = output;
        }
    }
    for (answers, (_, data)) in answers.iter().zip(parts) {
        answers.check(data)?;
    }
    Ok(answers)
}

impl Prepared {
    /// What of an input's outputs is kept: all, but of a masked language model's.
    fn kept(&self, adapter: &Adapter, input: usize, output: Vec<f32>) -> Vec<f32> {
        let Parts::Blanks(_) = self.parts() else { return output };
        let right = match &self.targets {
            Some(Targets::Words(words)) => Some(&words[input][..]),
            _ => None,
        };
        filled::packed(&output, adapter.head_spec().outputs, right)
    }
}

impl Answers {
    /// Refuses outputs that are not finite numbers.
    ///
    /// # Errors
    /// With the first example of that kind.
    pub fn check(&self, data: &Prepared) -> Result<(), Error> {
        let bad = |row: &Vec<f32>| row.iter().copied().find(|x| !x.is_finite());
        let first = self.outputs.iter().enumerate().find_map(|(i, row)| Some((i, bad(row)?)));
        match first {
            None => Ok(()),
            Some((input, value)) => {
                Err(Error::NotFinite { example: data.example_of(input) + 1, value })
            }
        }
    }

    /// The class of the largest output for an example.
    pub fn class(&self, example: usize) -> u32 {
        let outputs = self.outputs[example].iter().enumerate();
        let largest = outputs.fold(
            (0, f32::NEG_INFINITY),
            |best, (i, &x)| {
                if x > best.1 { (i, x) } else { best }
            },
        );
        largest.0 as u32
    }

    /// The class of the largest output for each example.
    pub fn classes(&self) -> Vec<u32> {
        (0..self.outputs.len()).map(|i| self.class(i)).collect()
    }

    /// Whether several inputs of a task with classes are all given the same one.
    pub fn is_one_class(&self, data: &Prepared) -> bool {
        let mut classes = (0..self.outputs.len()).map(|i| self.class(i));
        let first = classes.next();
        matches!(data.targets, Some(Targets::Classes(_)))
            && self.outputs.len() > 1
            && classes.all(|c| Some(c) == first)
    }

    /// The labels of an example whose probabilities are above their thresholds; without thresholds
    /// those that are more likely than not.
    pub fn labels(&self, example: usize, data: &Prepared) -> Vec<u32> {
        holding(&self.outputs[example], &data.thresholds)
    }

    /// The probability of each label of an example, by itself.
    pub fn label_probabilities(&self, example: usize) -> Vec<f32> {
        self.outputs[example].iter().map(|x| probability(*x)).collect()
    }

    /// The one number of an example.
    pub fn value(&self, example: usize) -> f32 {
        self.outputs[example].first().copied().unwrap_or(0.0)
    }

    /// Probabilities of the classes of an example.
    pub fn probabilities(&self, example: usize) -> Vec<f32> {
        let row = &self.outputs[example];
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f32> = row.iter().map(|x| (x - max).exp()).collect();
        let sum: f32 = e.iter().sum();
        e.into_iter().map(|x| x / sum).collect()
    }

    /// The best answers to each question, best first; nothing if the data are no questions.
    pub fn candidates(&self, data: &Prepared, limits: AnswerLimits) -> Vec<Vec<Candidate>> {
        let Parts::Passages(passages, _) = data.parts() else { return Vec::new() };
        let mut rest = &self.outputs[..];
        let of_passage = |passage: &budwood_tasks::Passage| {
            let (own, after) = rest.split_at(passage.windows());
            rest = after;
            passage.candidates(own, limits)
        };
        passages.iter().map(of_passage).collect()
    }

    /// For each question whose text may hold no answer, how much surer that is than the best
    /// answer; nothing where each text holds one.
    pub fn none_margins(&self, data: &Prepared, candidates: &[Vec<Candidate>]) -> Vec<f32> {
        let Parts::Passages(passages, _) = data.parts() else { return Vec::new() };
        if data.doubt == Doubt::Never {
            return Vec::new();
        }
        let mut rest = &self.outputs[..];
        let margin = |(passage, candidates): (&budwood_tasks::Passage, &Vec<Candidate>)| {
            let (own, after) = rest.split_at(passage.windows());
            rest = after;
            let none = budwood_tasks::Passage::none_score(own);
            candidates.first().map_or(f32::MAX, |best| none - best.score)
        };
        passages.iter().zip(candidates).map(margin).collect()
    }

    /// The margin above which no answer is given; none where each text holds one.
    pub fn none_threshold(&self, data: &Prepared) -> Option<f32> {
        match data.doubt {
            Doubt::Never => None,
            Doubt::Above(threshold) => Some(threshold),
            Doubt::Best => match judged(self, data) {
                Some(Judged::Doubted(_, threshold)) => Some(threshold),
                _ => None,
            },
        }
    }

    /// The tag of each word of each sentence with its probability; nothing if the data are no
    /// sentences.
    pub fn tags(&self, data: &Prepared) -> Vec<Vec<(u32, f32)>> {
        let Parts::Sentences(sentences, _, names) = data.parts() else { return Vec::new() };
        let mut rest = &self.outputs[..];
        let of_sentence = |sentence: &budwood_tasks::Sentence| {
            let (own, after) = rest.split_at(sentence.inputs());
            rest = after;
            sentence.tags(own, names.len())
        };
        sentences.iter().map(of_sentence).collect()
    }
}

impl Answers {
    /// The places of each text that a masked language model was asked for, in order; nothing if
    /// the data are of another kind.
    pub fn filled(&self, data: &Prepared) -> Vec<Vec<Filled>> {
        let Parts::Blanks(blanks) = data.parts() else { return Vec::new() };
        let mut inputs = self.outputs.iter().zip(&blanks.asked);
        let of_text = |&windows: &usize| {
            let own = inputs.by_ref().take(windows);
            own.flat_map(|(row, asked)| filled::unpacked(row, asked.len())).collect()
        };
        blanks.windows.iter().map(of_text).collect()
    }
}

/// The column with the largest output.
fn largest(row: &[f32]) -> u32 {
    let best = row
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best });
    best.0 as u32
}

/// The probability of a label with this logit.
pub(crate) fn probability(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The columns whose probabilities are above their thresholds; above 0 where there are none.
fn holding(row: &[f32], thresholds: &[f32]) -> Vec<u32> {
    let holds = |(i, x): (usize, &f32)| match thresholds.get(i) {
        Some(threshold) => probability(*x) > *threshold,
        None => *x > 0.0,
    };
    (0u32..).zip(row.iter().enumerate()).filter(|(_, x)| holds(*x)).map(|(i, _)| i).collect()
}

/// Answers beside what they should be, an entry for each example: what scores are made from.
#[derive(Clone, Debug)]
pub enum Judged {
    /// Outputs for the classes, the right class, and the class that F1 is about.
    Classes(Vec<Vec<f32>>, Vec<u32>, u32),
    /// The same of images.
    Images(Vec<Vec<f32>>, Vec<u32>),
    /// The number given, and the right one.
    Values(Vec<f32>, Vec<f32>),
    /// The labels given, and the right ones, of so many.
    Labels(Vec<Vec<u32>>, Vec<Vec<u32>>, usize),
    /// How good the answer is.
    Answers(Vec<squad::Answered>),
    /// How good it is and whether there is one, and the threshold above which none is given.
    Doubted(Vec<squad::Doubted>, f32),
    /// Counts of words and entities.
    Sentences(Vec<entities::Counts>),
    /// Counts of masked places.
    Words(Vec<words::Counts>),
}

/// Holds answers beside their targets; none where there are no targets.
pub fn judged(answers: &Answers, data: &Prepared) -> Option<Judged> {
    Some(match (data.targets.as_ref()?, data.parts()) {
        (Targets::Classes(right), _) => {
            let (outputs, right) = (answers.outputs.clone(), right.clone());
            match data.images().is_some() {
                true => Judged::Images(outputs, right),
                false => Judged::Classes(outputs, right, data.positive),
            }
        }
        (Targets::Values(right), _) => {
            let given = (0..right.len()).map(|i| data.scale.value(answers.value(i)));
            Judged::Values(given.collect(), right.clone())
        }
        (Targets::Labels(right), _) => {
            let of = |rows: &[Vec<f32>], thresholds: &[f32]| {
                rows.iter().map(|r| holding(r, thresholds)).collect()
            };
            let given = of(&answers.outputs, &data.thresholds);
            Judged::Labels(given, of(right, &[]), right.first().map_or(0, Vec::len))
        }
        (Targets::Spans(_), Parts::Passages(_, right)) => {
            let candidates = answers.candidates(data, AnswerLimits::default());
            let best = |c: &[Candidate]| c.first().map_or(String::new(), |c| c.text.clone());
            let judge = |(c, right): (&Vec<Candidate>, &Vec<String>)| {
                squad::Answered::of(&best(c), right.iter().map(String::as_str))
            };
            let all: Vec<_> = candidates.iter().zip(right).map(judge).collect();
            let margins = answers.none_margins(data, &candidates);
            if margins.is_empty() {
                return Some(Judged::Answers(all));
            }
            let doubted: Vec<squad::Doubted> = (0..all.len())
                .map(|i| squad::Doubted {
                    has_answer: !right[i].is_empty(),
                    answered: all[i],
                    text: !candidates[i].is_empty(),
                    none: margins[i],
                })
                .collect();
            let threshold = match data.doubt {
                Doubt::Above(threshold) => threshold,
                _ => squad::best_threshold(&doubted),
            };
            Judged::Doubted(doubted, threshold)
        }
        (Targets::Tags(_), Parts::Sentences(_, right, names)) => {
            let name = |tag: u32| names[tag as usize].as_str();
            let judge = |(given, right): (&Vec<(u32, f32)>, &Vec<u32>)| {
                let given: Vec<&str> = given.iter().map(|(tag, _)| name(*tag)).collect();
                let right: Vec<&str> = right.iter().map(|tag| name(*tag)).collect();
                entities::Counts::of(&given, &right)
            };
            Judged::Sentences(answers.tags(data).iter().zip(right).map(judge).collect())
        }
        (Targets::Words(right), Parts::Blanks(blanks)) => {
            let mut right = right.iter();
            let judge = |(text, windows): (Vec<Filled>, &usize)| {
                let right = right.by_ref().take(*windows).flatten();
                let place = |(filled, right): (&Filled, &u32)| words::Counts {
                    loss: f64::from(filled.loss),
                    right: u64::from(filled.words.first().is_some_and(|(w, _)| w == right)),
                    places: 1,
                };
                text.iter()
                    .zip(right)
                    .map(place)
                    .fold(words::Counts::default(), words::Counts::plus)
            };
            Judged::Words(
                answers.filled(data).into_iter().zip(&blanks.windows).map(judge).collect(),
            )
        }
        _ => return None,
    })
}

impl Judged {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(_, right, _) | Self::Images(_, right) => right.len(),
            Self::Values(_, right) => right.len(),
            Self::Labels(_, right, _) => right.len(),
            Self::Answers(all) => all.len(),
            Self::Doubted(all, _) => all.len(),
            Self::Sentences(all) => all.len(),
            Self::Words(all) => all.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All scores of some examples, each as often as it is named.
    pub fn scores(&self, examples: &[usize]) -> Vec<Score> {
        fn of<T: Clone>(all: &[T], examples: &[usize]) -> Vec<T> {
            examples.iter().map(|&i| all[i].clone()).collect()
        }
        let named = match self {
            Self::Classes(outputs, right, positive) => {
                let classes = outputs.first().map_or(0, Vec::len);
                let given: Vec<u32> = examples.iter().map(|&i| largest(&outputs[i])).collect();
                metric::classification(&given, &of(right, examples), classes, *positive as usize)
            }
            Self::Images(outputs, right) => {
                metric::image_classification(&of(outputs, examples), &of(right, examples))
            }
            Self::Values(given, right) => {
                metric::regression(&of(given, examples), &of(right, examples))
            }
            Self::Labels(given, right, labels) => {
                metric::multilabel(&of(given, examples), &of(right, examples), *labels)
            }
            Self::Doubted(all, threshold) => squad::doubted_scores(&of(all, examples), *threshold),
            Self::Answers(all) => metric::question_answering(&of(all, examples)),
            Self::Sentences(all) => metric::token_classification(examples.iter().map(|&i| all[i])),
            Self::Words(all) => metric::masked_lm(examples.iter().map(|&i| all[i])),
        };
        named.into_iter().map(|(name, value)| Score { name: name.into(), value }).collect()
    }
}

/// All scores that fit the targets; none where there are no targets.
pub fn scores(answers: &Answers, data: &Prepared) -> Vec<Score> {
    let Some(judged) = judged(answers, data) else { return Vec::new() };
    judged.scores(&(0..judged.len()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of e over their sum, by hand; large numbers, whose powers are no numbers, alike.
    #[test]
    fn probabilities_of_classes_are_those_of_softmax() {
        let answers = Answers { outputs: vec![vec![0.0, 1.0, 2.0], vec![1000.0, 1001.0, 1002.0]] };
        for example in 0..2 {
            let given = answers.probabilities(example);
            assert_eq!(given.len(), 3);
            for (p, expected) in given.iter().zip([0.090_031, 0.244_728, 0.665_241]) {
                assert!((p - expected).abs() < 1e-6, "{given:?}");
            }
        }
    }

    /// The logits -1, 0.5 and 2 are the probabilities 0.27, 0.62 and 0.88.
    #[test]
    fn labels_hold_above_their_thresholds() {
        let row = [-1.0, 0.5, 2.0];
        assert_eq!(holding(&row, &[]), [1, 2]);
        assert_eq!(holding(&row, &[0.2, 0.7, 0.8]), [0, 2]);
    }
}
