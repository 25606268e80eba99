//! Cross-validation of the ways in which a method is trained.
//!
//! Trials run beside each other, one thread each: a step of few rows is too little work for more.
//! After the first fold a way is given up whose loss is clearly above the probe's or another way's.
//! What is given up, and every trial, depends on the data alone and not on the threads. Of several
//! ranks each makes a part of the trials by itself.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use budwood_base::random::Key;
use budwood_engine::Workers;
use budwood_model::Adapter;
use budwood_ranks::Ranks;

use super::definition::{Common, OnEvent, Recipe};
use super::ground::Ground;
use super::head_values::HeadValues;
use super::held_out::Judge;
use super::journal::{Journal, Trial};
use super::strength;
use super::trial::{ATTEMPTS, Ended, OnPairs, SLOWER, Start, Task};
use crate::{Answers, Error, Event, PrefixCacheSpec, Prepared, TrainConfig, answers};

/// Folds of cross-validation: each costs a training, and the probe's own strength is chosen by more
/// of them.
const FOLDS: usize = 3;
/// Numbers that a method trains above which trials run one after another: each has four copies.
const LARGE: usize = 20_000_000;

/// How the method is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// By the loss of its answers, from the probe on.
    Method,
    /// On pairs of rows, with a probe on the vectors as its head.
    Pairs,
}

impl Way {
    pub(super) fn start<'a>(self, head: &'a HeadValues, ground: &Ground<'_>) -> Start<'a> {
        match self {
            Self::Method => Start::Probe(head),
            Self::Pairs => {
                Start::Pairs(OnPairs { strength: ground.strength, of_rows: ground.wanted.rows() })
            }
        }
    }

    /// The shares of the way from first to last weights that may be kept, all of it first.
    pub(super) fn shares(self) -> &'static [f32] {
        match self {
            Self::Method => &[1.0],
            Self::Pairs => &[1.0, 0.5],
        }
    }
}

/// The training rows cut into folds, and the probe of each fold's other rows.
pub(super) struct Folds {
    /// The fold of each row.
    of_row: Vec<usize>,
    /// For each fold the rows in it, and those that are not.
    rows: Vec<(Vec<usize>, Vec<usize>)>,
    probes: Vec<HeadValues>,
    /// The probes' answers for the rows of their folds.
    of_probe: Answers,
}

impl Folds {
    pub(super) fn new(ground: &Ground<'_>, key: Key) -> Self {
        let n = ground.wanted.rows();
        let of_row = strength::folds(&ground.wanted, &ground.alike, FOLDS.min(n), key);
        let count = of_row.iter().max().map_or(0, |last| last + 1);
        let rows: Vec<_> = (0..count).map(|fold| strength::split(&of_row, fold)).collect();
        let mut probes = Vec::with_capacity(count);
        let mut outputs = vec![Vec::new(); n];
        for (unseen, seen) in &rows {
            let probe = ground.probe(seen);
            for &row in unseen {
                let y = probe.outputs(ground.vectors.row(row));
                outputs[row] = y.into_iter().map(|x| x as f32).collect();
            }
            probes.push(probe.on_raw(&ground.vectors));
        }
        Self { of_row, rows, probes, of_probe: Answers { outputs } }
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn of_probe(&self) -> &Answers {
        &self.of_probe
    }
}

/// How a way stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// It is in the running.
    Running,
    /// The first fold said that it is worse than the probe or another way.
    GivenUp,
    /// It was lost at every rate.
    Lost,
}

/// A way that is tried.
pub(super) struct Runner {
    pub(super) way: Way,
    /// Settings, with the rate at which it is not lost.
    pub(super) config: TrainConfig,
    pub(super) lost_at: Vec<f64>,
    pub(super) standing: Standing,
    /// Outputs for the rows of each fold, by the share of the way.
    outputs: Vec<Option<Vec<Vec<Vec<f32>>>>>,
}

impl Runner {
    fn new(way: Way, config: TrainConfig, folds: usize) -> Self {
        let (lost_at, outputs) = (Vec::new(), vec![None; folds]);
        Self { way, config, lost_at, standing: Standing::Running, outputs }
    }

