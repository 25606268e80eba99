//! Exact match and F1 of answers cut from a text, as SQuAD 1.1's own evaluation defines them
//! (Rajpurkar et al. 2016).

use std::collections::BTreeMap;

use super::ratio::ratio;

/// How good the answer to one question is, from 0 to 1: with the right answer that fits best, for
/// each score by itself.
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

/// The answer to a question whose text may hold none (SQuAD 2.0): how good the best text is, and
/// how much surer it is that there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubted {
    /// Whether the text holds an answer.
    pub has_answer: bool,
    /// How good the best text is, if it is given; without a text, none is.
    pub answered: Answered,
    /// Whether there is a text to be given.
    pub text: bool,
    /// The output for no answer less that for the best text.
    pub none: f32,
}

impl Doubted {
    /// The scores if no answer is given above a threshold.
    fn at(&self, threshold: f32) -> Answered {
        let given = self.text && self.none <= threshold;
        match (given, self.has_answer) {
            (true, true) => self.answered,
            (false, false) => Answered { f1: 1.0, exact_match: 1.0 },
            (true, false) | (false, true) => Answered { f1: 0.0, exact_match: 0.0 },
        }
    }
}

/// The best mean of a score over all thresholds, and the threshold: the official program's
/// `find_best_thresh`.
fn best(questions: &[Doubted], score: fn(&Answered) -> f64) -> (f64, f32) {
    let mut order: Vec<&Doubted> = questions.iter().collect();
    order.sort_by(|a, b| a.none.total_cmp(&b.none));
    let mut sum = questions.iter().filter(|q| !q.has_answer).count() as f64;
    let (mut best, mut threshold) = (sum, f32::MIN);
    for (i, q) in order.iter().enumerate() {
        sum += match (q.has_answer, q.text) {
            (true, _) => score(&q.answered),
            (false, true) => -1.0,
            (false, false) => 0.0,
        };
        // Questions of one value are decided alike.
        if sum > best && order.get(i + 1).is_none_or(|next| next.none > q.none) {
            (best, threshold) = (sum, q.none);
        }
    }
    (ratio(best, questions.len() as f64), threshold)
}

/// The threshold with the best F1.
pub fn best_threshold(questions: &[Doubted]) -> f32 {
    best(questions, |a| a.f1).1
}

/// All scores of questions some of which have no answer, as the official program of SQuAD 2.0 has
/// them: over all questions, over those with an answer, over those without, and the best over all
/// thresholds.
pub fn doubted_scores(questions: &[Doubted], threshold: f32) -> Vec<(&'static str, f64)> {
    let mean = |of: &dyn Fn(&Doubted) -> bool, score: fn(&Answered) -> f64| {
        let chosen = || questions.iter().filter(|q| of(q));
        ratio(chosen().map(|q| score(&q.at(threshold))).sum(), chosen().count() as f64)
    };
    type ScoreOf = fn(&Answered) -> f64;
    let (f1, exact): (ScoreOf, ScoreOf) = (|a| a.f1, |a| a.exact_match);
    vec![
        ("f1", mean(&|_| true, f1)),
        ("exact_match", mean(&|_| true, exact)),
        ("has_answer_f1", mean(&|q| q.has_answer, f1)),
        ("has_answer_exact_match", mean(&|q| q.has_answer, exact)),
        ("no_answer_f1", mean(&|q| !q.has_answer, f1)),
        ("no_answer_exact_match", mean(&|q| !q.has_answer, exact)),
        ("best_f1", best(questions, f1).0),
        ("best_exact_match", best(questions, exact).0),
    ]
}

/// 1 where both answers are the same after [`normalized`].
pub fn exact_match(predicted: &str, expected: &str) -> f64 {
    if normalized(predicted) == normalized(expected) { 1.0 } else { 0.0 }
}

/// F1 of the words of both answers after [`normalized`], each as often as it occurs; 0 where none
/// is shared.
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

/// The text in small letters, without ASCII punctuation and the articles a, an and the, its words
/// with one space between.
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

    /// Expected values: the definitions of the official program for SQuAD 2.0
    /// (`apply_no_ans_threshold`, `find_best_thresh`, `make_eval_dict`) in Python on these
    /// questions.
    #[test]
    fn scores_with_doubt_match_the_published_definition() {
        let question = |has_answer, f1, text, none| {
            let answered = Answered { f1, exact_match: f64::from(u8::from(f1 == 1.0)) };
            Doubted { has_answer, answered, text, none }
        };
        let questions = [
            question(false, 0.0, true, 2.71),
            question(false, 0.0, true, 3.71),
            question(false, 0.0, true, 3.61),
            question(true, 0.8, true, -0.12),
            question(true, 0.0, true, 0.5),
            question(true, 0.0, false, -1.65),
            question(true, 0.0, true, -1.13),
            question(true, 0.5, true, -1.96),
            question(true, 0.8, true, -3.2),
            question(false, 0.0, true, -0.31),
            question(false, 0.0, true, -0.37),
            question(true, 0.0, true, -2.95),
        ];
        let scores = doubted_scores(&questions, 0.5);
        let value = |name: &str| scores.iter().find(|(n, _)| *n == name).unwrap().1;
        for (name, expected) in [
            ("f1", 0.425),
            ("exact_match", 0.25),
            ("has_answer_f1", 0.3),
            ("no_answer_f1", 0.6),
            ("has_answer_exact_match", 0.0),
            ("no_answer_exact_match", 0.6),
            ("best_f1", 0.525),
            ("best_exact_match", 5.0 / 12.0),
        ] {
            assert!((value(name) - expected).abs() < 1e-12, "{name}: {}", value(name));
        }
        assert_eq!(best_threshold(&questions), -1.96);
        // An answer that is as sure as the threshold is given: at the best one the scores are best.
        let at_best = doubted_scores(&questions, -1.96);
        assert!((at_best[0].1 - 0.525).abs() < 1e-12, "{at_best:?}");
    }

    #[test]
    fn questions_count_alike() {
        let first = Answered::of("the cat", ["cat"].into_iter());
        let second = Answered::of("a dog sat", ["dog", "no"].into_iter());
        let s = super::super::question_answering(&[first, second]);
        assert_eq!(s[1], ("exact_match", 0.5));
        assert!((s[0].1 - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!(super::super::question_answering(&[])[0].1.is_nan());
    }
}
