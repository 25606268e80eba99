//! Pooled vectors of the frozen model: what a head sees before anything is trained.

use budwood_base::head::{HeadKind, HeadSpec};
use budwood_base::method::MethodSpec;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use crate::{Error, Prepared, answers};

/// The vector of each input, pooled as `head` does. A head whose weights are the identity gives them.
pub(crate) fn pooled(
    workers: &mut Workers,
    base: &Base,
    head: &HeadSpec,
    data: &Prepared,
) -> Result<Vec<Vec<f32>>, Error> {
    let width = head.pooling.width(base.spec().hidden);
    let kind = HeadKind::Classification;
    let identity =
        HeadSpec { kind, outputs: width, dense: None, bias: false, dropout: 0.0, ..head.clone() };
    let mut adapter = Adapter::new(base, &MethodSpec::named("linear"), identity, 0)?;
    for (i, value) in adapter.params.values.iter_mut().enumerate() {
        *value = if i / width == i % width { 1.0 } else { 0.0 };
    }
    adapter.refresh(base.device(), workers.threads());
    Ok(answers(workers, base, &adapter, data)?.outputs)
}