    fn trial(&self, fold: usize) -> String {
        let of = if self.way == Way::Pairs { " on pairs" } else { "" };
        format!("fold {fold}{of}, rate {:e}", self.config.learning_rate)
    }

    /// Begins again at a lower rate, or ends.
    fn is_lost(&mut self, on_event: &mut OnEvent<'_>) {
        let rate = self.config.learning_rate;
        self.lost_at.push(rate);
        let _ = on_event(Event::Lost { rate });
        self.outputs.fill(None);
        self.config.learning_rate = rate / SLOWER;
        if self.lost_at.len() == ATTEMPTS {
            self.standing = Standing::Lost;
        }
    }

    /// Its answers for all rows at one of the shares, once it has been tried on all folds.
    pub(super) fn answers(&self, folds: &Folds, share: usize) -> Option<Answers> {
        let mut outputs = vec![Vec::new(); folds.of_row.len()];
        for (given, (unseen, _)) in self.outputs.iter().zip(&folds.rows) {
            let given = given.as_ref()?.get(share)?;
            unseen.iter().zip(given).for_each(|(&row, y)| outputs[row].clone_from(y));
        }
        Some(Answers { outputs })
    }
}

/// What ways are tried on.
pub(super) struct Course<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) judge: &'a Judge<'a>,
    pub(super) folds: &'a Folds,
    /// Whether one class for all rows is not a sign of a fall.
    pub(super) may_agree: bool,
}

/// What a trial's thread says.
enum Message {
    /// A trial begins.
    Begun,
    /// A step is done.
    Step,
    /// A trial has ended; none if it was asked to stop.
    Ended(usize, Result<Option<Trial>, Error>),
}

impl Common<'_> {
    /// Trains on all folds but one. None if it was asked to stop.
    fn try_fold(
        &self,
        workers: &mut Workers,
        course: &Course<'_>,
        (runner, fold): (&Runner, usize),
        on_event: &mut OnEvent<'_>,
    ) -> Result<Option<Trial>, Error> {
        let ground = course.ground;
        let (unseen, seen) = &course.folds.rows[fold];
        let (train, rest) = (ground.train.subset(seen), ground.train.subset(unseen));
        let task = Task {
            config: runner.config.clone(),
            train: &train,
            dev: None,
            start: runner.way.start(&course.folds.probes[fold], ground),
            nothing: ground.loss_of_nothing(seen),
            may_agree: true,
        };
        Ok(match self.train_once(workers, &task, None, on_event)? {
            Ended::Interrupted(_) => None,
            Ended::Lost => Some(Trial::Lost),
            Ended::Trained(adapter, _) => {
                let how = (&task.config, task.start);
                let gone = self.by_shares(workers, how, &train, (*adapter, runner.way.shares()))?;
                let outputs =
                    gone.iter().map(|(_, a)| Ok(answers(workers, self.base, a, &rest)?.outputs));
                Some(Trial::Outputs(outputs.collect::<Result<_, Error>>()?))
            }
        })
    }

    /// What was trained, at some shares of its way.
    pub(super) fn by_shares(
        &self,
        workers: &mut Workers,
        (config, start): (&TrainConfig, Start<'_>),
        train: &Prepared,
        (adapter, shares): (Adapter, &[f32]),
    ) -> Result<Vec<(f32, Adapter)>, Error> {
        let mut gone = Vec::new();
        if let Start::Pairs(pairs) = start {
            for &share in shares.iter().filter(|share| **share != 1.0) {
                let how = (config, pairs);
                gone.push((share, self.part_way(workers, how, train, &adapter, share)?));
            }
        }
        if shares.contains(&1.0) {
            gone.insert(0, (1.0, adapter));
        }
        Ok(gone)
    }
}

/// The trials of other ranks, by their numbers; those that were `made` here are told to them.
fn shared(ranks: &Ranks, made: Vec<(usize, Trial)>) -> Result<Vec<(usize, Trial)>, Error> {
    if ranks.is_alone() {
        return Ok(Vec::new());
    }
    let unreadable = |e| Error::Usage(format!("trials cannot be told to other ranks: {e}"));
    let all = ranks.exchange(&serde_json::to_vec(&made).map_err(unreadable)?)?;
    let others = all.iter().enumerate().filter(|(rank, _)| *rank != ranks.rank());
    let trials = others.map(|(_, bytes)| serde_json::from_slice(bytes).map_err(unreadable));
    Ok(trials.collect::<Result<Vec<Vec<_>>, Error>>()?.concat())
}

