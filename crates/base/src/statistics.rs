//! How sure a difference between scores is.

use crate::random::Key;

/// McNemar's exact test: the probability of at least this imbalance among examples that only one of
/// two got right, if both were equally good. Two-sided, as `statsmodels`' `mcnemar(exact=True)`.
///
/// | | second right | second wrong |
/// |---|---|---|
/// | first right | not used | `b`, `only_first` |
/// | first wrong | `c`, `only_second` | not used |
///
/// Examples that both got right, or both wrong, say nothing about which is better. Of the
/// `n = b + c` others, each went to one of the two by the toss of a coin if they are equally good:
/// `b` is binomial with `n` draws of 1/2. With `k = min(b, c)` the result is
///
/// ```text
/// 2 sum_{i=0..k} binomial(n, i) / 2^n,   at most 1
/// ```
///
/// Each term follows from the one before in logarithms, as `2^n` leaves the numbers of 64 bits.
pub fn mcnemar(only_first: u64, only_second: u64) -> f64 {
    let (n, k) = (only_first + only_second, only_first.min(only_second));
    if only_first == only_second {
        return 1.0;
    }
    // Sum of binomial(n, i) / 2^n in logarithms: n may be large.
    let mut log_term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = log_term.exp();
    for i in 1..=k {
        log_term += ((n - i + 1) as f64).ln() - (i as f64).ln();
        sum += log_term.exp();
    }
    (2.0 * sum).min(1.0)
}

/// Probability of a mean at least as far from 0 as that of these differences, if each had its sign
/// by the toss of a coin (Fisher's randomisation test on pairs). Two-sided, from `draws` draws; the
/// differences themselves count as one, so that it is never 0. The same seed gives the same number.
pub fn sign_flips(differences: &[f64], draws: usize, seed: u64) -> f64 {
    let key = Key::new(seed).named("signs");
    let found = differences.iter().sum::<f64>().abs();
    // What differs by rounding alone is as far.
    let least = found * (1.0 - 1e-9);
    let as_far = (0..draws as u64).filter(|&draw| {
        let key = key.child(draw);
        let signed =
            (0u64..).zip(differences).map(|(i, d)| if key.uniform(i) < 0.5 { -d } else { *d });
        signed.sum::<f64>().abs() >= least
    });
    (as_far.count() + 1) as f64 / (draws + 1) as f64
}

/// Probability that outputs fit the right classes at least as well if they had nothing to do with
/// them: the outputs of the right classes are added up, and again with the classes exchanged among
/// the rows at random (Fisher's permutation test). Of logits the sum is the likelihood, so that
/// neither a rare class nor one that always gets more hides what was learned. From `draws` draws;
/// the rows as they are count as one. 1 where an output is not a number.
pub fn exchanged(outputs: &[Vec<f32>], right: &[u32], draws: usize, seed: u64) -> f64 {
    let sum = |right: &[u32]| -> f64 {
        let of = |(row, class): (&Vec<f32>, &u32)| f64::from(row[*class as usize]);
        outputs.iter().zip(right).map(of).sum()
    };
    let found = sum(right);
    if !found.is_finite() {
        return 1.0;
    }
    let key = Key::new(seed).named("exchanged");
    // What differs by rounding alone fits as well.
    let size: f64 = outputs.iter().flatten().map(|x| f64::from(x.abs())).sum();
    let least = found - 1e-12 * size;
    let mut right = right.to_vec();
    let as_well = (0..draws as u64).filter(|&draw| {
        let key = key.child(draw);
        (1..right.len()).rev().for_each(|i| right.swap(i, key.below(i as u64, i + 1)));
        sum(&right) >= least
    });
    (as_well.count() + 1) as f64 / (draws + 1) as f64
}

/// The surest of some answers, and how many of them are right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surest {
    /// How many are given.
    pub given: usize,
    /// The least probability among them.
    pub least: f32,
    /// How many of them are right.
    pub right: usize,
}

