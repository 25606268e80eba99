//! AdamW over an adapter's flat parameter vector, with clipping by the global norm.

use budwood_engine::{AdamW, Device, adamw, sum_of_squares};
use budwood_model::Params;
use serde::{Deserialize, Serialize};

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

    /// One step. Returns the gradient's norm before clipping.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(
        &mut self,
        device: Device,
        params: &mut Params,
        gradient: &[f32],
        learning_rate: f64,
    ) -> f64 {
        let norm = sum_of_squares(gradient).sqrt();
        let clip = self.spec.clip_norm;
        let scale = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
        self.steps += 1;
        let correction = |beta: f64| match self.spec.bias_correction {
            true => 1.0 - beta.powf(self.steps as f64),
            false => 1.0,
        };
        let mut constants = AdamW {
            learning_rate: learning_rate as f32,
            beta1: self.spec.beta1 as f32,
            beta2: self.spec.beta2 as f32,
            eps: self.spec.eps as f32,
            weight_decay: 0.0,
            correction1: correction(self.spec.beta1) as f32,
            correction2: correction(self.spec.beta2) as f32,
        };
        let slots: Vec<_> = params
            .entries()
            .iter()
            .map(|p| (p.slot.clone(), self.spec.decay == Decay::All || !p.is_bias_or_norm()))
            .collect();
        for (slot, decays) in slots {
            constants.weight_decay = if decays { self.spec.weight_decay as f32 } else { 0.0 };
            adamw(
                device,
                constants,
                scale as f32,
                &mut params.values[slot.clone()],
                &gradient[slot.clone()],
                &mut self.m[slot.clone()],
                &mut self.v[slot],
            );
        }
        norm
    }
}
