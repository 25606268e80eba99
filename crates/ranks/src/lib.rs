//! The processes of one job that compute together: **ranks**, as MPI calls them.
//!
//! The same program runs on each rank with the same arguments and makes the same calls in the same
//! order. Work is cut into numbered pieces; a rank has a run of neighbours ([`Ranks::share`]), and
//! what pieces give is put together in the order of their numbers, so that no result depends on how
//! many ranks there are:
//!
//! ```text
//! pieces    0 1 2 3 4 5 | 6 7 8 9 10 | 11 12 13 14 15      a run of neighbours for each rank
//! rank 0    ((g0 + g1) + .. + g5) --segment by segment--+
//! rank 1    + g6 + g7 + .. + g10  <---------------------+ --segment by segment--+
//! rank 2    + g11 + .. + g15      <---------------------------------------------+
//! all       <== the sum, from the last rank
//! ```
//!
//! Additions of floating-point numbers do not associate: a sum by rank and then over ranks would be
//! another one for each number of ranks. So the sum travels along the ranks, and each adds its
//! pieces one by one. Each rank receives the vector at most twice, whatever the number of pieces:
//! once on the way, once as the result. A usual all-reduce costs as much.
//!
//! **Failures.** Each exchange begins with what became of every rank. One that has failed takes
//! part in one more exchange, by [`Ranks::end`], and all others get its message from it: none waits
//! for one that is gone.
//!
//! One process alone is [`Ranks::default`], in which all of this costs nothing.

mod launch;
mod link;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "mpi")]
mod quiet;
mod simulated;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use launch::{NotStarted, is_of_job};
use link::Link;

/// Numbers that travel at once: the next rank adds to them while others follow.
const SEGMENT: usize = 64 * 1024;
/// Bytes of all ranks together that are gathered at once; MPI counts in 31 bits.
const AT_ONCE: usize = 1 << 30;
/// What says in a header that the rank has failed; the rest is a length.
const FAILED: u64 = 1 << 63;

/// A rank of the job has failed, which ends all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rank {rank} of {size}: {message}")]
pub struct Failed {
    /// The first of those that failed, from 0.
    pub rank: usize,
    /// Number of ranks.
    pub size: usize,
    /// What it says.
    pub message: String,
}

/// This process among those of its job. Cloning shares it.
#[derive(Clone, Default)]
pub struct Ranks(Option<Arc<Several>>);

/// One of several ranks.
struct Several {
    link: Box<dyn Link>,
    /// Why the job is over, once it is.
    over: Mutex<Option<Failed>>,
    received: AtomicU64,
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ranks({} of {})", self.rank(), self.size())
    }
}

impl PartialEq for Ranks {
    /// Whether two are the same one of the same job.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl Eq for Ranks {}

impl Ranks {
    /// This process among those that `mpirun`, `srun` or alike started with it; alone if nothing
    /// of that kind did. Standard output and error of all but the first lead nowhere then.
    ///
    /// # Errors
    /// If it was started several times, and this program has no MPI or MPI knows nothing of the
    /// others: each would do all of the work.
    pub fn start() -> Result<Self, NotStarted> {
        Ok(launch::start()?.map_or_else(Self::default, Self::over))
    }

    /// So many ranks that are threads of this process, for tests: each is to be moved to a thread
    /// of its own.
    pub fn simulated(size: usize) -> Vec<Self> {
        simulated::links(size).into_iter().map(|link| Self::over(Box::new(link))).collect()
    }

    fn over(link: Box<dyn Link>) -> Self {
        match link.size() {
            1 => Self(None),
            _ => Self(Some(Arc::new(Several {
                link,
                over: Mutex::new(None),
                received: AtomicU64::new(0),
            }))),
        }
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.link.rank())
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |all| all.link.size())
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is the one that prints and writes files.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Which of `n` pieces of work are this rank's.
    pub fn share(&self, n: usize) -> Range<usize> {
        let (rank, size) = (self.rank(), self.size());
        n * rank / size..n * (rank + 1) / size
    }

    /// Bytes that this rank received so far.
    pub fn received(&self) -> u64 {
        self.0.as_ref().map_or(0, |all| all.received.load(Ordering::Relaxed))
    }

