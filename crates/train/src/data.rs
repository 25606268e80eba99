//! Examples as the model reads them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use budwood_model::{Adapter, Base, Batch, Targets};
use budwood_tasks::{Dataset, Encoded, Example, Input, Passage, Sentence, Target, Tokenizer};

use crate::masked::{self, Blanks, Masked};
use crate::{Error, Images};

/// Examples as the model reads them, with their targets. An example may be cut into several inputs.
#[derive(Debug)]
pub struct Prepared {
    /// The inputs in the order of the data set.
    pub(crate) inputs: Inputs,
    /// A target for each input; `None` where the answers are not known.
    pub targets: Option<Targets>,
    /// How many examples were cut: to the largest length, or into several inputs.
    pub truncated: usize,
    /// Tokens of each example before it was cut, special ones included; of images nothing.
    pub whole: Vec<usize>,
    /// The class that F1 is about, of two.
    pub positive: u32,
    /// What the model's numbers are multiplied by and what is added to give those of the data.
    pub scale: Scale,
    /// Whether no answer may be given to a question, and when.
    pub doubt: Doubt,
    /// The probability above which each of several labels is said to hold; without any, 0.5.
    pub thresholds: Vec<f32>,
    pub(crate) parts: Parts,
}

/// Numbers of the data as the model learns them: less a mean, in standard deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// What the model's 0 is.
    pub mean: f32,
    /// What the model's 1 is more than its 0.
    pub deviation: f32,
}

impl Scale {
    /// The numbers as they are.
    pub const NONE: Self = Self { mean: 0.0, deviation: 1.0 };

    /// A number of the model in the unit of the data.
    pub(crate) fn value(self, x: f32) -> f32 {
        if self == Self::NONE { x } else { x * self.deviation + self.mean }
    }

    /// Makes an adapter that has learned scaled numbers answer in the unit of the data: its last
    /// layer is multiplied and moved.
    pub fn put_into(self, adapter: &mut Adapter, base: &Base, threads: usize) {
        let slots = |name: &str| {
            let entries = adapter.params.entries().iter().filter(|p| p.name == name);
            entries.map(|p| p.slot.clone()).collect::<Vec<_>>()
        };
        let (weights, biases) = (slots("head.out.weight"), slots("head.out.bias"));
        let values = &mut adapter.params.values;
        for slot in weights.iter().chain(&biases) {
            values[slot.clone()].iter_mut().for_each(|x| *x *= self.deviation);
        }
        biases.into_iter().for_each(|slot| values[slot].iter_mut().for_each(|x| *x += self.mean));
        adapter.refresh(base.device(), threads);
    }
}

/// Whether a text may hold no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// Each question has one.
    Never,
    /// None is given above the threshold that is best on these very data.
    Best,
    /// None is given above this threshold.
    Above(f32),
}

/// What the model reads.
#[derive(Debug)]
pub(crate) enum Inputs {
    Texts(Vec<Encoded>),
    /// Texts of which other places are masked each time.
    Masked(Box<Masked>),
    Images(Box<Images>),
}

/// How inputs make up examples.
#[derive(Clone, Debug)]
pub(crate) enum Parts {
    /// An input is an example.
    Whole,
    /// Inputs are windows of texts, which hold answers; with the right ones.
    Passages(Vec<Passage>, Vec<Vec<String>>),
    /// Inputs are pieces of sentences; with the right tags, and the names of all tags.
    Sentences(Vec<Sentence>, Vec<Vec<u32>>, Vec<String>),
    /// Inputs are windows of texts of which a masked language model is asked for some places.
    Blanks(Arc<Blanks>),
}

/// How long inputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Tokens of an input, special ones included.
    pub max: usize,
    /// Tokens between the beginnings of windows of a text that holds an answer.
    pub stride: usize,
}

/// One example as inputs.
enum Piece {
    Whole(Encoded),
    Passage(Passage, Vec<Encoded>),
    Sentence(Sentence, Vec<Encoded>),
}

