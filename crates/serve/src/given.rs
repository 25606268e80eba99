//! What requests give: JSON values to inputs, as the adapter reads them.

use std::sync::Arc;

use budwood::reader::Reader;
use budwood::{Adapter, Image, ImageContent, Input};
use budwood_base::head::HeadKind;
use serde_json::Value;

use crate::fault::Fault;

/// What an adapter reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Pair,
    Words,
    Question,
    Image,
}

impl Form {
    pub(crate) fn of(adapter: &Adapter) -> Self {
        let meta = adapter.meta();
        match (meta.head.kind, adapter.reader()) {
            (HeadKind::QuestionAnswering, _) => Self::Question,
            (HeadKind::TokenClassification, _) => Self::Words,
            (_, Reader::Images(..)) => Self::Image,
            _ if meta.task.text_columns.len() == 2 => Self::Pair,
            _ => Self::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a text: \"...\"",
            Self::Pair => "two texts: [\"...\", \"...\"]",
            Self::Words => "a text, or {\"words\": [\"...\"]}",
            Self::Question => "{\"question\": \"...\", \"context\": \"...\"}",
            Self::Image => "an image: its file in base64",
        }
    }

    /// The inputs of a value with their places, and whether it is a list of them.
    pub(crate) fn split(self, value: Value) -> (Vec<(usize, Value)>, bool) {
        match value {
            Value::Array(all) => {
                // Two texts are a pair to adapters that read pairs, and else a list of two.
                let texts = all.len() == 2 && all.iter().all(Value::is_string);
                match self == Self::Pair && texts {
                    true => (vec![(0, Value::Array(all))], false),
                    false => (all.into_iter().enumerate().collect(), true),
                }
            }
            one => (vec![(0, one)], false),
        }
    }

    /// Inputs of values with their places in the request; images may have so many pixels together.
    ///
    /// # Errors
    /// If a value is not of the form, or there are too many pixels.
    pub(crate) fn inputs(
        self,
        values: Vec<(usize, Value)>,
        pixels: u64,
    ) -> Result<Vec<Input>, Fault> {
        let (mut left, several) = (Pixels { most: pixels, left: pixels }, values.len() > 1);
        let one = |(place, value)| {
            let input = self.input(value, &mut left);
            input.map_err(|fault| match several || place > 0 {
                true => fault.of(format_args!("input {place} (the first is 0)")),
                false => fault,
            })
        };
        values.into_iter().map(one).collect()
    }

    fn input(self, value: Value, pixels: &mut Pixels) -> Result<Input, Fault> {
        let unfit = || Fault::unfit(format!("this adapter reads {}", self.name()));
        Ok(match (self, value) {
            (Self::Text, Value::String(text)) => Input::Text(text),
            (Self::Text, value) => Input::Text(only(value).ok_or_else(unfit)?),
            (Self::Pair, value) => {
                let [a, b] = two(value).ok_or_else(unfit)?;
                Input::Pair(a, b)
            }
            (Self::Words, Value::String(text)) => Input::words_of(&text),
            (Self::Words, Value::Object(mut fields)) => match fields.remove("words") {
                Some(words) => Input::Words(strings(words).ok_or_else(unfit)?),
                None => Input::words_of(&only(Value::Object(fields)).ok_or_else(unfit)?),
            },
            (Self::Words, value) => Input::Words(strings(value).ok_or_else(unfit)?),
            (Self::Question, Value::Object(mut fields)) => {
                let mut text = |name: &str| match fields.remove(name) {
                    Some(Value::String(text)) => Ok(text),
                    _ => Err(unfit()),
                };
                Input::Question {
                    question: text("question")?,
                    context: text("context")?.into(),
                    article: "".into(),
                }
            }
            (Self::Image, Value::String(text)) => {
                image(ImageContent::bytes_of_base64(&text).ok_or_else(unfit)?, pixels)?
            }
            (Self::Question | Self::Image, _) => return Err(unfit()),
        })
    }
}

/// Pixels that a request may have, and those of them that it has not used.
struct Pixels {
    most: u64,
    left: u64,
}

/// The image of a file alone.
///
/// # Errors
/// If it cannot be decoded, or has too many pixels.
pub(crate) fn file(bytes: Vec<u8>, pixels: u64) -> Result<Input, Fault> {
    image(bytes, &mut Pixels { most: pixels, left: pixels })
}

