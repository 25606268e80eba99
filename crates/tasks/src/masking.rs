//! What of a text is masked for a masked language model (Devlin et al. 2019, section 3.1, and its
//! code): a share of the tokens, of which 80 % become the mask, 10 % another token, and 10 % stay.

use std::ops::Range;

use budwood_base::masking::Masking;
use budwood_base::random::Key;

/// Of the masked places, so many become the mask; up to the second share, any token.
const MASKED: f64 = 0.8;
const MASKED_OR_CHANGED: f64 = 0.9;

/// The word of a token that is never masked: a special one.
pub(crate) const NO_WORD: u32 = u32::MAX;

/// A text with masks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedText {
    /// Its tokens, some of them masked.
    pub ids: Vec<u32>,
    /// The masked places, in order.
    pub places: Vec<u32>,
    /// The tokens that belong there.
    pub words: Vec<u32>,
}

/// Masks texts of one vocabulary.
#[derive(Clone, Debug)]
pub struct Masker {
    masking: Masking,
    mask: u32,
    /// Tokens that may stand in the place of another: all but special ones.
    any: Vec<u32>,
}

impl Masker {
    /// Masks with this token; `any` are tokens that may stand in the place of another.
    pub(crate) fn new(masking: Masking, mask: u32, any: Vec<u32>) -> Self {
        Self { masking, mask, any }
    }

    /// Masks a text, of which `words` holds the word of each token. The same key masks the same.
    ///
    /// # Panics
    /// If there are not as many words as tokens.
    pub fn mask(&self, ids: &[u32], words: &[u32], key: Key) -> MaskedText {
        assert_eq!(ids.len(), words.len(), "a word for each token");
        let places = self.places(words, key);
        let mut masked = MaskedText { ids: ids.into(), places: Vec::new(), words: Vec::new() };
        let (how, which) = (key.named("how"), key.named("which"));
        for place in places {
            let at = place as u64;
            let share = how.uniform(at);
            if share < MASKED {
                masked.ids[place] = self.mask;
            } else if share < MASKED_OR_CHANGED && !self.any.is_empty() {
                masked.ids[place] = self.any[which.below(at, self.any.len())];
            }
            masked.places.push(place as u32);
            masked.words.push(ids[place]);
        }
        masked
    }

    /// The places that are masked, in order; none where all tokens are special.
    fn places(&self, words: &[u32], key: Key) -> Vec<usize> {
        let units = self.units(words);
        let all: usize = units.iter().map(Range::len).sum();
        let wanted = ((self.masking.share * all as f64).round() as usize).clamp(1, all.max(1));
        let mut places: Vec<usize> = Vec::with_capacity(wanted);
        let order = key.named("places").permutation(units.len());
        for unit in order.iter().map(|&i| units[i].clone()) {
            if places.len() + unit.len() <= wanted {
                places.extend(unit);
            }
        }
        // A text of one long word.
        if let (true, Some(&first)) = (places.is_empty(), order.first()) {
            places.extend(units[first].clone());
        }
        places.sort_unstable();
        places
    }

    /// What is masked or not as a whole: tokens, or words.
    fn units(&self, words: &[u32]) -> Vec<Range<usize>> {
        let mut units: Vec<Range<usize>> = Vec::new();
        for (i, &word) in words.iter().enumerate().filter(|(_, word)| **word != NO_WORD) {
            match units.last_mut() {
                Some(unit) if self.masking.whole_words && unit.end == i && words[i - 1] == word => {
                    unit.end = i + 1;
                }
                _ => units.push(i..i + 1),
            }
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: u32 = 3;

    fn masker(share: f64, whole_words: bool) -> Masker {
        Masker::new(Masking { share, whole_words }, MASK, (10..1000).collect())
    }

    /// A text of `n` tokens between two special ones, with words of two tokens.
    fn text(n: u32) -> (Vec<u32>, Vec<u32>) {
        let ids = std::iter::once(1).chain((0..n).map(|i| 100 + i)).chain([2]).collect();
        let words = std::iter::once(NO_WORD).chain((0..n).map(|i| i / 2)).chain([NO_WORD]);
        (ids, words.collect())
    }

    #[test]
    fn shares_are_those_of_bert() {
        let (ids, words) = text(200);
        let (mut masked, mut changed, mut same, mut all) = (0, 0, 0, 0);
        for seed in 0..300 {
            let found = masker(0.15, false).mask(&ids, &words, Key::new(seed));
            assert_eq!(found.places.len(), 30);
            assert!(found.places.is_sorted() && !found.places.contains(&0));
            for (&place, &word) in found.places.iter().zip(&found.words) {
                assert_eq!(word, ids[place as usize]);
                match found.ids[place as usize] {
                    MASK => masked += 1,
                    id if id == word => same += 1,
                    _ => changed += 1,
                }
                all += 1;
            }
            let kept = |i: &usize| !found.places.contains(&(*i as u32));
            assert!((0..ids.len()).filter(kept).all(|i| found.ids[i] == ids[i]));
        }
        let near = |n: i32, share: f64| (f64::from(n) / f64::from(all) - share).abs() < 0.015;
        assert!(near(masked, 0.8) && near(changed, 0.1) && near(same, 0.1));
    }

    #[test]
    fn a_key_masks_the_same_and_another_masks_other_places() {
        let (ids, words) = text(60);
        let mask = |seed| masker(0.15, false).mask(&ids, &words, Key::new(seed));
        assert_eq!(mask(1), mask(1));
        assert_ne!(mask(1).places, mask(2).places);
    }

    #[test]
    fn words_are_masked_as_a_whole() {
        let (ids, words) = text(60);
        for seed in 0..50 {
            let found = masker(0.2, true).mask(&ids, &words, Key::new(seed));
            assert_eq!(found.places.len(), 12);
            let whole = found.places.chunks(2).all(|p| p[0] % 2 == 1 && p[1] == p[0] + 1);
            assert!(whole, "{:?}", found.places);
        }
        let parts = masker(0.2, false).mask(&ids, &words, Key::new(0));
        assert!(parts.places.chunks(2).any(|p| p[1] != p[0] + 1));
    }

    #[test]
    fn one_token_at_least_is_masked_and_special_ones_never() {
        let (ids, words) = text(2);
        for whole in [false, true] {
            let found = masker(0.01, whole).mask(&ids, &words, Key::new(0));
            assert_eq!(found.places.len(), if whole { 2 } else { 1 });
            let all = masker(1.0, whole).mask(&ids, &words, Key::new(0));
            assert_eq!(all.places, [1, 2]);
        }
        let none = masker(0.5, true).mask(&[1, 2], &[NO_WORD; 2], Key::new(0));
        assert!(none.places.is_empty() && none.ids == [1, 2]);
    }
}
