//! The forward and backward pass of the encoder over a chunk of sequences, written once for all
//! families and all mixes of adapters.

mod attention;
mod backward;
mod forward;
mod image;
mod prompt;
mod text;

use std::ops::Range;

use budwood_base::encoder::ImageInput;
use budwood_base::random::Key;
use budwood_engine::{Buf, Context, Dropout, Spans};

use crate::adapter::Acting;
use crate::stochastic_depth::drop_sequences;
use crate::{Adapter, Base, Sublayer, WeightSite};

pub(crate) use backward::backward;
pub(crate) use forward::{forward, lowest};

/// Sequences one after another, without padding: texts, or images of one size.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) input: Input,
    /// Where sequences begin and end.
    pub spans: Spans,
}

/// What the sequences are made from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Tokens(text::Tokens),
    Images(image::Images),
    States(States),
}

/// Hidden states that were computed before.
#[derive(Clone, Debug)]
pub(crate) struct States {
    /// Layers that they have been through.
    pub(crate) layers: usize,
    /// `[T, d]`
    pub(crate) rows: Vec<f32>,
}

impl Batch {
    /// A batch of sequences of tokens given as `(ids, types)`; types are all zero where the encoder has none.
    pub fn from_sequences<'a>(sequences: impl IntoIterator<Item = (&'a [u32], &'a [u32])>) -> Self {
        let (tokens, lengths) = text::Tokens::new(sequences);
        Self { input: Input::Tokens(tokens), spans: Spans::from_lengths(lengths) }
    }

    /// A batch of images `[channels, height, width]` of one size in pixels, normalised as the encoder expects. An
    /// image is a sequence of [`ImageInput::tokens`] tokens.
    ///
    /// # Panics
    /// If patches do not cover the images, which [`ImageInput::tokens`] tells, or one has another number of elements.
    pub fn from_images<'a>(
        spec: &ImageInput,
        (height, width): (usize, usize),
        images: impl IntoIterator<Item = &'a [f32]>,
    ) -> Self {
        let (images, n) = image::Images::new(spec, (height, width), images);
        let length = images.tokens(spec);
        let spans = Spans::from_lengths(std::iter::repeat_n(length, n));
        Self { input: Input::Images(images), spans }
    }

    /// A batch of sequences of these lengths whose hidden states after the lowest `layers` layers, `[T, d]`, are known; see
    /// [`crate::lowest_states`].
    pub fn from_states(layers: usize, rows: Vec<f32>, lengths: &[usize]) -> Self {
        let input = Input::States(States { layers, rows });
        Self { input, spans: Spans::from_lengths(lengths.iter().copied()) }
    }

    /// Number of tokens of all sequences.
    pub(crate) fn tokens(&self) -> usize {
        self.spans.rows()
    }
}

/// Neighbouring sequences of a batch with the adapter that they are for.
#[derive(Clone)]
pub struct Segment<'a> {
    /// The adapter; `None` is the base model alone.
    pub adapter: Option<&'a Adapter>,
    /// Its sequences.
    pub sequences: Range<usize>,
}

/// A segment with its rows.
pub(crate) struct Part<'a> {
    pub(crate) acting: Acting<'a>,
    /// Its tokens in the batch.
    pub(crate) tokens: Range<usize>,
    /// Its rows in the encoder: its tokens, and before each sequence's the rows of a prompt.
    pub(crate) rows: Range<usize>,
    /// Its sequences among its rows.
    pub(crate) spans: Spans,
}

impl Part<'_> {
    /// Its sequences among its tokens.
    pub(crate) fn token_spans(&self) -> Spans {
        let prompt = self.acting.prompt().map_or(0, |p| p.length);
        Spans::from_lengths(self.spans.iter().map(|rows| rows.len() - prompt))
    }

    /// Where its tokens stand among its rows: runs of neighbours, `(tokens, rows)`.
    pub(crate) fn token_runs(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let (length, at) = self.acting.prompt().map_or((0, 0), |p| (p.length, p.at));
        let sequences = self.token_spans();
        let runs = sequences.iter().zip(self.spans.iter()).flat_map(|(tokens, rows)| {
            let (cut, after) = (tokens.start + at, rows.start + at + length);
            [(tokens.start..cut, rows.start..rows.start + at), (cut..tokens.end, after..rows.end)]
        });
        runs.collect()
    }
}

