//! A sentence of words for a model that reads tokens: a word's tag stands at the first of its
//! tokens.

use crate::{Encoded, Error, Tokenizer};

/// Where the words of a sentence stand in its inputs.
#[derive(Clone, Debug)]
pub struct Sentence {
    /// For each word its input and its first token there.
    words: Vec<(usize, usize)>,
    inputs: usize,
}

impl Sentence {
    /// Cuts a sentence, between words, into as many inputs as its tokens need. A word that does not
    /// fit one input by itself loses its last tokens.
    ///
    /// # Errors
    /// If the tokenizer fails, or `max_length` leaves no room for a token.
    pub fn new(
        tokenizer: &Tokenizer,
        words: &[String],
        max_length: usize,
    ) -> Result<(Self, Vec<Encoded>), Error> {
        let room = tokenizer.room(max_length, false)?;
        let mut pieces: Vec<Vec<u32>> = vec![Vec::new()];
        let mut places = Vec::with_capacity(words.len());
        for word in words {
            let mut ids = tokenizer.word(word)?;
            ids.truncate(room);
            if pieces.last().is_some_and(|p| p.len() + ids.len() > room) {
                pieces.push(Vec::new());
            }
            let input = pieces.len() - 1;
            places.push((input, pieces[input].len()));
            pieces[input].extend(ids);
        }
        let framed: Vec<_> = pieces.iter().map(|ids| tokenizer.frame(ids, None)).collect();
        let words = places.into_iter().map(|(i, token)| (i, token + framed[i].1)).collect();
        let inputs = framed.into_iter().map(|(input, _)| input).collect::<Vec<_>>();
        Ok((Self { words, inputs: inputs.len() }, inputs))
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// For each input, whose lengths are given, and each token the tag of the word that begins
    /// there.
    pub fn targets(&self, tags: &[u32], lengths: &[usize]) -> Vec<Vec<Option<u32>>> {
        let mut targets: Vec<_> = lengths.iter().map(|&n| vec![None; n]).collect();
        for (&(input, token), &tag) in self.words.iter().zip(tags) {
            targets[input][token] = Some(tag);
        }
        targets
    }

    /// The tag of each word with its probability, from the outputs `[tokens, tags]` of each input.
    ///
    /// # Panics
    /// If the outputs are not those of the inputs.
    pub fn tags(&self, outputs: &[Vec<f32>], tags: usize) -> Vec<(u32, f32)> {
        let tag = |&(input, token): &(usize, usize)| {
            let logits = &outputs[input][token * tags..(token + 1) * tags];
            let best = (0..tags).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
            let total: f32 = logits.iter().map(|x| (x - logits[best]).exp()).sum();
            (best as u32, 1.0 / total)
        };
        self.words.iter().map(tag).collect()
    }
}
