//! The training loop.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use budwood_base::digest;
use budwood_base::random::Key;
use budwood_base::record::BaseId;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base, Loss, Targets, plan_chunks, train_chunk};
use budwood_tasks::metric::is_better;

use crate::checkpoint::{Best, State};
use crate::evaluate::answers_from;
use crate::feed::{Feed, Step};
use crate::plan::Plan;
use crate::prefix_cache::PrefixCache;
use crate::watch::Watch;
use crate::{
    Checkpoint, Error, Optimizer, Place, PrefixCacheSpec, Prepared, Score, TrainConfig, scores,
};

/// What happens in a run, as it happens.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A run begins or goes on.
    Started {
        /// Steps of the whole run.
        steps: usize,
        /// Steps that were taken before.
        done: usize,
    },
    /// A step is done.
    Step {
        /// Steps taken.
        step: usize,
        /// Steps of the whole run.
        steps: usize,
        /// The pass over the training set, from 1.
        epoch: usize,
        /// Mean loss of this step.
        loss: f64,
        /// Learning rate of this step.
        rate: f64,
        /// Examples in this step.
        examples: usize,
        /// Norm of the gradient before clipping.
        norm: f64,
    },
    /// The adapter was scored on the validation set.
    Evaluated {
        /// Steps taken.
        step: usize,
        /// All scores.
        scores: &'a [Score],
        /// Whether this is the best so far.
        best: bool,
    },
    /// The vectors for the linear probe are computed.
    Vectors {
        /// Inputs that are done.
        done: usize,
        /// All inputs.
        of: usize,
    },
    /// The linear probe is solved.
    Probe {
        /// Strength of its regularisation.
        strength: f64,
    },
    /// A training on all folds but one begins.
    Trial {
        /// Its number, from 1.
        number: usize,
        /// Number of trainings, if none is given up early.
        of: usize,
    },
    /// A step of a trial is done; several trials may run beside each other.
    Trying,
    /// A training fell to one answer, or its loss jumped; it begins again at a lower rate, or is
    /// given up.
    Lost {
        /// The rate.
        rate: f64,
    },
    /// The state was written.
    Saved,
    /// The output of the lowest layers is computed once for each input and kept.
    Kept {
        /// Number of those layers.
        layers: usize,
        /// Inputs of the training set that it is kept for; none where dropout makes it another one
        /// in each step.
        train: usize,
        /// Inputs of the validation set.
        dev: usize,
        /// Bytes.
        bytes: u64,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Steps taken.
    pub steps: usize,
    /// The step of the parameters that were kept.
    pub kept_step: usize,
    /// Scores on the validation set of what was kept.
    pub scores: Vec<Score>,
    /// Wall time of training in seconds, over all parts of the run.
    pub seconds: f64,
    /// Whether the run was asked to stop before its end; it can be resumed.
    pub interrupted: bool,
    /// Whether it stopped because the score did not improve.
    pub stopped_early: bool,
    /// Whether it stopped because it had fallen to one answer for all inputs, or its loss had
    /// jumped.
    pub lost: bool,
}

/// Files of hidden states in a run's folder: of the training set and of the validation set.
pub(crate) const PREFIX: [&str; 2] = ["prefix-train.f32", "prefix-dev.f32"];

impl Outcome {
    /// Of a run in which no step had to be taken.
    pub(crate) fn of_no_step() -> Self {
        Self {
            steps: 0,
            kept_step: 0,
            scores: Vec::new(),
            seconds: 0.0,
            interrupted: false,
            stopped_early: false,
            lost: false,
        }
    }
}

/// What is kept of the inputs' hidden states.
#[derive(Default)]
struct Caches<'a> {
    train: Option<PrefixCache<'a>>,
    dev: Option<PrefixCache<'a>>,
}

/// One run.
pub struct Trainer<'a> {
    base: &'a Base,
    workers: &'a mut Workers,
    config: &'a TrainConfig,
    train: &'a Prepared,
    dev: Option<&'a Prepared>,
    /// Where checkpoints go; none are written without.
    folder: Option<PathBuf>,
    /// Time between checkpoints.
    save_every: Duration,
    cache: Option<PrefixCacheSpec>,
    watch: Option<Watch>,
    class_weights: Vec<f32>,
    plan: Arc<Plan>,
    run: String,
    base_id: Option<BaseId>,
}

