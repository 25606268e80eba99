//! Answers in the shapes that clients of other servers know.

use budwood::Answer;
use serde_json::{Value, json};

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Logits instead of probabilities.
    pub(crate) raw: bool,
    /// So many of the likeliest.
    pub(crate) top: Option<usize>,
}

/// Labels with numbers, largest first: the shape of text-embeddings-inference.
fn sorted(mut scores: Vec<(String, f32)>, wanted: Wanted) -> Value {
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.truncate(wanted.top.unwrap_or(usize::MAX));
    let one = |(label, score): (String, f32)| json!({ "label": label, "score": score });
    scores.into_iter().map(one).collect()
}

/// An answer; `text` is what words were taken from, for their places in it.
pub(crate) fn answer(
    answer: &Answer,
    outputs: &[f32],
    text: Option<&str>,
    wanted: Wanted,
) -> Value {
    let raw = |scores: &[(String, f32)]| match wanted.raw {
        true => scores.iter().zip(outputs).map(|((l, _), x)| (l.clone(), *x)).collect(),
        false => scores.to_vec(),
    };
    match answer {
        Answer::Class { scores, .. } | Answer::Labels { scores, .. } => sorted(raw(scores), wanted),
        Answer::Value { value } => json!([{ "label": "value", "score": value }]),
        Answer::Span { answer, start, score, .. } => {
            let end = start.map(|s| s + answer.chars().count());
            json!({ "answer": answer, "score": score, "start": start, "end": end })
        }
        Answer::Words { words, entities, .. } => {
            let places = places(words, text);
            let one = |e: &budwood::answer::Entity| {
                let (start, end) = match &places {
                    Some(places) => (places[e.first_word].0, places[e.last_word].1),
                    None => (e.start, e.end),
                };
                json!({
                    "entity_group": e.kind,
                    "score": e.score,
                    "word": e.text,
                    "start": start,
                    "end": end,
                })
            };
            entities.iter().map(one).collect()
        }
        other => json!(other),
    }
}

/// First character of each word in the text, and the one after its last.
fn places(words: &[String], text: Option<&str>) -> Option<Vec<(usize, usize)>> {
    let text = text?;
    let (mut byte, mut character) = (0, 0);
    let mut places = Vec::with_capacity(words.len());
    for word in words {
        let at = byte + text[byte..].find(word.as_str())?;
        character += text[byte..at].chars().count();
        let length = word.chars().count();
        places.push((character, character + length));
        (byte, character) = (at + word.len(), character + length);
    }
    Some(places)
}

/// The text that words were taken from, if the input was one.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// An answer in the shape of vLLM's classification.
pub(crate) fn classified(answer: &Answer, index: usize) -> Value {
    match answer {
        Answer::Class { label, scores, .. } => {
            let probs: Vec<f32> = scores.iter().map(|(_, p)| *p).collect();
            json!({ "index": index, "label": label, "probs": probs, "num_classes": probs.len() })
        }
        Answer::Labels { labels, scores } => {
            let probs: Vec<f32> = scores.iter().map(|(_, p)| *p).collect();
            json!({
                "index": index,
                "label": labels.first(),
                "labels": labels,
                "probs": probs,
                "num_classes": probs.len(),
            })
        }
        other => json!({ "index": index, "answer": other }),
    }
}

/// A vector of length 1.
pub(crate) fn normalized(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    vector.iter().map(|x| x / length).collect()
}

#[cfg(test)]
mod tests {
    use budwood::Input;

    use super::*;

    #[test]
    fn places_are_characters_of_the_text() {
        let text = "Zoë  fährt (nach) Köln.";
        let Input::Words(words) = Input::words_of(text) else { panic!() };
        let characters: Vec<char> = text.chars().collect();
        for (word, (start, end)) in words.iter().zip(places(&words, Some(text)).unwrap()) {
            assert_eq!(*word, characters[start..end].iter().collect::<String>());
        }
    }

    #[test]
    fn labels_are_sorted_and_cut() {
        let scores = vec![("a".into(), 0.2), ("b".into(), 0.7), ("c".into(), 0.1)];
        let given = Answer::Class { label: "b".into(), score: 0.7, scores, abstained: None };
        let wanted = Wanted { raw: false, top: Some(2) };
        let shaped = answer(&given, &[1.0, 2.0, 3.0], None, wanted);
        assert_eq!(shaped[0]["label"], "b");
        assert_eq!(shaped.as_array().unwrap().len(), 2);
        let shaped = answer(&given, &[1.0, 2.0, 3.0], None, Wanted { raw: true, top: None });
        assert_eq!(shaped[0], json!({ "label": "c", "score": 3.0 }));
    }
}
