//! Activations and the functions behind them, to within a few units in the last place of `f32`.

use crate::arch::{fma, kernel};

/// The activations that exist, by their definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// x Φ(x)
    Gelu,
    /// 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
    GeluTanh,
    /// x σ(1.702 x)
    QuickGelu,
    /// x σ(x)
    Silu,
    /// tanh x
    Tanh,
    /// σ(x)
    Sigmoid,
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;

/// eˣ, for every finite x: range reduction by ln 2 in two parts and a polynomial of degree 6 (the
/// coefficients of Cephes' `expf`).
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.336_54, 88.376_26);
    // Rounds to the nearest integer by adding and taking away 1.5 * 2^23.
    const ROUND: f32 = 12_582_912.0;
    let rounded = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    p = fma::<FMA>(p, r, 1.398_199_9e-3);
    p = fma::<FMA>(p, r, 8.333_452e-3);
    p = fma::<FMA>(p, r, 4.166_579_6e-2);
    p = fma::<FMA>(p, r, 1.666_666_5e-1);
    p = fma::<FMA>(p, r, 0.5);
    let e = fma::<FMA>(p * r, r, r) + 1.0;
    // 2^n by its bits; n is in -126..=127 after the clamp. The integer stands in the last bits of
    // what was rounded: a conversion, which saturates, would be done number by number.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    let power = f32::from_bits(n.wrapping_add(127) << 23);
    e * power
}

/// tanh x by a rational function on |x| < 7.9 (the coefficients that Eigen uses).
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    // Beyond this, 1 is the nearest number; the rational function would stop short of it, and
    // derivatives need 1 - tanh² = 0.
    let saturated = x.abs() > 8.5;
    let sign = 1.0f32.copysign(x);
    let x = x.clamp(-7.905_311, 7.905_311);
    let s = x * x;
    let mut p = -2.760_768_5e-16;
    p = fma::<FMA>(p, s, 2.000_188e-13);
    p = fma::<FMA>(p, s, -8.604_672e-11);
    p = fma::<FMA>(p, s, 5.122_297e-8);
    p = fma::<FMA>(p, s, 1.485_722_4e-5);
    p = fma::<FMA>(p, s, 6.372_619_3e-4);
    p = fma::<FMA>(p, s, 4.893_524_6e-3);
    let mut q = 1.198_258_4e-6;
    q = fma::<FMA>(q, s, 1.185_347_1e-4);
    q = fma::<FMA>(q, s, 2.268_434_6e-3);
    q = fma::<FMA>(q, s, 4.893_525e-3);
    if saturated { sign } else { x * p / q }
}

/// The error function by a rational function on |x| < 4 (the coefficients that Eigen uses).
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    p = fma::<FMA>(p, s, 2.770_681_4e-8);
    p = fma::<FMA>(p, s, -2.101_024e-6);
    p = fma::<FMA>(p, s, -5.692_506_5e-5);
    p = fma::<FMA>(p, s, -7.349_906e-4);
    p = fma::<FMA>(p, s, -2.954_6e-3);
    p = fma::<FMA>(p, s, -1.609_603_3e-2);
    let mut q = -1.456_607_2e-5;
    q = fma::<FMA>(q, s, -2.133_740_6e-4);
    q = fma::<FMA>(q, s, -1.682_827e-3);
    q = fma::<FMA>(q, s, -7.373_329e-3);
    q = fma::<FMA>(q, s, -1.426_473_9e-2);
    x * p / q
}

#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

#[inline(always)]
fn value<const FMA: bool>(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Gelu => {
            let half = 0.5 * x;
            fma::<FMA>(half, erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2), half)
        }
        Activation::GeluTanh => {
            let inner = SQRT_2_OVER_PI * fma::<FMA>(GELU_CUBIC * x * x, x, x);
            let half = 0.5 * x;
            fma::<FMA>(half, tanh::<FMA>(inner), half)
        }
        Activation::QuickGelu => x * sigmoid::<FMA>(1.702 * x),
        Activation::Silu => x * sigmoid::<FMA>(x),
        Activation::Tanh => tanh::<FMA>(x),
        Activation::Sigmoid => sigmoid::<FMA>(x),
    }
}

