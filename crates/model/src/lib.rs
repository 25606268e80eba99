//! The frozen encoder, the adapters at its sites, heads and losses.
//!
//! Nothing here opens a file, prints, or looks at a single activation: the encoder and the methods are
//! written over `budwood_engine`'s operations.

mod adapter;
mod base;
mod bottleneck;
mod encoder;
mod error;
mod gate;
mod head;
mod linear;
mod merge;
pub mod method;
mod params;
mod phm;
mod positions;
mod prefix;
mod run;
mod site;
mod stochastic_depth;

pub use adapter::{Adapter, Depth};
pub use base::{Base, Linear, Norm};
pub use encoder::{Batch, Segment};
pub use error::ModelError;
pub use head::{Loss, Targets};
pub use merge::merged;
pub use params::{Init, Param, Params, Slot};
pub use run::{ChunkLoss, hidden_states, lowest_states, plan_chunks, predict, train_chunk};
pub use site::{Sublayer, WeightSite};
