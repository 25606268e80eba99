//! What a recipe is given, and what it gives.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_base::record::BaseId;
use budwood_base::tensor::TensorMap;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use super::account::Account;
use crate::{Error, Event, Outcome, PrefixCacheSpec, Prepared, TrainConfig};

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
    /// What adapters begin with in the place of values of their own: those of a trained adapter of
    /// the same method, or of a head; empty for new ones.
    pub begin: &'a TensorMap,
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
    pub(super) begin: &'a TensorMap,
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
            begin: self.begin,
            identity: &self.identity,
            base_id: self.base_id.as_ref(),
            save_every: self.save_every,
            cache: self.cache,
        };
        (common, self.workers)
    }
}

impl Common<'_> {
    /// An adapter that nothing was learned by here.
    pub(super) fn new_adapter(&self, config: &TrainConfig) -> Result<Adapter, Error> {
        let (base, head) = (self.base, self.head.clone());
        let mut adapter = Adapter::new(base, &config.method, head, config.seed)?;
        adapter.begin_from(base, self.begin)?;
        Ok(adapter)
    }

    /// The same, whose outputs are pooled vectors.
    pub(super) fn new_pooling(&self, config: &TrainConfig) -> Result<Adapter, Error> {
        let (base, pooling) = (self.base, self.head.pooling);
        let mut adapter = Adapter::pooling(base, &config.method, pooling, config.seed)?;
        adapter.begin_from(base, &self.in_encoder())?;
        Ok(adapter)
    }

    /// What is begun with below the head.
    pub(super) fn in_encoder(&self) -> TensorMap {
        let own = self.begin.iter().filter(|(name, _)| !name.starts_with("head."));
        own.map(|(name, tensor)| (name.clone(), tensor.clone())).collect()
    }

    /// The settings of what the probe is solved on: the base alone, or what is begun with.
    pub(super) fn probed(&self, config: &TrainConfig) -> Result<TrainConfig, Error> {
        let mut config = config.clone();
        if self.in_encoder().is_empty() {
            config.method = budwood_model::method::resolve(&MethodSpec::named("linear"))?;
        }
        Ok(config)
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