/// The surest answers, from their probabilities and whether they are right: at least as many as are
/// wished, one at least, for each wish in turn. Answers of one probability are given together, as
/// no threshold parts them; what wishes have in common stands there once.
pub fn surest(
    mut answers: Vec<(f32, bool)>,
    wished: impl IntoIterator<Item = usize>,
) -> Vec<Surest> {
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let of = |wished: usize| {
        let least = answers.get(wished.max(1) - 1).or(answers.last())?.0;
        let given = answers.partition_point(|(p, _)| p.total_cmp(&least).is_ge());
        let right = answers[..given].iter().filter(|(_, right)| *right).count();
        Some(Surest { given, least, right })
    };
    let mut all: Vec<Surest> = wished.into_iter().filter_map(of).collect();
    all.dedup();
    all
}

/// Mean and standard error of the mean; none for less than two values.
pub fn mean_and_error(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, None);
    }
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, Some((squares / (n - 1.0) / n).sqrt()))
}

/// The percentile `p` of 0 to 100, between neighbours linearly, as NumPy's.
pub fn percentile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = p / 100.0 * (sorted.len().saturating_sub(1)) as f64;
    let (low, share) = (place.floor() as usize, place.fract());
    match (sorted.get(low), sorted.get(low + 1)) {
        (Some(a), Some(b)) => a + share * (b - a),
        (Some(a), None) => *a,
        _ => f64::NAN,
    }
}

