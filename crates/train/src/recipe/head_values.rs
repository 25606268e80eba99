//! The weights and the bias of a head of one layer.

use budwood_model::Adapter;

/// A head's weights and bias.
pub(super) type HeadValues = (Vec<f32>, Vec<f32>);

/// Puts values into an adapter's head.
pub(super) fn set_head(adapter: &mut Adapter, (weights, bias): &HeadValues) {
    for (name, values) in [("head.out.weight", weights), ("head.out.bias", bias)] {
        if let Some(slot) = adapter.params.get(name).map(|p| p.slot.clone()) {
            adapter.params.values[slot].copy_from_slice(values);
        }
    }
}

/// Multiplies the outputs of a head, and adds to them.
pub(super) fn scale_head(adapter: &mut Adapter, factor: f64, offset: f64) {
    for (name, offset) in [("head.out.weight", 0.0), ("head.out.bias", offset)] {
        if let Some(slot) = adapter.params.get(name).map(|p| p.slot.clone()) {
            let values = &mut adapter.params.values[slot];
            values.iter_mut().for_each(|x| *x = (f64::from(*x) * factor + offset) as f32);
        }
    }
}