/// Gives up ways whose loss on the first fold is above the probe's, or that of another way, by more
/// than the standard error of the rows' differences.
fn give_up(course: &Course<'_>, runners: &mut [Runner]) {
    let (unseen, _) = &course.folds.rows[0];
    let of_probe: Vec<_> =
        unseen.iter().map(|&row| course.folds.of_probe.outputs[row].clone()).collect();
    let losses = |outputs: &[Vec<f32>]| course.judge.losses(unseen, outputs);
    let mean = |losses: &Vec<f64>| losses.iter().sum::<f64>() / losses.len() as f64;
    let first = |r: &Runner| {
        let given = r.outputs.first()?.as_ref()?.iter().map(|given| losses(given));
        given.min_by(|a, b| mean(a).total_cmp(&mean(b)))
    };
    let running = |r: &Runner| r.standing == Standing::Running;
    let found: Vec<_> = runners.iter().map(|r| first(r).filter(|_| running(r))).collect();
    let probe = losses(&of_probe);
    for (runner, own) in runners.iter_mut().zip(&found) {
        let Some(own) = own else { continue };
        if found.iter().flatten().chain([&probe]).any(|other| is_above(own, other)) {
            runner.standing = Standing::GivenUp;
        }
    }
}

/// Whether the mean of `a` is above that of `b` by more than the standard error of the differences.
pub(super) fn is_above(a: &[f64], b: &[f64]) -> bool {
    let n = a.len() as f64;
    let away = || a.iter().zip(b).map(|(a, b)| a - b);
    let mean = away().sum::<f64>() / n;
    let variance = away().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    mean > (variance / n).sqrt()
}

