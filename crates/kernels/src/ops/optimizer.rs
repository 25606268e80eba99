//! One step of Adam with decoupled weight decay over a flat parameter vector.

use crate::arch::{fma, kernel};

/// Constants of one step.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay; 0 for parameters that are not decayed.
    pub weight_decay: f32,
    /// 1 - beta1^t, or 1 for the variant of BERT's code, which corrects no bias.
    pub correction1: f32,
    /// 1 - beta2^t, or 1.
    pub correction2: f32,
}

kernel! {
    /// Loshchilov and Hutter 2019, in PyTorch's order: decay first, then `w -= lr / c1 * m /
    /// (sqrt(v / c2) + eps)`. The gradient is multiplied by `gradient_scale` (clipping).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn adamw<'a>(
        step: AdamW, gradient_scale: f32,
        weights: &'a mut [f32], gradient: &'a [f32], m: &'a mut [f32], v: &'a mut [f32],
    ) {
        let n = weights.len();
        assert!(gradient.len() == n && m.len() == n && v.len() == n);
        let keep = 1.0 - step.learning_rate * step.weight_decay;
        let rate = step.learning_rate / step.correction1;
        let root = 1.0 / step.correction2.sqrt();
        for i in 0..n {
            let g = gradient[i] * gradient_scale;
            m[i] = fma::<FMA>(step.beta1, m[i], (1.0 - step.beta1) * g);
            v[i] = fma::<FMA>(step.beta2, v[i], (1.0 - step.beta2) * g * g);
            let denominator = fma::<FMA>(v[i].sqrt(), root, step.eps);
            weights[i] = weights[i] * keep - rate * m[i] / denominator;
        }
    }
}
