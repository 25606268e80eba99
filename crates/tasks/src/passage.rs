//! A question with the text that holds its answer: cut into windows for the model, and answers from
//! what the model says of each token (Devlin et al. 2019, section 4.2, and its code).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::dataset::Answer;
use crate::tokenizer::Bytes;
use crate::{Encoded, Error, Tokenizer};

/// Tokens that a question is cut to, as in BERT's code.
const QUESTION_TOKENS: usize = 64;

/// A text cut into windows.
#[derive(Clone, Debug)]
pub struct Passage {
    context: Arc<str>,
    /// The bytes that each token of the text stands for.
    bytes: Vec<Bytes>,
    windows: Vec<Window>,
}

/// The part of a text that stands in one input.
#[derive(Clone, Debug)]
struct Window {
    /// Its tokens among those of the text.
    tokens: Range<usize>,
    /// The place of the first of them in the input.
    first: usize,
}

/// How answers are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// Beginnings and ends of each window that are tried, and answers that are kept.
    pub n_best: usize,
    /// The longest answer in tokens.
    pub max_tokens: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        Self { n_best: 20, max_tokens: 30 }
    }
}

/// A possible answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Cut from the text as it was given.
    pub text: String,
    /// The bytes of the text.
    pub bytes: Range<usize>,
    /// Sum of the outputs for beginning and end.
    pub score: f32,
    /// Share of it in a softmax over all that were kept.
    pub probability: f32,
}

impl Passage {
    /// Cuts a text into windows of at most `max_length` tokens, question and special tokens
    /// included, that begin `stride` tokens after each other; the last ends with the text.
    ///
    /// # Errors
    /// If the tokenizer fails, or `max_length` leaves no room for the text.
    pub fn new(
        tokenizer: &Tokenizer,
        question: &str,
        context: &Arc<str>,
        max_length: usize,
        stride: usize,
    ) -> Result<(Self, Vec<Encoded>), Error> {
        let mut question = tokenizer.ids(question)?;
        question.truncate(QUESTION_TOKENS);
        let (ids, bytes) = tokenizer.ids_and_bytes(context)?;
        let room = tokenizer.room(max_length, true)?.saturating_sub(question.len());
        if room == 0 {
            let message = format!(
                "--max-length {max_length} leaves no room for a text beside a question of {} tokens",
                question.len()
            );
            return Err(Error::Usage(message));
        }
        let (mut windows, mut inputs, mut start) = (Vec::new(), Vec::new(), 0);
        loop {
            let tokens = start..ids.len().min(start + room);
            let (input, first) = tokenizer.frame(&question, Some(&ids[tokens.clone()]));
            inputs.push(input);
            windows.push(Window { tokens: tokens.clone(), first });
            if tokens.end == ids.len() {
                break;
            }
            start += stride.clamp(1, room);
        }
        Ok((Self { context: Arc::clone(context), bytes, windows }, inputs))
    }

    /// Number of windows.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// Tokens of the text, whatever windows they stand in.
    pub fn tokens(&self) -> usize {
        self.bytes.len()
    }

    /// The places where the text holds no answer: the first token of each window.
    pub fn no_places(&self) -> Vec<(u32, u32)> {
        vec![(0, 0); self.windows.len()]
    }

    /// How sure the outputs `[tokens, 2]` of each window are that the text holds no answer: the
    /// least over the windows of what they say of the first token, as BERT's code for SQuAD 2.0.
    pub fn none_score(outputs: &[Vec<f32>]) -> f32 {
        let first = |window: &Vec<f32>| window.first().zip(window.get(1)).map(|(a, b)| a + b);
        outputs.iter().filter_map(first).reduce(f32::min).unwrap_or(0.0)
    }

    /// For each window the first and the last token of the answer in the input, or the first token
    /// of all where it does not hold the whole answer.
    pub fn places(&self, answer: &Answer) -> Vec<(u32, u32)> {
        let text = answer.text.trim_start();
        let start = answer.start + answer.text.len() - text.len();
        let end = start + text.trim_end().len();
        let first = self.bytes.partition_point(|b| b.0 as usize <= start).saturating_sub(1);
        let last = self.bytes.partition_point(|b| (b.1 as usize) < end);
        let place = |w: &Window| {
            if !(w.tokens.contains(&first) && w.tokens.contains(&last) && first <= last) {
                return (0, 0);
            }
            let at = |token: usize| (w.first + token - w.tokens.start) as u32;
            (at(first), at(last))
        };
        self.windows.iter().map(place).collect()
    }

    /// The best answers, best first, from the outputs `[tokens, 2]` of each window. None if no
    /// beginning that was tried has an end after it.
    ///
    /// # Panics
    /// If the outputs are not those of the windows.
    pub fn candidates(&self, outputs: &[Vec<f32>], limits: AnswerLimits) -> Vec<Candidate> {
        assert_eq!(outputs.len(), self.windows.len());
        // Windows overlap: of answers at the same place, the surest counts.
        let mut best: BTreeMap<(usize, usize), f32> = BTreeMap::new();
        for (window, outputs) in self.windows.iter().zip(outputs) {
            let output = |token: usize, column: usize| {
                outputs[2 * (window.first + token - window.tokens.start) + column]
            };
            let tops = [0, 1].map(|column| {
                let mut tokens: Vec<usize> = window.tokens.clone().collect();
                tokens.sort_by(|&a, &b| output(b, column).total_cmp(&output(a, column)));
                tokens.truncate(limits.n_best);
                tokens
            });
            for &first in &tops[0] {
                for &last in &tops[1] {
                    if first <= last && last - first < limits.max_tokens {
                        let score = output(first, 0) + output(last, 1);
                        let known = best.entry((first, last)).or_insert(score);
                        *known = known.max(score);
                    }
                }
            }
        }
        let mut ranked: Vec<((usize, usize), f32)> = best.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.truncate(limits.n_best);
        let largest = ranked.first().map_or(0.0, |(_, score)| *score);
        let total: f32 = ranked.iter().map(|(_, score)| (score - largest).exp()).sum();
        let candidate = |((first, last), score): ((usize, usize), f32)| {
            let bytes = self.bytes[first].0 as usize..self.bytes[last].1 as usize;
            let cut = self.context.get(bytes.clone()).unwrap_or_default();
            let text = cut.trim();
            let start = bytes.start + cut.len() - cut.trim_start().len();
            let bytes = start..start + text.len();
            let probability = (score - largest).exp() / total;
            Candidate { text: text.into(), bytes, score, probability }
        };
        ranked.into_iter().map(candidate).collect()
    }
}
