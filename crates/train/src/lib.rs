//! Training, evaluation and prediction: the loop around the model. Emits events; prints nothing.

mod error;
mod optimizer;
pub mod parity;

pub use error::Error;
pub use optimizer::{Decay, Optimizer, OptimizerSpec};