impl<'a> Trainer<'a> {
    /// Plans a run. `identity` names base and data, so that a checkpoint is not taken for another
    /// run's.
    ///
    /// # Errors
    /// If a setting has no meaning, or there is nothing to train on.
    pub fn new(
        base: &'a Base,
        workers: &'a mut Workers,
        config: &'a TrainConfig,
        train: &'a Prepared,
        dev: Option<&'a Prepared>,
        identity: &str,
    ) -> Result<Self, Error> {
        let Some(targets) = &train.targets else {
            return Err(Error::Usage("the training examples have no labels".into()));
        };
        config.check()?;
        config.check_smoothing(targets)?;
        let class_weights = config.class_weights.of(targets)?;
        let plan = Arc::new(Plan::new(config, train.lengths())?);
        let settings = serde_json::to_string(config).map_err(|e| Error::Usage(e.to_string()))?;
        let run =
            digest::of_parts([("config", settings.as_bytes()), ("identity", identity.as_bytes())]);
        Ok(Self {
            base,
            workers,
            config,
            train,
            dev,
            folder: None,
            save_every: Duration::from_secs(30),
            cache: None,
            watch: None,
            class_weights,
            plan,
            run,
            base_id: None,
        })
    }

    /// Refuses a checkpoint of a run on another base, and says what differs. Older checkpoints do
    /// not hold all of it.
    #[must_use]
    pub fn with_base_id(mut self, id: BaseId) -> Self {
        self.base_id = Some(id);
        self
    }

    /// Writes checkpoints to `folder`, and goes on from one that is there. Of several ranks the
    /// first alone has a folder; the others go on from what it finds.
    #[must_use]
    pub fn with_checkpoints(mut self, folder: &Path, every: Duration) -> Self {
        self.folder = Some(folder.into());
        self.save_every = every;
        self
    }

    /// Keeps the output of the layers below the lowest that is trained: of the validation set, and
    /// of the training set if it is the same in every step. On disk it needs the folder of
    /// [`Trainer::with_checkpoints`].
    #[must_use]
    pub fn with_prefix_cache(mut self, spec: PrefixCacheSpec) -> Self {
        self.cache = Some(spec);
        self
    }

    /// Ends the run where it is lost.
    #[must_use]
    pub(crate) fn with_watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Trains `adapter`, leaving the best parameters in it (the last ones without a validation
    /// set). The event's receiver may ask to stop: the state is saved then.
    ///
    /// # Errors
    /// If numbers run away (the best parameters are in the adapter then), a checkpoint is damaged,
    /// another run's, or cannot be written, or an image cannot be decoded.
    pub fn run(
        mut self,
        adapter: &mut Adapter,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        let key = Key::new(self.config.seed).named("augment");
        let plan = Arc::clone(&self.plan);
        // What an image becomes, or is masked of a text, depends on the seed, the epoch and the
        // example.
        let wanted = |step: usize| {
            let key = key.child(plan.epoch(step) as u64);
            plan.examples(step).into_iter().map(|i| (i, key.child(i as u64))).collect()
        };
        let checkpoint = self.resume()?;
        let first = checkpoint.as_ref().map_or(0, |c| c.state.step);
        let (data, threads) = (self.train, self.workers.threads());
        let ranks = self.workers.ranks().clone();
        let own = |step: usize| {
            let chunks = chunks(data, &plan.examples(step));
            let share = &chunks[ranks.share(chunks.len())];
            share.first().map_or(0, |c| c.start)..share.last().map_or(0, |c| c.end)
        };
        let caches = self.caches(adapter, &mut on_event)?;
        std::thread::scope(|scope| {
            let feed = match &caches.train {
                Some(_) => Feed::direct(data, first),
                None => Feed::start(scope, data, first..plan.steps(), wanted, own, threads),
            };
            self.steps(adapter, (feed, &caches), checkpoint, &mut on_event)
        })
    }

    /// Empty caches for what may be kept.
    fn caches(
        &self,
        adapter: &Adapter,
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Caches<'a>, Error> {
        let Some(mut spec) = self.cache else { return Ok(Caches::default()) };
        let (base, layers, bytes) = (self.base, adapter.frozen_layers(), spec.bytes);
        let folder = match (&self.folder, spec.place) {
            (Some(folder), _) => folder.clone(),
            (None, Place::Memory) => PathBuf::new(),
            (None, Place::Disk) => return Ok(Caches::default()),
        };
        let mut cache = |data: &'a Prepared, name: &str| {
            PrefixCache::new(base, data, layers, &mut spec, &folder.join(name))
        };
        let steady = !(self.train.varies() || base.has_dropout() && base.has_frozen_dropout());
        let train = if steady { cache(self.train, PREFIX[0])? } else { None };
        let dev = self.dev.map(|dev| cache(dev, PREFIX[1])).transpose()?.flatten();
        if train.is_some() || dev.is_some() {
            let kept = |c: &Option<PrefixCache<'_>>| c.as_ref().map_or(0, PrefixCache::kept);
            let (train, dev, bytes) = (kept(&train), kept(&dev), bytes - spec.bytes);
            let _ = on_event(Event::Kept { layers, train, dev, bytes });
        }
        Ok(Caches { train, dev })
    }