/// What is fixed over one pass.
pub(crate) struct Pass<'a> {
    pub(crate) base: &'a Base,
    pub(crate) batch: &'a Batch,
    pub(crate) parts: Vec<Part<'a>>,
    /// All sequences, prompts included.
    pub(crate) spans: Spans,
    /// The key of this pass's dropout; `None` outside training.
    pub(crate) dropout: Option<Key>,
    /// Layers, from the lowest, in which the encoder has no dropout.
    pub(crate) steady_layers: usize,
}

/// The places of dropout in a layer, as parts of its key.
#[derive(Clone, Copy)]
pub(crate) enum DropoutPlace {
    Probabilities = 0,
    AttentionOut = 1,
    FfnOut = 2,
    Embeddings = 3,
    Pooled = 4,
    HeadDense = 5,
}

impl<'a> Pass<'a> {
    /// A pass of `batch`, cut into segments that cover it in order.
    pub(crate) fn new(
        base: &'a Base,
        batch: &'a Batch,
        segments: &[Segment<'a>],
        dropout: Option<Key>,
    ) -> Self {
        let (mut next, mut first_token, mut first_row) = (0, 0, 0);
        let mut lengths = Vec::with_capacity(batch.spans.len());
        let part = |segment: &Segment<'a>| {
            let sequences = segment.sequences.clone();
            assert_eq!(sequences.start, next, "segments cover the batch in order");
            next = sequences.end;
            let acting = Acting { base, adapter: segment.adapter };
            let prompt = acting.prompt().map_or(0, |p| p.length);
            let spans =
                Spans::from_lengths(sequences.clone().map(|i| batch.spans.get(i).len() + prompt));
            lengths.extend(spans.iter().map(|rows| rows.len()));
            let n_tokens = spans.rows() - prompt * sequences.len();
            let (tokens, rows) =
                (first_token..first_token + n_tokens, first_row..first_row + spans.rows());
            (first_token, first_row) = (tokens.end, rows.end);
            Part { acting, tokens, rows, spans }
        };
        let parts = segments.iter().map(part).collect();
        assert_eq!(next, batch.spans.len(), "segments cover the batch");
        let spans = Spans::from_lengths(lengths);
        Self { base, batch, parts, spans, dropout, steady_layers: 0 }
    }

    /// Whether any sequence has a prompt.
    pub(crate) fn has_prompts(&self) -> bool {
        self.spans.rows() > self.batch.tokens()
    }

    pub(crate) fn dropout(&self, layer: usize, place: DropoutPlace, p: f32) -> Dropout {
        match self.dropout {
            Some(key) if p > 0.0 && layer >= self.steady_layers => {
                Dropout::new(p, key.child(layer as u64 * 8 + place as u64).raw())
            }
            _ => Dropout::new(0.0, 0),
        }
    }

    /// Stochastic depth, forward and backward, of a sub-layer's output.
    pub(crate) fn pass_by(&self, cx: &mut Context, layer: usize, place: DropoutPlace, y: &mut Buf) {
        let spec = self.base.spec();
        let p = spec.drop_path * layer as f32 / (spec.layers.max(2) - 1) as f32;
        if let Some(key) = self.dropout.filter(|_| p > 0.0 && layer >= self.steady_layers) {
            let key = key.named("drop path").child(layer as u64 * 8 + place as u64);
            drop_sequences(cx, Dropout::new(p, key.raw()), &self.spans, y);
        }
    }

    /// The key of a method's own dropout at an output site.
    pub(crate) fn output_dropout(&self, layer: usize, sublayer: Sublayer) -> Option<Key> {
        self.method_dropout(layer, sublayer as u64)
    }

    /// The key of a method's own dropout at a product.
    pub(crate) fn product_dropout(&self, layer: usize, site: WeightSite) -> Option<Key> {
        self.method_dropout(layer, 2 + site as u64)
    }

