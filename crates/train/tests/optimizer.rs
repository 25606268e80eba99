//! The optimizer against plain loops over what the two codes publish.

#![allow(clippy::unwrap_used)]

use budwood_base::random::Key;
use budwood_engine::Device;
use budwood_model::{Init, Params};
use budwood_train::{Optimizer, OptimizerSpec};

/// One tensor larger than a thread's piece, a bias and a norm.
fn params() -> Params {
    let (mut params, key) = (Params::default(), Key::new(3));
    params.add(key, "layers.0.query.lora.a".into(), &[41, 1000], Init::Normal(0.5));
    params.add(key, "head.out.bias".into(), &[7], Init::Normal(0.5));
    params.add(key, "layers.0.ffn_norm.weight".into(), &[9], Init::Normal(0.5));
    params
}

fn gradient(step: u64, n: usize, size: f64) -> Vec<f32> {
    (0..n as u64).map(|i| (size * Key::new(step).normal(i)) as f32).collect()
}

/// Five steps by `spec`, against steps with the same constants in double precision.
fn check(spec: OptimizerSpec, corrects: bool, clips: bool, all_decay: bool, eps: f64, size: f64) {
    let (mut params, lr) = (params(), 0.01);
    let n = params.len();
    let mut optimizer = Optimizer::new(spec, n);
    let decays: Vec<f64> =
        (0..n).map(|i| if i < 41_000 || all_decay { 0.01 } else { 0.0 }).collect();
    let mut w: Vec<f64> = params.values.iter().map(|&x| x.into()).collect();
    let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
    for t in 1..=5 {
        let g = gradient(t, n, size);
        let norm = g.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let found = optimizer.step((Device::cpu(), 2), &mut params, &g, lr);
        assert!((found - norm).abs() < 1e-6 * norm);
        let scale = if clips { 1.0 / norm.max(1.0) } else { 1.0 };
        let correct = |beta: f64| if corrects { 1.0 - beta.powi(t as i32) } else { 1.0 };
        for i in 0..n {
            let g = scale * f64::from(g[i]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let update = m[i] / correct(0.9) / ((v[i] / correct(0.999)).sqrt() + eps);
            w[i] -= lr * (update + decays[i] * w[i]);
        }
    }
    for (i, (&got, &expected)) in params.values.iter().zip(&w).enumerate() {
        assert!((f64::from(got) - expected).abs() < 1e-5, "element {i}: {got}, not {expected}");
    }
}

/// adapter-bert's `AdamWeightDecayOptimizer`: no correction of the moments, weights decay but not
/// biases and norms, and the gradient is clipped to a norm of 1, by the training loop there.
#[test]
fn steps_of_the_paper_match_its_code() {
    for size in [1e-3, 1.0] {
        check(OptimizerSpec::bert(), false, true, false, 1e-6, size);
    }
}

#[test]
fn steps_of_pytorch_match_its_definition() {
    for size in [1e-3, 1.0] {
        check(OptimizerSpec::torch(), true, false, true, 1e-8, size);
    }
}
