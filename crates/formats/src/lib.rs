//! Checkpoints and adapter folders: bytes on disk <-> named tensors, for every family and format.
//!
//! Nothing here computes, and nothing panics whatever the files hold: each fault is an [`Error`]
//! that names the file and the tensor.

pub mod adapterhub;
mod base_model;
mod convert;
mod description;
mod entry;
mod error;
pub mod export;
pub mod family;
pub mod foreign;
mod import;
mod imported;
mod manifest;
mod masked_lm;
pub mod model_folder;
pub mod native;
pub mod new_model;
pub mod peft;
mod pickle;
pub mod quantized;
pub mod safetensors_file;
pub mod sentence_transformers;
mod shard;
mod text_file;
mod two_layers;
mod weights;

pub use base_model::BaseModel;
pub use convert::convert;
pub use description::{check_labels, length_max};
pub use error::Error;
pub use import::import;
pub use imported::Imported;
pub use masked_lm::MaskedLm;
pub use weights::Weights;
