//! What forward keeps of the encoder's own work, layer by layer. The trained sites push theirs on
//! `saved` ([`crate::tape`]).
//!
//! With T rows in the chunk, d the hidden width and f the feed-forward width, one layer keeps
//!
//! | buffer | shape | for the gradient of |
//! |---|---|---|
//! | `attention.qkv` | 3 of `[T, d]` | queries, keys and values |
//! | `attention.kept` | see `kernels/ops/attention` | the softmax |
//! | `ffn.pre` | `[T, f]` | the activation |
//! | `attention.input`, `.context` | `[T, d]` | what a method trains at the products that read it |
//! | `attention.context` | `[T, d]` | the softmax of long sequences |
//! | `ffn.input`, `.active` | `[T, d]`, `[T, f]` | likewise |
//! | `saved` | norms: `[T, d]` and `[T, 1]`; what sites push | norms and trained sites |
//!
//! A long chunk keeps less. With weights in bytes both ways, its activations rest in bf16 between
//! forward and backward: the products round more. With weights in f32, layers whose tapes would
//! take more memory than [`super::encode`] grants keep their input alone, `[T, d]`, and go forward
//! once more when backward comes to them (Chen et al. 2016, section 3).
//!
//! The inputs of products are kept only where a method at one of them says that it reads them
//! ([`crate::site::AtProduct::Input`]), or the kernel of attention does.

use budwood_engine::{Buf, Context, View};

use super::relative::Made;

/// The input of some products, where a method's gradient reads it.
pub(crate) struct KeptInput(Option<Buf>);

impl KeptInput {
    /// Keeps the buffer if it is needed, else gives it back.
    pub(crate) fn new(cx: &mut Context, needed: bool, buffer: Buf) -> Self {
        if needed {
            return Self(Some(buffer));
        }
        cx.give(buffer);
        Self(None)
    }

    /// What was kept, if anything.
    pub(crate) fn of(kept: Option<Buf>) -> Self {
        Self(kept)
    }

    /// The input.
    ///
    /// # Panics
    /// If forward did not keep it: forward and backward ask the same question,
    /// [`super::pass::At::needs_input`].
    pub(crate) fn view(&self) -> View<'_> {
        let Some(view) = self.get() else {
            panic!("forward keeps the input of every product whose method reads it")
        };
        view
    }

    /// The input, if it was kept.
    pub(crate) fn get(&self) -> Option<View<'_>> {
        self.0.as_ref().map(Buf::view)
    }

    pub(crate) fn free(self, cx: &mut Context) {
        self.0.into_iter().for_each(|buffer| cx.give(buffer));
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
    pub(crate) fn free(self, cx: &mut Context) {
        let rows = self.rows.into_iter().flatten();
        rows.chain(self.saved).for_each(|buffer| cx.give(buffer));
    }
}

/// How far the prefixes of one layer are open for each sequence.
#[derive(Default)]
pub(crate) struct PrefixGates {
    /// For each part `[sequences, 1]` for keys and values alike, or `[sequences, 2]`, if it has
    /// gates.
    pub(crate) parts: Vec<Option<Buf>>,
    pub(crate) saved: Vec<Buf>,
}

impl PrefixGates {
    pub(crate) fn free(self, cx: &mut Context) {
        let gates = self.parts.into_iter().flatten();
        gates.chain(self.saved).for_each(|buffer| cx.give(buffer));
    }
}

/// What the kernel of attention kept of all heads.
pub(crate) struct KeptHeads {
    /// As the kernel left it.
    pub(crate) saved: Buf,
    /// Whether backward also reads what the heads gave.
    pub(crate) reads_context: bool,
    /// What distances add to the scores, where an adapter changes it.
    pub(crate) made: Made,
}

/// What forward kept of attention in one layer.
pub(crate) struct AttentionTape {
    pub(crate) input: KeptInput,
    pub(crate) qkv: [Buf; 3],
    /// None outside training.
    pub(crate) kept: Option<KeptHeads>,
    /// Gates of the parts' prefixes, and what making them saved.
    pub(crate) gates: PrefixGates,
    pub(crate) context: KeptInput,
}

impl AttentionTape {
    /// What the kernel of attention kept.
    ///
    /// # Panics
    /// If forward kept nothing.
    pub(crate) fn heads(&self) -> &KeptHeads {
        let Some(kept) = &self.kept else { panic!("forward keeps what backward needs") };
        kept
    }

