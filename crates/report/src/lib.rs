//! The paper's tables and figures from the runs of a store (Houlsby et al. 2019, Tables 1 and 2,
//! Figures 1 and 3 to 7), for whatever tasks, methods and base the runs have; and the report on one
//! evaluation.

mod evaluation;
mod explanation;
mod figures;
mod html;
mod png;
mod setting;
mod table;

pub use evaluation::{Classes, Evaluated, Interval, Part, Scores, evaluation_page, parts};
pub use explanation::{Explained, Marked, explanation_page};
pub use figures::{Figure, figures};
pub use html::page;
pub use png::{Error, png};
pub use setting::{Setting, settings};
pub use table::{Table, table};
