//! Minimising a smooth function of many numbers: L-BFGS (Nocedal 1980; Nocedal and Wright,
//! *Numerical Optimization*, algorithm 7.5) with a backtracking line search.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that the curvature is guessed from.
const MEMORY: usize = 10;
/// Share of the decrease promised by the slope that a step must reach.
const ARMIJO: f64 = 1e-4;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Largest element of the gradient at which the minimum counts as reached.
    pub(crate) gradient: f64,
    /// Steps after which the search ends wherever it is.
    pub(crate) steps: usize,
}

/// A step with the change of the gradient over it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// One over the product of both.
    rho: f64,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Moves `x` to the minimum of a convex function. `f` gives the value at a point and writes the
/// gradient. Returns the value reached.
pub(crate) fn minimise(
    x: &mut [f64],
    limits: Limits,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> f64 {
    let n = x.len();
    let (mut gradient, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    let mut value = f(x, &mut gradient);
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY + 1);
    let mut candidate = vec![0.0; n];
    for _ in 0..limits.steps {
        if gradient.iter().all(|g| g.abs() <= limits.gradient) {
            break;
        }
        let mut direction = direction(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding has made the guess of the curvature useless.
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        // The first step has no curvature to go by.
        let mut length = if pairs.is_empty() { (1.0 / (-slope).sqrt()).min(1.0) } else { 1.0 };
        let reached = loop {
            for ((c, x), d) in candidate.iter_mut().zip(x.iter()).zip(&direction) {
                *c = x + length * d;
            }
            let reached = f(&candidate, &mut next_gradient);
            if reached <= value + ARMIJO * length * slope {
                break Some(reached);
            }
            length *= 0.5;
            if length < 1e-12 {
                break None;
            }
        };
        // No shorter step is lower: this is the minimum as far as the numbers can tell.
        let Some(reached) = reached else { break };
        let step: Vec<f64> = candidate.iter().zip(x.iter()).map(|(c, x)| c - x).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(b, a)| b - a).collect();
        let product = dot(&step, &change);
        if product > 1e-12 * dot(&change, &change) {
            pairs.push_back(Pair { step, change, rho: 1.0 / product });
            if pairs.len() > MEMORY {
                pairs.pop_front();
            }
        }
        x.copy_from_slice(&candidate);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = reached;
    }
    value
}

/// The direction of descent: the inverse of the guessed curvature times the negative gradient.
fn direction(gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = pair.rho * dot(&pair.step, &q);
        q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.rho * dot(&last.change, &last.change));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.rho * dot(&pair.change, &q);
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A narrow valley that is convex: the minimum is known.
    #[test]
    fn the_minimum_is_found() {
        let mut x = [5.0, -3.0, 2.0];
        let value = minimise(&mut x, Limits { gradient: 1e-10, steps: 200 }, |x, g| {
            let scales = [1.0, 1e3, 1e-2];
            let mut value = 0.0;
            for (i, s) in scales.iter().enumerate() {
                let away = x[i] - i as f64;
                g[i] = s * away + away.powi(3);
                value += s * away * away / 2.0 + away.powi(4) / 4.0;
            }
            value
        });
        assert!(value < 1e-12, "{value}");
        let found = x.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-3);
        assert!(found, "{x:?}");
    }
}
