//! Pooled vectors of the frozen model: what a head sees before anything is trained.

use budwood_base::head::HeadSpec;
use budwood_base::method::MethodSpec;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use crate::{Error, Prepared, answers};

/// The vector of each input, pooled as `head` does.
pub(crate) fn pooled(
    workers: &mut Workers,
    base: &Base,
    head: &HeadSpec,
    data: &Prepared,
) -> Result<Vec<Vec<f32>>, Error> {
    let adapter = Adapter::pooling(base, &MethodSpec::named("linear"), head.pooling, 0)?;
    Ok(answers(workers, base, &adapter, data)?.outputs)
}
