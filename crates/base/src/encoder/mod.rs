//! What an encoder looks like: the axes in which the families differ. Plain data; a family's file
//! in `formats` fills it from `config.json`, the model builds itself from it.

mod activation;
mod axes;
mod image_axes;
mod input;
mod spec;
mod tensors;

pub use activation::Activation;
pub use axes::{Axes, Disentangled, Ffn, PoolerForm, Positions, Window};
pub use image_axes::{ImageAxes, PositionResize};
pub use input::{ImageInput, ImageSizeError, InputSpec, TextInput};
pub use spec::{EncoderSpec, NormPlacement};
pub use tensors::{TensorKind, TensorSpec};
