//! What every command needs to know.

use budwood::Ranks;

/// What every command needs to know.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Whether results are printed as JSON.
    pub(crate) json: bool,
    /// Threads to compute with.
    pub(crate) threads: usize,
    /// The processes that run this command together.
    pub(crate) ranks: Ranks,
}
