//! One chunk of a batch through encoder and head, to predict or to train; and how a batch is cut
//! into chunks.
//!
//! A batch is not computed layer by layer with all threads on each product. It is cut into
//! **chunks** of whole sequences, and one thread takes a chunk through the whole network, forward
//! and backward:
//!
//! ```text
//! batch      sequences  0 1 2 3 | 4 5 | 6 7 8 | 9 ...      plan_chunks: by lengths alone
//! thread A   chunk 0: forward, loss, backward    chunk 2: ...
//! thread B   chunk 1: forward, loss, backward    chunk 3: ...
//! step       gradient = ((g0 + g1) + g2) + g3              in the chunks' order
//! ```
//!
//! - Memory: activations of one chunk a thread, not of the batch. A layer keeps about
//!   `T x (5 d + f)` numbers of a chunk of T tokens, and what attention saves: of short sequences
//!   their probabilities (`encoder/kept.rs`).
//! - Waiting: threads meet once a step, when gradients are added up.
//! - Results: chunks depend on the lengths alone, and their gradients are added in order, so that
//!   the sum is the same to the bit on any number of threads.
//!
//! A batch of one long sequence is one chunk. Threads that have none help with its attention and
//! its larger products ([`budwood_engine::Workers`]); the rest is done by one.

use std::ops::Range;

use budwood_base::random::Key;
use budwood_engine::{Buf, Context};

use crate::acting::Acting;
use crate::adapter::Adapter;
use crate::base::Base;
use crate::encoder;
use crate::encoder::batch::Batch;
use crate::encoder::kept::Tape;
use crate::encoder::pass::Pass;
use crate::losses::{Loss, Targets, loss_of};
use crate::sites::Depth;
use crate::tape::{Grads, Save};

/// Neighbouring sequences of a batch with the adapter that they are for.
#[derive(Clone)]
pub struct Segment<'a> {
    /// The adapter; `None` is the base model alone.
    pub adapter: Option<&'a Adapter>,
    /// Its sequences.
    pub sequences: Range<usize>,
}

/// A pass over segments that cover the batch in order.
fn pass<'a>(
    base: &'a Base,
    batch: &'a Batch,
    segments: &[Segment<'a>],
    dropout: Option<Key>,
) -> Pass<'a> {
    let run = |segment: &Segment<'a>| {
        let alone = Acting { base, adapted: None };
        (segment.adapter.map_or(alone, |a| a.acting(base)), segment.sequences.clone())
    };
    Pass::new(base, batch, segments.iter().map(run), dropout)
}