#[inline(always)]
fn derivative<const FMA: bool>(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => {
            if x > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Activation::Gelu => {
            let cdf = fma::<FMA>(0.5, erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2), 0.5);
            let pdf = 0.398_942_3 * exp::<FMA>(-0.5 * x * x);
            fma::<FMA>(x, pdf, cdf)
        }
        Activation::GeluTanh => {
            let inner = SQRT_2_OVER_PI * fma::<FMA>(GELU_CUBIC * x * x, x, x);
            let t = tanh::<FMA>(inner);
            let d_inner = SQRT_2_OVER_PI * fma::<FMA>(3.0 * GELU_CUBIC * x, x, 1.0);
            let half_sech2 = 0.5 * fma::<FMA>(-t, t, 1.0);
            fma::<FMA>(x * half_sech2, d_inner, fma::<FMA>(0.5, t, 0.5))
        }
        Activation::QuickGelu => {
            let s = sigmoid::<FMA>(1.702 * x);
            fma::<FMA>(1.702 * x * s, 1.0 - s, s)
        }
        Activation::Silu => {
            let s = sigmoid::<FMA>(x);
            fma::<FMA>(x * s, 1.0 - s, s)
        }
        Activation::Tanh => {
            let t = tanh::<FMA>(x);
            fma::<FMA>(-t, t, 1.0)
        }
        Activation::Sigmoid => {
            let s = sigmoid::<FMA>(x);
            s * (1.0 - s)
        }
    }
}

/// Runs `$body` once for each activation, with the activation a constant inside the loop.
macro_rules! for_each_activation {
    ($activation:expr, |$constant:ident| $body:expr) => {
        match $activation {
            Activation::Identity => {
                const $constant: Activation = Activation::Identity;
                $body
            }
            Activation::Relu => {
                const $constant: Activation = Activation::Relu;
                $body
            }
            Activation::Gelu => {
                const $constant: Activation = Activation::Gelu;
                $body
            }
            Activation::GeluTanh => {
                const $constant: Activation = Activation::GeluTanh;
                $body
            }
            Activation::QuickGelu => {
                const $constant: Activation = Activation::QuickGelu;
                $body
            }
            Activation::Silu => {
                const $constant: Activation = Activation::Silu;
                $body
            }
            Activation::Tanh => {
                const $constant: Activation = Activation::Tanh;
                $body
            }
            Activation::Sigmoid => {
                const $constant: Activation = Activation::Sigmoid;
                $body
            }
        }
    };
}

kernel! {
    /// `y = f(x)`
    ///
    /// # Panics
    /// If the lengths differ; so for all functions of this file.
    pub fn forward<'a>(activation: Activation, x: &'a [f32], y: &'a mut [f32]) {
        assert_eq!(x.len(), y.len());
        for_each_activation!(activation, |F| for (y, x) in y.iter_mut().zip(x) {
            *y = value::<FMA>(F, *x);
        });
    }
}

kernel! {
    /// `dx = dy f'(x)`, written over `dy`. `x` is the input of [`forward`].
    pub fn backward<'a>(activation: Activation, x: &'a [f32], dy: &'a mut [f32]) {
        assert_eq!(x.len(), dy.len());
        for_each_activation!(activation, |F| for (dy, x) in dy.iter_mut().zip(x) {
            *dy *= derivative::<FMA>(F, *x);
        });
    }
}

kernel! {
    /// `y = f(a) b`
    pub fn gated<'a>(activation: Activation, a: &'a [f32], b: &'a [f32], y: &'a mut [f32]) {
        assert!(a.len() == y.len() && b.len() == y.len());
        for_each_activation!(activation, |F| for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
            *y = value::<FMA>(F, *a) * b;
        });
    }
}

kernel! {
    /// The gradients of a and b in [`gated`].
    pub fn gated_backward<'a>(
        activation: Activation, a: &'a [f32], b: &'a [f32], dy: &'a [f32],
        da: &'a mut [f32], db: &'a mut [f32],
    ) {
        let n = dy.len();
        assert!([a.len(), b.len(), da.len(), db.len()] == [n; 4]);
        for_each_activation!(activation, |F| for i in 0..n {
            db[i] = value::<FMA>(F, a[i]) * dy[i];
            da[i] = dy[i] * b[i] * derivative::<FMA>(F, a[i]);
        });
    }
}
