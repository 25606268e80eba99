//! The forward and backward pass of the encoder over a chunk of sequences, written once for all
//! families and all mixes of adapters.

mod attention;
pub(crate) mod batch;
mod blocks;
mod encode;
mod ffn;
mod image;
pub(crate) mod kept;
mod layer;
pub(crate) mod pass;
mod prefixes;
mod products;
mod prompt;
mod relative;
mod sublayer;
mod text;

pub(crate) use encode::{backward, forward, lowest};
