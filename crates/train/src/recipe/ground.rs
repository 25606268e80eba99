//! The rows with what a probe needs of them.

use budwood_base::random::Key;

use super::definition::{OnEvent, Recipe};
use super::problem::{Linear, Problem, Vectors, Wanted};
use super::strength;
use crate::{Error, Prepared};

/// Vectors of all training rows, what their outputs should be, and the strength that suits them.
pub(super) struct Ground<'a> {
    pub(super) train: &'a Prepared,
    pub(super) dev: Option<&'a Prepared>,
    pub(super) vectors: Vectors,
    pub(super) wanted: Wanted,
    /// For each row the first one that the model reads alike.
    pub(super) alike: Vec<usize>,
    class_weights: Vec<f32>,
    pub(super) strength: f64,
    threads: usize,
}

impl Recipe<'_> {
    /// Computes the vectors and chooses the strength; none if the event's receiver asks to stop.
    pub(super) fn ground<'d>(
        &mut self,
        train: &'d Prepared,
        dev: Option<&'d Prepared>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Option<Ground<'d>>, Error> {
        let config = self.config.clone();
        let (common, workers) = self.parts();
        let rows = common.pooled(workers, &config, train, on_event)?;
        let Some(rows) = rows else { return Ok(None) };
        let vectors = Vectors::new(&rows);
        let Some(targets) = &train.targets else {
            return Err(Error::Usage("the training examples have no labels".into()));
        };
        let wanted = Wanted::of(targets, self.head.outputs)?;
        let class_weights = self.config.class_weights.of(targets)?;
        let key = Key::new(self.config.seed).named("probe");
        let threads = self.workers.threads();
        let alike = train.first_alike();
        let strength = strength::choose(&vectors, (&wanted, &alike), &class_weights, key, threads);
        Ok(Some(Ground { train, dev, vectors, wanted, alike, class_weights, strength, threads }))
    }
}

impl Ground<'_> {
    /// The probe of some rows.
    pub(super) fn probe(&self, rows: &[usize]) -> Linear {
        let Self { vectors, wanted, class_weights, .. } = self;
        let problem = Problem { vectors, wanted, rows, class_weights };
        strength::fit(&problem, self.strength, self.threads)
    }

    /// The mean loss over some rows of giving them all the same answer, as the training loop
    /// counts.
    pub(super) fn loss_of_nothing(&self, rows: &[usize]) -> f64 {
        let shares = self.wanted.shares(rows);
        let Self { vectors, wanted, class_weights, .. } = self;
        let problem = Problem { vectors, wanted, rows, class_weights };
        let of = |&row: &usize| problem.weight(row) * self.wanted.loss(row, &mut shares.clone());
        let weight: f64 = rows.iter().map(|&row| problem.weight(row)).sum();
        let loss = rows.iter().map(of).sum::<f64>() / weight.max(f64::MIN_POSITIVE);
        match &self.wanted {
            Wanted::Classes(..) => loss,
            // A mean over labels there, a sum here.
            Wanted::Labels(_, n) => loss / (*n).max(1) as f64,
            // The squared error there, half of it here.
            Wanted::Values(_) => 2.0 * loss,
        }
    }
}
