//! Models of the Hugging Face hub. Nothing else in Budwood speaks to the network of its own accord.
//!
//! What a hub answers is checked before it is used: commits and hashes are hexadecimal, file names
//! are those that were asked for, sizes have bounds. A file gets its final name only when it is
//! whole and has the promised hash. The cache is that of Python's `huggingface_hub`: what one of
//! the two has fetched, the other finds.

mod cache;
mod client;
mod download;
mod error;
mod hash;
mod model;
mod name;
mod settings;

pub use error::Error;
pub use model::{Hub, Progress};
pub use name::ModelName;
pub use settings::{Patience, Settings};
