//! Entities in sequences of tags, and their scores, as `seqeval` 1.2 in its default mode: IOB1,
//! IOB2 and BIOES are read alike, and broken sequences as CoNLL's own evaluation reads them. BILOU,
//! BMEWO and BMES, which `seqeval` takes for other things in that mode, are BIOES by other letters.

use std::collections::BTreeSet;

use super::ratio::ratio;

/// Neighbouring words that are one thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity<'a> {
    /// What it is, such as `PER`; `_` for tags without a type.
    pub kind: &'a str,
    /// Its first word.
    pub first: usize,
    /// Its last word.
    pub last: usize,
}

/// The entities of one sequence of tags.
pub fn entities<'a>(tags: &[&'a str]) -> Vec<Entity<'a>> {
    let mut found = Vec::new();
    let (mut before, mut kind_before, mut first) = ('O', "", 0);
    for (i, tag) in tags.iter().copied().chain(["O"]).enumerate() {
        let (mark, kind) = parts(tag);
        if ends(before, mark, kind_before, kind) {
            found.push(Entity { kind: kind_before, first, last: i - 1 });
        }
        if begins(before, mark, kind_before, kind) {
            first = i;
        }
        (before, kind_before) = (mark, kind);
    }
    found
}

/// Whether the tag goes on with an entity that none before it began, given the tag before: `I-PER`
/// after `O`.
pub fn goes_on_with_nothing(before: Option<&str>, tag: &str) -> bool {
    let (mark, kind) = parts(tag);
    let (mark_before, kind_before) = parts(before.unwrap_or("O"));
    matches!(mark, 'I' | 'E') && (!matches!(mark_before, 'B' | 'I') || kind_before != kind)
}

/// `B-PER` as `B` and `PER`.
fn parts(tag: &str) -> (char, &str) {
    let mut rest = tag.chars();
    let mark = rest.next().unwrap_or('O');
    let rest = rest.as_str();
    // Only before a hyphen: parts of speech begin with these letters, too.
    let mark = match (mark, rest.starts_with('-')) {
        ('U' | 'W', true) => 'S',
        ('L', true) => 'E',
        ('M', true) => 'I',
        _ => mark,
    };
    let kind = rest.split_once('-').map_or(rest, |(_, kind)| kind);
    (mark, if kind.is_empty() { "_" } else { kind })
}

/// Whether an entity ended between two tags.
fn ends(before: char, mark: char, kind_before: &str, kind: &str) -> bool {
    matches!((before, mark), ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O'))
        || (!matches!(before, 'O' | '.') && kind_before != kind)
}

/// Whether an entity begins with the second of two tags.
fn begins(before: char, mark: char, kind_before: &str, kind: &str) -> bool {
    matches!((before, mark), (_, 'B' | 'S') | ('E' | 'S' | 'O', 'E' | 'I'))
        || (!matches!(mark, 'O' | '.') && kind_before != kind)
}

/// What scores of tags are made from; counts of sentences add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    right: usize,
    given: usize,
    there: usize,
    right_words: usize,
    words: usize,
}

