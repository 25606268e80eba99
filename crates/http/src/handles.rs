//! How many files and connections the system lets this process have open.

/// Connections that there is always room for.
#[cfg(unix)]
const FEWEST: usize = 16;

/// As many connections as are wanted, or as the system has room for beside `files` others. Raises
/// the process's own limit as far as it may.
#[cfg(unix)]
pub(crate) fn connections(wanted: usize, files: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = (wanted + files) as u64;
    let raised = needed.min(limit.maximum.unwrap_or(u64::MAX));
    if limit.current.is_some_and(|now| now < raised) {
        // Where it cannot be raised, there are fewer connections.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit });
    }
    let there = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| n as usize);
    wanted.min(there.saturating_sub(files).max(FEWEST))
}

/// As many as are wanted: such systems have no limit of this kind.
#[cfg(not(unix))]
pub(crate) fn connections(wanted: usize, _files: usize) -> usize {
    wanted
}
