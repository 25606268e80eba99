//! Dropout whose mask is a function of a key and the element's place, so that backward needs no
//! saved mask and no thread's progress changes it.

use crate::arch::kernel;

/// One dropout at one place of the network in one step.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    key: u32,
    offset: u32,
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// Drops each element with probability `p` (0 <= p < 1); `key` names step, layer and site.
    ///
    /// # Panics
    /// If `p` is not in `[0, 1)`.
    pub fn new(p: f32, key: u64) -> Self {
        assert!((0.0..1.0).contains(&p), "dropout probability {p} is not in [0, 1)");
        let threshold = (f64::from(p) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - p);
        Self { key: key as u32, offset: (key >> 32) as u32, threshold, scale }
    }

    /// Whether it changes anything.
    pub fn is_active(&self) -> bool {
        self.threshold > 0
    }

    /// The factor at place `index`: 0 or 1 / (1 - p). The hash is Wellons' `lowbias32`.
    #[inline(always)]
    pub fn factor(&self, index: u32) -> f32 {
        let mut x = index.wrapping_mul(0x9e37_79b9).wrapping_add(self.offset) ^ self.key;
        x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.threshold { 0.0 } else { self.scale }
    }
}

kernel! {
    /// Multiplies `x` by the factors at places `start..`; forward and backward are the same
    /// function.
    pub fn apply<'a>(dropout: Dropout, start: u32, x: &'a mut [f32]) {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= dropout.factor(start.wrapping_add(i as u32));
        }
    }
}
