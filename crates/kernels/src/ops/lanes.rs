//! Sixteen elements side by side, as values: sums that rest in an array which loops index are
//! written to memory and read again at every step.

/// Fixed, so that every instruction set adds in the same order.
pub(crate) const LANES: usize = 16;

/// Sixteen elements.
#[derive(Clone, Copy)]
pub(crate) struct Lanes(pub(crate) [f32; LANES]);

impl Lanes {
    /// The same element in all lanes.
    #[inline(always)]
    pub(crate) fn splat(x: f32) -> Self {
        Self([x; LANES])
    }

    /// The elements of a row that is shorter than a block, and zeros after them.
    #[inline(always)]
    pub(crate) fn part(row: &[f32]) -> Self {
        let mut lanes = [0.0; LANES];
        // Moves of a known length need no call.
        let mut at = 0;
        for size in [8, 4, 2, 1] {
            if row.len() & size != 0 {
                lanes[at..at + size].copy_from_slice(&row[at..at + size]);
                at += size;
            }
        }
        Self(lanes)
    }

    /// The first `n` lanes, and `fill` after them.
    #[inline(always)]
    pub(crate) fn first(self, n: usize, fill: f32) -> Self {
        Self(std::array::from_fn(|i| if i < n { self.0[i] } else { fill }))
    }

    /// Each lane beside that of `other`.
    #[inline(always)]
    pub(crate) fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    /// All lanes made one, as a tree: each half with the other.
    #[inline(always)]
    pub(crate) fn fold(self, f: impl Fn(f32, f32) -> f32) -> f32 {
        let x = self.0;
        let x: [f32; 8] = std::array::from_fn(|i| f(x[i], x[i + 8]));
        let x: [f32; 4] = std::array::from_fn(|i| f(x[i], x[i + 4]));
        f(f(x[0], x[2]), f(x[1], x[3]))
    }

    /// The sum of the lanes.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        self.fold(|a, b| a + b)
    }
}
