//! Pages that took long lately share half of the readers among themselves: quick ones never stand
//! behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Paths whose pages take long, and the places for them.
pub(crate) struct SlowPages {
    places: Arc<Semaphore>,
    paths: Mutex<HashMap<String, Instant>>,
}

/// Time of a processor from which a page is slow.
const SLOW: Duration = Duration::from_millis(50);
/// Paths that are remembered, and for how long when there are too many.
const PATHS: usize = 1000;
const MEMORY: Duration = Duration::from_secs(600);

impl SlowPages {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places.max(1))), paths: Mutex::default() }
    }

    /// Whether the page of a path took long.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).contains_key(path)
    }

    /// Waits for a place for a slow page.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Makes a page and notes whether it took long.
    pub(crate) fn timed<T>(&self, path: &str, page: impl FnOnce() -> T) -> T {
        let begin = processor_time();
        let made = page();
        self.note(path, processor_time().saturating_sub(begin));
        made
    }

    fn note(&self, path: &str, took: Duration) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if took < SLOW {
            paths.remove(path);
            return;
        }
        if paths.len() >= PATHS {
            paths.retain(|_, at| at.elapsed() < MEMORY);
            if paths.len() >= PATHS {
                paths.clear();
            }
        }
        paths.insert(path.to_owned(), Instant::now());
    }
}

/// Time that processors gave this thread: what others do at the same moment makes no page slow.
#[cfg(unix)]
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (time.tv_sec.max(0), time.tv_nsec.max(0));
    Duration::new(seconds as u64, nanoseconds as u32)
}

#[cfg(not(unix))]
fn processor_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_slow_by_their_own_work() {
        let pages = SlowPages::new(1);
        pages.timed("/waits", || std::thread::sleep(2 * SLOW));
        assert!(!pages.knows("/waits"));
        let work = || {
            let begin = processor_time();
            while processor_time() - begin < SLOW + Duration::from_millis(10) {
                std::hint::black_box((0..1000).sum::<u64>());
            }
        };
        pages.timed("/works", work);
        assert!(pages.knows("/works"));
        pages.timed("/works", || ());
        assert!(!pages.knows("/works"), "it is quick again");
        for i in 0..3000 {
            pages.note(&i.to_string(), SLOW);
        }
        assert!(pages.paths.lock().is_ok_and(|p| p.len() <= PATHS));
    }
}
