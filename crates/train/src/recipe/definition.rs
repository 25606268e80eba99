//! What a recipe is given, and what it gives.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use budwood_base::head::HeadSpec;
use budwood_base::record::BaseId;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use super::account::Account;
use crate::{Event, Outcome, PrefixCacheSpec, Prepared, TrainConfig};

/// A run of the recipe.
pub struct Recipe<'a> {
    /// The frozen model.
    pub base: &'a Base,
    /// The same model in a form that trials are made on; that model itself if none is given.
    pub trial_base: Option<&'a Base>,
    /// Threads.
    pub workers: &'a mut Workers,
    /// Settings of the training loop: those of `plan` where nothing else was asked for.
    pub config: TrainConfig,
    /// The head.
    pub head: HeadSpec,
    /// Rows to train on.
    pub train: &'a Prepared,
    /// Rows to choose by, if there are some.
    pub dev: Option<&'a Prepared>,
    /// Names base and data, so that a checkpoint is not taken for another run's.
    pub identity: String,
    /// The base, so that a checkpoint of another one is refused by what differs.
    pub base_id: Option<BaseId>,
    /// Where checkpoints go.
    pub folder: Option<PathBuf>,
    /// Time between them.
    pub save_every: Duration,
    /// What is kept of the output of frozen layers.
    pub cache: Option<PrefixCacheSpec>,
}

/// What all trainings of a run share.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub(super) base: &'a Base,
    pub(super) head: &'a HeadSpec,
    pub(super) identity: &'a str,
    pub(super) base_id: Option<&'a BaseId>,
    pub(super) save_every: Duration,
    pub(super) cache: Option<PrefixCacheSpec>,
}

impl Recipe<'_> {
    /// What all trainings share, and the threads.
    pub(super) fn parts(&mut self) -> (Common<'_>, &mut Workers) {
        let common = Common {
            base: self.base,
            head: &self.head,
            identity: &self.identity,
            base_id: self.base_id.as_ref(),
            save_every: self.save_every,
            cache: self.cache,
        };
        (common, self.workers)
    }
}

/// What a recipe gives.
pub struct Made {
    /// The adapter; of method `linear` where the probe alone was chosen.
    pub adapter: Adapter,
    /// How training ended.
    pub outcome: Outcome,
    /// What was chosen, and why.
    pub account: Account,
    /// Settings of the training that was kept.
    pub config: TrainConfig,
}

/// The receiver of events.
pub(super) type OnEvent<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;
