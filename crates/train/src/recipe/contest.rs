//! The probe against the method, on rows that neither has seen.

use budwood_base::digest;
use budwood_base::random::Key;
use budwood_model::Adapter;

use super::account::{self, Account, Chosen, Estimate};
use super::definition::{Made, OnEvent, Recipe};
use super::folds::{Course, Folds, Standing, Way, is_above};
use super::ground::Ground;
use super::head_values::{HeadValues, scale_head, set_head};
use super::held_out::Judge;
use super::journal::Journal;
use super::problem::Wanted;
use super::trial::{Ended, Task};
use crate::{Answers, Error, Event, Outcome, answers};

/// Validation rows that are enough to choose by.
const ENOUGH: usize = 200;
/// Rows below which training on pairs is tried beside the method.
const PAIRS: usize = 500;

/// What came of trying the method.
enum Tried {
    /// Its adapter, how its training ended, and answers for the rows that judge.
    Better(Way, Box<Adapter>, Outcome, Answers),
    /// It is no better than the probe.
    NotBetter(Outcome),
    /// It was lost at every rate.
    Lost,
    /// The run was asked to stop.
    Interrupted(Outcome),
}

/// A contest between the probe of all rows and the method.
struct Contest<'a> {
    ground: &'a Ground<'a>,
    judge: Judge<'a>,
    /// The probe's head.
    head: HeadValues,
    /// Loss of one answer for all.
    nothing: f64,
    /// The probe's answers for the rows that judge.
    of_probe: Answers,
    /// Where folds judge.
    folds: Option<Folds>,
    journal: Journal,
    account: Account,
}

