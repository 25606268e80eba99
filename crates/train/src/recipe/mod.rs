//! The recipe `auto`: good results without tuning.
//!
//! 1. The frozen model's pooled vectors are computed once, and a linear probe on them is solved to
//!    convergence.
//! 2. The adapter's head begins as the probe; then everything trains (Kumar et al. 2022), for a
//!    number of steps and at a rate that the method and the number of rows say. A run that is lost
//!    begins again at a lower rate.
//! 3. Held-out rows decide between the adapter and the probe alone: with few rows by
//!    cross-validation, after which the chosen one is trained on all of them.
//! 4. Probabilities get the temperature at which they fit the held-out rows.
//!
//! The same settings and data give the same bits, on any number of threads and wherever a run was
//! interrupted.

mod account;
mod calibrate;
mod contest;
mod contrastive;
mod definition;
mod folds;
mod ground;
mod head_values;
mod held_out;
mod journal;
mod lbfgs;
mod plan;
mod probe;
mod problem;
mod ridge;
mod strength;
mod thresholds;
mod trial;
mod units;
mod vectors;

use std::ops::ControlFlow;
use std::time::Instant;

use budwood_model::Targets;

use crate::{Error, Event, Outcome};

pub use account::{Account, Chosen, Estimate, Thresholded};
pub use calibrate::{Calibration, Covered, accuracy_over_coverage};
pub use definition::{Made, Recipe};
pub use journal::TRIALS;
pub use plan::{Plan, plan};
pub use units::Units;

use definition::OnEvent;
use journal::Journal;
use trial::{Ended, Start, Task};

/// Rows below which no rows are kept for validation: cross-validation over all of them takes its
/// place.
pub const FEW_ROWS: usize = 2000;

impl Recipe<'_> {
    /// Makes an adapter. The event's receiver may ask to stop: the outcome says so then, and the
    /// same call goes on.
    ///
    /// # Errors
    /// If the targets leave nothing to learn, a checkpoint is another run's or cannot be written,
    /// or an image cannot be decoded.
    pub fn run(
        mut self,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Made, Error> {
        let begin = Instant::now();
        let Some(targets) = &self.train.targets else {
            return Err(Error::Usage("the training examples have no labels".into()));
        };
        self.check(targets)?;
        let on_event: &mut OnEvent<'_> = &mut on_event;
        if self.head.kind.over_tokens() || self.head.dense.is_some() {
            return self.without_probe(on_event);
        }
        // A probe's weights take the vectors' common part off again: without some of their elements
        // its outputs are nonsense.
        self.head.dropout = 0.0;
        // Numbers are learned in units of their deviation, about their mean.
        let units = Units::of(targets)?;
        let scaled = units.map(|u| (u.prepared(self.train), self.dev.map(|d| u.prepared(d))));
        let (train, dev) = match &scaled {
            Some((train, dev)) => (train, dev.as_ref()),
            None => (self.train, self.dev),
        };
        let Some(ground) = self.ground(train, dev, on_event)? else {
            return self.interrupted(Outcome { interrupted: true, ..Outcome::of_no_step() });
        };
        let mut made = self.with_probe(&ground, on_event)?;
        if let Some(units) = units {
            units.restore(&mut made.adapter, self.base);
            made.account.say_in(units);
        }
        // What the probe and the trials took counts too.
        made.outcome.seconds = made.outcome.seconds.max(begin.elapsed().as_secs_f64());
        Ok(made)
    }

    /// What a run that was stopped gives: an adapter that nothing was learned by.
    fn interrupted(&mut self, outcome: Outcome) -> Result<Made, Error> {
        let config = self.config.clone();
        let adapter = self.parts().0.new_adapter(&config)?;
        let account = Account::of(&self.config);
        Ok(Made { adapter, outcome, account, config: self.config.clone() })
    }

    /// Refuses settings that say nothing about such targets, before anything is computed.
    fn check(&self, targets: &Targets) -> Result<(), Error> {
        let n = self.train.examples();
        let is_one = matches!(targets, Targets::Classes(all) if all.iter().all(|c| *c == all[0]));
        if is_one || n < 2 && !matches!(targets, Targets::Values(_)) {
            let message = format!(
                "there is nothing to learn: rows to train on are of one class or too few ({n}); take more \
                 of the data (--train-rows, --dev-share, --test-share), or say --recipe paper"
            );
            return Err(Error::Usage(message));
        }
        self.config.check_smoothing(targets)?;
        self.config.class_weights.of(targets)?;
        let only_probe = self.config.method.parts.iter().all(|part| part.name == "linear");
        if self.config.contrastive && !matches!(targets, Targets::Classes(_)) {
            let message = "--recipe contrastive is for tasks where an example has one class; use \
                           --recipe auto";
            return Err(Error::Usage(message.into()));
        }
        if only_probe && self.config.contrastive {
            let message = "--recipe contrastive trains vectors, which --method linear leaves as \
                           they are; choose another method, or --recipe auto";
            return Err(Error::Usage(message.into()));
        }
        if only_probe && self.config.label_smoothing != 0.0 {
            let message = "--label-smoothing has no part in the linear probe; leave it out, or \
                           choose another method or --recipe paper";
            return Err(Error::Usage(message.into()));
        }
        Ok(())
    }

    /// Trains a head that has no vectors for a probe, from random values.
    fn without_probe(&mut self, on_event: &mut OnEvent<'_>) -> Result<Made, Error> {
        let mut account = Account::of(&self.config);
        let mut journal = Journal::default();
        let task = Task {
            config: self.config.clone(),
            train: self.train,
            dev: self.dev,
            start: Start::Random,
            nothing: f64::INFINITY,
            may_agree: true,
        };
        let (adapter, outcome) =
            match self.train_through(task, &mut journal, &mut account.lost_at, on_event)? {
                Ended::Trained(adapter, outcome) => (*adapter, outcome),
                Ended::Interrupted(outcome) => return self.interrupted(outcome),
                Ended::Lost => {
                    return Err(Error::Usage(format!(
                        "training was lost at every learning rate down to {:.1e}: look at the data",
                        account.lost_at.last().copied().unwrap_or_default()
                    )));
                }
            };
        Ok(Made { adapter, outcome, account, config: self.config.clone() })
    }
}