    fn steps(
        &mut self,
        adapter: &mut Adapter,
        (mut feed, caches): (Feed<'_>, &Caches<'_>),
        checkpoint: Option<Checkpoint>,
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        let steps = self.plan.steps();
        let (mut optimizer, mut state, mut best) = self.begin(adapter, checkpoint)?;
        let before = state.seconds;
        let (start, mut saved_at) = (Instant::now(), Instant::now());
        let mut wish = on_event(Event::Started { steps, done: state.step }).is_break();
        let (mut stopped_early, mut lost) = (false, false);
        let mut gradient = vec![0.0; adapter.params.len()];
        let mut saved = state.step;
        let interrupted = loop {
            let interrupted = self.all_stop(wish, adapter)?;
            if state.step == steps || interrupted || stopped_early || lost {
                break interrupted;
            }
            let step = state.step;
            let rate = self.config.rate(step, steps);
            gradient.fill(0.0);
            let examples = &self.plan.examples(step)[..];
            let inputs = feed.next(examples)?;
            let loss =
                self.gradient(adapter, (step, examples), (&inputs, caches), &mut gradient)?;
            let on = (self.base.device(), self.workers.threads());
            let norm = optimizer.step(on, &mut adapter.params, &gradient, rate);
            if !loss.is_finite() || !norm.is_finite() {
                let what =
                    if loss.is_finite() { ("norm of the gradient", norm) } else { ("loss", loss) };
                return Err(self.diverged(adapter, best, &state, what));
            }
            adapter.refresh(self.base.device(), self.workers.threads());
            state.step += 1;
            let epoch = self.plan.epoch(step) + 1;
            let done = state.step;
            let examples = examples.len();
            let event = Event::Step { step: done, steps, epoch, loss, rate, examples, norm };
            wish |= on_event(event).is_break();
            lost |= state.watch.as_mut().is_some_and(|watch| watch.is_lost(loss));
            if self.is_evaluation(done, steps) {
                let (stop, one_class) =
                    self.evaluate(adapter, caches, (&mut state, &mut best), on_event)?;
                wish |= stop;
                lost |= state.watch.as_ref().is_some_and(|watch| watch.is_lost_with(one_class));
                stopped_early = self.config.patience.is_some_and(|p| state.since_best >= p);
            }
            if !lost && (wish || saved_at.elapsed() >= self.save_every) {
                state.seconds = before + start.elapsed().as_secs_f64();
                state = self.save(adapter, &optimizer, state, best.as_ref())?;
                (saved, saved_at) = (state.step, Instant::now());
                wish |= on_event(Event::Saved).is_break();
            }
        };
        if interrupted && !lost && saved < state.step {
            // Another rank was asked to stop.
            state.seconds = before + start.elapsed().as_secs_f64();
            state = self.save(adapter, &optimizer, state, best.as_ref())?;
        }
        let kept_step = self.keep(adapter, best, &state);
        Ok(Outcome {
            steps: state.step,
            kept_step,
            scores: named(state.best.as_ref().map(|b| &b.scores)),
            seconds: before + start.elapsed().as_secs_f64(),
            interrupted: interrupted && state.step < steps && !lost,
            stopped_early,
            lost,
        })
    }

