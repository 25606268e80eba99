//! What the recipe chose and why: part of the adapter's record, and said at the end.

use std::fmt;

use budwood_base::method::MethodSpec;
use budwood_base::record::{MetricValue, in_words};
use budwood_tasks::metric::is_error;
use serde::Serialize;

use super::calibrate::Calibration;
use super::thresholds::USUAL;
use super::units::Units;
use crate::TrainConfig;

/// The probability above which answers may as well be those of nothing learned.
const CHANCE: f64 = 0.05;

/// The names of the ways in [`Account::given_up`].
pub(super) const METHOD: &str = "method";
pub(super) const PAIRS: &str = "pairs";

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// The linear probe, as it was asked for.
    Linear,
    /// The method.
    Method,
    /// The method, trained on pairs of rows, with a probe on its vectors.
    Contrastive,
    /// The linear probe: the method was no better on held-out rows.
    Probe,
    /// The linear probe: the method was lost at every rate.
    OnlyProbe,
}

/// Scores on rows that were not trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The metric that chooses.
    pub score: f64,
    /// Mean loss at the best temperature.
    pub loss: f64,
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:.3})", in_words(self.score), self.loss)
    }
}

/// A threshold for each label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Thresholded {
    /// The probability above which each label is said to hold.
    pub values: Vec<f32>,
    /// The metric on the held-out rows at 0.5 for all.
    pub before: f64,
    /// The same with thresholds, each row's chosen by other rows.
    pub after: f64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// The recipe's name.
    pub recipe: &'static str,
    /// What was kept.
    pub chosen: Chosen,
    /// The method that was asked for.
    pub method: MethodSpec,
    /// The metric that chose.
    pub metric: String,
    /// Rows that were held out to choose by.
    pub rows_held_out: usize,
    /// Folds of cross-validation over the training rows; none where validation rows were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Strength of the probe's regularisation; none without a probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// The most frequent class, or the mean, for all held-out rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Estimate>,
    /// The probability that outputs which say nothing of the targets would look as good: classes
    /// exchanged among the rows, or losses whose signs fall as coins do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Of classes: the probability that answers which are right no more often than one for all
    /// would look as good. McNemar's test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance_of_accuracy: Option<f64>,
    /// The probe on the held-out rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Estimate>,
    /// The method on the held-out rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuned: Option<Estimate>,
    /// The method, trained on pairs, on the held-out rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contrastive: Option<Estimate>,
    /// The share of the way from its first weights to its last that it went, where not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_way: Option<f32>,
    /// Ways that were given up after the first fold, as clearly worse than the probe or the other
    /// way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<&'static str>,
    /// Rates at which the run was lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost_at: Vec<f64>,
    /// Mean and deviation of targets that are numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// Settings that were given and say nothing of what was kept, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_effect: Vec<&'static str>,
    /// Thresholds of several labels; none where 0.5 is not a worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Thresholded>,
    /// What logits were divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Calibration on the held-out rows, before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<(Calibration, Calibration)>,
}

impl Account {
    /// Of a run that begins.
    pub(super) fn of(config: &TrainConfig) -> Self {
        Self {
            recipe: if config.contrastive { "contrastive" } else { "auto" },
            chosen: Chosen::Method,
            method: config.method.clone(),
            metric: config.metric.clone(),
            rows_held_out: 0,
            folds: None,
            strength: None,
            nothing: None,
            chance: None,
            chance_of_accuracy: None,
            probe: None,
            tuned: None,
            contrastive: None,
            part_way: None,
            given_up: Vec::new(),
            lost_at: Vec::new(),
            units: None,
            without_effect: Vec::new(),
            thresholds: None,
            temperature: None,
            calibration: None,
        }
    }

    /// What was kept went this share of the way.
    pub(super) fn went(&mut self, share: f32) {
        self.part_way = Some(share).filter(|share| *share != 1.0);
    }

    /// Errors are in the unit of the data from here on, as the adapter's answers are.
    pub(super) fn say_in(&mut self, units: Units) {
        if is_error(&self.metric) {
            let all = [&mut self.nothing, &mut self.probe, &mut self.tuned, &mut self.contrastive];
            all.into_iter().flatten().for_each(|found| found.score *= units.deviation);
        }
        self.units = Some(units);
    }

    /// The score of what was kept by cross-validation, if that chose: with the thresholds that it
    /// answers by, where it has some.
    pub fn by_folds(&self) -> Option<MetricValue> {
        self.folds?;
        let score = match &self.thresholds {
            Some(thresholds) => thresholds.after,
            None => self.kept()?.score,
        };
        Some(MetricValue {
            split: "cv".into(),
            name: self.metric.clone(),
            value: score,
            primary: true,
            rows: self.rows_held_out as u64,
        })
    }

