//! What in a text an answer hangs on: the answer is given again without each word in turn.
//!
//! The effect of a word is the number that is explained less the same number without the word: no
//! guess by gradients, but what the adapter says. All texts without a word are one batch.

use std::ops::Range;

use budwood_base::head::HeadKind;
use budwood_tasks::{Dataset, Example, Input, Target};
use serde::Serialize;

use crate::answer::{Answer, AnswerOptions, typed};
use crate::{Adapter, Error};

/// Words of an input at most: for each of them it is answered once.
pub const MOST_WORDS: usize = 2000;

/// An answer, and what it hangs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What is explained: the likeliest class, each label that holds (the likeliest one if none
    /// does), or the number.
    pub explained: Vec<Explained>,
}

/// One number, and what it hangs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The class or label whose probability it is; `value` for a number.
    pub of: String,
    /// The number: a probability, or the value in the unit of the data.
    pub number: f32,
    /// The words of all texts, in their order.
    pub words: Vec<Word>,
}

/// A word with its effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// The word as it stands there.
    pub word: String,
    /// The text that it stands in, by the name of its cell: `text` or `text2`.
    pub part: &'static str,
    /// Its first character in that text, counted from 0.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
    /// How much larger the number is with the word than without it.
    pub effect: f32,
}

impl Adapter {
    /// Answers an input, and says what the answer hangs on.
    ///
    /// # Errors
    /// [`Error::Input`] if the input is not of the adapter's kind or has more than [`MOST_WORDS`]
    /// words, [`Error::Setting`] if the adapter answers questions, tags words or reads images.
    pub fn explain(&self, input: &Input, options: &AnswerOptions) -> Result<Explanation, Error> {
        self.can_explain()?;
        self.check(0, input)?;
        let kind = self.meta().head.kind;
        let labels = &self.meta().labels[..];
        let cells = input.cells();
        let places = |(part, (_, text)): (usize, &(&str, std::borrow::Cow<'_, str>))| {
            words(text).into_iter().map(|word| (part, word)).collect::<Vec<_>>()
        };
        let places: Vec<(usize, Range<usize>)> =
            cells.iter().enumerate().flat_map(places).collect();
        if places.len() > MOST_WORDS {
            let message = format!(
                "the input has {} words; an explanation answers it once without each of them, and takes \
                 {MOST_WORDS} at most",
                places.len()
            );
            return Err(Error::Input { row: 1, message });
        }
        let without = |(part, word): &(usize, Range<usize>)| {
            let mut texts: Vec<String> = cells.iter().map(|(_, text)| text.to_string()).collect();
            texts[*part] = left_out(&texts[*part], word);
            let mut texts = texts.into_iter();
            match (texts.next(), texts.next()) {
                (Some(a), Some(b)) => Input::Pair(a, b),
                (a, _) => Input::Text(a.unwrap_or_default()),
            }
        };
        let inputs = std::iter::once(input.clone()).chain(places.iter().map(without));
        let example = |input| Example { input, target: Target::None };
        let data = Dataset::from_examples(inputs.map(example).collect(), "input", "explanation");
        let (prepared, answers) = self.answers(&data)?;
        let numbers = |i: usize| match kind {
            HeadKind::Classification => answers.probabilities(i),
            HeadKind::MultiLabel => answers.label_probabilities(i),
            _ => vec![answers.value(i)],
        };
        let whole = numbers(0);
        let explained: Vec<usize> = match kind {
            HeadKind::MultiLabel => {
                let holding = answers.labels(0, &prepared).into_iter().map(|l| l as usize);
                let holding: Vec<usize> = holding.collect();
                if holding.is_empty() { vec![answers.class(0) as usize] } else { holding }
            }
            HeadKind::Classification => vec![answers.class(0) as usize],
            _ => vec![0],
        };
        let without: Vec<Vec<f32>> = (1..=places.len()).map(numbers).collect();
        let of = |number: usize| {
            let word = |((part, place), without): (&(usize, Range<usize>), &Vec<f32>)| {
                let (name, text) = &cells[*part];
                let characters = |bytes: usize| text[..bytes].chars().count();
                Word {
                    word: text[place.clone()].into(),
                    part: name,
                    start: characters(place.start),
                    end: characters(place.end),
                    effect: whole[number] - without[number],
                }
            };
            Explained {
                of: labels.get(number).cloned().unwrap_or_else(|| "value".into()),
                number: whole[number],
                words: places.iter().zip(&without).map(word).collect(),
            }
        };
        let explained = explained.into_iter().map(of).collect();
        let first = Dataset { examples: data.examples[..1].to_vec(), ..data.clone() };
        let answer = typed((kind, labels), (&first, &prepared), &answers, options).remove(0);
        Ok(Explanation { answer, explained })
    }

    /// Refuses adapters of which nothing can be explained by words that are left out.
    ///
    /// # Errors
    /// [`Error::Setting`] with the reason.
    pub fn can_explain(&self) -> Result<(), Error> {
        let why = match self.meta().head.kind {
            HeadKind::QuestionAnswering => {
                "this one answers questions with a part of the text itself"
            }
            HeadKind::TokenClassification => "this one gives each word an answer of its own",
            HeadKind::MaskedLm => "this one gives words",
            _ if self.reader().processor().is_some() => {
                "this one reads images, which have no words"
            }
            _ => return Ok(()),
        };
        let message =
            format!("is for adapters that give classes, labels or a number for texts; {why}");
        Err(Error::Setting { name: "explain", message })
    }
}

/// The text without a word, and without the blanks after it.
fn left_out(text: &str, word: &Range<usize>) -> String {
    format!("{}{}", &text[..word.start], text[word.end..].trim_start())
}

/// Where the words of a text are: what stands between blanks; each character of a script that is
/// written without them.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (i, c) in text.char_indices() {
        let end = i + c.len_utf8();
        if c.is_whitespace() {
            open = false;
        } else if is_alone(c) {
            words.push(i..end);
            open = false;
        } else if let (true, Some(last)) = (open, words.last_mut()) {
            last.end = end;
        } else {
            words.push(i..end);
            open = true;
        }
    }
    words
}

/// Whether a character is a word: Chinese and Japanese are written without blanks.
fn is_alone(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff
        | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_between_blanks_or_are_characters() {
        let split = |text| words(text).into_iter().map(|w| &text[w]).collect::<Vec<_>>();
        assert_eq!(split("  A warm,\tfunny\u{a0}film. "), ["A", "warm,", "funny", "film."]);
        assert_eq!(split("看 film看看x"), ["看", "film", "看", "看", "x"]);
        assert!(split(" \n").is_empty() && split("").is_empty());
    }

    #[test]
    fn a_word_goes_with_the_blank_after_it() {
        let text = "A warm  film";
        let all: Vec<String> = words(text).iter().map(|w| left_out(text, w)).collect();
        assert_eq!(all, ["warm  film", "A film", "A warm  "]);
    }
}
