//! Files to examples to tokens, and answers to scores. Knows nothing of models.

pub mod batch;
mod cell;
mod columns;
mod damage;
mod data;
mod dataset;
mod detect;
mod error;
mod image;
mod labels;
mod layout;
mod literal;
pub mod metric;
mod opened;
mod passage;
pub mod read;
pub mod report;
mod sentence;
mod source;
mod split;
pub mod task;
mod tokenizer;
mod tokenizer_limits;

pub use cell::Cell;
pub use columns::{ColumnChoice, Columns, find_columns};
pub use data::{Data, DataRequest};
pub use dataset::{Answer, Dataset, Example, Input, Target};
pub use error::Error;
pub use image::{Image, ImageContent, ImageOptions};
pub use layout::{LAYOUTS, Layout, Split};
pub use opened::{Missing, Opened};
pub use passage::{AnswerLimits, Candidate, Passage};
pub use report::DataReport;
pub use sentence::Sentence;
pub use source::{DataSource, MAX_CLASSES};
pub use tokenizer::{Encoded, Tokenizer};
