//! What pages and interfaces ask: plain functions that return plain structures.
//!
//! Each takes a [`crate::Board`] that is open for reading. A slug or number that does not exist
//! gives [`crate::Error::Missing`]. Texts are as people wrote them: whoever shows them must escape
//! them.

mod catalogue;
mod item;
mod leaderboard;
mod list;
mod log;
mod method;
mod paper;
mod related;
mod result;
mod search;
mod start;

use serde::Serialize;

pub use crate::setting::NamedData;
pub use catalogue::{
    Area, AreaItem, Dataset, DatasetItem, Loader, LocalData, Task, TaskItem, area, areas, dataset,
    datasets, task, tasks,
};
pub(crate) use item::as_written;
pub use item::{Best, LeaderboardItem};
pub(crate) use leaderboard::walk;
pub use leaderboard::{
    Facet, Facets, Filter, Leaderboard, Metric, Row, Score, SortBy, StepLine, leaderboard,
};
pub use list::{Listed, addresses, chunks, evaluations};
pub use log::{LogEntry, LogFilter, log};
pub use method::{Collection, Method, MethodItem, MethodResult, method, methods};
pub use paper::{Code, Paper, PaperItem, PaperResult, paper, papers};
pub use related::Related;
pub use result::{
    Check, Comparison, Disagreement, ResultFile, ResultPage, SameWeights, compare, files, model,
    predictions, result,
};
pub use search::{Found, FoundKind, search};
pub use start::{Counts, RecentResult, Start, start};

/// A thing with an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its address.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A link as people gave it; its address may be anything, so only `http` and `https` should be
/// followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Link {
    /// What it says.
    #[serde(default)]
    pub title: String,
    /// Where it leads.
    #[serde(default)]
    pub url: String,
}

/// Whom data comes from. Every page that shows archive data shows this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Attribution {
    /// Name of the archive.
    pub archive: String,
    /// Whom the data comes from.
    pub attribution: String,
    /// Its terms, such as `CC-BY-SA-4.0`.
    pub licence: String,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// Entries in all.
    pub count: u64,
    /// Number of the first entry here, from 0.
    pub offset: u64,
    /// The entries.
    pub items: Vec<T>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of the first entry, from 0.
    pub offset: u64,
    /// At most so many; no more than 500 are given.
    pub limit: u64,
}

impl Default for Part {
    fn default() -> Self {
        Self { offset: 0, limit: 50 }
    }
}

impl Part {
    fn limit(self) -> i64 {
        self.limit.min(500) as i64
    }

    fn offset(self) -> i64 {
        i64::try_from(self.offset).unwrap_or(i64::MAX)
    }
}
