//! From texts to what a masked language model reads, and from what it gives to words.

use std::sync::Arc;

use budwood_base::masking::Masking;
use budwood_model::Targets;
use budwood_tasks::{Dataset, Encoded, Example, Input, MaskedText, Tokenizer};

use crate::data::{Inputs, Parts, of_each};
use crate::masked::{Blanks, Masked, targets};
use crate::{Error, Prepared};

/// Encodes texts for a masked language model, in windows of at most `max_length` tokens, on
/// `threads` threads. With `masking` masks are chosen; without, the masks that stand in the texts
/// are to be filled.
///
/// # Errors
/// If the tokenizer has no mask or fails, an example is not one text, or there is nothing to mask.
pub fn prepare_masked(
    tokenizer: &Arc<Tokenizer>,
    data: &Dataset,
    masking: Option<Masking>,
    max_length: usize,
    threads: usize,
) -> Result<Prepared, Error> {
    let (mask, _) = tokenizer.mask()?;
    let windows = |example: &Example| match &example.input {
        Input::Text(text) if masking.is_some() => Ok(tokenizer.windows(text, max_length)?),
        Input::Text(text) => Ok(tokenizer.blanks(text, max_length)?),
        _ => Err(Error::Usage("a masked language model reads one text at a time".into())),
    };
    let all = of_each(&data.examples, threads, windows)?;
    let windows: Vec<usize> = all.iter().map(Vec::len).collect();
    let truncated = windows.iter().filter(|n| **n > 1).count();
    let tokens = |w: &Vec<(Encoded, _)>| w.iter().map(|(input, _)| input.ids.len()).sum();
    let whole: Vec<usize> = all.iter().map(tokens).collect();
    let texts: Vec<(Encoded, Vec<u32>)> = all.into_iter().flatten().collect();
    if texts.is_empty() {
        let what = match masking {
            Some(_) => "no text holds a token that can be masked".into(),
            None => format!("no text holds {mask}, the place that is to be filled"),
        };
        return Err(Error::Usage(what));
    }
    let tokenizer = Arc::clone(tokenizer);
    let Some(masking) = masking else {
        let (texts, asked) = texts.into_iter().unzip();
        let parts = Parts::Blanks(Arc::new(Blanks { tokenizer, windows, asked }));
        return Ok(Prepared {
            truncated,
            whole,
            ..Prepared::new(Inputs::Texts(texts), None, parts)
        });
    };
    let masked = Masked::new(texts, tokenizer.masker(masking)?);
    let fixed: Vec<MaskedText> = (0..masked.len()).map(|i| masked.fixed(i)).collect();
    let targets = Some(targets(&fixed));
    let asked = fixed.into_iter().map(|text| text.places).collect();
    let parts = Parts::Blanks(Arc::new(Blanks { tokenizer, windows, asked }));
    let inputs = Inputs::Masked(Box::new(masked));
    Ok(Prepared { truncated, whole, ..Prepared::new(inputs, targets, parts) })
}

impl Prepared {
    /// A token as people write it, of the vocabulary of these masked texts; nothing of other data.
    pub fn written(&self, token: u32) -> String {
        match &self.parts {
            Parts::Blanks(blanks) => blanks.tokenizer.written(token),
            _ => String::new(),
        }
    }

    /// The mask as it stands in texts; nothing where the data are of another kind.
    pub fn mask(&self) -> Option<&'static str> {
        match &self.parts {
            Parts::Blanks(blanks) => blanks.tokenizer.mask().ok().map(|(name, _)| name),
            _ => None,
        }
    }

    /// The tokens that belong at the masked places of each text, in order, where they are known.
    pub fn right_words(&self) -> Vec<Vec<u32>> {
        let (Parts::Blanks(blanks), Some(Targets::Words(words))) = (&self.parts, &self.targets)
        else {
            return Vec::new();
        };
        let mut inputs = words.iter();
        let of_text = |&n: &usize| inputs.by_ref().take(n).flatten().copied().collect();
        blanks.windows.iter().map(of_text).collect()
    }
}
