//! What the training loop is told.

use budwood_base::method::MethodSpec;
use budwood_tasks::batch::BatchSize;
use serde::{Deserialize, Serialize};

use crate::OptimizerSpec;

/// How much the examples of each class count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All alike.
    Equal,
    /// Inversely to the class's share of the training set.
    Balanced,
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// To zero on a line, as in BERT's code.
    #[default]
    Linear,
    /// To `min` on half a wave of the cosine (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// The rate at the end.
        min: f64,
    },
}

impl Schedule {
    fn is_linear(&self) -> bool {
        *self == Self::Linear
    }
}

/// Settings of one run. Defaults are the paper's where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The method.
    pub method: MethodSpec,
    /// Passes over the training set.
    pub epochs: usize,
    /// Size of a batch.
    pub batch: BatchSize,
    /// Batches whose gradients make one step.
    pub accumulate: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Share of the steps over which it rises from zero.
    pub warmup: f64,
    /// How it falls then.
    #[serde(default, skip_serializing_if = "Schedule::is_linear")]
    pub schedule: Schedule,
    /// The optimizer's constants.
    pub optimizer: OptimizerSpec,
    /// Seed of initial values, order and dropout.
    pub seed: u64,
    /// Tokens that an input is cut to.
    pub max_length: usize,
    /// Steps between evaluations; `None` for one after each epoch.
    pub eval_every: Option<usize>,
    /// Evaluations without a better score after which training stops.
    pub patience: Option<usize>,
    /// Weights of the classes.
    pub class_weights: ClassWeights,
    /// Whether incomplete batches are left out.
    pub drop_last: bool,
    /// The score that chooses the checkpoint.
    pub metric: String,
}

impl TrainConfig {
    /// The paper's settings for a method: batches of 32, 128 tokens, warm-up over a tenth.
    pub fn new(method: MethodSpec, metric: &str) -> Self {
        Self {
            method,
            epochs: 3,
            batch: BatchSize::Examples(32),
            accumulate: 1,
            learning_rate: 1e-3,
            warmup: 0.1,
            schedule: Schedule::Linear,
            optimizer: OptimizerSpec::bert(),
            seed: 0,
            max_length: 128,
            eval_every: None,
            patience: None,
            class_weights: ClassWeights::Equal,
            drop_last: false,
            metric: metric.into(),
        }
    }

    /// The learning rate of step `step` of `steps`, from 0: rising over the warm-up, else on the line or the wave that
    /// begins at step 0, as in BERT's code.
    pub fn rate(&self, step: usize, steps: usize) -> f64 {
        let warm = (self.warmup * steps as f64) as usize;
        if step < warm {
            return self.learning_rate * step as f64 / warm as f64;
        }
        let done = step as f64 / steps.max(1) as f64;
        match self.schedule {
            Schedule::Linear => self.learning_rate * (1.0 - done),
            Schedule::Cosine { min } => {
                let share = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
                min + (self.learning_rate - min) * share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
        let rate = |step| config.rate(step, 100) / config.learning_rate;
        assert_eq!(rate(0), 0.0);
        assert!((rate(5) - 0.5).abs() < 1e-12);
        // BERT's code drops to 0.9 just after the warm-up.
        assert!((rate(10) - 0.9).abs() < 1e-12);
        assert!((rate(99) - 0.01).abs() < 1e-12);
        assert_eq!(config.rate(0, 5), config.learning_rate, "too few steps for a warm-up");
    }

    /// Expected values: `CosineAnnealingLR(T_max=100, eta_min=1e-5)` of PyTorch 2.15 from 1e-3.
    #[test]
    fn the_cosine_is_that_of_pytorch() {
        let mut config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
        config.schedule = Schedule::Cosine { min: 1e-5 };
        let expected = [(10, 9.757_729_755_661e-4), (50, 5.05e-4), (75, 1.549_821_433_375e-4)];
        for (epoch, rate) in expected {
            assert!((config.rate(epoch, 100) - rate).abs() < 1e-12, "{epoch}");
        }
        assert!((config.rate(5, 100) - 5e-4).abs() < 1e-12);
    }
}
