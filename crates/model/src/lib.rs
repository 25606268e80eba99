//! The frozen encoder, the adapters at its sites, heads and losses.
//!
//! Nothing here opens a file, prints, or looks at a single activation: the encoder and the methods
//! are written over `budwood_engine`'s operations.

mod acting;
mod adapter;
mod base;
mod bottleneck;
mod bottleneck_site;
mod builder;
pub mod distance;
mod drop_path;
mod encoder;
mod error;
mod frozen;
mod gate;
mod head;
mod linear;
mod losses;
mod merge;
pub mod method;
pub mod modules;
mod norm;
mod params;
mod phm;
mod pooler;
mod positions;
mod prefix;
mod run;
mod site;
mod sites;
mod tape;
mod words;

pub use adapter::Adapter;
pub use base::Base;
pub use budwood_base::site::{Sublayer, WeightSite};
pub use encoder::batch::Batch;
pub use error::ModelError;
pub use frozen::Linear;
pub use losses::{Loss, Targets};
pub use merge::{Parted, merged, parted};
pub use params::{Init, Param, Params, Slot};
pub use positions::positions as patch_positions;
pub use run::{
    ChunkLoss, Forward, Segment, hidden_states, lowest_states, plan_chunks, predict, train_chunk,
};
pub use sites::Depth;
