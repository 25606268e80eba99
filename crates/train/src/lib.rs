//! Training, evaluation and prediction: the loop around the model. Emits events; prints nothing.

mod checkpoint;
mod class_weights;
mod config;
mod data;
mod error;
mod evaluate;
mod feed;
mod filled;
mod images;
mod masked;
mod masked_texts;
mod optimizer;
pub mod parity;
mod plan;
mod prefix_cache;
pub mod recipe;
mod trainer;
mod watch;
mod work;

pub use checkpoint::Checkpoint;
pub use class_weights::ClassWeights;
pub use config::{Schedule, TrainConfig};
pub use data::{Doubt, Lengths, Prepared, Scale, prepare, prepare_images};
pub use error::Error;
pub use evaluate::{
    Answers, CHUNK_TOKENS, Judged, Score, answers, base_seconds, chunk_outputs, judged,
    mixed_answers, scores, tokens_beside,
};
pub use filled::{Filled, KEPT};
pub use images::Images;
pub use masked_texts::prepare_masked;
pub use optimizer::{Decay, Optimizer, OptimizerSpec};
pub use prefix_cache::{Place, PrefixCacheSpec};
pub use trainer::{Event, Outcome, Trainer};
pub use work::{RESUME, WORK};