/// The same pass, of which no rows go on to the end that none of the segments' heads reads.
fn to_heads<'a>(pass: Pass<'a>, segments: &[Segment<'_>]) -> Pass<'a> {
    let firsts = |s: &Segment<'_>| s.adapter.is_some_and(|a| a.head.reads_firsts(pass.base));
    if segments.iter().all(firsts) { pass.ending_in_firsts() } else { pass }
}

/// Tokens of a chunk that is large enough for the products' full speed and small enough for the
/// caches.
const CHUNK_TOKENS: usize = 256;

/// Cuts sequences into chunks, the unit of work: a chunk goes through the whole network, forward
/// and backward, on one thread.
///
/// ```text
/// lengths     [90 30 120 | 60 100 80 | ...]      sequences of a batch, none padded
/// chunk       rows of `[tokens, d]`: 240         all its tokens, one sequence after another
/// products    `[tokens, d] x [d, m]`             one for all sequences of the chunk
/// attention   `[length, length]` for each head   one for each sequence; long ones in tiles
/// memory      one chunk's tape for each thread   whatever the batch
/// ```
///
/// Fewer tokens leave a product's packed weights to be read for too few rows; more leave the
/// caches. Gradients of chunks are added in their order, so that any number of threads gives the
/// same bits.
///
/// Sequences of these lengths become runs of neighbours of about `CHUNK_TOKENS` tokens each,
/// equal in size and even in number, so that two threads end together. None with several sequences
/// is larger by more than a half, which bounds the memory: two images of 197 tokens do not share
/// one. Depends on the lengths only.
pub fn plan_chunks(lengths: &[usize]) -> Vec<Range<usize>> {
    let total: usize = lengths.iter().sum();
    let wanted = match total.div_ceil(CHUNK_TOKENS) {
        0 | 1 => 1,
        n => n.next_multiple_of(2),
    };
    let mut chunks = Vec::with_capacity(wanted);
    let (mut start, mut seen, mut before) = (0, 0, 0);
    for (i, &length) in lengths.iter().enumerate() {
        // A chunk ends where the tokens so far come closest to its share.
        let share = total * (chunks.len() + 1) / wanted;
        let ends = 2 * seen + length > 2 * share && chunks.len() + 1 < wanted;
        let full = 2 * (seen - before + length) > 3 * CHUNK_TOKENS;
        if i > start && (ends || full) {
            chunks.push(start..i);
            (start, before) = (i, seen);
        }
        seen += length;
    }
    if start < lengths.len() {
        chunks.push(start..lengths.len());
    }
    chunks
}

/// Outputs of a chunk: for each sequence those of its segment's head, in order; of a head over
/// tokens those of each token, one after another; of a masked language model those of each place
/// that the batch asks for ([`Batch::asking`]).
///
/// # Panics
/// If a segment has no adapter, and so no head, or the shapes do not fit.
pub fn predict(
    cx: &mut Context,
    base: &Base,
    batch: &Batch,
    segments: &[Segment<'_>],
) -> Vec<Vec<f32>> {
    let pass = to_heads(pass(base, batch, segments, None), segments);
    let hidden = encoder::forward(cx, &pass, Depth::Head, None);
    let mut outputs = Vec::with_capacity(batch.spans.len());
    for (part, segment) in pass.ending().parts.iter().zip(segments) {
        let Some(adapter) = segment.adapter else {
            panic!("a segment without an adapter has no head to predict with");
        };
        let rows = hidden.view().rows(part.rows.clone());
        let y = adapter.head.forward(cx, &pass, part, rows, Save::nothing());
        let (all, columns) = (cx.download(y.view()), y.columns());
        let of_sequence = |rows: Range<usize>| all[rows.start * columns..rows.end * columns].into();
        outputs.extend(adapter.head.rows(&pass, part).into_iter().map(of_sequence));
        cx.give(y);
    }
    cx.give(hidden);
    outputs
}

/// The last hidden states of a chunk, row by row.
pub fn hidden_states(
    cx: &mut Context,
    base: &Base,
    batch: &Batch,
    segments: &[Segment<'_>],
) -> Vec<f32> {
    let pass = pass(base, batch, segments, None);
    let hidden = encoder::forward(cx, &pass, Depth::Head, None);
    let states = cx.download(hidden.view());
    cx.give(hidden);
    states
}

/// The hidden states of a chunk after the lowest `layers` layers of the base alone, row by row:
/// what [`Batch::from_states`] takes in place of the chunk, for adapters that train nothing there.
pub fn lowest_states(cx: &mut Context, base: &Base, batch: &Batch, layers: usize) -> Vec<f32> {
    let alone = Segment { adapter: None, sequences: 0..batch.spans.len() };
    let pass = pass(base, batch, &[alone], None);
    let hidden = encoder::lowest(cx, &pass, layers);
    let states = cx.download(hidden.view());
    cx.give(hidden);
    states
}

/// What training on a chunk gives beside gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkLoss {
    /// The chunk's share of the step's loss.
    pub loss: f64,
    /// The outputs of each example, as [`predict`] gives them.
    pub outputs: Vec<Vec<f32>>,
}

/// Forward and backward over one chunk for one adapter: adds to `gradient`. `first` is the place of
/// the chunk's first sequence among `targets`. `dropout` is the key of this chunk in this step, or
/// none.
///
/// # Panics
/// If the base was not packed for gradients, or the shapes do not fit.
pub fn train_chunk(
    cx: &mut Context,
    base: &Base,
    adapter: &Adapter,
    batch: &Batch,
    (targets, loss, first): (&Targets, &Loss, usize),
    dropout: Option<Key>,
    gradient: &mut [f32],
) -> ChunkLoss {
    let forward = Forward::new(cx, base, adapter, batch, dropout);
    let rows = forward.rows();
    let (loss, d) = loss_of(&forward.all, forward.columns, &rows, targets, loss, first);
    let outputs = forward.outputs();
    forward.backward(cx, &d, gradient);
    ChunkLoss { loss, outputs }
}

/// A chunk that went forward in training: its outputs, and what the way back needs. A loss over
/// several chunks is learned so: all go forward, then each goes back with its part of the gradient.
pub struct Forward<'a> {
    adapter: &'a Adapter,
    pass: Pass<'a>,
    tape: Tape,
    head_saved: Vec<Buf>,
    /// Outputs row by row, and how many a row has.
    all: Vec<f32>,
    columns: usize,
}

impl<'a> Forward<'a> {
    /// Takes a chunk forward for one adapter. `dropout` is the key of this chunk in this step, or
    /// none.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn new(
        cx: &mut Context,
        base: &'a Base,
        adapter: &'a Adapter,
        batch: &'a Batch,
        dropout: Option<Key>,
    ) -> Self {
        let segment = Segment { adapter: Some(adapter), sequences: 0..batch.spans.len() };
        let mut pass = pass(base, batch, std::slice::from_ref(&segment), dropout);
        if !base.has_frozen_dropout() {
            pass.steady_layers = adapter.frozen_layers();
        }
        let pass = to_heads(pass, &[segment]);
        let (mut tape, mut head_saved) = (Tape::default(), Vec::new());
        let hidden = encoder::forward(cx, &pass, adapter.depth(), Some(&mut tape));
        let part = &pass.ending().parts[0];
        let y = adapter.head.forward(cx, &pass, part, hidden.view(), Save::on(&mut head_saved));
        cx.give(hidden);
        let (all, columns) = (cx.download(y.view()), y.columns());
        cx.give(y);
        Self { adapter, pass, tape, head_saved, all, columns }
    }

    /// The rows of each example among the outputs.
    fn rows(&self) -> Vec<Range<usize>> {
        self.adapter.head.rows(&self.pass, &self.pass.ending().parts[0])
    }

    /// The outputs of each example, as [`predict`] gives them.
    pub fn outputs(&self) -> Vec<Vec<f32>> {
        let of = |r: Range<usize>| self.all[r.start * self.columns..r.end * self.columns].into();
        self.rows().into_iter().map(of).collect()
    }

    /// Takes the gradient of the loss with respect to all outputs back, and adds to `gradient`.
    ///
    /// # Panics
    /// If the base was not packed for gradients, or the shapes do not fit.
    pub fn backward(self, cx: &mut Context, d: &[f32], gradient: &mut [f32]) {
        let Self { adapter, pass, tape, mut head_saved, columns, .. } = self;
        let d_y = cx.upload(d, columns);
        let mut grads = Grads { saved: &mut head_saved, gradient };
        let part = &pass.ending().parts[0];
        let d_hidden = adapter.head.backward(cx, &pass, part, d_y.view(), &mut grads);
        cx.give(d_y);
        encoder::backward(cx, &pass, adapter.depth(), d_hidden, tape, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_even_and_none_is_much_too_large() {
        assert_eq!(plan_chunks(&[128; 32]).len(), 16);
        assert_eq!(plan_chunks(&[197; 16]), (0..16).map(|i| i..i + 1).collect::<Vec<_>>());
        assert_eq!(plan_chunks(&[17; 16]), [0..8, 8..16]);
        assert_eq!(plan_chunks(&[1370]).len(), 1);
        assert!(plan_chunks(&[]).is_empty());
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * i * 7919) % 300).collect();
        let chunks = plan_chunks(&lengths);
        assert_eq!(
            chunks.iter().cloned().flatten().collect::<Vec<_>>(),
            (0..500).collect::<Vec<_>>()
        );
        for chunk in chunks.into_iter().filter(|c| c.len() > 1) {
            assert!(lengths[chunk].iter().sum::<usize>() <= 3 * CHUNK_TOKENS / 2);
        }
    }
}
