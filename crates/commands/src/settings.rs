//! What every command needs to know.

/// What every command needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Whether results are printed as JSON.
    pub(crate) json: bool,
    /// Threads to compute with.
    pub(crate) threads: usize,
}
