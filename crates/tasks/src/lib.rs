//! Files to examples to tokens, and answers to scores. Knows nothing of models.

pub mod batch;
mod columns;
mod dataset;
mod error;
mod image;
mod layout;
pub mod metric;
mod passage;
pub mod read;
mod sentence;
pub mod task;
mod tokenizer;
mod tokenizer_limits;

pub use columns::{ColumnChoice, Columns, find_columns};
pub use dataset::{Answer, DataSource, Dataset, Example, Input, Target};
pub use error::Error;
pub use image::{Image, ImageContent, ImageOptions};
pub use layout::{LAYOUTS, Layout, Split};
pub use passage::{AnswerLimits, Candidate, Passage};
pub use sentence::Sentence;
pub use tokenizer::{Encoded, Tokenizer};
