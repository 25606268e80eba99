//! Exact match and F1 of answers cut from a text, as SQuAD 1.1's own evaluation defines them (Rajpurkar et al. 2016).

use std::collections::BTreeMap;

/// How good the answer to one question is, from 0 to 1: with the right answer that fits best, for each score by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered {
    /// The best F1.
    pub f1: f64,
    /// 1 where one of the right answers is the same.
    pub exact_match: f64,
}

impl Answered {
    /// Of an answer and all right ones.
    pub fn of<'a>(predicted: &str, right: impl Iterator<Item = &'a str> + Clone) -> Self {
        let best = |score: fn(&str, &str) -> f64| {
            right.clone().map(|r| score(predicted, r)).fold(0.0, f64::max)
        };
        Self { f1: best(f1), exact_match: best(exact_match) }
    }
}

/// All scores of some questions, which count alike: `(name, value)`.
pub fn scores(questions: impl Iterator<Item = Answered>) -> Vec<(&'static str, f64)> {
    let (mut n, mut f1, mut exact) = (0, 0.0, 0.0);
    for question in questions {
        n += 1;
        f1 += question.f1;
        exact += question.exact_match;
    }
    let mean = |sum: f64| sum / f64::from(n.max(1));
    vec![("f1", mean(f1)), ("exact_match", mean(exact))]
}

/// 1 where both answers are the same after [`normalized`].
pub fn exact_match(predicted: &str, expected: &str) -> f64 {
    if normalized(predicted) == normalized(expected) { 1.0 } else { 0.0 }
}

/// F1 of the words of both answers after [`normalized`], each as often as it occurs; 0 where none is shared.
pub fn f1(predicted: &str, expected: &str) -> f64 {
    let (predicted, expected) = (normalized(predicted), normalized(expected));
    let mut there = BTreeMap::new();
    expected.split(' ').filter(|w| !w.is_empty()).for_each(|w| *there.entry(w).or_insert(0) += 1);
    let count = |text: &str| text.split(' ').filter(|w| !w.is_empty()).count();
    let mut shared = 0;
    for word in predicted.split(' ') {
        if let Some(left) = there.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = f64::from(shared) / count(&predicted) as f64;
    let recall = f64::from(shared) / count(&expected) as f64;
    2.0 * precision * recall / (precision + recall)
}

/// The text in small letters, without ASCII punctuation and the articles a, an and the, its words with one space between.
pub fn normalized(text: &str) -> String {
    let mut plain = text.to_lowercase();
    plain.retain(|c| !c.is_ascii_punctuation());
    // An article is a whole run of letters and digits; the others keep their place.
    let mut without = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    while let Some(first) = rest.chars().next() {
        let in_word = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != in_word).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        without.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        rest = after;
    }
    // Python counts four separators of ASCII as spaces that Unicode does not.
    let space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    without.split(space).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        prediction: String,
        answers: Vec<String>,
        exact_match: f64,
        f1: f64,
        normalized: String,
    }

    /// Expected values: the published definition in Python; see `tests/scores/make.py`.
    #[test]
    fn scores_match_the_published_definition() {
        let text = include_str!("../../../../tests/scores/squad.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 40);
        for case in &cases {
            assert_eq!(normalized(&case.prediction), case.normalized, "{:?}", case.prediction);
            let got = Answered::of(&case.prediction, case.answers.iter().map(String::as_str));
            assert_eq!(got.exact_match, case.exact_match, "{:?}", case.prediction);
            assert!((got.f1 - case.f1).abs() < 1e-12, "{:?}: {got:?}", case.prediction);
        }
    }

    #[test]
    fn questions_count_alike() {
        let first = Answered::of("the cat", ["cat"].into_iter());
        let second = Answered::of("a dog sat", ["dog", "no"].into_iter());
        let s = scores([first, second].into_iter());
        assert_eq!(s[1], ("exact_match", 0.5));
        assert!((s[0].1 - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!(scores(std::iter::empty())[0].1, 0.0);
    }
}
