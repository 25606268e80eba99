//! Losses over rows of outputs, each with the gradient of the outputs. Rows are few and narrow:
//! plain code.

/// Cross-entropy of softmax over one row: returns `-ln p[class]` and writes `weight (p - one_hot)`.
///
/// # Panics
/// If `class` is not a column.
pub fn cross_entropy(logits: &[f32], class: usize, weight: f32, d_logits: &mut [f32]) -> f32 {
    assert!(class < logits.len() && logits.len() == d_logits.len());
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0f32;
    for (d, &x) in d_logits.iter_mut().zip(logits) {
        *d = (x - max).exp();
        total += *d;
    }
    let loss = total.ln() + max - logits[class];
    for d in d_logits.iter_mut() {
        *d *= weight / total;
    }
    d_logits[class] -= weight;
    loss
}

/// Squared error of one number: returns `(y - target)²` and writes `weight 2 (y - target)`.
pub fn squared_error(y: f32, target: f32, weight: f32, d_y: &mut f32) -> f32 {
    let e = y - target;
    *d_y = weight * 2.0 * e;
    e * e
}

/// Binary cross-entropy of a sigmoid over one row, averaged over its columns; `targets` are 0 or 1.
///
/// # Panics
/// If the lengths differ.
pub fn binary_cross_entropy(
    logits: &[f32],
    targets: &[f32],
    weight: f32,
    d_logits: &mut [f32],
) -> f32 {
    assert!(logits.len() == targets.len() && logits.len() == d_logits.len());
    let n = logits.len() as f32;
    let mut loss = 0.0;
    for ((d, &x), &t) in d_logits.iter_mut().zip(logits).zip(targets) {
        let p = 1.0 / (1.0 + (-x).exp());
        *d = weight * (p - t) / n;
        // ln(1 + e^-|x|) does not overflow.
        loss += x.max(0.0) - x * t + (-x.abs()).exp().ln_1p();
    }
    loss / n
}
