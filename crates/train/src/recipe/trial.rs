//! One training that begins as the probe, and again at a lower rate where it is lost.

use std::path::Path;

use budwood_engine::Workers;
use budwood_model::Adapter;

use super::definition::{Common, OnEvent, Recipe};
use super::head_values::{HeadValues, set_head};
use super::journal::{Journal, Trial};
use crate::watch::Watch;
use crate::{Checkpoint, Error, Event, Outcome, Prepared, TrainConfig, Trainer};

/// Rates that are tried.
pub(super) const ATTEMPTS: usize = 3;
/// What the rate of a lost training is divided by.
pub(super) const SLOWER: f64 = 3.0;

/// How a training ended.
pub(super) enum Ended {
    /// With this adapter.
    Trained(Box<Adapter>, Outcome),
    /// It fell to one answer, or its loss jumped.
    Lost,
    /// It was asked to stop.
    Interrupted(Outcome),
}

/// How an adapter is trained on pairs.
#[derive(Clone, Copy)]
pub(super) struct OnPairs {
    /// Strength of the probe that becomes its head.
    pub(super) strength: f64,
    /// Rows of the run. A part of them is seen as often as all are in the end.
    pub(super) of_rows: usize,
}

/// What a training begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// Random values.
    Random,
    /// The probe as its head.
    Probe(&'a HeadValues),
    /// Random values; trained on pairs, with a probe on the vectors as its head.
    Pairs(OnPairs),
}

/// What a training is given.
pub(super) struct Task<'a> {
    pub(super) config: TrainConfig,
    pub(super) train: &'a Prepared,
    pub(super) dev: Option<&'a Prepared>,
    pub(super) start: Start<'a>,
    /// Loss of one answer for all.
    pub(super) nothing: f64,
    /// Whether one answer for all validation rows is not a sign of a fall.
    pub(super) may_agree: bool,
}

impl Common<'_> {
    /// Trains once, with checkpoints in `folder`.
    pub(super) fn train_once(
        &self,
        workers: &mut Workers,
        task: &Task<'_>,
        folder: Option<&Path>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Ended, Error> {
        let (base, config) = (self.base, &task.config);
        if let Start::Pairs(pairs) = task.start {
            return self.contrast(workers, (config, pairs), task.train, on_event);
        }
        let mut adapter = self.new_adapter(config)?;
        if let Start::Probe(head) = task.start {
            set_head(&mut adapter, head);
        }
        adapter.refresh(base.device(), workers.threads());
        let mut trainer = Trainer::new(base, workers, config, task.train, task.dev, self.identity)?;
        if let Some(folder) = folder {
            trainer = trainer.with_checkpoints(folder, self.save_every);
        }
        if let Some(spec) = self.cache {
            trainer = trainer.with_prefix_cache(spec);
        }
        if let Some(id) = self.base_id {
            trainer = trainer.with_base_id(id.clone());
        }
        let trainer = trainer.with_watch(Watch::new(task.nothing, task.may_agree));
        match trainer.run(&mut adapter, on_event) {
            // The loss is not a number.
            Err(Error::Diverged { .. }) => Ok(Ended::Lost),
            Err(e) => Err(e),
            Ok(outcome) if outcome.lost => Ok(Ended::Lost),
            Ok(outcome) if outcome.interrupted => Ok(Ended::Interrupted(outcome)),
            Ok(outcome) => Ok(Ended::Trained(Box::new(adapter), outcome)),
        }
    }
}

impl Recipe<'_> {
    /// Trains with checkpoints, and again at a lower rate where that is lost. Leaves the settings
    /// of what was trained in the recipe.
    pub(super) fn train_through(
        &mut self,
        mut task: Task<'_>,
        journal: &mut Journal,
        lost_at: &mut Vec<f64>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Ended, Error> {
        let folder = self.folder.clone();
        for _ in 0..ATTEMPTS {
            let rate = task.config.learning_rate;
            let name = format!("rate {rate:e}");
            if journal.get(&name) != Some(&Trial::Lost) {
                let (common, workers) = self.parts();
                match common.train_once(workers, &task, folder.as_deref(), on_event)? {
                    Ended::Lost => {}
                    ended => {
                        self.config = task.config;
                        return Ok(ended);
                    }
                }
                // In this order: a run that is killed in between is lost once more.
                if let Some(folder) = &folder {
                    Checkpoint::remove(folder)?;
                }
                journal.add(&name, Trial::Lost)?;
            }
            lost_at.push(rate);
            let _ = on_event(Event::Lost { rate });
            task.config.learning_rate = rate / SLOWER;
        }
        Ok(Ended::Lost)
    }
}