impl Recipe<'_> {
    /// Makes the probe, or what begins from it and is better.
    pub(super) fn with_probe(
        &mut self,
        ground: &Ground<'_>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Made, Error> {
        let all: Vec<usize> = (0..ground.wanted.rows()).collect();
        let probe = ground.probe(&all);
        let head = probe.on_raw(&ground.vectors);
        let linear = self.linear(&head)?;
        let _ = on_event(Event::Probe { strength: ground.strength });
        let by_dev = ground.dev.filter(|d| d.examples() >= ENOUGH && d.targets.is_some());
        let metric = self.config.metric.clone();
        let judge = Judge::new(by_dev.unwrap_or(ground.train), self.head.outputs, &metric)?;
        let (of_probe, folds) = match by_dev {
            Some(dev) => (answers(self.workers, self.base, &linear, dev)?, None),
            None => {
                let key = Key::new(self.config.seed).named("folds");
                let folds = Folds::new(ground, key);
                (folds.of_probe().clone(), Some(folds))
            }
        };
        let same = ground.wanted.shares(&all);
        let account = Account {
            rows_held_out: judge.data.examples(),
            folds: folds.as_ref().map(Folds::count),
            strength: Some(ground.strength),
            nothing: Some(judge.of_one_answer(&same)),
            probe: Some(judge.estimate(&of_probe)),
            ..Account::of(&self.config)
        };
        let run = digest::of_parts([
            ("identity", self.identity.as_bytes()),
            // Trials of a program that cut the rows otherwise are none of this run.
            ("folds", b"rows that differ, shares of the way"),
            ("config", serde_json::to_string(&self.config).unwrap_or_default().as_bytes()),
        ]);
        let journal = Journal::open(self.folder.as_deref(), &run, self.workers.ranks())?;
        let nothing = ground.loss_of_nothing(&all);
        let mut contest =
            Contest { ground, judge, head, nothing, of_probe, folds, journal, account };
        let mut outcome = Outcome::of_no_step();
        let (mut adapter, mut judged) = (linear, contest.of_probe.clone());
        if self.config.method.parts.iter().any(|part| part.name != "linear") {
            let tried = match contest.folds.take() {
                None => self.try_by_dev(&mut contest, on_event)?,
                Some(folds) => self.try_by_folds(&mut contest, &folds, on_event)?,
            };
            contest.account.chosen = match tried {
                Tried::Better(way, better, how, answers) => {
                    (adapter, outcome, judged) = (*better, how, answers);
                    match way {
                        Way::Method => Chosen::Method,
                        Way::Pairs => Chosen::Contrastive,
                    }
                }
                Tried::NotBetter(how) => {
                    outcome = how;
                    Chosen::Probe
                }
                Tried::Lost => Chosen::OnlyProbe,
                Tried::Interrupted(outcome) => {
                    let config = self.config.clone();
                    return Ok(Made { adapter, outcome, account: contest.account, config });
                }
            };
        } else {
            contest.account.chosen = Chosen::Linear;
        }
        let Contest { judge, mut account, .. } = contest;
        account.chance = Some(judge.chance(&judged, &same));
        account.chance_of_accuracy = judge.chance_of_accuracy(&judged, &same);
        account.thresholds = judge.thresholds(&judged);
        if let Some((temperature, before, after)) = judge.calibration(&judged) {
            scale_head(&mut adapter, 1.0 / temperature, 0.0);
            adapter.refresh(self.base.device(), self.workers.threads());
            account.temperature = Some(temperature);
            account.calibration = Some((before, after));
        }
        Ok(Made { adapter, outcome, account, config: self.config.clone() })
    }

    /// What is tried. Training on pairs takes as long for few rows as for many, and is worth most
    /// where rows are few.
    fn ways(&self, ground: &Ground<'_>) -> Vec<Way> {
        let classes = matches!(ground.wanted, Wanted::Classes(..));
        match (self.config.contrastive, classes && ground.wanted.rows() < PAIRS) {
            (true, _) => vec![Way::Pairs],
            (false, true) => vec![Way::Method, Way::Pairs],
            (false, false) => vec![Way::Method],
        }
    }

    /// The probe as an adapter.
    fn linear(&mut self, head: &HeadValues) -> Result<Adapter, Error> {
        let config = self.config.clone();
        let (common, _) = self.parts();
        let mut adapter = common.new_adapter(&common.probed(&config)?)?;
        set_head(&mut adapter, head);
        adapter.refresh(self.base.device(), self.workers.threads());
        Ok(adapter)
    }

    /// Trains with validation rows, which choose the step that is kept, and say whether it is
    /// better than the probe.
    fn try_by_dev(
        &mut self,
        contest: &mut Contest<'_>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Tried, Error> {
        let dev = contest.judge.data;
        let way = if self.config.contrastive { Way::Pairs } else { Way::Method };
        let task = Task {
            config: self.config.clone(),
            train: contest.ground.train,
            dev: Some(dev),
            start: way.start(&contest.head, contest.ground),
            nothing: contest.nothing,
            may_agree: contest.of_probe.is_one_class(dev),
        };
        let lost_at = &mut contest.account.lost_at;
        let (adapter, outcome) =
            match self.train_through(task, &mut contest.journal, lost_at, on_event)? {
                Ended::Trained(adapter, outcome) => (adapter, outcome),
                Ended::Interrupted(outcome) => return Ok(Tried::Interrupted(outcome)),
                Ended::Lost => return Ok(Tried::Lost),
            };
        let config = self.config.clone();
        let (common, workers) = self.parts();
        let (ground, start) = (contest.ground, way.start(&contest.head, contest.ground));
        let mut gone =
            common.by_shares(workers, (&config, start), ground.train, (*adapter, way.shares()))?;
        let judged = gone.iter().map(|(_, adapter)| answers(workers, common.base, adapter, dev));
        let judged = judged.collect::<Result<Vec<_>, Error>>()?;
        let Some((share, judged, _)) = contest.best_share(way, judged) else {
            return Ok(Tried::NotBetter(outcome));
        };
        let (share, adapter) = gone.swap_remove(share);
        contest.account.went(share);
        Ok(Tried::Better(way, Box::new(adapter), outcome, judged))
    }

    /// Trains on all folds but one in turn, to see what the method is worth; then on all rows, if
    /// it is better.
    fn try_by_folds(
        &mut self,
        contest: &mut Contest<'_>,
        folds: &Folds,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Tried, Error> {
        let may_agree = contest.of_probe.is_one_class(contest.judge.data);
        let ways = self.ways(contest.ground);
        let course = Course { ground: contest.ground, judge: &contest.judge, folds, may_agree };
        let runners = self.race(&course, &ways, &mut contest.journal, on_event)?;
        let Some(runners) = runners else {
            let outcome = Outcome { interrupted: true, ..Outcome::of_no_step() };
            return Ok(Tried::Interrupted(outcome));
        };
        let mut best: Option<(Way, usize, Answers, f64)> = None;
        // What was asked for may be lost; the other way is there to be better.
        let lost = runners[0].standing == Standing::Lost;
        contest.account.lost_at.clone_from(&runners[0].lost_at);
        let mut config = self.config.clone();
        for runner in runners {
            if runner.standing == Standing::GivenUp {
                contest.account.given_up.push(match runner.way {
                    Way::Method => account::METHOD,
                    Way::Pairs => account::PAIRS,
                });
            }
            let shares = 0..runner.way.shares().len();
            let judged = shares.map_while(|share| runner.answers(folds, share)).collect();
            let least = best.as_ref().map(|(.., loss)| *loss);
            if let Some((share, judged, loss)) = contest.best_share(runner.way, judged)
                && least.is_none_or(|least| loss < least)
            {
                best = Some((runner.way, share, judged, loss));
                config = runner.config;
            }
        }
        let Some((way, share, judged, _)) = best else {
            return Ok(if lost { Tried::Lost } else { Tried::NotBetter(Outcome::of_no_step()) });
        };
        let (train, start) = (contest.ground.train, way.start(&contest.head, contest.ground));
        let (dev, nothing) = (None, contest.nothing);
        let task = Task { config, train, dev, start, nothing, may_agree };
        let lost_at = &mut contest.account.lost_at;
        Ok(match self.train_through(task, &mut contest.journal, lost_at, on_event)? {
            Ended::Trained(adapter, outcome) => {
                let config = self.config.clone();
                let (common, workers) = self.parts();
                let how = (&config, start);
                let kept = &way.shares()[share..=share];
                let mut gone = common.by_shares(workers, how, train, (*adapter, kept))?;
                let (share, adapter) = gone.swap_remove(0);
                contest.account.went(share);
                Tried::Better(way, Box::new(adapter), outcome, judged)
            }
            Ended::Interrupted(outcome) => Tried::Interrupted(outcome),
            Ended::Lost => Tried::Lost,
        })
    }
}

