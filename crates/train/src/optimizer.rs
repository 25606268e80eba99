//! AdamW over an adapter's flat parameter vector, with clipping by the global norm.

use budwood_engine::{AdamW, Device, adamw, for_each, sum_of_squares};
use budwood_model::Params;
use serde::{Deserialize, Serialize};

/// Elements that one thread updates at a time: its four vectors then stay in the second-level
/// cache.
const PIECE: usize = 32 * 1024;

/// Which parameters decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// All but biases and layer norms, as in BERT's code.
    Matrices,
    /// All.
    All,
}

/// The optimizer's constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSpec {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// What decays.
    pub decay: Decay,
    /// Whether the moments are corrected for their start at zero. BERT's code does not.
    pub bias_correction: bool,
    /// Largest norm of a step's gradient; 0 for no limit.
    pub clip_norm: f64,
}

impl OptimizerSpec {
    /// The official code's `AdamWeightDecayOptimizer` (adapter-bert, `optimization.py`).
    pub fn bert() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-6,
            weight_decay: 0.01,
            decay: Decay::Matrices,
            bias_correction: false,
            clip_norm: 1.0,
        }
    }

    /// PyTorch's `AdamW` with its defaults.
    pub fn torch() -> Self {
        Self { eps: 1e-8, decay: Decay::All, bias_correction: true, clip_norm: 0.0, ..Self::bert() }
    }
}

/// An optimizer with its moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    spec: OptimizerSpec,
    /// Steps taken.
    pub steps: u64,
    /// First moments, laid out as the parameters.
    pub m: Vec<f32>,
    /// Second moments.
    pub v: Vec<f32>,
}

impl Optimizer {
    /// Moments at zero for `n` parameters.
    pub fn new(spec: OptimizerSpec, n: usize) -> Self {
        Self { spec, steps: 0, m: vec![0.0; n], v: vec![0.0; n] }
    }

    /// One step on a device with a number of threads, on which the result does not depend. Returns
    /// the gradient's norm before clipping.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(
        &mut self,
        (device, threads): (Device, usize),
        params: &mut Params,
        gradient: &[f32],
        learning_rate: f64,
    ) -> f64 {
        let norm = sum_of_squares(device, gradient).sqrt();
        let clip = self.spec.clip_norm;
        let scale = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        self.steps += 1;
        let correction = |beta: f64| match self.spec.bias_correction {
            true => 1.0 - beta.powf(self.steps as f64),
            false => 1.0,
        };
        let constants = AdamW {
            learning_rate: learning_rate as f32,
            beta1: self.spec.beta1 as f32,
            beta2: self.spec.beta2 as f32,
            eps: self.spec.eps as f32,
            weight_decay: 0.0,
            correction1: correction(self.spec.beta1) as f32,
            correction2: correction(self.spec.beta2) as f32,
        };
        let all = self.spec.decay == Decay::All;
        let tensors = params.entries().iter().map(|p| (p.slot.len(), all || !p.is_bias_or_norm()));
        let tensors: Vec<(usize, bool)> = tensors.collect();
        // The tensors lie one after another in all four vectors.
        let mut rest = (&mut params.values[..], gradient, &mut self.m[..], &mut self.v[..]);
        let mut pieces = Vec::new();
        for (len, decays) in tensors {
            let weight_decay = if decays { self.spec.weight_decay as f32 } else { 0.0 };
            for start in (0..len).step_by(PIECE) {
                let n = PIECE.min(len - start);
                let (w, w_rest) = rest.0.split_at_mut(n);
                let (g, g_rest) = rest.1.split_at(n);
                let (m, m_rest) = rest.2.split_at_mut(n);
                let (v, v_rest) = rest.3.split_at_mut(n);
                rest = (w_rest, g_rest, m_rest, v_rest);
                pieces.push((AdamW { weight_decay, ..constants }, w, g, m, v));
            }
        }
        for_each(threads, pieces.into_iter(), |(step, w, g, m, v)| {
            adamw(device, step, scale as f32, w, g, m, v);
        });
        norm
    }
}