fn encode(tokenizer: &Tokenizer, example: &Example, lengths: Lengths) -> Result<Piece, Error> {
    Ok(match &example.input {
        Input::Question { question, context, .. } => {
            let Lengths { max, stride } = lengths;
            let (passage, inputs) = Passage::new(tokenizer, question, context, max, stride)?;
            Piece::Passage(passage, inputs)
        }
        Input::Words(words) => {
            let (sentence, inputs) = Sentence::new(tokenizer, words, lengths.max)?;
            Piece::Sentence(sentence, inputs)
        }
        input => Piece::Whole(tokenizer.encode(input, lengths.max)?),
    })
}

/// Encodes a data set of texts, whose classes or tags have these names, on `threads` threads.
///
/// # Errors
/// If a text cannot be encoded.
pub fn prepare(
    tokenizer: &Tokenizer,
    data: &Dataset,
    labels: &[String],
    lengths: Lengths,
    threads: usize,
) -> Result<Prepared, Error> {
    let encode = |example: &Example| encode(tokenizer, example, lengths);
    let pieces = of_each(&data.examples, threads, encode)?;
    Ok(joined(data, pieces, labels))
}

/// What becomes of each example, in their order, on `threads` threads.
pub(crate) fn of_each<T: Send>(
    examples: &[Example],
    threads: usize,
    work: impl Fn(&Example) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    const GROUP: usize = 256;
    let groups: Vec<_> = examples.chunks(GROUP).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::<(usize, Result<Vec<T>, Error>)>::new());
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(group) = groups.get(i) else { return };
            let made = group.iter().map(&work).collect();
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((i, made));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(groups.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    let mut all = Vec::with_capacity(examples.len());
    for (_, group) in done {
        all.extend(group?);
    }
    Ok(all)
}

/// The pieces of all examples as inputs with targets.
fn joined(data: &Dataset, pieces: Vec<Piece>, labels: &[String]) -> Prepared {
    let (mut encoded, mut truncated) = (Vec::new(), 0);
    let mut whole = Vec::with_capacity(pieces.len());
    let (mut passages, mut right, mut spans) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sentences, mut right_tags, mut tags) = (Vec::new(), Vec::new(), Vec::new());
    for (piece, example) in pieces.into_iter().zip(&data.examples) {
        match piece {
            Piece::Whole(input) => {
                truncated += usize::from(input.cut > 0);
                whole.push(input.ids.len() + input.cut);
                encoded.push(input);
            }
            Piece::Passage(passage, inputs) => {
                truncated += usize::from(inputs.len() > 1);
                whole.push(passage.tokens());
                if let Target::Answers(answers) = &example.target {
                    spans.extend(
                        answers.first().map_or_else(|| passage.no_places(), |a| passage.places(a)),
                    );
                    right.push(answers.iter().map(|a| a.text.clone()).collect());
                }
                passages.push(passage);
                encoded.extend(inputs);
            }
            Piece::Sentence(sentence, inputs) => {
                truncated += usize::from(inputs.len() > 1);
                whole.push(inputs.iter().map(|i| i.ids.len()).sum());
                if let Target::Tags(right) = &example.target {
                    let lengths: Vec<usize> = inputs.iter().map(|i| i.ids.len()).collect();
                    tags.extend(sentence.targets(right, &lengths));
                    right_tags.push(right.clone());
                }
                sentences.push(sentence);
                encoded.extend(inputs);
            }
        }
    }
    let (parts, targets) = if !passages.is_empty() {
        (Parts::Passages(passages, right), (!spans.is_empty()).then_some(Targets::Spans(spans)))
    } else if !sentences.is_empty() {
        let targets = (!tags.is_empty()).then_some(Targets::Tags(tags));
        (Parts::Sentences(sentences, right_tags, labels.to_vec()), targets)
    } else {
        (Parts::Whole, targets(data))
    };
    let doubt = match &parts {
        Parts::Passages(_, right) if right.iter().any(Vec::is_empty) => Doubt::Best,
        _ => Doubt::Never,
    };
    Prepared { truncated, whole, doubt, ..Prepared::new(Inputs::Texts(encoded), targets, parts) }
}