/// 95 % interval of a score by the bootstrap (Efron 1979): percentiles 2.5 and 97.5 of the score
/// over `resamples` draws of `n` examples with replacement. `score` gets the numbers of the drawn
/// examples. The same seed gives the same interval. None without examples or draws.
pub fn bootstrap(
    n: usize,
    resamples: usize,
    seed: u64,
    mut score: impl FnMut(&[usize]) -> f64,
) -> Option<(f64, f64)> {
    if n == 0 || resamples == 0 {
        return None;
    }
    let key = Key::new(seed).named("bootstrap");
    let mut drawn = vec![0; n];
    let scores: Vec<f64> = (0..resamples as u64)
        .map(|round| {
            let key = key.child(round);
            (0u64..).zip(&mut drawn).for_each(|(i, d)| *d = key.below(i, n));
            score(&drawn)
        })
        .collect();
    Some((percentile(&scores, 2.5), percentile(&scores, 97.5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of n equal differences, only all signs alike are as far: 2 of 2^n.
    #[test]
    fn sign_flips_are_those_of_all_signs() {
        let p = sign_flips(&[1.0; 5], 20_000, 1);
        assert!((p - 2.0 / 32.0).abs() < 0.005, "{p}");
        // 1 + 2 + 3 of 8 signs: 6 and -6 are as far.
        let p = sign_flips(&[1.0, 2.0, 3.0], 20_000, 0);
        assert!((p - 0.25).abs() < 0.01, "{p}");
        assert_eq!(sign_flips(&[0.0; 4], 100, 0), 1.0);
        assert_eq!(sign_flips(&[], 100, 0), 1.0);
        assert!(sign_flips(&[1.0; 200], 1000, 0) < 0.002);
    }

    /// Of four rows of two classes one order of six fits as well as the right one.
    #[test]
    fn exchanges_are_those_of_all_orders() {
        let sure = |class: usize, by: f32| if class == 0 { vec![by, 0.0] } else { vec![0.0, by] };
        let outputs: Vec<Vec<f32>> = (0..4).map(|i| sure(i % 2, 1.0)).collect();
        let p = exchanged(&outputs, &[0, 1, 0, 1], 20_000, 0);
        assert!((p - 1.0 / 6.0).abs() < 0.01, "{p}");
        assert!(exchanged(&outputs, &[1, 0, 1, 0], 1000, 0) == 1.0);
        // Outputs that are all alike say nothing, whatever they say.
        assert_eq!(exchanged(&vec![vec![0.1, 0.7]; 9], &[0, 1, 1, 1, 0, 1, 1, 1, 1], 200, 0), 1.0);
        assert_eq!(exchanged(&[], &[], 10, 0), 1.0);
        assert_eq!(exchanged(&[vec![f32::NAN, 0.0], vec![0.0, 1.0]], &[0, 1], 10, 0), 1.0);
    }

    /// Of rows that know nothing of their classes, one in twenty looks as if it did.
    #[test]
    fn exchanges_of_noise_are_as_rare_as_they_say() {
        let found = (0..400u64).filter(|&run| {
            let key = Key::new(run);
            let outputs: Vec<Vec<f32>> = (0..40).map(|i| vec![key.normal(i) as f32, 0.0]).collect();
            let right: Vec<u32> =
                (0..40).map(|i| (key.named("class").bits(i) % 2) as u32).collect();
            exchanged(&outputs, &right, 200, run) <= 0.05
        });
        let found = found.count();
        assert!((8..=34).contains(&found), "{found} of 400");
    }

    /// No threshold parts answers of one probability, whatever their order.
    #[test]
    fn answers_of_one_probability_are_given_together() {
        let of = |answers: &[(f32, bool)], wished: &[usize]| {
            let all = surest(answers.to_vec(), wished.iter().copied());
            all.into_iter().map(|s| (s.given, s.least, s.right)).collect::<Vec<_>>()
        };
        let mut answers = vec![(0.5, true), (0.5, false), (0.9, true), (0.5, false), (0.7, false)];
        for _ in 0..5 {
            answers.rotate_left(1);
            let expected = [(1, 0.9, 1), (2, 0.7, 1), (5, 0.5, 2)];
            assert_eq!(of(&answers, &[0, 1, 2, 3, 5, 9]), expected);
        }
        assert!(of(&[], &[1, 2]).is_empty());
    }

    #[test]
    fn mcnemar_matches_the_binomial() {
        // scipy.stats.binomtest(3, 12).pvalue, (10, 50), (40, 100)
        assert!((mcnemar(3, 9) - 0.145_996_093_75).abs() < 1e-12);
        assert!((mcnemar(40, 10) - 2.386_133_167_675_552_6e-5).abs() < 1e-12);
        assert!((mcnemar(40, 60) - 0.056_887_933_640_981_07).abs() < 1e-10);
        assert_eq!(mcnemar(0, 0), 1.0);
        assert!(mcnemar(5000, 6000) < 1e-15);
    }

    #[test]
    fn means_and_percentiles_match_numpy() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 4.0]);
        assert!((mean - 7.0 / 3.0).abs() < 1e-12);
        assert!((error.unwrap() - 0.881_917_103_688_197).abs() < 1e-12);
        assert_eq!(mean_and_error(&[3.0]), (3.0, None));
        assert!((percentile(&[3.0, 1.0, 2.0, 10.0], 80.0) - 5.8).abs() < 1e-12);
        assert!((percentile(&[3.0, 1.0, 2.0, 10.0], 50.0) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn the_bootstrap_of_a_share_is_near_the_normal_interval() {
        // 160 of 200 right: 0.8 +- 1.96 * sqrt(0.8 * 0.2 / 200)
        let half = 1.96 * (0.8f64 * 0.2 / 200.0).sqrt();
        let right = |drawn: &[usize]| drawn.iter().filter(|&&i| i < 160).count() as f64 / 200.0;
        let (low, high) = bootstrap(200, 2000, 7, right).unwrap();
        assert!((low - (0.8 - half)).abs() < 0.01 && (high - (0.8 + half)).abs() < 0.01);
        assert_eq!(bootstrap(200, 2000, 7, right), Some((low, high)));
        // A share moves in steps; a mean of many values shows whether the seed counts.
        let mean = |drawn: &[usize]| drawn.iter().sum::<usize>() as f64 / 200.0;
        assert_ne!(bootstrap(200, 2000, 7, mean), bootstrap(200, 2000, 8, mean));
        assert_eq!(bootstrap(0, 10, 7, |_| 0.0), None);
    }
}
