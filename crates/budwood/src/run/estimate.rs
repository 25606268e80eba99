//! How long a run will take.

use std::ops::ControlFlow;
use std::sync::Arc;

use budwood_model::Adapter;
use budwood_train::Trainer;

use super::{Run, RunData, TrainingBase};
use crate::spec::Resources;
use crate::{Error, RunSpec};

impl Run {
    /// Seconds that a pass over the training set will take, from a few steps of it.
    ///
    /// # Errors
    /// As [`Run::new`] and [`Run::train`].
    pub fn seconds_a_pass(
        spec: &RunSpec,
        resources: &Resources,
        base: Arc<TrainingBase>,
        data: RunData,
    ) -> Result<f64, Error> {
        const STEPS: usize = 4;
        let (rows, few) = (data.train.examples.len(), STEPS * spec.batch_size.unwrap_or(32));
        let data = RunData { train: data.train.sample(few, 0), dev: None, test: None, ..data };
        let spec = RunSpec { epochs: Some(1), ..spec.clone() };
        let mut run = Self::new(&spec, resources, base, data)?;
        let base = &run.base.packed;
        let mut adapter = Adapter::new(base, &run.config.method, run.head.clone(), 0)?;
        let trainer =
            Trainer::new(base, &mut run.workers, &run.config, &run.train, None, "an estimate")?;
        let outcome = trainer.run(&mut adapter, |_| ControlFlow::Continue(()))?;
        Ok(outcome.seconds * rows as f64 / run.train.len() as f64)
    }
}
