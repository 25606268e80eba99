//! The nouns that every part of Budwood shares: tensors by name, the description of an encoder,
//! method and head specifications, run records, hashes, random numbers and safe file writes.
//!
//! Nothing here computes on activations, opens a model, prints or reads the environment.

pub mod address;
pub mod calendar;
pub mod difference;
pub mod digest;
pub mod encoder;
pub mod files;
pub mod folder;
pub mod head;
pub mod json;
pub mod lock;
pub mod masking;
pub mod method;
pub mod names;
pub mod random;
pub mod record;
pub mod site;
pub mod statistics;
pub mod tensor;
pub mod tokenizer;
