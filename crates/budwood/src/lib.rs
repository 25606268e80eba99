//! Train, load and use small task adapters on one frozen encoder.

mod error;
pub mod number;
pub mod spec;

pub use error::Error;
pub use spec::{DataSpec, RunSpec};
