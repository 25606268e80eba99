//! Examples with their targets.

use std::borrow::Cow;
use std::sync::Arc;

use budwood_base::digest;
use budwood_base::record::DataDigest;

use crate::Image;

/// What an example's answer should be.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of the classes.
    Class(u32),
    /// For each of the labels, 1 where it holds, else 0.
    Labels(Vec<f32>),
    /// A number.
    Value(f32),
    /// The right answers to a question, of which the first is learned; none where the text holds no
    /// answer.
    Answers(Vec<Answer>),
    /// For each word its tag.
    Tags(Vec<u32>),
    /// Not known.
    None,
}

/// An answer that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// The byte of the text at which it begins.
    pub start: usize,
}

/// What a model is shown of an example.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A text.
    Text(String),
    /// Two texts.
    Pair(String, String),
    /// An image.
    Image(Image),
    /// A question and the text that holds its answer.
    Question {
        /// The question.
        question: String,
        /// The text; questions share it.
        context: Arc<str>,
        /// What it is part of: questions of one article stay together in a split.
        article: Arc<str>,
    },
    /// The words of a sentence.
    Words(Vec<String>),
}

impl Input {
    /// One text, or two.
    pub fn texts(a: impl Into<String>, b: Option<impl Into<String>>) -> Self {
        match b {
            None => Self::Text(a.into()),
            Some(b) => Self::Pair(a.into(), b.into()),
        }
    }

    /// The words of a plain text: what stands between white space, punctuation at its ends by
    /// itself.
    pub fn words_of(text: &str) -> Self {
        let mut words = Vec::new();
        for piece in text.split_whitespace() {
            let inner = |c: char| !c.is_ascii_punctuation();
            let first = piece.find(inner).unwrap_or(piece.len());
            let last = piece.char_indices().rev().find(|(_, c)| inner(*c));
            let end = last.map_or(first, |(i, c)| i + c.len_utf8());
            words.extend(piece[..first].chars().map(String::from));
            words.extend((first < end).then(|| piece[first..end].to_string()));
            words.extend(piece[end..].chars().map(String::from));
        }
        Self::Words(words)
    }

    /// As columns of a table of answers: names and cells.
    pub fn cells(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        match self {
            Self::Text(text) => vec![("text", text.into())],
            Self::Pair(a, b) => vec![("text", a.into()), ("text2", b.into())],
            Self::Image(image) => vec![("image", (&image.name).into())],
            Self::Question { question, context, .. } => {
                vec![("question", question.into()), ("context", (&**context).into())]
            }
            Self::Words(words) => vec![("text", words.join(" ").into())],
        }
    }

    /// What it is, by content: named parts of a digest.
    pub(crate) fn parts(&self) -> Vec<(&'static str, &[u8])> {
        match self {
            Self::Text(text) => vec![("a", text.as_bytes())],
            Self::Pair(a, b) => vec![("a", a.as_bytes()), ("b", b.as_bytes())],
            Self::Image(image) => vec![("image", image.sha256.as_bytes())],
            Self::Question { question, context, .. } => {
                vec![("question", question.as_bytes()), ("context", context.as_bytes())]
            }
            Self::Words(words) => words.iter().map(|w| ("word", w.as_bytes())).collect(),
        }
    }
}

/// One example.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What the model is shown.
    pub input: Input,
    /// What its answer should be.
    pub target: Target,
}

/// The examples of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The examples in the order of the file.
    pub examples: Vec<Example>,
    /// Which they are, by content.
    pub digest: DataDigest,
    /// Rows and images that were left out, each with the reason; of very many only the first.
    pub skipped: Vec<String>,
}

impl Dataset {
    /// A data set of these examples; the digest is made from their content.
    pub fn from_examples(examples: Vec<Example>, split: &str, source: &str) -> Self {
        let targets: Vec<String> = examples.iter().map(|e| format!("{:?}", e.target)).collect();
        let parts = examples.iter().zip(&targets).flat_map(|(example, target)| {
            example.input.parts().into_iter().chain([("target", target.as_bytes())])
        });
        let sha256 = digest::of_parts(parts);
        let rows = examples.len() as u64;
        let digest =
            DataDigest { split: split.into(), source: source.into(), rows, sha256, skipped: 0 };
        Self { examples, digest, skipped: Vec::new() }
    }
}

/// Examples that may still be divided: a data set without its digest, which takes a while.
pub(crate) struct Rows {
    pub(crate) examples: Vec<Example>,
    pub(crate) split: String,
    pub(crate) source: String,
    pub(crate) left_out: u64,
    pub(crate) skipped: Vec<String>,
}

impl Rows {
    /// The data set.
    pub(crate) fn into_dataset(self) -> Dataset {
        let mut data = Dataset::from_examples(self.examples, &self.split, &self.source);
        data.digest.skipped = self.left_out;
        data.skipped = self.skipped;
        data
    }
}

impl From<Dataset> for Rows {
    fn from(data: Dataset) -> Self {
        let (split, source) = (data.digest.split, data.digest.source);
        let left_out = data.digest.skipped;
        Self { examples: data.examples, split, source, left_out, skipped: data.skipped }
    }
}
