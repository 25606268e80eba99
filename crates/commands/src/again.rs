//! How this program is begun again: for work in a process of its own, and with other settings of
//! the system.

use std::ffi::OsString;
use std::io;
use std::sync::OnceLock;

/// What begins this program.
#[derive(Clone, Debug)]
pub enum Program {
    /// The file that this process runs.
    Itself,
    /// Another program with these words before those for this one: Python's `python -m budwood`.
    Words(Vec<OsString>),
}

static BEGUN: OnceLock<(Program, Vec<OsString>)> = OnceLock::new();

/// Keeps how this process was begun. The first time counts.
pub(crate) fn remember(program: Program, words: Vec<OsString>) {
    let _ = BEGUN.set((program, words));
}

/// The words that begin this program, to be followed by words for it.
pub(crate) fn program() -> io::Result<Vec<OsString>> {
    match BEGUN.get() {
        Some((Program::Words(words), _)) => Ok(words.clone()),
        _ => Ok(vec![std::env::current_exe()?.into()]),
    }
}

/// The words that were for this program.
pub(crate) fn words() -> Vec<OsString> {
    BEGUN.get().map(|(_, words)| words.clone()).unwrap_or_default()
}
