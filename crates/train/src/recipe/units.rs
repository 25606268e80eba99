//! Numbers as targets: learned about their mean and in units of their deviation, answered in the
//! user's unit. Mean and deviation become part of the head, which is linear.

use budwood_model::{Adapter, Base, Targets};
use serde::Serialize;

use super::head_values::scale_head;
use crate::{Error, Prepared};

/// Steps of the 32 bits that targets are held in that their deviation must have at least: with
/// fewer, what is learned is the rounding.
const STEPS: f64 = 16.0;

/// Mean and deviation of the training targets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Units {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
}

impl Units {
    /// Those of targets that are numbers; none for others.
    ///
    /// # Errors
    /// If the targets are all the same: there is nothing to learn.
    pub(super) fn of(targets: &Targets) -> Result<Option<Self>, Error> {
        let Targets::Values(values) = targets else { return Ok(None) };
        let n = values.len().max(1) as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let squares = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
        let deviation = (squares / n).sqrt();
        if values.iter().all(|x| *x == values[0]) {
            let message = format!(
                "all {} training targets are {} as numbers of 32 bits: there is nothing to learn; if \
                 they differ by less, take the same number off all of them",
                values.len(),
                values.first().copied().unwrap_or_default()
            );
            return Err(Error::Usage(message));
        }
        let step =
            values.iter().map(|&x| f64::from(x.abs().next_up() - x.abs())).fold(0.0, f64::max);
        if deviation < STEPS * step {
            let message = format!(
                "the training targets differ by {deviation:.3} in the mean, but 32 bits hold numbers of \
                 their size in steps of {step}; take the same number off all of them"
            );
            return Err(Error::Usage(message));
        }
        Ok(Some(Self { mean, deviation }))
    }

    /// The same examples with targets in these units.
    pub(super) fn prepared(&self, data: &Prepared) -> Prepared {
        let mut data = data.subset(&(0..data.len()).collect::<Vec<_>>());
        if let Some(Targets::Values(values)) = &mut data.targets {
            for x in values {
                *x = ((f64::from(*x) - self.mean) / self.deviation) as f32;
            }
        }
        data
    }

    /// Makes an adapter that answers in these units answer in the user's.
    pub(super) fn restore(&self, adapter: &mut Adapter, base: &Base) {
        scale_head(adapter, self.deviation, self.mean);
        adapter.refresh(base.device(), 1);
    }
}