    pub(crate) fn free(self, cx: &mut Context) {
        if let Some(kept) = self.kept {
            cx.give(kept.saved);
            kept.made.free(cx);
        }
        self.qkv.into_iter().for_each(|buffer| cx.give(buffer));
        [self.input, self.context].into_iter().for_each(|input| input.free(cx));
        self.gates.free(cx);
    }
}

/// What forward kept of the feed-forward network in one layer.
pub(crate) struct FfnTape {
    pub(crate) input: KeptInput,
    /// What the activation read.
    pub(crate) pre: Buf,
    /// What it gave.
    pub(crate) active: KeptInput,
}

impl FfnTape {
    pub(crate) fn free(self, cx: &mut Context) {
        cx.give(self.pre);
        [self.input, self.active].into_iter().for_each(|input| input.free(cx));
    }
}

/// What forward kept in one layer.
pub(crate) struct LayerTape {
    pub(crate) attention: AttentionTape,
    pub(crate) ffn: FfnTape,
    /// What sites and norms saved, newest last.
    pub(crate) saved: Vec<Buf>,
}

/// Elements from which on a buffer is worth a narrower form.
const WORTH_NARROWING: usize = 1 << 12;

impl LayerTape {
    /// What may rest in bf16: activations, and no statistic, of which one number stands for a whole
    /// row.
    fn narrow_buffers(&mut self) -> impl Iterator<Item = &mut Buf> {
        let AttentionTape { input, qkv, kept, context, .. } = &mut self.attention;
        let probabilities = kept.iter_mut().filter(|kept| !kept.reads_context);
        let attention = qkv.iter_mut().chain(probabilities.map(|kept| &mut kept.saved));
        let FfnTape { input: ffn_input, pre, active } = &mut self.ffn;
        let inputs = [input, context, ffn_input, active].into_iter().filter_map(|i| i.0.as_mut());
        let buffers = attention.chain(inputs).chain([pre]).chain(&mut self.saved);
        buffers.filter(|b| b.columns() > 1 && b.rows() * b.columns() >= WORTH_NARROWING)
    }

    /// Lets it rest until backward comes.
    pub(crate) fn narrow(&mut self, cx: &mut Context) {
        self.narrow_buffers().for_each(|buffer| cx.narrow(buffer));
    }

    /// Wakes it.
    pub(crate) fn widen(&mut self, cx: &mut Context) {
        self.narrow_buffers().for_each(|buffer| cx.widen(buffer));
    }

    /// Elements of the activations.
    fn elements(&mut self) -> usize {
        self.narrow_buffers().map(|buffer| buffer.rows() * buffer.columns()).sum()
    }

    pub(crate) fn free(self, cx: &mut Context) {
        self.attention.free(cx);
        self.ffn.free(cx);
        self.saved.into_iter().for_each(|buffer| cx.give(buffer));
    }
}

/// What forward kept in one layer, or what it takes to make that again.
pub(crate) enum KeptLayer {
    Whole(Box<LayerTape>),
    /// The layer's input `[T, d]`.
    Input(Buf),
}

impl KeptLayer {
    fn free(self, cx: &mut Context) {
        match self {
            Self::Whole(tape) => tape.free(cx),
            Self::Input(x) => cx.give(x),
        }
    }
}

/// What forward kept in all layers that gradients will flow through.
#[derive(Default)]
pub(crate) struct Tape {
    pub(crate) embeddings: Vec<Buf>,
    /// The layers from the lowest that is trained to the last.
    pub(crate) layers: Vec<KeptLayer>,
    pub(crate) end: Vec<Buf>,
    /// Keys and values before the sequences, and what making them saved.
    pub(crate) prefixes: Prefixes,
}

impl Tape {
    /// Elements that the next layer would keep, if all layers are alike, and those before it.
    pub(crate) fn elements_with_another(&mut self) -> usize {
        let Some(KeptLayer::Whole(first)) = self.layers.first_mut() else { return 0 };
        first.elements() * (self.layers.len() + 1)
    }

    /// Gives back what is left.
    pub(crate) fn free(self, cx: &mut Context) {
        self.embeddings.into_iter().chain(self.end).for_each(|buffer| cx.give(buffer));
        self.prefixes.free(cx);
        self.layers.into_iter().for_each(|layer| layer.free(cx));
    }
}