    fn method_dropout(&self, layer: usize, place: u64) -> Option<Key> {
        self.dropout.map(|key| key.named("method").child(layer as u64 * 8 + place))
    }

    /// Whether the frozen product is used by no part.
    pub(crate) fn replaced(&self, layer: usize, site: WeightSite) -> bool {
        let replaces = |p: &Part<'_>| p.acting.product(layer, site).is_some_and(|s| s.replaces());
        self.parts.iter().all(replaces)
    }

    /// Whether any part's method needs the input of one of these products for its gradient.
    pub(crate) fn needs_input(&self, layer: usize, sites: &[WeightSite]) -> bool {
        let gates = |part: &Part<'_>| {
            sites.contains(&WeightSite::Query) && part.acting.prefix_gate(layer).is_some()
        };
        self.parts.iter().any(|part| {
            let mut products = sites.iter().filter_map(|&s| part.acting.product(layer, s));
            products.any(|s| s.needs_input()) || gates(part)
        })
    }
}

/// The keys and values that prefixes put before the sequences of each part.
#[derive(Default)]
pub(crate) struct Prefixes {
    /// For each part `[length, 2 d places]`, if it has a prefix.
    pub(crate) rows: Vec<Option<Buf>>,
    pub(crate) saved: Vec<Buf>,
}

impl Prefixes {
    fn free(self, cx: &mut Context) {
        let rows = self.rows.into_iter().flatten();
        rows.chain(self.saved).for_each(|buffer| cx.give(buffer));
    }
}

/// How far the prefixes of one layer are open for each sequence.
#[derive(Default)]
pub(crate) struct PrefixGates {
    /// For each part `[sequences, 1]` for keys and values alike, or `[sequences, 2]`, if it has gates.
    pub(crate) parts: Vec<Option<Buf>>,
    pub(crate) saved: Vec<Buf>,
}

impl PrefixGates {
    fn free(self, cx: &mut Context) {
        let gates = self.parts.into_iter().flatten();
        gates.chain(self.saved).for_each(|buffer| cx.give(buffer));
    }
}

/// What forward saved in one layer.
pub(crate) struct LayerTape {
    pub(crate) qkv: [Buf; 3],
    pub(crate) probabilities: Buf,
    /// Gates of the parts' prefixes, and what making them saved.
    pub(crate) gates: PrefixGates,
    pub(crate) ffn_pre: Buf,
    /// Inputs of the products, where a method's gradient needs them.
    pub(crate) attention_in: Option<Buf>,
    pub(crate) context: Option<Buf>,
    pub(crate) ffn_in: Option<Buf>,
    pub(crate) ffn_active: Option<Buf>,
    /// What sites and norms saved, newest last.
    pub(crate) saved: Vec<Buf>,
}

/// What forward saved in all layers that gradients will flow through.
#[derive(Default)]
pub(crate) struct Tape {
    pub(crate) embeddings: Vec<Buf>,
    /// The layers from the lowest that is trained to the last.
    pub(crate) layers: Vec<LayerTape>,
    pub(crate) end: Vec<Buf>,
    /// Keys and values before the sequences, and what making them saved.
    pub(crate) prefixes: Prefixes,
}

impl Tape {
    /// Gives back what is left.
    pub(crate) fn free(self, cx: &mut Context) {
        let give = |cx: &mut Context, buffers: Vec<Buf>| {
            buffers.into_iter().for_each(|buffer| cx.give(buffer));
        };
        give(cx, self.embeddings);
        give(cx, self.end);
        self.prefixes.free(cx);
        self.layers.into_iter().for_each(|layer| layer.free(cx));
    }
}

impl LayerTape {
    pub(crate) fn free(self, cx: &mut Context) {
        let inputs = [self.attention_in, self.context, self.ffn_in, self.ffn_active];
        let always = self.qkv.into_iter().chain([self.probabilities, self.ffn_pre]);
        let all = always.chain(inputs.into_iter().flatten()).chain(self.saved);
        all.for_each(|buffer| cx.give(buffer));
        self.gates.free(cx);
    }
}