impl Contest<'_> {
    /// Which share of its way a training goes, with the answers and the loss there, if one is
    /// better than the probe: where the rows cannot tell two apart, that which leaves more of the
    /// model as it was.
    fn best_share(&mut self, way: Way, judged: Vec<Answers>) -> Option<(usize, Answers, f64)> {
        let rows: Vec<usize> = (0..self.judge.data.examples()).collect();
        let losses = |answers: &Answers| self.judge.losses(&rows, &answers.outputs);
        let (mut best, mut told): (Option<(usize, Answers)>, _) = (None, None);
        for (share, answers) in judged.into_iter().enumerate() {
            let found = self.judge.estimate(&answers);
            let worse = |(_, other): &(usize, Answers)| {
                is_above(&losses(&answers), &losses(other))
                    || is_above(&self.judge.mistakes(&answers), &self.judge.mistakes(other))
            };
            let is_kept = self.is_better(&found) && !best.as_ref().is_some_and(worse);
            if is_kept || told.is_none() {
                told = Some(found);
            }
            if is_kept {
                best = Some((share, answers));
            }
        }
        let loss = told.as_ref().map_or(f64::INFINITY, |found| found.loss);
        match way {
            Way::Method => self.account.tuned = told,
            Way::Pairs => self.account.contrastive = told,
        }
        best.map(|(share, answers)| (share, answers, loss))
    }

    /// Whether the score is not below the probe's, and the loss, which says more where rows are
    /// few, is; also than that of one answer for all.
    fn is_better(&self, found: &Estimate) -> bool {
        let nothing = self.account.nothing.as_ref().map_or(f64::INFINITY, |n| n.loss);
        self.account.probe.as_ref().is_none_or(|probe| {
            self.judge.is_no_worse(found.score, probe.score) && found.loss < probe.loss.min(nothing)
        })
    }
}
