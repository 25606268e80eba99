//! Commands that several processes run together, started by `mpirun` or alike: each rank runs the
//! whole command, the first alone prints and writes files.

use anyhow::Result;
use budwood::Ranks;
use budwood_engine::Device;

use crate::{again, output};

/// The ranks of this command, and the threads of each: as asked for, or the processors that it may
/// use.
pub(crate) fn start(asked: Option<usize>) -> Result<(Ranks, usize)> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let ranks = Ranks::start()?;
    if ranks.is_alone() {
        return Ok((ranks, asked.unwrap_or(all)));
    }
    ranks.same("version of this program", env!("CARGO_PKG_VERSION").as_bytes())?;
    ranks.same("command", format!("{:?}", again::words()).as_bytes())?;
    // Other instructions give other bits.
    ranks.same("processor", Device::cpu().name().as_bytes())?;
    let place = place();
    let places = ranks.exchange(place.as_bytes())?;
    let here = places.iter().filter(|other| **other == place.as_bytes()).count();
    let threads = asked.unwrap_or((all / here).max(1));
    output::note!("{} ranks, threads of each: {threads}", ranks.size());
    Ok((ranks, threads))
}

/// This machine, and which of its processors may be used: ranks of one place share these.
fn place() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let allowed = status.lines().find(|line| line.starts_with("Cpus_allowed_list"));
    read("/proc/sys/kernel/hostname") + allowed.unwrap_or_default()
}

/// Bytes that all ranks together received so far.
pub(crate) fn received(ranks: &Ranks) -> Result<u64> {
    let all = ranks.exchange(&ranks.received().to_le_bytes())?.concat();
    Ok(all.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).sum())
}
