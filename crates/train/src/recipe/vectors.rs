//! Pooled vectors of the frozen model: what a head sees before anything is trained.

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use super::definition::OnEvent;
use crate::evaluate::answers_while;
use crate::{Error, Event, Prepared};

/// The vector of each input, pooled as `head` does; none if the event's receiver asks to stop.
pub(crate) fn pooled(
    workers: &mut Workers,
    base: &Base,
    head: &HeadSpec,
    data: &Prepared,
    on_event: &mut OnEvent<'_>,
) -> Result<Option<Vec<Vec<f32>>>, Error> {
    let adapter = Adapter::pooling(base, &MethodSpec::named("linear"), head.pooling, 0)?;
    let mut go_on = |done, of| on_event(Event::Vectors { done, of });
    let all = answers_while(workers, base, (&adapter, data), None, &mut go_on)?;
    Ok(all.map(|answers| answers.outputs))
}
