//! Pooled vectors: what a head sees.

use budwood_base::head::{HeadKind, HeadSpec};
use budwood_base::method::MethodSpec;
use budwood_engine::Workers;
use budwood_model::{Adapter, Base};

use super::head_values::set_head;
use crate::{Error, Prepared, answers};

/// The vector of each input of the frozen model, pooled as `head` does.
pub(crate) fn pooled(
    workers: &mut Workers,
    base: &Base,
    head: &HeadSpec,
    data: &Prepared,
) -> Result<Vec<Vec<f32>>, Error> {
    let adapter = Adapter::pooling(base, head.pooling, workers.threads())?;
    Ok(answers(workers, base, &adapter, data)?.outputs)
}

/// An adapter of a method whose head's weights are the identity: its outputs are the vectors.
pub(super) fn vector_adapter(
    base: &Base,
    method: &MethodSpec,
    head: &HeadSpec,
    seed: u64,
) -> Result<Adapter, Error> {
    let width = head.pooling.width(base.spec().hidden);
    let kind = HeadKind::Classification;
    let identity =
        HeadSpec { kind, outputs: width, dense: None, bias: false, dropout: 0.0, ..head.clone() };
    let mut adapter = Adapter::new(base, method, identity, seed)?;
    let one = |i: usize| if i / width == i % width { 1.0 } else { 0.0 };
    set_head(&mut adapter, &((0..width * width).map(one).collect(), Vec::new()));
    Ok(adapter)
}