impl Counts {
    /// Of the predicted and the expected tags of one sentence. Entities must agree in kind and both
    /// ends.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn of(predicted: &[&str], expected: &[&str]) -> Self {
        assert_eq!(predicted.len(), expected.len());
        let set = |tags| entities(tags).into_iter().collect::<BTreeSet<_>>();
        let (given, there) = (set(predicted), set(expected));
        Self {
            right: given.intersection(&there).count(),
            given: given.len(),
            there: there.len(),
            right_words: predicted.iter().zip(expected).filter(|(p, e)| p == e).count(),
            words: expected.len(),
        }
    }

    /// F1 over all entities; not a number where none is there, nor was found.
    pub fn f1(&self) -> f64 {
        ratio(2.0 * self.right as f64, (self.given + self.there) as f64)
    }

    /// The share of found entities that are right; not a number where none was found.
    pub fn precision(&self) -> f64 {
        ratio(self.right as f64, self.given as f64)
    }

    /// The share of entities that were found; not a number where there is none.
    pub fn recall(&self) -> f64 {
        ratio(self.right as f64, self.there as f64)
    }

    /// The share of words with the right tag; not a number where there is none.
    pub fn accuracy(&self) -> f64 {
        ratio(self.right_words as f64, self.words as f64)
    }

    /// The counts of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            given: self.given + other.given,
            there: self.there + other.there,
            right_words: self.right_words + other.right_words,
            words: self.words + other.words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        expected: Vec<Vec<String>>,
        predicted: Vec<Vec<String>>,
        entities: Vec<Vec<(String, usize, usize)>>,
        f1: f64,
        precision: f64,
        recall: f64,
        accuracy: f64,
    }

    fn borrowed(tags: &[Vec<String>]) -> Vec<Vec<&str>> {
        tags.iter().map(|s| s.iter().map(String::as_str).collect()).collect()
    }

    /// Expected values: seqeval 1.2.2; see `tests/scores/make.py`.
    #[test]
    fn scores_match_the_reference_library() {
        let text = include_str!("../../../../tests/scores/entities.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 30);
        for case in &cases {
            let (p, e) = (borrowed(&case.predicted), borrowed(&case.expected));
            for (tags, expected) in p.iter().zip(&case.entities) {
                let got: Vec<_> = entities(tags);
                let got: Vec<_> = got.iter().map(|e| (e.kind.into(), e.first, e.last)).collect();
                assert_eq!(&got, expected, "{tags:?}");
            }
            let scores =
                super::super::token_classification(p.iter().zip(&e).map(|(p, e)| Counts::of(p, e)));
            let expected = [
                ("f1", case.f1),
                ("precision", case.precision),
                ("recall", case.recall),
                ("accuracy", case.accuracy),
            ];
            for ((name, got), (wanted, value)) in scores.iter().zip(expected) {
                // What is undefined is 0 in seqeval, with a warning.
                let got = if got.is_nan() { 0.0 } else { *got };
                assert!(*name == wanted && (got - value).abs() < 1e-12, "{name} {got} {p:?} {e:?}");
            }
        }
    }

    /// By hand: one word, two words, three words, one beside another.
    #[test]
    fn letters_of_other_schemes_are_read() {
        for (s, i, e) in [("S", "I", "E"), ("U", "I", "L"), ("W", "M", "E"), ("S", "M", "E")] {
            let tags = [
                &format!("{s}-PER"),
                "O",
                "B-PER",
                &format!("{e}-PER"),
                "B-LOC",
                &format!("{i}-LOC"),
                &format!("{e}-LOC"),
                &format!("{s}-LOC"),
                &format!("{s}-LOC"),
            ];
            let got: Vec<_> = entities(&tags).iter().map(|e| (e.kind, e.first, e.last)).collect();
            let wanted =
                [("PER", 0, 0), ("PER", 2, 3), ("LOC", 4, 6), ("LOC", 7, 7), ("LOC", 8, 8)];
            assert_eq!(got, wanted, "{tags:?}");
        }
        // Not of parts of speech: as in `seqeval`, one of a kind after another.
        assert_eq!(parts("UH"), ('U', "H"));
    }

    #[test]
    fn an_entity_that_was_not_begun_is_noticed() {
        assert!(goes_on_with_nothing(None, "I-PER"));
        assert!(goes_on_with_nothing(Some("B-LOC"), "I-PER"));
        assert!(goes_on_with_nothing(Some("S-PER"), "E-PER"));
        assert!(!goes_on_with_nothing(Some("B-PER"), "I-PER"));
        assert!(!goes_on_with_nothing(Some("I-PER"), "E-PER"));
        assert!(!goes_on_with_nothing(Some("O"), "B-PER"));
    }
}
