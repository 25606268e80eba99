//! Turns of many: who asks for much at once waits for themselves, and so does who asks for what
//! many ask for.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns of all, by the hash of what tells them apart. Two of one hash, which nobody can choose,
/// wait for each other.
pub(crate) struct Turns {
    each: usize,
    hash: RandomState,
    known: Mutex<HashMap<u64, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// How many are remembered; those that wait for nothing go first.
const KNOWN: usize = 1000;

impl Turns {
    /// So many turns at one time for each.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, hash: RandomState::new(), known: Mutex::default() }
    }

    /// Waits for a turn of one of them.
    pub(crate) async fn wait(&self, whose: impl Hash) -> Option<Turn> {
        let turns = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN {
                known.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let turns = known.entry(self.hash.hash_one(whose));
            Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(self.each))))
        };
        // The semaphore is never closed.
        turns.acquire_owned().await.ok().map(|permit| Turn { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn one_waits_for_itself_only() {
        let turns = Turns::new(2);
        let (a, b) = ("a", "b");
        let held = [turns.wait(a).await, turns.wait(a).await];
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, turns.wait(a)).await.is_err());
        assert!(tokio::time::timeout(soon, turns.wait(b)).await.is_ok());
        drop(held);
        assert!(tokio::time::timeout(soon, turns.wait(a)).await.is_ok());
        for n in 0..3000 {
            turns.wait(n).await;
        }
        assert!(turns.known.lock().is_ok_and(|k| k.len() <= KNOWN));
    }
}
