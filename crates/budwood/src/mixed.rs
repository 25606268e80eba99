//! Predictions: of one adapter, and of many in shared batches.

use budwood_tasks::Input;
use budwood_train::mixed_answers;

use crate::answer::{Answer, AnswerOptions};
use crate::{Adapter, Base, Encoded, Error};

impl Adapter {
    /// Answers inputs, in their order.
    ///
    /// # Errors
    /// [`Error::Input`] if an input is not of the adapter's kind.
    pub fn predict(&self, inputs: &[Input]) -> Result<Vec<Answer>, Error> {
        let pairs: Vec<(&Self, Input)> = inputs.iter().map(|i| (self, i.clone())).collect();
        predict_mixed(self.base(), &pairs)
    }
}

/// Answers, and what was done to have them.
pub struct Predicted {
    /// The answer to each input, in their order.
    pub answers: Vec<Answer>,
    /// Inputs that are longer than the adapter reads, and were cut.
    pub truncated: usize,
}

impl Adapter {
    /// Answers inputs, in their order, with more or less in each answer.
    ///
    /// # Errors
    /// As [`Adapter::predict`].
    pub fn predict_with(
        &self,
        inputs: Vec<Input>,
        options: &AnswerOptions,
    ) -> Result<Predicted, Error> {
        let set = self.encode(inputs)?;
        let (base, own) = (self.base(), self.packed());
        let answers = base.with_workers(|workers| {
            budwood_train::answers(workers, base.packed(), own, set.prepared())
        })?;
        let truncated = set.truncated();
        Ok(Predicted { answers: set.answers(answers.outputs, options)?, truncated })
    }
}

/// Answers inputs of many adapters of one base, in their order. Texts of all adapters share their
/// batches; an answer is the same to the bit as that of its adapter alone.
///
/// # Errors
/// [`Error::Input`] with the row, counted from 1, if an adapter is of another base, or an input is
/// not of its adapter's kind.
pub fn predict_mixed(base: &Base, inputs: &[(&Adapter, Input)]) -> Result<Vec<Answer>, Error> {
    // The rows of each adapter, adapters in the order of their first rows.
    let mut groups: Vec<(&Adapter, Vec<usize>)> = Vec::new();
    for (row, (adapter, input)) in inputs.iter().enumerate() {
        if !adapter.base().is(base) {
            let message = "its adapter was opened on another base".into();
            return Err(Error::Input { row: row + 1, message });
        }
        adapter.check(row, input)?;
        match groups.iter_mut().find(|(there, _)| there.is(adapter)) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((adapter, vec![row])),
        }
    }
    let mut sets = Vec::with_capacity(groups.len());
    for (adapter, rows) in &groups {
        let own = rows.iter().map(|&row| inputs[row].1.clone()).collect();
        sets.push(Encoded::of_adapter((*adapter).clone(), own)?);
    }
    let parts: Vec<_> =
        groups.iter().zip(&sets).map(|((a, _), set)| (a.packed(), set.prepared())).collect();
    let answers = base.with_workers(|workers| mixed_answers(workers, base.packed(), &parts))?;
    let mut all: Vec<Option<Answer>> = inputs.iter().map(|_| None).collect();
    for (((_, rows), set), answers) in groups.iter().zip(&sets).zip(answers) {
        let typed = set.answers(answers.outputs, &AnswerOptions::default())?;
        for (&row, answer) in rows.iter().zip(typed) {
            all[row] = Some(answer);
        }
    }
    Ok(all.into_iter().flatten().collect())
}
