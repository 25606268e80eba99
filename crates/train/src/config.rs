//! What the training loop is told.

use budwood_base::method::MethodSpec;
use budwood_model::Targets;
use budwood_tasks::batch::BatchSize;
use serde::{Deserialize, Serialize};

use crate::{ClassWeights, Error, OptimizerSpec};

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

fn is_zero(x: &f64) -> bool {
    *x == 0.0
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
    /// Share of the right class's probability that goes to all classes alike; see
    /// [`budwood_model::Loss`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Whether the recipe trains the vectors on pairs before the head.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub contrastive: bool,
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
            label_smoothing: 0.0,
            contrastive: false,
            drop_last: false,
            metric: metric.into(),
        }
    }

    /// Checks that every number has a meaning. A run of the largest of them still fits in memory.
    ///
    /// # Errors
    /// If one has none: its flag, its value and the bounds.
    pub fn check(&self) -> Result<(), Error> {
        let count = |flag: &str, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::Usage(format!("{flag} {value} is not a number from 1 to {most}"))),
        };
        let number = |flag: &str, value: f64, most: f64| match (0.0..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::Usage(format!("{flag} {value} is not a number from 0 to {most}"))),
        };
        count("--epochs", self.epochs, 100_000)?;
        match self.batch {
            BatchSize::Examples(n) => count("--batch-size", n, 1_000_000)?,
            BatchSize::Tokens(n) => count("--batch-tokens", n, 1_000_000_000)?,
        }
        count("--accumulate", self.accumulate, 1_000_000)?;
        count("--max-length", self.max_length, 1_000_000)?;
        self.eval_every.map_or(Ok(()), |n| count("--eval-every", n, usize::MAX))?;
        self.patience.map_or(Ok(()), |n| count("--patience", n, usize::MAX))?;
        let rate = self.learning_rate;
        // A rate that is far too large is named by the run that diverges.
        if !(rate > 0.0 && rate <= f64::from(f32::MAX)) {
            let message = format!("--lr {rate:e} is not a learning rate above 0");
            return Err(Error::Usage(message));
        }
        if let Schedule::Cosine { min } = self.schedule
            && !(0.0..=rate).contains(&min)
        {
            let message = format!("--min-lr {min} is not a rate from 0 to --lr, which is {rate}");
            return Err(Error::Usage(message));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let message = format!(
                "--label-smoothing {} is not a share from 0 to below 1",
                self.label_smoothing
            );
            return Err(Error::Usage(message));
        }
        number("--warmup", self.warmup, 1.0)?;
        number("--weight-decay", self.optimizer.weight_decay, 1000.0)?;
        number("--clip", self.optimizer.clip_norm, 1e9)
    }

    /// Refuses to smooth what has no classes.
    pub(crate) fn check_smoothing(&self, targets: &Targets) -> Result<(), Error> {
        let what = match targets {
            Targets::Values(_) => "numbers",
            Targets::Spans(_) => "places of answers",
            Targets::Classes(_) | Targets::Labels(_) | Targets::Tags(_) | Targets::Words(_) => {
                return Ok(());
            }
        };
        match self.label_smoothing == 0.0 {
            true => Ok(()),
            false => Err(Error::Usage(format!("--label-smoothing is for classes, not {what}"))),
        }
    }

    /// The learning rate of step `step` of `steps`, from 0: rising over the warm-up, else on the
    /// line or the wave that begins at step 0, as in BERT's code.
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

    #[test]
    fn numbers_without_meaning_are_refused() {
        let refused = |change: &dyn Fn(&mut TrainConfig), flag: &str| {
            let mut config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
            config.check().unwrap();
            change(&mut config);
            let message = config.check().map_or_else(|e| e.to_string(), |()| String::new());
            assert!(message.contains(flag), "{flag}: {message:?}");
        };
        for n in [0, 1_000_000_000_000] {
            refused(&|c| c.epochs = n, "--epochs");
            refused(&|c| c.batch = BatchSize::Examples(n), "--batch-size");
            refused(&|c| c.batch = BatchSize::Tokens(n), "--batch-tokens");
            refused(&|c| c.accumulate = n, "--accumulate");
            refused(&|c| c.max_length = n, "--max-length");
        }
        refused(&|c| c.eval_every = Some(0), "--eval-every");
        refused(&|c| c.patience = Some(0), "--patience");
        for x in [f64::NAN, f64::INFINITY, -1.0, 1e39] {
            refused(&|c| c.learning_rate = x, "--lr");
            refused(&|c| c.warmup = x, "--warmup");
            refused(&|c| c.optimizer.weight_decay = x, "--weight-decay");
            refused(&|c| c.optimizer.clip_norm = x, "--clip");
            refused(&|c| c.schedule = Schedule::Cosine { min: x }, "--min-lr");
        }
        refused(&|c| c.learning_rate = 0.0, "--lr");
        refused(&|c| c.warmup = 1.01, "--warmup");
        for x in [f64::NAN, -0.1, 1.0] {
            refused(&|c| c.label_smoothing = x, "--label-smoothing");
        }
    }

    #[test]
    fn smoothing_is_for_classes_and_changes_no_record_where_there_is_none() {
        let mut config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
        let numbers = Targets::Values(vec![1.0]);
        assert!(config.check_smoothing(&numbers).is_ok());
        assert!(!serde_json::to_string(&config).unwrap().contains("smoothing"));
        config.label_smoothing = 0.1;
        assert!(config.check_smoothing(&numbers).is_err());
        assert!(config.check_smoothing(&Targets::Spans(vec![(0, 0)])).is_err());
        assert!(config.check_smoothing(&Targets::Tags(vec![])).is_ok());
        assert!(config.check_smoothing(&Targets::Classes(vec![0])).is_ok());
        assert!(serde_json::to_string(&config).unwrap().contains("smoothing"));
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
