//! What one client may have at one time, of something that there is a certain number of.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use budwood_http::key;

/// Things of which there are `most`, and `each` for one client.
#[derive(Clone)]
pub(crate) struct Shares {
    most: usize,
    each: usize,
    taken: Arc<Mutex<HashMap<u128, usize>>>,
}

/// One of them; it is given back when this is dropped.
pub(crate) struct Share {
    client: u128,
    taken: Arc<Mutex<HashMap<u128, usize>>>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client has its share.
    ForClient,
    /// All are taken.
    Left,
}

impl Shares {
    pub(crate) fn new(most: usize, each: usize) -> Self {
        Self { most, each, taken: Arc::default() }
    }

    pub(crate) fn take(&self, client: IpAddr) -> Result<Share, Refusal> {
        let client = key(client);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&client).is_some_and(|n| *n >= self.each) {
            return Err(Refusal::ForClient);
        }
        if taken.values().sum::<usize>() >= self.most {
            return Err(Refusal::Left);
        }
        *taken.entry(client).or_default() += 1;
        Ok(Share { client, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = taken.get_mut(&self.client) {
            *n -= 1;
            if *n == 0 {
                taken.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_and_gives_it_back() {
        let shares = Shares::new(3, 2);
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        let first = shares.take(a);
        let _second = shares.take(a);
        assert_eq!(shares.take(a).err(), Some(Refusal::ForClient));
        let _third = shares.take(b);
        assert_eq!(shares.take(c).err(), Some(Refusal::Left));
        drop(first);
        assert!(shares.take(c).is_ok());
        assert_eq!(shares.taken.lock().map(|t| t.len()).ok(), Some(2));
    }
}
