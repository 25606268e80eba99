//! Clients that ask for much at once wait for themselves: each has a few pages made at one time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rate::key;

/// Turns of all clients.
pub(crate) struct Turns {
    each: usize,
    clients: Mutex<HashMap<u128, Arc<Semaphore>>>,
}

/// A turn of one client, until it is dropped.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// Clients that are remembered; those that wait for nothing go first.
const CLIENTS: usize = 1000;

impl Turns {
    /// So many at one time for each client.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, clients: Mutex::default() }
    }

    /// Waits until it is this client's turn.
    pub(crate) async fn wait(&self, client: IpAddr) -> Option<Turn> {
        let turns = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if clients.len() >= CLIENTS {
                clients.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            let turns = clients.entry(key(client));
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
    async fn a_client_waits_for_itself_only() {
        let turns = Turns::new(2);
        let [a, b] = [1, 2].map(|n| IpAddr::from([10, 0, 0, n]));
        let held = [turns.wait(a).await, turns.wait(a).await];
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, turns.wait(a)).await.is_err());
        assert!(tokio::time::timeout(soon, turns.wait(b)).await.is_ok());
        drop(held);
        assert!(tokio::time::timeout(soon, turns.wait(a)).await.is_ok());
        for n in 0..3000u16 {
            let [x, y] = n.to_be_bytes();
            turns.wait(IpAddr::from([10, 1, x, y])).await;
        }
        assert!(turns.clients.lock().is_ok_and(|c| c.len() <= CLIENTS));
    }
}