    /// Thresholds of the labels, where they have some of their own.
    pub fn thresholds(&self) -> Option<Vec<f32>> {
        self.thresholds.as_ref().map(|t| t.values.clone())
    }

    fn kept(&self) -> Option<&Estimate> {
        match self.chosen {
            Chosen::Method => self.tuned.as_ref(),
            Chosen::Contrastive => self.contrastive.as_ref(),
            _ => self.probe.as_ref(),
        }
    }

    /// Whether the outputs of what was kept say nothing of held-out rows that chance would not.
    pub fn learned_nothing(&self) -> bool {
        self.chance.is_some_and(|p| p > CHANCE)
    }

    /// Where something was learned: whether the answers of what was kept are nevertheless right no
    /// more often than one answer for all.
    fn is_no_oftener_right(&self) -> bool {
        !self.learned_nothing() && self.chance_of_accuracy.is_some_and(|p| p > CHANCE)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.folds {
            Some(folds) => {
                format!("{folds}-fold cross-validation over {} rows", self.rows_held_out)
            }
            None => format!("{} validation rows", self.rows_held_out),
        };
        let method = &self.method.parts;
        let method = method.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join("|");
        match self.chosen {
            Chosen::Linear => write!(f, "chosen: the linear probe, as asked for")?,
            Chosen::Method if self.probe.is_none() => write!(f, "chosen: {method}")?,
            Chosen::Method => write!(f, "chosen: {method}, begun from the linear probe")?,
            Chosen::Contrastive => {
                let weights = match self.part_way {
                    Some(share) => {
                        format!(", {:.0} % of the way from first to last weights", 100.0 * share)
                    }
                    None => String::new(),
                };
                write!(
                    f,
                    "chosen: {method}, trained on pairs{weights}, with a linear probe on its vectors"
                )?;
            }
            Chosen::Probe => {
                write!(f, "chosen: the linear probe alone; {method} was not better by {how}")?;
            }
            Chosen::OnlyProbe => {
                write!(f, "chosen: the linear probe alone; {method} was lost at every rate")?;
            }
        }
        let metric = &self.metric;
        let mut found = Vec::new();
        if let Some(nothing) = self.nothing.as_ref().filter(|_| self.units.is_none()) {
            found.push(format!("one answer for all {nothing}"));
        }
        if let Some(probe) = &self.probe {
            found.push(format!("linear probe {probe}"));
        }
        if let Some(tuned) = &self.tuned {
            found.push(format!("{method} {tuned}"));
        }
        if let Some(pairs) = &self.contrastive {
            found.push(format!("{method} on pairs {pairs}"));
        }
        if !found.is_empty() {
            write!(f, "\n{metric} (and loss) by {how}: {}", found.join(", "))?;
        }
        for way in &self.given_up {
            let way = if *way == PAIRS { "the training on pairs" } else { "the method" };
            write!(f, "\n{way} was given up after the first fold: clearly worse there")?;
        }
        if self.learned_nothing() {
            write!(
                f,
                "\nno sign that anything was learned: on held-out rows the result cannot be told from \
                 chance; the labels do not follow from the inputs, or the rows are too few"
            )?;
        }
        if self.is_no_oftener_right() {
            write!(
                f,
                "\nright no more often than one answer for all, as far as held-out rows show: what was \
                 learned is in the probabilities, and in scores that count rare classes as others, such as \
                 balanced accuracy"
            )?;
        }
        if !self.without_effect.is_empty() {
            write!(f, "\nwithout effect on what was kept: {}", self.without_effect.join(", "))?;
        }
        if let Some(Thresholded { values, before, after }) = &self.thresholds {
            let own = values.iter().filter(|t| **t != USUAL).count();
            write!(
                f,
                "\nthresholds: {own} of {} labels have one of their own; {metric} {before:.4} at 0.5 for all, \
                 {after:.4} with them",
                values.len()
            )?;
        }
        if let (Some(t), Some((before, after))) = (self.temperature, self.calibration) {
            write!(
                f,
                "\nprobabilities: temperature {t:.2}; calibration error {:.1} % before, {:.1} % after; \
                 Brier score {:.3}, {:.3}",
                100.0 * before.ece,
                100.0 * after.ece,
                before.brier,
                after.brier
            )?;
        }
        Ok(())
    }
}