    /// What a run begins with: nothing, or what a checkpoint holds, which the adapter then has.
    fn begin(
        &self,
        adapter: &mut Adapter,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(Optimizer, State, Option<Vec<f32>>), Error> {
        let n = adapter.params.len();
        let mut optimizer = Optimizer::new(self.config.optimizer.clone(), n);
        let Some(checkpoint) = checkpoint else {
            let (run, base, watch) = (self.run.clone(), self.base_id.clone(), self.watch.clone());
            return Ok((optimizer, State { run, base, watch, ..State::default() }, None));
        };
        let lengths = [&checkpoint.values, &checkpoint.m, &checkpoint.v].map(Vec::len);
        if lengths != [n; 3] || checkpoint.best.as_ref().is_some_and(|b| b.len() != n) {
            let folder = self.folder.as_deref().unwrap_or(Path::new("checkpoint"));
            return Err(Error::file(
                folder,
                "holds a checkpoint of another number of parameters; remove it, or choose another folder with --out",
            ));
        }
        adapter.params.values.copy_from_slice(&checkpoint.values);
        adapter.refresh(self.base.device(), self.workers.threads());
        optimizer.steps = checkpoint.state.step as u64;
        (optimizer.m, optimizer.v) = (checkpoint.m, checkpoint.v);
        Ok((optimizer, checkpoint.state, checkpoint.best))
    }

    /// Whether all ranks stop, as one is asked to; and a check that they have the same parameters.
    fn all_stop(&self, wish: bool, adapter: &Adapter) -> Result<bool, Error> {
        let ranks = self.workers.ranks();
        if !ranks.is_alone() {
            // Each rank takes the optimizer's step by itself.
            let sum = |sum: u64, x: &f32| sum.rotate_left(1).wrapping_add(u64::from(x.to_bits()));
            let sum = adapter.params.values.iter().fold(0, sum);
            ranks.same("sum of parameters", format!("{sum:016x}").as_bytes())?;
        }
        Ok(ranks.any(wish)?)
    }

    /// The checkpoint to go on from, which the first rank finds.
    fn resume(&self) -> Result<Option<Checkpoint>, Error> {
        let (ranks, found) = (self.workers.ranks(), self.found()?);
        if ranks.is_alone() {
            return Ok(found);
        }
        let state = found.as_ref().map(|found| &found.state);
        let state = ranks.first_says(|| serde_json::to_vec(&state).map_err(unreadable))?;
        let own = found.map(|c| [c.values, c.m, c.v].into_iter().chain(c.best).collect());
        let mut vectors = ranks.rows(own.unwrap_or_default())?.into_iter();
        let mut next = || vectors.next().unwrap_or_default();
        let state: Option<State> = serde_json::from_slice(&state).map_err(unreadable)?;
        let (values, m, v) = (next(), next(), next());
        Ok(state.map(|state| Checkpoint { state, values, m, v, best: vectors.next() }))
    }

    fn found(&self) -> Result<Option<Checkpoint>, Error> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let Some(checkpoint) = Checkpoint::load(folder)? else { return Ok(None) };
        if checkpoint.state.run != self.run {
            let message = "holds the checkpoint of a run with other settings, base or data; remove its folder 'checkpoint', or choose another one with --out";
            return Err(Error::file(folder, message));
        }
        let ids = self.base_id.as_ref().zip(checkpoint.state.base.as_ref());
        if let Some(found) = ids.and_then(|(ours, theirs)| theirs.difference(ours)) {
            let message = format!(
                "holds the checkpoint of a run on another base: {} was {} and is {} now; remove it, or choose another folder with --out",
                found.what, found.ours, found.theirs
            );
            return Err(Error::file(folder, message));
        }
        Ok(Some(checkpoint))
    }

    fn save(
        &self,
        adapter: &Adapter,
        optimizer: &Optimizer,
        state: State,
        best: Option<&Vec<f32>>,
    ) -> Result<State, Error> {
        let Some(folder) = &self.folder else { return Ok(state) };
        let checkpoint = Checkpoint {
            state,
            values: adapter.params.values.clone(),
            m: optimizer.m.clone(),
            v: optimizer.v.clone(),
            best: best.cloned(),
        };
        checkpoint.save(folder)
    }