/// A data set of images, to be decoded when they are needed.
pub fn prepare_images(images: Images, data: &Dataset) -> Prepared {
    Prepared::new(Inputs::Images(Box::new(images)), targets(data), Parts::Whole)
}

/// The targets of examples that are an input each.
fn targets(data: &Dataset) -> Option<Targets> {
    let targets = data.examples.iter().map(|e| &e.target);
    match data.examples.first()?.target {
        Target::Class(_) => Some(Targets::Classes(
            targets.map(|t| if let Target::Class(c) = t { *c } else { 0 }).collect(),
        )),
        Target::Labels(_) => {
            let row = |t: &Target| if let Target::Labels(l) = t { l.clone() } else { Vec::new() };
            Some(Targets::Labels(targets.map(row).collect()))
        }
        Target::Value(_) => Some(Targets::Values(
            targets.map(|t| if let Target::Value(v) = t { *v } else { 0.0 }).collect(),
        )),
        Target::None | Target::Answers(_) | Target::Tags(_) => None,
    }
}

impl Prepared {
    /// Inputs with their targets, nothing of them cut.
    pub(crate) fn new(inputs: Inputs, targets: Option<Targets>, parts: Parts) -> Self {
        Self {
            inputs,
            targets,
            truncated: 0,
            whole: Vec::new(),
            positive: 1,
            scale: Scale::NONE,
            doubt: Doubt::Never,
            thresholds: Vec::new(),
            parts,
        }
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        match &self.inputs {
            Inputs::Texts(encoded) => encoded.len(),
            Inputs::Masked(masked) => masked.len(),
            Inputs::Images(images) => images.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        match &self.parts {
            Parts::Whole => self.len(),
            Parts::Passages(passages, _) => passages.len(),
            Parts::Sentences(sentences, ..) => sentences.len(),
            Parts::Blanks(blanks) => blanks.windows.len(),
        }
    }

    /// The example that an input belongs to.
    pub(crate) fn example_of(&self, input: usize) -> usize {
        let of = |sizes: &mut dyn Iterator<Item = usize>| {
            let mut before = 0;
            let ends = sizes.map(|n| {
                before += n;
                before
            });
            ends.take_while(|end| *end <= input).count()
        };
        match &self.parts {
            Parts::Whole => input,
            Parts::Passages(all, _) => of(&mut all.iter().map(budwood_tasks::Passage::windows)),
            Parts::Sentences(all, ..) => of(&mut all.iter().map(budwood_tasks::Sentence::inputs)),
            Parts::Blanks(blanks) => of(&mut blanks.windows.iter().copied()),
        }
    }

    /// Some inputs with their targets.
    ///
    /// # Panics
    /// If inputs are not examples each, or there is no such input.
    pub fn subset(&self, inputs: &[usize]) -> Self {
        assert!(matches!(self.parts, Parts::Whole), "an example of several inputs is not cut");
        let (chosen, truncated) = match &self.inputs {
            Inputs::Texts(all) => {
                let chosen: Vec<Encoded> = inputs.iter().map(|&i| all[i].clone()).collect();
                let truncated = chosen.iter().filter(|c| c.cut > 0).count();
                (Inputs::Texts(chosen), truncated)
            }
            Inputs::Images(images) => (Inputs::Images(Box::new(images.subset(inputs))), 0),
            Inputs::Masked(_) => panic!("an example of several inputs is not cut"),
        };
        Self {
            inputs: chosen,
            targets: self.targets_of(inputs),
            truncated,
            whole: inputs.iter().filter_map(|&i| self.whole.get(i).copied()).collect(),
            positive: self.positive,
            scale: self.scale,
            doubt: self.doubt,
            thresholds: self.thresholds.clone(),
            parts: Parts::Whole,
        }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Tokens of each input.
    pub fn lengths(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.length(i)).collect()
    }

    /// Tokens of one input.
    pub fn length(&self, input: usize) -> usize {
        match &self.inputs {
            Inputs::Texts(encoded) => encoded[input].ids.len(),
            Inputs::Masked(masked) => masked.length(input),
            Inputs::Images(images) => images.tokens(),
        }
    }

    /// Tokens of one text and their types; nothing of an image, or of a text that is masked when it
    /// is read.
    pub(crate) fn sequence(&self, input: usize) -> (&[u32], &[u32]) {
        match &self.inputs {
            Inputs::Texts(encoded) => (&encoded[input].ids, &encoded[input].types),
            Inputs::Masked(_) | Inputs::Images(_) => (&[], &[]),
        }
    }

    /// For each input the first one that the model reads alike: the same tokens, or the same image.
    pub(crate) fn first_alike(&self) -> Vec<usize> {
        let mut first = HashMap::new();
        let read = |i: usize| match &self.inputs {
            Inputs::Images(images) => (&[][..], &[][..], images.digest(i)),
            _ => (self.sequence(i).0, self.sequence(i).1, ""),
        };
        (0..self.len()).map(|i| *first.entry(read(i)).or_insert(i)).collect()
    }

    /// The places of an input that a masked language model is asked for; nothing of other data.
    pub(crate) fn asked(&self, input: usize) -> &[u32] {
        match &self.parts {
            Parts::Blanks(blanks) => &blanks.asked[input],
            _ => &[],
        }
    }

    /// The images, if the inputs are images.
    pub fn images(&self) -> Option<&Images> {
        match &self.inputs {
            Inputs::Texts(_) | Inputs::Masked(_) => None,
            Inputs::Images(images) => Some(images),
        }
    }

    /// Whether an example is another one in each epoch.
    pub fn varies(&self) -> bool {
        match &self.inputs {
            Inputs::Texts(_) => false,
            Inputs::Masked(_) => true,
            Inputs::Images(images) => images.augment().any(),
        }
    }

    /// Some inputs, nothing in them changed at random.
    ///
    /// # Errors
    /// If an image cannot be decoded.
    pub(crate) fn batch(&self, inputs: &[usize]) -> Result<Batch, Error> {
        match &self.inputs {
            Inputs::Texts(_) => {
                let batch = Batch::from_sequences(inputs.iter().map(|&i| self.sequence(i)));
                Ok(match &self.parts {
                    Parts::Blanks(_) => batch.asking(inputs.iter().map(|&i| self.asked(i))),
                    _ => batch,
                })
            }
            Inputs::Masked(masked) => {
                let texts: Vec<_> = inputs.iter().map(|&i| masked.fixed(i)).collect();
                Ok(masked::batch(&texts))
            }
            Inputs::Images(images) => {
                let pixels = inputs.iter().map(|&i| images.pixels(i, None));
                Ok(images.batch(&pixels.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }

    /// The targets of some inputs, as the model learns them.
    pub(crate) fn targets_of(&self, inputs: &[usize]) -> Option<Targets> {
        fn of<T: Clone>(all: &[T], inputs: &[usize]) -> Vec<T> {
            inputs.iter().map(|&i| all[i].clone()).collect()
        }
        Some(match self.targets.as_ref()? {
            Targets::Classes(all) => Targets::Classes(of(all, inputs)),
            Targets::Values(all) if self.scale != Scale::NONE => {
                let Scale { mean, deviation } = self.scale;
                Targets::Values(inputs.iter().map(|&i| (all[i] - mean) / deviation).collect())
            }
            Targets::Values(all) => Targets::Values(of(all, inputs)),
            Targets::Labels(all) => Targets::Labels(of(all, inputs)),
            Targets::Tags(all) => Targets::Tags(of(all, inputs)),
            Targets::Spans(all) => Targets::Spans(of(all, inputs)),
            Targets::Words(all) => Targets::Words(of(all, inputs)),
        })
    }
}
