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

/// Begins the program again with few arenas of memory, in the same process.
///
/// The C library of Linux makes an arena for each thread and gives little of them back: under siege
/// the server then holds three times the memory that it uses. It reads the number of arenas once,
/// from the environment, before the program begins.
#[cfg(target_os = "linux")]
pub(crate) fn with_few_arenas() {
    use std::os::unix::process::CommandExt;

    use crate::output::note;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(begin) = program() else { return };
    let [program, begin @ ..] = &begin[..] else { return };
    let words = [begin, &words()].concat();
    // It comes back only if it failed; the server then runs as it is.
    let fault = std::process::Command::new(program).args(words).env(ARENAS, "2").exec();
    note!("the server takes more memory than it needs: {fault}");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn with_few_arenas() {}