    /// Gives some bytes to all ranks; returns those of each, in order.
    ///
    /// # Errors
    /// If a rank has failed.
    pub fn exchange(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, Failed> {
        match &self.0 {
            None => Ok(vec![own.to_vec()]),
            Some(all) => all.exchange(Ok(own)),
        }
    }

    /// What the first rank says, which is not asked of others.
    ///
    /// # Errors
    /// If a rank has failed; as `say` on the first.
    pub fn first_says<E: From<Failed>>(
        &self,
        say: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let own = if self.is_first() { say()? } else { Vec::new() };
        if self.is_alone() {
            return Ok(own);
        }
        Ok(self.exchange(&own)?.swap_remove(0))
    }

    /// Whether any rank says yes.
    ///
    /// # Errors
    /// If a rank has failed.
    pub fn any(&self, yes: bool) -> Result<bool, Failed> {
        if self.is_alone() {
            return Ok(yes);
        }
        Ok(self.exchange(&[u8::from(yes)])?.iter().any(|said| *said == [1]))
    }

    /// Checks that all ranks have the same of something: otherwise they would go on with different
    /// work, or wait for each other for ever.
    ///
    /// # Errors
    /// If one has not, or has failed. `what` names it: `"rank 1 has another {what} than rank 0"`.
    pub fn same(&self, what: &str, own: &[u8]) -> Result<(), Failed> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.exchange(own)?;
        match all.iter().position(|other| *other != all[0]) {
            None => Ok(()),
            Some(rank) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (other, first) = (text(&all[rank]), text(&all[0]));
                let message = format!("has another {what} than rank 0: {other}, not {first}");
                let failed = Failed { rank, size: all.len(), message };
                // All ranks see it at once: nobody is left to be told.
                self.set_over(&failed);
                Err(failed)
            }
        }
    }

    /// Rows of all ranks, one rank's after another's.
    ///
    /// # Errors
    /// If a rank has failed.
    pub fn rows(&self, own: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, Failed> {
        if self.is_alone() {
            return Ok(own);
        }
        let mut bytes = Vec::new();
        for row in &own {
            bytes.extend((row.len() as u64).to_le_bytes());
            row.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        }
        let mut rows = Vec::new();
        for bytes in self.exchange(&bytes)? {
            let mut rest = &bytes[..];
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = u64::from_le_bytes(*length) as usize;
                let (row, after) = after.split_at(length * size_of::<f32>());
                rows.push(row.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect());
                rest = after;
            }
        }
        Ok(rows)
    }

    /// A sum over the pieces of all ranks, in the order of the pieces. `total` holds the sum of the
    /// first rank's pieces there, and the sum of all on every rank afterwards; `pieces` are those
    /// of this rank that are to be added, none on the first; `add` adds one to a sum.
    ///
    /// It is to follow an [exchange](Self::exchange), which says that all ranks are there.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn sum(&self, total: &mut [f32], pieces: &[Vec<f32>], add: impl Fn(&mut [f32], &[f32])) {
        let (rank, last) = (self.rank(), self.size() - 1);
        let mut start = 0;
        for total in total.chunks_mut(SEGMENT) {
            let segment = start..start + total.len();
            start = segment.end;
            if let Some(all) = self.0.as_ref().filter(|_| rank > 0) {
                all.link.receive(rank - 1, total);
            }
            pieces.iter().for_each(|piece| add(total, &piece[segment.clone()]));
            if let Some(all) = self.0.as_ref().filter(|_| rank < last) {
                all.link.send(rank + 1, total);
            }
        }
        if let Some(all) = &self.0 {
            all.link.broadcast(last, total);
            let times = u64::from(rank > 0) + u64::from(rank < last);
            all.count(times * size_of_val(total) as u64);
        }
    }

    /// Ends the job on this rank, well or with a message; waits for the others to do so. Returns
    /// the failure that ended it, of whichever rank.
    pub fn end(&self, failed: Option<&str>) -> Option<Failed> {
        let all = self.0.as_ref()?;
        if let Some(over) = all.over() {
            return Some(over);
        }
        let own = match failed {
            None => Ok(&[][..]),
            Some(message) => Err(message),
        };
        all.exchange(own).err()
    }

    fn set_over(&self, failed: &Failed) {
        if let Some(all) = &self.0 {
            *all.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed.clone());
        }
    }
}

impl Several {
    fn over(&self) -> Option<Failed> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives bytes, or the message of a failure, to all.
    fn exchange(&self, own: Result<&[u8], &str>) -> Result<Vec<Vec<u8>>, Failed> {
        if let Some(over) = self.over() {
            return Err(over);
        }
        let size = self.link.size();
        let (bytes, mark) = match own {
            Ok(bytes) => (bytes, 0),
            Err(message) => (message.as_bytes(), FAILED),
        };
        let header = (bytes.len() as u64 | mark).to_le_bytes();
        let headers = self.link.gather(&header, &vec![header.len(); size]);
        let headers: Vec<u64> =
            headers.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let lengths: Vec<usize> = headers.iter().map(|h| (h & !FAILED) as usize).collect();
        let at_once = AT_ONCE / size;
        let rounds = lengths.iter().max().map_or(0, |most| most.div_ceil(at_once));
        let mut all: Vec<Vec<u8>> = lengths.iter().map(|&n| Vec::with_capacity(n)).collect();
        for round in 0..rounds {
            let part = |n: usize| (round * at_once).min(n)..((round + 1) * at_once).min(n);
            let counts: Vec<usize> = lengths.iter().map(|&n| part(n).len()).collect();
            let gathered = self.link.gather(&bytes[part(bytes.len())], &counts);
            let mut rest = &gathered[..];
            for (own, count) in all.iter_mut().zip(counts) {
                let (part, after) = rest.split_at(count);
                own.extend_from_slice(part);
                rest = after;
            }
        }
        let others = all.iter().map(|b| b.len() + header.len()).sum::<usize>();
        self.count((others - bytes.len() - header.len()) as u64);
        let Some(rank) = headers.iter().position(|h| h & FAILED != 0) else { return Ok(all) };
        let message = String::from_utf8_lossy(&all[rank]).into_owned();
        let failed = Failed { rank, size, message };
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed.clone());
        Err(failed)
    }
}
