//! A few places for slow work, and a short queue before them: it takes nothing from anything else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rate::Rate;
use super::shares::{Refusal, Share, Shares};
use crate::fault::Fault;

/// A lane of slow work.
pub(crate) struct Lane {
    rate: Rate,
    inside: Shares,
    places: Arc<Semaphore>,
    patience: Duration,
}

/// A place in a lane, while the work is done.
pub(crate) struct Turn {
    _share: Share,
    _place: OwnedSemaphorePermit,
}

/// How wide a lane is.
#[derive(Clone, Copy)]
pub(crate) struct Width {
    /// Works at one time.
    pub(crate) places: usize,
    /// Works that wait for a place.
    pub(crate) queue: usize,
    /// Works of one client that are done or wait.
    pub(crate) each: usize,
    /// Works a minute that one client may ask for.
    pub(crate) a_minute: f64,
    /// How long a work may wait for a place.
    pub(crate) patience: Duration,
}

impl Lane {
    pub(crate) fn new(width: Width) -> Self {
        Self {
            rate: Rate::new(width.a_minute / 60.0, (width.a_minute / 2.0).max(1.0)),
            inside: Shares::new(width.places + width.queue, width.each),
            places: Arc::new(Semaphore::new(width.places)),
            patience: width.patience,
        }
    }

    /// A place, after waiting for it; or why there is none.
    pub(crate) async fn turn(&self, client: IpAddr) -> Result<Turn, Fault> {
        let share = self.inside.take(client).map_err(|refusal| match refusal {
            Refusal::ForClient => Fault::later(
                StatusCode::TOO_MANY_REQUESTS,
                "What you asked for before is not done yet.",
                5,
            ),
            Refusal::Left => full(),
        })?;
        self.rate.allow(client)?;
        let place = tokio::time::timeout(self.patience, Arc::clone(&self.places).acquire_owned());
        let place = place.await.map_err(|_| full())?.map_err(Fault::internal)?;
        Ok(Turn { _share: share, _place: place })
    }
}

fn full() -> Fault {
    Fault::later(
        StatusCode::SERVICE_UNAVAILABLE,
        "Too many requests of this kind at the moment.",
        10,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_queue_is_short_and_one_client_does_not_fill_it() {
        let width = Width {
            places: 1,
            queue: 1,
            each: 1,
            a_minute: 600.0,
            patience: Duration::from_millis(50),
        };
        let lane = Arc::new(Lane::new(width));
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        let status = |r: Result<Turn, Fault>| r.err().map(|f| (f.status.as_u16(), f.retry_after));
        let first = lane.turn(a).await.unwrap();
        assert_eq!(status(lane.turn(a).await), Some((429, Some(5))));
        let waits = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.turn(b).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(status(lane.turn(c).await), Some((503, Some(10))), "the queue is full");
        assert_eq!(status(waits.await.unwrap()), Some((503, Some(10))), "b waited in vain");
        drop(first);
        assert!(lane.turn(c).await.is_ok());
    }
}