impl Recipe<'_> {
    /// Tries ways on all folds, at lower rates where a training is lost. None if the run was asked
    /// to stop.
    pub(super) fn race(
        &mut self,
        course: &Course<'_>,
        ways: &[Way],
        journal: &mut Journal,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Option<Vec<Runner>>, Error> {
        let count = course.folds.count();
        let new = |&way| Runner::new(way, self.config.clone(), count);
        let mut runners: Vec<Runner> = ways.iter().map(new).collect();
        for upto in [1, count] {
            loop {
                let runs = |r: &usize| runners[*r].standing == Standing::Running;
                let missing = |r: usize| {
                    let outputs = runners[r].outputs[..upto].iter().enumerate();
                    outputs.filter(|(_, given)| given.is_none()).map(move |(fold, _)| (r, fold))
                };
                let wanted: Vec<(usize, usize)> =
                    (0..runners.len()).filter(runs).flat_map(missing).collect();
                if wanted.is_empty() {
                    break;
                }
                let trials = self.trials(course, (&runners, &wanted), journal, on_event)?;
                let Some(trials) = trials else { return Ok(None) };
                let mut lost = vec![false; runners.len()];
                for ((r, fold), trial) in wanted.into_iter().zip(trials) {
                    match trial {
                        Trial::Outputs(given) => runners[r].outputs[fold] = Some(given),
                        Trial::Lost => lost[r] = true,
                    }
                }
                for (runner, lost) in runners.iter_mut().zip(lost) {
                    let answers = runner.answers(course.folds, 0);
                    let fell = answers.is_some_and(|a| a.is_one_class(course.judge.data));
                    if lost || fell && !course.may_agree {
                        runner.is_lost(on_event);
                    }
                }
            }
            if upto < count {
                give_up(course, &mut runners);
            }
        }
        Ok(Some(runners))
    }

    /// Trains each of some runners on all folds but one, beside each other; what the journal knows
    /// is not done again.
    fn trials(
        &mut self,
        course: &Course<'_>,
        (runners, wanted): (&[Runner], &[(usize, usize)]),
        journal: &mut Journal,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Option<Vec<Trial>>, Error> {
        let names: Vec<String> = wanted.iter().map(|&(r, fold)| runners[r].trial(fold)).collect();
        let unknown: Vec<usize> =
            (0..names.len()).filter(|&i| journal.get(&names[i]).is_none()).collect();
        let trial_base = self.trial_base;
        let (common, workers) = self.parts();
        let ranks = workers.ranks();
        let own = &unknown[ranks.share(unknown.len())];
        let common = Common { base: trial_base.unwrap_or(common.base), ..common };
        let config = &runners[0].config;
        let new = common.new_adapter(config)?;
        let trained = new.params.len();
        let at_once = if trained > LARGE { 1 } else { own.len().min(workers.threads()) };
        let each = workers.threads() / at_once.max(1);
        // What may be kept of frozen layers is kept for all of them together.
        let share = |spec: PrefixCacheSpec| PrefixCacheSpec {
            bytes: spec.bytes / at_once.max(1) as u64,
            ..spec
        };
        let common = Common { cache: common.cache.map(share), ..common };
        let (stop, queue) = (AtomicBool::new(false), Mutex::new(own.iter()));
        let (sender, receiver) = mpsc::channel();
        let work = |sender: mpsc::Sender<Message>| {
            let mut workers = Workers::new(common.base.device(), each);
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(&i) = next.filter(|_| !stop.load(Ordering::SeqCst)) else { return };
                let _ = sender.send(Message::Begun);
                let mut told = |event: Event<'_>| {
                    if matches!(event, Event::Step { .. }) {
                        let _ = sender.send(Message::Step);
                    }
                    match stop.load(Ordering::SeqCst) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                };
                let (r, fold) = wanted[i];
                let ended = common.try_fold(&mut workers, course, (&runners[r], fold), &mut told);
                let _ = sender.send(Message::Ended(i, ended));
            }
        };
        let done = runners.iter().flat_map(|r| &r.outputs).filter(|given| given.is_some()).count();
        let (mut number, of) =
            (done + names.len() - unknown.len(), runners.len() * course.folds.count());
        let (mut interrupted, mut failed, mut made) = (false, None, Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..at_once {
                let sender = sender.clone();
                scope.spawn(|| work(sender));
            }
            drop(sender);
            for message in receiver {
                let wish = match message {
                    Message::Begun => {
                        number += 1;
                        on_event(Event::Trial { number, of })
                    }
                    Message::Step => on_event(Event::Trying),
                    Message::Ended(i, Ok(Some(trial))) => {
                        made.push((i, trial.clone()));
                        failed = failed.take().or(journal.add(&names[i], trial).err());
                        ControlFlow::Continue(())
                    }
                    Message::Ended(_, Ok(None)) => ControlFlow::Break(()),
                    Message::Ended(_, Err(e)) => {
                        failed.get_or_insert(e);
                        ControlFlow::Break(())
                    }
                };
                interrupted |= wish.is_break();
                if wish.is_break() || failed.is_some() {
                    stop.store(true, Ordering::SeqCst);
                }
            }
        });
        if let Some(e) = failed {
            return Err(e);
        }
        for (i, trial) in shared(ranks, made)? {
            journal.add(&names[i], trial)?;
        }
        let interrupted = ranks.any(interrupted)?;
        let trials: Option<Vec<Trial>> =
            names.iter().map(|name| journal.get(name).cloned()).collect();
        Ok(trials.filter(|_| !interrupted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: differences 0.1, 0.3, 0.2 have a mean of 0.2 and a standard error of 0.058.
    #[test]
    fn a_loss_is_above_another_beyond_the_error_of_the_differences() {
        let above = |a: &[f64], b: &[f64]| is_above(a, b);
        assert!(above(&[1.1, 1.3, 1.2], &[1.0; 3]) && !above(&[1.0; 3], &[1.1, 1.3, 1.2]));
        // A mean of 0.2 with a standard error of 0.35.
        assert!(!above(&[0.9, 1.9, 0.8], &[1.0; 3]));
        assert!(!above(&[1.0; 3], &[1.0; 3]), "equal");
        // One row, or none, says nothing.
        assert!(!above(&[5.0], &[1.0]) && !above(&[], &[]));
    }
}
