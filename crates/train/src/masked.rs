//! Texts of a masked language model: other places of them are masked each time, or places that
//! stand in them are to be filled.

use std::fmt;
use std::sync::Arc;

use budwood_base::random::Key;
use budwood_model::{Batch, Targets};
use budwood_tasks::{Encoded, MaskedText, Masker, Tokenizer};

/// How inputs make up texts, and what is asked of them.
pub(crate) struct Blanks {
    /// Names of tokens.
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// Inputs of each text: its windows.
    pub(crate) windows: Vec<usize>,
    /// The places of each input that are asked for; where masks are chosen, those of scores.
    pub(crate) asked: Vec<Vec<u32>>,
}

impl fmt::Debug for Blanks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blanks").field("windows", &self.windows).finish_non_exhaustive()
    }
}

/// Texts of which other places are masked each time.
#[derive(Debug)]
pub(crate) struct Masked {
    /// The texts as they are, with the word of each token.
    texts: Vec<(Encoded, Vec<u32>)>,
    masker: Masker,
}

impl Masked {
    /// Texts with the word of each token, and what masks them.
    pub(crate) fn new(texts: Vec<(Encoded, Vec<u32>)>, masker: Masker) -> Self {
        Self { texts, masker }
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Tokens of a text.
    pub(crate) fn length(&self, input: usize) -> usize {
        self.texts[input].0.ids.len()
    }

    /// A text as this key masks it.
    pub(crate) fn text(&self, input: usize, key: Key) -> MaskedText {
        let (encoded, words) = &self.texts[input];
        self.masker.mask(&encoded.ids, words, key)
    }

    /// A text as it is masked for scores: the same for the same text, in any data and any run, so
    /// that perplexities of models with one vocabulary can be compared.
    pub(crate) fn fixed(&self, input: usize) -> MaskedText {
        let ids = &self.texts[input].0.ids;
        let key = ids.iter().fold(Key::new(0).named("masks"), |key, id| key.child(u64::from(*id)));
        self.text(input, key)
    }
}

/// Masked texts as the model reads them.
pub(crate) fn batch(texts: &[MaskedText]) -> Batch {
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
    let types = vec![0; longest];
    let sequences = texts.iter().map(|text| (&text.ids[..], &types[..text.ids.len()]));
    Batch::from_sequences(sequences).asking(texts.iter().map(|text| &text.places[..]))
}

/// What belongs at the masked places.
pub(crate) fn targets(texts: &[MaskedText]) -> Targets {
    Targets::Words(texts.iter().map(|text| text.words.clone()).collect())
}
