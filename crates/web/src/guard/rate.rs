//! How often one client may ask: a bucket of tokens each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::StatusCode;
use budwood_http::key;

use crate::fault::Fault;

/// Buckets of clients. A bucket fills steadily; a request takes one token.
pub(crate) struct Rate {
    a_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<u128, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Clients that are remembered. A full bucket says nothing, so those go first.
const CLIENTS: usize = 10_000;

impl Rate {
    pub(crate) fn new(a_second: f64, burst: f64) -> Self {
        Self { a_second, burst: burst.max(1.0), buckets: Mutex::default() }
    }

    /// Takes a token of the client's, or refuses.
    pub(crate) fn allow(&self, client: IpAddr) -> Result<(), Fault> {
        self.take(client, Instant::now()).map_err(|seconds| {
            let lot = "That was a lot in a short time.";
            Fault::later(StatusCode::TOO_MANY_REQUESTS, lot, seconds)
        })
    }

    /// Takes a token; else says after how many seconds there is one.
    fn take(&self, client: IpAddr, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = |b: &Bucket| {
            let more = now.saturating_duration_since(b.at).as_secs_f64() * self.a_second;
            (b.tokens + more).min(self.burst)
        };
        if buckets.len() >= CLIENTS {
            buckets.retain(|_, b| filled(b) < self.burst);
            if buckets.len() >= CLIENTS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(key(client)).or_insert(Bucket { tokens: self.burst, at: now });
        let tokens = filled(bucket);
        bucket.at = now;
        if tokens < 1.0 {
            bucket.tokens = tokens;
            return Err(((1.0 - tokens) / self.a_second).ceil().clamp(1.0, 3600.0) as u64);
        }
        bucket.tokens = tokens - 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let rate = Rate::new(2.0, 3.0);
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rate.take(one, start), Ok(()));
        }
        assert_eq!(rate.take(one, start), Err(1));
        assert_eq!(rate.take(two, start), Ok(()), "another client");
        let later = start + Duration::from_millis(600);
        assert_eq!(rate.take(one, later), Ok(()));
        assert_eq!(rate.take(one, later), Err(1));
    }

    #[test]
    fn a_network_is_one_client_and_memory_is_bounded() {
        let rate = Rate::new(1.0, 1.0);
        let now = Instant::now();
        let v6 = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert_eq!(rate.take(v6(1), now), Ok(()));
        assert!(rate.take(v6(2), now).is_err());
        for i in 0..30_000u32 {
            let _ = rate.take(IpAddr::from(i.to_be_bytes()), now);
        }
        assert!(rate.buckets.lock().is_ok_and(|b| b.len() <= CLIENTS));
    }
}
