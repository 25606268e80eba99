//! The training of a run, and the scores of what it made.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use budwood_base::folder::OutFolder;
use budwood_base::record::{MetricValue, Prediction};
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_model::Adapter;
use budwood_tasks::metric::why_undefined;
use budwood_train::recipe::{Account, FEW_ROWS, Made, Recipe};
use budwood_train::{Doubt, Event, Outcome, Scale, Trainer, answers, scores};
use serde_json::{Value, json};

use super::idle::without_effect;
use super::record::{metric_values, record_of};
use super::save::{Trained, Unsaved, write_adapter};
use super::{Run, peak_memory};
use crate::Error;
use crate::answer::answered;

/// What a training made, before it is scored.
struct Fitted {
    adapter: Adapter,
    outcome: Outcome,
    /// What the recipe chose and why; none for the paper's.
    account: Option<Account>,
}

/// The scores of a trained adapter.
struct Scored {
    metrics: Vec<MetricValue>,
    /// Scores that are undefined, by split and name.
    undefined: Vec<(String, String)>,
    /// The answers by split.
    predictions: Vec<(String, Vec<Prediction>)>,
    /// The threshold below which a question has no answer, chosen on validation data.
    none_threshold: Option<f32>,
}

impl Run {
    /// Trains; none if `on_event` asked to stop. Checkpoints go to the folder of the adapter, so
    /// that the same run goes on from there. `shown` is that folder as the caller named it. Of
    /// several ranks the first alone has a folder; all make the same adapter.
    ///
    /// # Errors
    /// If numbers run away, a checkpoint cannot be written, or another rank has another run.
    pub fn train(
        &mut self,
        mut out: Option<&mut OutFolder>,
        shown: &Path,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Option<Unsaved>, Error> {
        let identity = self.identity()?;
        self.resources.ranks.same("run (settings, base or data)", identity.as_bytes())?;
        if let Some(out) = &mut out {
            let failed = |e: std::io::Error| Box::new(e.into());
            out.make().map_err(|e| Error::Write { path: shown.into(), cause: failed(e) })?;
        }
        let Fitted { mut adapter, outcome, account } = match self.spec.is_paper() {
            true => self.fit_by_paper(out.as_deref(), shown, on_event)?,
            false => self.fit_by_recipe(out.is_some().then_some(shown), on_event)?,
        };
        if outcome.interrupted {
            return Ok(None);
        }
        let scale = self.train.scale;
        self.unscale(&mut adapter);
        let scored = self.score(&adapter, &outcome, account.as_ref())?;
        let mut meta = self.meta(&adapter, scored.metrics.clone());
        meta.task.none_threshold = scored.none_threshold;
        meta.task.thresholds = account.as_ref().and_then(Account::thresholds);
        meta.task.positive.clone_from(&self.spec.positive);
        if scale != Scale::NONE {
            let scale = json!({ "mean": scale.mean, "deviation": scale.deviation });
            meta.training.insert("target_scale".into(), scale);
        }
        if let Some(account) = &account {
            meta.training.insert("recipe".into(), json!(account));
        }
        let mut record = record_of(&meta);
        record.key = self.spec.key();
        record.group.clone_from(&self.spec.method);
        record.settings = self.spec.settings().into_iter().collect();
        record.parameters_head = adapter.head_parameters() as u64;
        (record.seconds, record.peak_bytes) = (outcome.seconds, peak_memory());
        record.adapter = Some(shown.display().to_string());
        let trained = Trained {
            identity,
            summary: self.summary((&meta, shown), &outcome, account.as_ref(), &scored.undefined),
            skipped: self.data.skipped.clone(),
            steps: outcome.steps,
            stopped_early: outcome.stopped_early,
            bytes: 0,
            record,
            undefined: scored.undefined,
            positive: meta.task.positive.clone(),
            account: account.map(|a| a.to_string()),
            predictions: scored.predictions,
        };
        let folder = AdapterFolder { meta, tensors: adapter.params.to_tensors() };
        Ok(Some(Unsaved { adapter, folder, trained }))
    }

    /// Trains by the protocol of the paper.
    fn fit_by_paper(
        &mut self,
        out: Option<&OutFolder>,
        shown: &Path,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Fitted, Error> {
        let inputs = self.inputs()?;
        let base = &self.base.packed;
        let mut adapter =
            Adapter::new(base, &self.config.method, self.head.clone(), self.config.seed)?;
        adapter.begin_from(base, &self.begin.tensors)?;
        let (workers, dev) = (&mut self.workers, self.dev.as_ref());
        let trainer = Trainer::new(base, workers, &self.config, &self.train, dev, &inputs)?
            .with_base_id(self.base.model.id(&self.spec.base));
        let trainer = match out {
            Some(_) => trainer.with_checkpoints(shown, self.resources.save_every),
            None => trainer,
        };
        let trainer = match self.resources.prefix() {
            Some(spec) => trainer.with_prefix_cache(spec),
            None => trainer,
        };
        match trainer.run(&mut adapter, on_event) {
            Ok(outcome) => Ok(Fitted { adapter, outcome, account: None }),
            Err(e @ budwood_train::Error::Diverged { .. }) => {
                self.unscale(&mut adapter);
                if let Some(out) = out {
                    self.keep_what_is_good(&adapter, out, shown)?;
                }
                Err(e.into())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Trains by the recipe that begins from a linear probe.
    fn fit_by_recipe(
        &mut self,
        folder: Option<&Path>,
        on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Fitted, Error> {
        let inputs = self.inputs()?;
        // Where there are few rows, many short trainings say what is kept.
        let few = self.train.examples() < FEW_ROWS;
        let trials = match few && !self.spec.needs_f32(Some(self.head.kind)) {
            true => self.base.for_trials(&self.spec)?,
            false => None,
        };
        let recipe = Recipe {
            base: &self.base.packed,
            trial_base: trials.as_ref(),
            workers: &mut self.workers,
            config: self.config.clone(),
            head: self.head.clone(),
            begin: &self.begin.tensors,
            train: &self.train,
            dev: self.dev.as_ref(),
            identity: format!("{inputs} recipe auto"),
            base_id: Some(self.base.model.id(&self.spec.base)),
            folder: folder.map(Into::into),
            save_every: self.resources.save_every,
            cache: self.resources.prefix(),
        };
        let Made { adapter, outcome, mut account, config } = recipe.run(on_event)?;
        self.config = config;
        account.without_effect = without_effect(&self.spec, account.chosen, self.dev.is_some());
        Ok(Fitted { adapter, outcome, account: Some(account) })
    }

    /// From here on the adapter answers in the unit of the data.
    fn unscale(&mut self, adapter: &mut Adapter) {
        let scale = self.train.scale;
        if scale == Scale::NONE {
            return;
        }
        scale.put_into(adapter, &self.base.packed, self.workers.threads());
        let all = [Some(&mut self.train), self.dev.as_mut(), self.test.as_mut()];
        all.into_iter().flatten().for_each(|p| p.scale = Scale::NONE);
    }

    /// After a divergence, the best parameters are worth keeping, if there are any.
    fn keep_what_is_good(
        &self,
        adapter: &Adapter,
        out: &OutFolder,
        shown: &Path,
    ) -> Result<(), Error> {
        if adapter.params.values.iter().all(|x| x.is_finite()) && self.dev.is_some() {
            let meta = self.meta(adapter, Vec::new());
            let mut folder = AdapterFolder { meta, tensors: adapter.params.to_tensors() };
            out.replace(|new| write_adapter(&mut folder, new, shown))?;
        }
        Ok(())
    }

    /// Answers and scores on validation and test rows.
    fn score(
        &mut self,
        adapter: &Adapter,
        outcome: &Outcome,
        account: Option<&Account>,
    ) -> Result<Scored, Error> {
        let base = Arc::clone(&self.base);
        let primary = self.config.metric.as_str();
        let metrics = match account {
            None => metric_values("dev", &outcome.scores, primary, self.dev.as_ref()),
            Some(account) => account.by_folds().into_iter().collect(),
        };
        let (undefined, predictions) = (Vec::new(), Vec::new());
        let mut all = Scored { metrics, undefined, predictions, none_threshold: None };
        let splits =
            [("dev", &self.data.dev, &mut self.dev), ("test", &self.data.test, &mut self.test)];
        for (split, data, prepared) in splits {
            let (Some(data), Some(prepared)) = (data, prepared) else { continue };
            // A threshold is chosen on validation data alone.
            if split == "test" && prepared.doubt == Doubt::Best {
                prepared.doubt = Doubt::Above(all.none_threshold.unwrap_or(f32::MAX));
            }
            if let Some(thresholds) = account.and_then(Account::thresholds) {
                prepared.thresholds = thresholds;
            }
            let answers = answers(&mut self.workers, &base.packed, adapter, prepared)?;
            let scores = scores(&answers, prepared);
            if split == "dev" {
                all.none_threshold = answers.none_threshold(prepared);
            }
            // The paper's recipe has scored the validation rows already.
            if split == "test" || account.is_some() || all.metrics.is_empty() {
                let chose = match (split, account) {
                    ("dev", Some(account)) if account.folds.is_none() => primary,
                    _ => "",
                };
                all.metrics.extend(metric_values(split, &scores, chose, Some(prepared)));
            }
            let not_defined = scores.iter().filter(|s| s.value.is_nan());
            all.undefined.extend(not_defined.map(|s| (split.to_string(), s.name.clone())));
            let predictions = answered(data, prepared, &answers, &self.data.labels);
            all.predictions.push((split.to_string(), predictions));
        }
        Ok(all)
    }

    /// The run as JSON; size and hash of the weights are set when they are written.
    fn summary(
        &self,
        (meta, shown): (&AdapterMeta, &Path),
        outcome: &Outcome,
        account: Option<&Account>,
        undefined: &[(String, String)],
    ) -> Value {
        let mut summary = json!({
            "adapter": shown, "bytes": 0, "task": meta.task,
            "method": meta.method.to_string(), "seed": self.config.seed,
            "parameters_trained": meta.parameters_trained,
            "parameters_base": meta.parameters_base,
            "metrics": meta.metrics,
            "steps": outcome.steps, "kept_step": outcome.kept_step,
            "stopped_early": outcome.stopped_early, "seconds": outcome.seconds,
            "seconds_reading": self.seconds_reading,
            "peak_bytes": peak_memory(), "truncated_rows": self.train.truncated,
            "weights_sha256": "", "precision": meta.precision,
            "pooling": self.head.pooling, "pooling_reason": self.why_pooling,
        });
        summary["data"] = json!(self.data.report);
        if !undefined.is_empty() {
            let why = |(split, name): &(String, String)| json!({ "split": split, "metric": name, "reason": why_undefined(name) });
            summary["undefined"] = undefined.iter().map(why).collect();
        }
        if let Some(account) = account {
            summary["recipe"] = json!(account);
        }
        if !self.data.skipped.is_empty() {
            summary["skipped"] = json!(self.data.skipped);
        }
        summary
    }
}