/// What its header says is counted before it is decoded.
fn image(bytes: Vec<u8>, pixels: &mut Pixels) -> Result<Input, Fault> {
    let unfit = |e: budwood_images::Error| Fault::unfit(format!("the image {e}"));
    let (width, height) = budwood_images::check(&bytes).map_err(unfit)?;
    let own = width as u64 * height as u64;
    pixels.left = pixels.left.checked_sub(own).ok_or_else(|| {
        let most = pixels.most / 1_000_000;
        Fault::large(format!("the images of a request may have {most} million pixels together"))
    })?;
    let content = ImageContent::Bytes(Arc::from(bytes));
    Image::open("the image", content).map(Input::Image).map_err(|e| Fault::unfit(e.to_string()))
}

/// Values in a JSON text, at most: each but the first stands behind a comma, a colon or an opening
/// bracket.
pub(crate) fn values(text: &[u8]) -> usize {
    let (mut values, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b':' | b'[' | b'{' if !quoted => values += 1,
            _ => {}
        }
    }
    values
}

/// A text by itself in a list or under the name `text`.
fn only(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(mut all) if all.len() == 1 => only(all.remove(0)),
        Value::Object(mut fields) => match fields.remove("text") {
            Some(Value::String(text)) if fields.is_empty() => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn two(value: Value) -> Option<[String; 2]> {
    match value {
        Value::Array(_) => <[String; 2]>::try_from(strings(value)?).ok(),
        Value::Object(mut fields) => {
            let a = fields.remove("text")?;
            let b = fields.remove("text_pair").or_else(|| fields.remove("text2"))?;
            match (a, b) {
                (Value::String(a), Value::String(b)) => Some([a, b]),
                _ => None,
            }
        }
        _ => None,
    }
}

fn strings(value: Value) -> Option<Vec<String>> {
    let Value::Array(all) = value else { return None };
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    all.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_inputs_of_the_adapters_form() {
        let text = |t: &str| Input::Text(t.into());
        let pair = |a: &str, b: &str| Input::Pair(a.into(), b.into());
        let words = |w: &[&str]| Input::Words(w.iter().map(ToString::to_string).collect());
        for (form, value, wanted) in [
            (Form::Text, json!("a"), Some(text("a"))),
            (Form::Text, json!(["a"]), Some(text("a"))),
            (Form::Text, json!({"text": "a"}), Some(text("a"))),
            (Form::Text, json!(["a", "b"]), None),
            (Form::Text, json!(3), None),
            (Form::Text, json!({"text": "a", "text_pair": "b"}), None),
            (Form::Pair, json!(["a", "b"]), Some(pair("a", "b"))),
            (Form::Pair, json!({"text": "a", "text_pair": "b"}), Some(pair("a", "b"))),
            (Form::Pair, json!("a"), None),
            (Form::Words, json!("to Rome."), Some(words(&["to", "Rome", "."]))),
            (Form::Words, json!(["to", "Rome"]), Some(words(&["to", "Rome"]))),
            (Form::Words, json!({"words": ["x"]}), Some(words(&["x"]))),
            (Form::Question, json!({"question": "q"}), None),
            (Form::Image, json!("no base64"), None),
            (Form::Image, json!("AAAA"), None),
        ] {
            assert_eq!(
                form.inputs(vec![(0, value.clone())], 100).ok().and_then(|mut i| i.pop()),
                wanted,
                "{form:?} {value}"
            );
        }
    }

    #[test]
    fn values_are_counted_outside_of_texts() {
        // Names count too, and an empty list as if something were in it.
        for (text, n) in
            [("3", 1), ("[1,2,3]", 4), (r#"{"a":"b,[\",:","c":[]}"#, 6), (r#""\\",1"#, 2), ("", 1)]
        {
            assert_eq!(values(text.as_bytes()), n, "{text}");
        }
    }

    #[test]
    fn lists_are_told_from_pairs() {
        assert_eq!(Form::Text.split(json!(["a", "b"])).0.len(), 2);
        assert!(!Form::Pair.split(json!(["a", "b"])).1);
        assert_eq!(Form::Pair.split(json!([["a", "b"], ["c", "d"]])).0.len(), 2);
        assert!(!Form::Text.split(json!("a")).1);
        assert!(Form::Text.split(json!([])).1);
    }
}
