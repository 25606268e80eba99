//! Pooled vectors of the frozen model: what a head sees before anything is trained.

use budwood_engine::Workers;

use super::definition::{Common, OnEvent};
use crate::evaluate::answers_while;
use crate::{Error, Event, Prepared, TrainConfig};

impl Common<'_> {
    /// The vector of each input, pooled as the head does; none if the event's receiver asks to
    /// stop.
    pub(super) fn pooled(
        &self,
        workers: &mut Workers,
        config: &TrainConfig,
        data: &Prepared,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let adapter = self.new_pooling(&self.probed(config)?)?;
        let mut go_on = |done, of| on_event(Event::Vectors { done, of });
        let all = answers_while(workers, self.base, (&adapter, data), None, &mut go_on)?;
        Ok(all.map(|answers| answers.outputs))
    }
}
