//! What a board holds, in the forms of others: the archive's files, CSV, JSON, and the Hugging Face
//! hub's YAML.

mod archive;
mod flat;
mod hub;
mod table;

pub use archive::{Written, archive};
pub use flat::{FlatRow, csv, json};
pub use hub::{eval_results, model_index};
pub use table::table;
