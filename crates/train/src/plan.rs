//! Which examples stand in which step. An epoch's steps are made when they are needed, so that
//! memory does not grow with the number of epochs.

use std::sync::{Arc, Mutex, PoisonError};

use budwood_base::random::Key;
use budwood_tasks::batch::{self, BatchSize};

use crate::{Error, TrainConfig};

/// The steps of one epoch; each is a list of examples.
type Epoch = Arc<Vec<Vec<usize>>>;

/// All steps of a run, fixed by its seed.
pub(crate) struct Plan {
    /// Tokens of each example.
    lengths: Vec<usize>,
    batch: BatchSize,
    accumulate: usize,
    drop_last: bool,
    key: Key,
    /// Steps up to the end of each epoch.
    ends: Vec<usize>,
    /// The epochs that were asked for last: training works on one while images of the next are
    /// decoded.
    made: Mutex<[Option<(usize, Epoch)>; 2]>,
}

impl Plan {
    /// Plans the epochs of a checked configuration.
    ///
    /// # Errors
    /// If there is no step.
    pub(crate) fn new(config: &TrainConfig, lengths: Vec<usize>) -> Result<Self, Error> {
        let mut plan = Self {
            lengths,
            batch: config.batch,
            accumulate: config.accumulate.max(1),
            drop_last: config.drop_last,
            key: Key::new(config.seed).named("batches"),
            ends: Vec::with_capacity(config.epochs),
            made: Mutex::default(),
        };
        let (mut end, mut last) = (0, None);
        for epoch in 0..config.epochs {
            let steps = match (config.batch, last) {
                // Batches of so many examples are as many in each epoch.
                (BatchSize::Examples(_), Some(steps)) => steps,
                _ => plan.make(epoch).len(),
            };
            last = Some(steps);
            end += steps;
            plan.ends.push(end);
        }
        if end == 0 {
            let why = match config.drop_last {
                true => {
                    "--drop-last leaves no batch, as no batch is full; leave it out, or make batches smaller"
                }
                false => "there are no examples to train on",
            };
            return Err(Error::Usage(why.into()));
        }
        Ok(plan)
    }

    /// Steps of the whole run.
    pub(crate) fn steps(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The epoch that a step is in, from 0.
    pub(crate) fn epoch(&self, step: usize) -> usize {
        self.ends.partition_point(|&end| end <= step)
    }

    /// Whether an epoch ends after so many steps.
    pub(crate) fn ends_after(&self, steps: usize) -> bool {
        self.ends.binary_search(&steps).is_ok()
    }

    /// The examples of a step.
    pub(crate) fn examples(&self, step: usize) -> Vec<usize> {
        let epoch = self.epoch(step);
        let first = epoch.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.steps_of(epoch)[step - first].clone()
    }

    fn steps_of(&self, epoch: usize) -> Epoch {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut made[epoch % 2];
        match place {
            Some((there, steps)) if *there == epoch => Arc::clone(steps),
            _ => {
                let steps = Arc::new(self.make(epoch));
                *place = Some((epoch, Arc::clone(&steps)));
                steps
            }
        }
    }

    fn make(&self, epoch: usize) -> Vec<Vec<usize>> {
        let key = self.key.child(epoch as u64);
        let batches = batch::training(&self.lengths, self.batch, key, self.drop_last);
        batches.chunks(self.accumulate).map(<[_]>::concat).collect()
    }
}

#[cfg(test)]
mod tests {
    use budwood_base::method::MethodSpec;

    use super::*;

    /// The plan is that of all epochs made at once.
    #[test]
    fn epochs_made_one_by_one_are_those_made_at_once() {
        let lengths: Vec<usize> = (0..1003).map(|i| 5 + i * 7 % 40).collect();
        let sizes = [BatchSize::Examples(32), BatchSize::Tokens(512), BatchSize::Examples(2000)];
        for (batch, drop_last, accumulate) in
            sizes.into_iter().flat_map(|b| [(b, false, 1), (b, false, 3), (b, true, 2)])
        {
            let mut config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
            (config.batch, config.drop_last, config.accumulate) = (batch, drop_last, accumulate);
            config.epochs = 4;
            let key = Key::new(0).named("batches");
            let mut expected = Vec::new();
            let mut ends = Vec::new();
            for epoch in 0..4 {
                let batches = batch::training(&lengths, batch, key.child(epoch), drop_last);
                expected.extend(batches.chunks(accumulate).map(<[_]>::concat));
                ends.push(expected.len());
            }
            let plan = Plan::new(&config, lengths.clone());
            if expected.is_empty() {
                assert!(plan.is_err());
                continue;
            }
            let plan = plan.unwrap();
            assert_eq!(plan.steps(), expected.len());
            let backwards = (0..expected.len()).rev();
            for step in (0..expected.len()).chain(backwards) {
                assert_eq!(plan.examples(step), expected[step], "{batch:?} step {step}");
                assert_eq!(plan.ends_after(step + 1), ends.contains(&(step + 1)));
            }
        }
    }

    #[test]
    fn a_hundred_thousand_epochs_take_no_memory() {
        let mut config = TrainConfig::new(MethodSpec::named("adapter"), "accuracy");
        config.epochs = 100_000;
        let plan = Plan::new(&config, vec![9; 100_000]).unwrap();
        assert_eq!(plan.steps(), 100_000 * 3125);
        assert_eq!(plan.examples(plan.steps() - 1).len(), 32);
    }
}
