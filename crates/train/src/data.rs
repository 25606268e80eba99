//! Examples as the model reads them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use budwood_model::{Batch, Targets};
use budwood_tasks::{Dataset, Encoded, Target, Tokenizer};

use crate::{Error, Images};

/// Examples as the model reads them, with their targets.
#[derive(Debug)]
pub struct Prepared {
    /// The inputs in the order of the data set.
    pub(crate) inputs: Inputs,
    /// Their targets; `None` where the answers are not known.
    pub targets: Option<Targets>,
    /// How many inputs were cut to the largest length.
    pub truncated: usize,
}

/// What the model reads.
#[derive(Debug)]
pub(crate) enum Inputs {
    Texts(Vec<Encoded>),
    Images(Images),
}

/// Encodes a data set of texts on `threads` threads.
///
/// # Errors
/// If a text cannot be encoded.
pub fn prepare(
    tokenizer: &Tokenizer,
    data: &Dataset,
    max_length: usize,
    threads: usize,
) -> Result<Prepared, Error> {
    const PIECE: usize = 256;
    let pieces: Vec<_> = data.examples.chunks(PIECE).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::<(usize, Result<Vec<Encoded>, budwood_tasks::Error>)>::new());
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = pieces.get(i) else { return };
            let encoded = piece.iter().map(|e| tokenizer.encode(&e.input, max_length)).collect();
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((i, encoded));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(pieces.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(i, _)| *i);
    let mut encoded = Vec::with_capacity(data.examples.len());
    for (_, piece) in done {
        encoded.extend(piece?);
    }
    let truncated = encoded.iter().filter(|e| e.truncated).count();
    Ok(Prepared { inputs: Inputs::Texts(encoded), targets: targets(data), truncated })
}

/// A data set of images, to be decoded when they are needed.
pub fn prepare_images(images: Images, data: &Dataset) -> Prepared {
    Prepared { inputs: Inputs::Images(images), targets: targets(data), truncated: 0 }
}

fn targets(data: &Dataset) -> Option<Targets> {
    let targets = data.examples.iter().map(|e| &e.target);
    match data.examples.first()?.target {
        Target::None => None,
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
    }
}

impl Prepared {
    /// Number of examples.
    pub fn len(&self) -> usize {
        match &self.inputs {
            Inputs::Texts(encoded) => encoded.len(),
            Inputs::Images(images) => images.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of each example.
    pub fn lengths(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.length(i)).collect()
    }

    /// Tokens of one example.
    pub(crate) fn length(&self, example: usize) -> usize {
        match &self.inputs {
            Inputs::Texts(encoded) => encoded[example].ids.len(),
            Inputs::Images(images) => images.tokens(),
        }
    }

    /// Whether an example is another one in each epoch.
    pub fn varies(&self) -> bool {
        matches!(&self.inputs, Inputs::Images(images) if images.augment().any())
    }

    /// The inputs of some examples, nothing in them changed at random.
    ///
    /// # Errors
    /// If an image cannot be decoded.
    pub(crate) fn batch(&self, examples: &[usize]) -> Result<Batch, Error> {
        match &self.inputs {
            Inputs::Texts(encoded) => {
                let sequence = |&i: &usize| (&encoded[i].ids[..], &encoded[i].types[..]);
                Ok(Batch::from_sequences(examples.iter().map(sequence)))
            }
            Inputs::Images(images) => {
                let pixels = examples.iter().map(|&i| images.pixels(i, None));
                Ok(images.batch(&pixels.collect::<Result<Vec<_>, _>>()?))
            }
        }
    }

    /// The targets of some examples.
    pub(crate) fn targets_of(&self, examples: &[usize]) -> Option<Targets> {
        Some(match self.targets.as_ref()? {
            Targets::Classes(all) => Targets::Classes(examples.iter().map(|&i| all[i]).collect()),
            Targets::Values(all) => Targets::Values(examples.iter().map(|&i| all[i]).collect()),
            Targets::Labels(all) => {
                Targets::Labels(examples.iter().map(|&i| all[i].clone()).collect())
            }
        })
    }
}
