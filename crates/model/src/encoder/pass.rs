//! What is fixed over one pass: the batch, which adapter acts on which rows, and where dropout
//! falls.

use std::ops::Range;

use budwood_base::random::Key;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_engine::{Buf, Context, Dropout, PatchRotary, Spans};

use super::batch::{Batch, Input};
use crate::acting::Acting;
use crate::base::Base;
use crate::drop_path::drop_path;
use crate::site::AtProduct;

/// Neighbouring sequences of a batch with what acts on them, and their rows.
///
/// A prompt's rows stand in the encoder's rows but not in the batch: `tokens` counts without them,
/// `rows` with them.
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
    /// Rotary positions of patches, where the encoder has them.
    pub(crate) patches: Option<PatchRotary>,
    /// The key of this pass's dropout; `None` outside training.
    pub(crate) dropout: Option<Key>,
    /// Layers, from the lowest, in which the encoder has no dropout.
    pub(crate) steady_layers: usize,
    /// The rows that go on after the attention of the last layer, where not all do.
    ending: Option<Box<Pass<'a>>>,
}

/// The products of a layer after its attention.
const BEHIND_ATTENTION: [WeightSite; 3] =
    [WeightSite::AttentionOut, WeightSite::FfnIn, WeightSite::FfnOut];

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

impl DropoutPlace {
    /// After the last product of a sub-layer.
    pub(crate) fn after(sublayer: Sublayer) -> Self {
        match sublayer {
            Sublayer::Attention => Self::AttentionOut,
            Sublayer::Ffn => Self::FfnOut,
        }
    }
}

impl<'a> Pass<'a> {
    /// A pass of `batch`, cut into runs of sequences that cover it in order, each with what acts on
    /// it.
    ///
    /// # Panics
    /// If the runs do not cover the batch in order.
    pub(crate) fn new(
        base: &'a Base,
        batch: &'a Batch,
        runs: impl IntoIterator<Item = (Acting<'a>, Range<usize>)>,
        dropout: Option<Key>,
    ) -> Self {
        let (mut next, mut first_token, mut first_row) = (0, 0, 0);
        let mut lengths = Vec::with_capacity(batch.spans.len());
        let part = |(acting, sequences): (Acting<'a>, Range<usize>)| {
            assert_eq!(sequences.start, next, "segments cover the batch in order");
            next = sequences.end;
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
        let parts = runs.into_iter().map(part).collect();
        assert_eq!(next, batch.spans.len(), "segments cover the batch");
        let spans = Spans::from_lengths(lengths);
        let patches = base.patch_rotary(batch.grid());
        Self { base, batch, parts, spans, patches, dropout, steady_layers: 0, ending: None }
    }

    /// The same pass, of which the first row of each sequence alone goes on after the attention of
    /// the last layer: for heads that read no other. What follows there works on each row by
    /// itself, and gives these rows the same bits as among all. Where a method reads whole
    /// sequences, or that layer is past, all rows go on.
    #[must_use]
    pub(crate) fn ending_in_firsts(self) -> Self {
        let last = self.base.spec().layers - 1;
        let past = matches!(&self.batch.input, Input::States(states) if states.layers > last);
        if past
            || self.parts.iter().any(|part| part.acting.reads_sequences(last, &BEHIND_ATTENTION))
        {
            return self;
        }
        let mut sequences = 0;
        let part = |part: &Part<'a>| {
            let rows = sequences..sequences + part.spans.len();
            sequences = rows.end;
            let (acting, tokens) = (part.acting, part.tokens.clone());
            Part { acting, tokens, rows, spans: part.spans.firsts() }
        };
        let ending = Pass {
            parts: self.parts.iter().map(part).collect(),
            spans: self.spans.firsts(),
            patches: None,
            ending: None,
            ..self
        };
        Self { ending: Some(Box::new(ending)), ..self }
    }

    /// The pass after the attention of the last layer.
    pub(crate) fn ending(&self) -> &Self {
        self.ending.as_deref().unwrap_or(self)
    }

    /// A pass of so many neighbouring rows of the one sequence of this pass, for what needs no
    /// place in the sequence and draws no random numbers.
    pub(crate) fn of_rows(&self, rows: usize) -> Self {
        let (acting, spans) = (self.parts[0].acting, Spans::from_lengths([rows]));
        let part = Part { acting, tokens: 0..rows, rows: 0..rows, spans: spans.clone() };
        let (base, batch, parts) = (self.base, self.batch, vec![part]);
        Self {
            base,
            batch,
            parts,
            spans,
            patches: None,
            dropout: None,
            steady_layers: 0,
            ending: None,
        }
    }

    /// Whether any sequence has a prompt.
    pub(crate) fn has_prompts(&self) -> bool {
        self.spans.rows() > self.batch.tokens()
    }

    /// The encoder's dropout at a place of a layer.
    pub(crate) fn dropout(&self, layer: usize, place: DropoutPlace, p: f32) -> Dropout {
        match self.dropout {
            Some(key) if p > 0.0 && layer >= self.steady_layers => {
                Dropout::new(p, key.child(layer as u64 * 8 + place as u64).raw())
            }
            _ => Dropout::new(0.0, 0),
        }
    }
}

/// One layer of a pass.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) pass: &'a Pass<'a>,
    pub(crate) layer: usize,
}

