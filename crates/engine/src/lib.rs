//! The operations that an encoder and its adapters are written over, on opaque buffers.
//!
//! A [`Context`] is what one thread computes with: a device, an arena of buffers and working
//! memory. Model code holds [`Buf`]s and views of them and never sees the activations themselves,
//! so that another device can offer the same table of operations. There is one device now, the
//! processor; a second would be a variant of [`Device`], not a type parameter.

mod arena;
mod attention;
mod buffer;
mod context;
mod device;
mod gated;
mod patch_rotary;
mod precision;
mod products;
mod rotary;
mod scratch;
mod threads;
mod weight;
mod workers;

pub use arena::Arena;
pub use attention::{
    Attention, AttentionBias, AttentionBiasGradient, AttentionGradients, Sequences,
};
pub use budwood_kernels::Isa;
pub use budwood_kernels::ops::activation::Activation;
pub use budwood_kernels::ops::dropout::Dropout;
pub use budwood_kernels::ops::int8::quantize_weight;
pub use budwood_kernels::ops::loss;
pub use budwood_kernels::ops::optimizer::AdamW;
pub use buffer::{Buf, View, ViewMut};
pub use context::{Context, RowMix, Spans};
pub use device::Device;
pub use patch_rotary::PatchRotary;
pub use precision::Precision;
pub use products::Product;
pub use rotary::{Rotary, Turn};
pub use threads::for_each;
pub use weight::{Table, Weight};
pub use workers::Workers;

/// The sum of squares of a vector of gradients, for its norm.
pub fn sum_of_squares(device: Device, x: &[f32]) -> f64 {
    budwood_kernels::ops::elementwise::sum_of_squares(device.isa(), x)
}

/// One optimizer step over a range of a flat parameter vector; see the kernel of that name.
pub fn adamw(
    device: Device,
    step: AdamW,
    gradient_scale: f32,
    weights: &mut [f32],
    gradient: &[f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    budwood_kernels::ops::optimizer::adamw(
        device.isa(),
        step,
        gradient_scale,
        weights,
        gradient,
        m,
        v,
    );
}
