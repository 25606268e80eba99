//! A whole model, base, adapter and head, as one graph of ONNX.
//!
//! What an adapter changes in weights is merged into them; bottlenecks, gated updates, prefixes and
//! prompts become nodes. The graph follows the axes of `budwood_base::encoder`, as the encoder of
//! `budwood_model` does. Operators are those of opset 17; numbers of rows and lengths are free.
//!
//! | input | type | shape | |
//! |---|---|---|---|
//! | `input_ids` | int64 | `[batch, sequence]` | padding after the tokens |
//! | `attention_mask` | int64 | `[batch, sequence]` | 1 for tokens, 0 for padding |
//! | `token_type_ids` | int64 | `[batch, sequence]` | where the model has several types |
//! | `pixel_values` | f32 | `[batch, channels, height, width]` | images, of one size |
//!
//! | output | shape | of |
//! |---|---|---|
//! | `logits` | `[batch, outputs]` | heads over sequences |
//! | `logits` | `[batch, sequence, outputs]` | tags; words, of which a masked language model has all |
//! | `start_logits`, `end_logits` | `[batch, sequence]` | questions |

mod builder;
mod elements;
mod embed;
mod error;
mod graph;
mod head;
mod int8;
mod layer;
mod model;
mod proto;
mod request;
mod scores;
mod shared;

pub use error::Error;
pub use model::Model;
pub use request::{Precision, Request};
pub use shared::SharedBase;