    /// Adds the gradient of a step. Returns its mean loss.
    fn gradient(
        &mut self,
        adapter: &Adapter,
        (step, examples): (usize, &[usize]),
        (inputs, caches): (&Step<'_>, &Caches<'_>),
        total: &mut [f32],
    ) -> Result<f64, Error> {
        let own = inputs.targets();
        let Some(targets) = own.or_else(|| self.train.targets_of(examples)) else {
            return Ok(0.0);
        };
        let mut weights: Vec<f32> = match &targets {
            Targets::Classes(c) if !self.class_weights.is_empty() => {
                c.iter().map(|&c| self.class_weights[c as usize]).collect()
            }
            _ => vec![1.0; examples.len()],
        };
        let sum: f32 = (0..).zip(&weights).map(|(i, w)| w * targets.losses(i) as f32).sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        let loss = Loss { weights, smoothing: self.config.label_smoothing as f32 };
        let chunks = chunks(self.train, examples);
        let base = self.base;
        let key = Key::new(self.config.seed).named("dropout").child(step as u64);
        self.workers.accumulate(chunks.len(), total, |cx, i, gradient| {
            let batch = match &caches.train {
                Some(cache) => cache.batch(cx, &examples[chunks[i].clone()])?,
                None => inputs.batch(chunks[i].clone())?,
            };
            let given = (&targets, &loss, chunks[i].start);
            let key = Some(key.child(i as u64));
            Ok(train_chunk(cx, base, adapter, &batch, given, key, gradient).loss)
        })
    }

    fn is_evaluation(&self, step: usize, steps: usize) -> bool {
        match self.config.eval_every {
            Some(every) => step.is_multiple_of(every.max(1)) || step == steps,
            None => self.plan.ends_after(step),
        }
    }

    /// Scores the adapter; returns whether the run was asked to stop, and whether all inputs were
    /// given the same class.
    fn evaluate(
        &mut self,
        adapter: &mut Adapter,
        caches: &Caches<'_>,
        (state, best): (&mut State, &mut Option<Vec<f32>>),
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(bool, bool), Error> {
        let Some(dev) = self.dev.filter(|dev| dev.targets.is_some()) else {
            return Ok((false, false));
        };
        let answers = answers_from(self.workers, self.base, adapter, dev, caches.dev.as_ref());
        let answers = match answers {
            Err(Error::NotFinite { value, .. }) => {
                let what = ("output for the validation set", f64::from(value));
                return Err(self.diverged(adapter, best.take(), state, what));
            }
            answers => answers?,
        };
        let scores = scores(&answers, dev);
        let metric = &self.config.metric;
        let score = scores.iter().find(|s| s.name == *metric).map_or(f64::NAN, |s| s.value);
        // A score that is undefined chooses nothing.
        let better = |b: &Best| is_better(metric, score, b.score);
        let is_best = score.is_finite() && state.best.as_ref().is_none_or(better);
        if is_best {
            let defined = scores.iter().filter(|s| s.value.is_finite());
            let all = defined.map(|s| (s.name.clone(), s.value)).collect();
            state.best = Some(Best { score, step: state.step, scores: all });
            state.since_best = 0;
            *best = Some(adapter.params.values.clone());
        } else {
            state.since_best += 1;
        }
        let event = Event::Evaluated { step: state.step, scores: &scores, best: is_best };
        Ok((on_event(event).is_break(), answers.is_one_class(dev)))
    }

    /// Puts the best parameters into the adapter; returns their step.
    fn keep(&self, adapter: &mut Adapter, best: Option<Vec<f32>>, state: &State) -> usize {
        match (best, &state.best) {
            (Some(values), Some(b)) => {
                adapter.params.values = values;
                adapter.refresh(self.base.device(), self.workers.threads());
                b.step
            }
            _ => state.step,
        }
    }

    fn diverged(
        &self,
        adapter: &mut Adapter,
        best: Option<Vec<f32>>,
        state: &State,
        (what, value): (&'static str, f64),
    ) -> Error {
        let kept = match (&best, &state.best) {
            (Some(_), Some(b)) => {
                format!("The best parameters so far, of step {}, are kept", b.step)
            }
            _ => "No evaluation had been made, so there is nothing to keep".into(),
        };
        self.keep(adapter, best, state);
        let learning_rate = self.config.learning_rate;
        Error::Diverged { step: state.step + 1, what, value, kept, learning_rate }
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::Usage(format!("the state of the run cannot be given to other ranks: {error}"))
}

/// The chunks of a step.
fn chunks(data: &Prepared, examples: &[usize]) -> Vec<Range<usize>> {
    let lengths: Vec<usize> = examples.iter().map(|&i| data.length(i)).collect();
    plan_chunks(&lengths)
}

fn named(scores: Option<&BTreeMap<String, f64>>) -> Vec<Score> {
    let score = |(name, value): (&String, &f64)| Score { name: name.clone(), value: *value };
    scores.into_iter().flatten().map(score).collect()
}
