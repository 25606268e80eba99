//! Random numbers that depend on a key and a position only, so that the same seed gives the same
//! adapter whatever the number of threads and wherever a run was resumed.

/// A stream of random numbers for one purpose, addressed by position.
///
/// The generator is the finaliser of SplitMix64 (Steele, Lea, Flood 2014) over `key + i * gamma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Key {
    /// The root of a run.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(GAMMA)))
    }

    /// The stream for one purpose below this one: a step, a layer, a site.
    #[must_use]
    pub fn child(self, purpose: u64) -> Self {
        Self(mix(self.0 ^ mix(purpose.wrapping_mul(GAMMA).wrapping_add(1))))
    }

    /// The stream for a purpose with a name.
    #[must_use]
    pub fn named(self, purpose: &str) -> Self {
        // FNV-1a, enough to keep names apart before the mixer.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.child(hash)
    }

    /// The 64 bits at position `i`.
    pub fn bits(self, i: u64) -> u64 {
        mix(self.0.wrapping_add(i.wrapping_mul(GAMMA)))
    }

    /// The key's own bits, for kernels that make many numbers at once.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// A number in `[0, 1)` at position `i`.
    pub fn uniform(self, i: u64) -> f64 {
        (self.bits(i) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An integer in `0..n` at position `i`; the bias is below `n / 2^64`.
    pub fn below(self, i: u64, n: usize) -> usize {
        ((u128::from(self.bits(i)) * n as u128) >> 64) as usize
    }

    /// A standard normal number at position `i` (Box and Muller, 1958).
    pub fn normal(self, i: u64) -> f64 {
        let u = 1.0 - self.uniform(2 * i);
        let v = self.uniform(2 * i + 1);
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// A normal number cut at two standard deviations, as TensorFlow's `truncated_normal`.
    pub fn truncated_normal(self, i: u64) -> f64 {
        let stream = self.child(i);
        (0..).map(|k| stream.normal(k)).find(|x| x.abs() <= 2.0).unwrap_or(0.0)
    }

    /// A random order of `0..n` (Fisher and Yates).
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u64, i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let key = Key::new(7);
        let n = 200_000;
        let mean = |f: &dyn Fn(u64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        assert!((mean(&|i| key.uniform(i)) - 0.5).abs() < 0.003);
        assert!(mean(&|i| key.normal(i)).abs() < 0.01);
        assert!((mean(&|i| key.normal(i).powi(2)) - 1.0).abs() < 0.02);
        // The variance of a normal cut at two deviations is 0.7737.
        assert!((mean(&|i| key.truncated_normal(i).powi(2)) - 0.7737).abs() < 0.01);
        assert!((0..n).all(|i| key.truncated_normal(i).abs() <= 2.0));
    }

    #[test]
    fn streams_differ_and_permutations_hold_everything() {
        let key = Key::new(1);
        assert_ne!(key.named("a").bits(0), key.named("b").bits(0));
        assert_ne!(Key::new(1).bits(0), Key::new(2).bits(0));
        let mut order = key.permutation(1000);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }
}