impl<'a> At<'a> {
    /// The same layer after its attention.
    pub(crate) fn past_attention(self) -> Self {
        match self.layer + 1 == self.pass.base.spec().layers {
            true => Self { pass: self.pass.ending(), ..self },
            false => self,
        }
    }

    /// Whether the first row of each sequence alone goes on after this layer's attention.
    pub(crate) fn narrows(self) -> bool {
        !std::ptr::eq(self.pass, self.past_attention().pass)
    }

    /// The encoder's dropout at a place of this layer.
    pub(crate) fn dropout(self, place: DropoutPlace, p: f32) -> Dropout {
        self.pass.dropout(self.layer, place, p)
    }

    /// Stochastic depth of a sub-layer's output, forward and backward.
    pub(crate) fn drop_path(self, cx: &mut Context, sublayer: Sublayer, y: &mut Buf) {
        let p = self.pass.base.spec().drop_path_at(self.layer);
        let acts = p > 0.0 && self.layer >= self.pass.steady_layers;
        if let Some(key) = self.pass.dropout.filter(|_| acts) {
            let place = self.layer as u64 * 8 + DropoutPlace::after(sublayer) as u64;
            let key = key.named("drop path").child(place);
            drop_path(cx, Dropout::new(p, key.raw()), &self.pass.spans, y);
        }
    }

    /// The key of a method's own dropout at an output site.
    pub(crate) fn output_dropout(self, sublayer: Sublayer) -> Option<Key> {
        self.method_dropout(sublayer as u64)
    }

    /// The key of a method's own dropout at a product.
    pub(crate) fn product_dropout(self, site: WeightSite) -> Option<Key> {
        self.method_dropout(2 + site as u64)
    }

    fn method_dropout(self, place: u64) -> Option<Key> {
        self.pass.dropout.map(|key| key.named("method").child(self.layer as u64 * 8 + place))
    }

    /// What a part's method does at a product.
    pub(crate) fn product(self, part: &Part<'a>, site: WeightSite) -> Option<&'a AtProduct> {
        part.acting.product(self.layer, site)
    }

    /// Whether the frozen product is used by no part.
    pub(crate) fn replaced(self, site: WeightSite) -> bool {
        let replaces = |part| self.product(part, site).is_some_and(|s| s.forward_site().replaces());
        self.pass.parts.iter().all(replaces)
    }

    /// Whether backward will read the input of one of these products.
    pub(crate) fn needs_input(self, sites: &[WeightSite]) -> bool {
        let gates = |part: &Part<'_>| {
            sites.contains(&WeightSite::Query) && part.acting.prefix_gate(self.layer).is_some()
        };
        self.pass.parts.iter().any(|part| {
            let mut products = sites.iter().filter_map(|&s| self.product(part, s));
            products.any(AtProduct::needs_input) || gates(part)
        })
    }
}
