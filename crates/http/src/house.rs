//! Who is connected. A full house lets the one go who has been still the longest, so that others
//! can come in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::client::key;

/// Who has spoken, and been still for less than this since, is not sent away for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// All connections.
pub(crate) struct House {
    most: usize,
    each: usize,
    guests: Mutex<Guests>,
    left: Notify,
}

#[derive(Default)]
struct Guests {
    next: u64,
    inside: HashMap<u64, Guest>,
    of_client: HashMap<u128, usize>,
}

struct Guest {
    client: u128,
    pulse: Arc<Pulse>,
    leave: oneshot::Sender<()>,
}

/// The place of one connection; it is free again when this is dropped.
pub(crate) struct Seat {
    number: u64,
    house: Arc<House>,
    pulse: Arc<Pulse>,
    leave: oneshot::Receiver<()>,
}

impl House {
    /// A house for `most` connections, `each` of one client.
    pub(crate) fn new(most: usize, each: usize) -> Self {
        Self { most, each, guests: Mutex::default(), left: Notify::new() }
    }

    /// A place, if there is one or someone who has long been still can leave theirs.
    pub(crate) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Seat> {
        // Whoever is on this machine may be a proxy, and with it everyone.
        let here = client.to_canonical().is_loopback();
        let client = key(client);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if !here && guests.of_client.get(&client).is_some_and(|n| *n >= self.each) {
            guests.dismiss(|g| g.client == client)?;
        } else if guests.inside.len() >= self.most {
            guests.dismiss(|_| true)?;
        }
        let pulse = Arc::new(Pulse::new());
        let (send, leave) = oneshot::channel();
        let number = guests.next;
        guests.next += 1;
        guests.inside.insert(number, Guest { client, pulse: Arc::clone(&pulse), leave: send });
        *guests.of_client.entry(client).or_default() += 1;
        Some(Seat { number, house: Arc::clone(self), pulse, leave })
    }

    /// Waits until nobody is inside.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.guests.lock().unwrap_or_else(PoisonError::into_inner).inside.is_empty() {
                return;
            }
            left.await;
        }
    }
}

impl Guests {
    /// Sends away the stillest of those that are meant; none if all of them are lively.
    fn dismiss(&mut self, meant: impl Fn(&Guest) -> bool) -> Option<()> {
        let candidates = self.inside.iter().filter(|(_, g)| meant(g));
        let still = candidates.filter_map(|(n, g)| Some((g.pulse.still()?, *n)));
        let (_, number) = still.max()?;
        let guest = self.remove(number)?;
        let _ = guest.leave.send(());
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Guest> {
        let guest = self.inside.remove(&number)?;
        if let Some(n) = self.of_client.get_mut(&guest.client) {
            *n -= 1;
            if *n == 0 {
                self.of_client.remove(&guest.client);
            }
        }
        Some(guest)
    }
}

impl Seat {
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Waits until the place is needed for others.
    pub(crate) async fn asked_to_leave(&mut self) {
        let _ = (&mut self.leave).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guests = self.house.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.remove(self.number);
        drop(guests);
        self.house.left.notify_one();
    }
}

/// The last sign of life of a client. While the server is at work for it, it owes none.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Milliseconds since the process began.
    at: AtomicU64,
    spoke: AtomicBool,
    at_work: AtomicUsize,
    /// Something came since the last request began to be answered.
    asking: AtomicBool,
}

fn milliseconds() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

impl Pulse {
    /// That of a client who has just come.
    pub(crate) fn new() -> Self {
        Self { at: AtomicU64::new(milliseconds()), ..Self::default() }
    }

    /// A byte was taken.
    pub(crate) fn beat(&self) {
        self.at.store(milliseconds(), Ordering::Relaxed);
        self.spoke.store(true, Ordering::Relaxed);
    }

    /// A byte came.
    pub(crate) fn heard(&self) {
        self.beat();
        self.asking.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun a request that is not whole.
    pub(crate) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed)
    }

    /// How long it has been still, if that is long enough to be sent away, and the server is not at
    /// work for it.
    fn still(&self) -> Option<Duration> {
        let still = milliseconds().saturating_sub(self.at.load(Ordering::Relaxed));
        let still = Duration::from_millis(still);
        let long = still >= PATIENCE || !self.spoke.load(Ordering::Relaxed);
        (long && self.at_work.load(Ordering::Relaxed) == 0).then_some(still)
    }

    /// The mark of a request whose headers are whole.
    pub(crate) fn request(self: &Arc<Self>) -> Arc<Work> {
        self.asking.store(false, Ordering::Relaxed);
        Arc::new(Work { pulse: Arc::clone(self), state: AtomicU8::new(WAITS) })
    }
}

/// A request: the server waits for its body, is at work, and has answered.
pub(crate) struct Work {
    pulse: Arc<Pulse>,
    state: AtomicU8,
}

const WAITS: u8 = 0;
const AT_WORK: u8 = 1;
const ANSWERED: u8 = 2;

impl Work {
    /// Nothing more of the body is waited for.
    pub(crate) fn begin(&self) {
        let state = &self.state;
        if state.compare_exchange(WAITS, AT_WORK, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.pulse.at_work.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There is an answer, or none will be.
    pub(crate) fn end(&self) {
        if self.state.swap(ANSWERED, Ordering::Relaxed) == AT_WORK {
            self.pulse.beat();
            self.pulse.at_work.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    /// A connection on which something was said.
    fn speaks(house: &Arc<House>, n: u8) -> Option<Seat> {
        let seat = house.enter(client(n))?;
        seat.pulse().beat();
        Some(seat)
    }

    #[tokio::test]
    async fn the_stillest_makes_room_and_the_lively_stay() {
        let house = Arc::new(House::new(2, 2));
        let mut first = speaks(&house, 1).unwrap();
        let second = speaks(&house, 2).unwrap();
        assert!(house.enter(client(3)).is_none(), "both have just spoken");
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        let work = second.pulse().request();
        work.begin();
        let mut third = house.enter(client(3)).unwrap();
        first.asked_to_leave().await;
        let fourth = speaks(&house, 4).unwrap();
        third.asked_to_leave().await;
        assert!(house.enter(client(5)).is_none(), "one is worked for, the other has just spoken");
        work.end();
        drop((first, second));
        assert!(house.enter(client(5)).is_some(), "there is room");
        drop((third, fourth));
        house.empty().await;
    }

    /// Who sends the body of a request slowly is not worked for.
    #[tokio::test]
    async fn a_body_that_stops_makes_room() {
        let house = Arc::new(House::new(1, 1));
        let mut first = speaks(&house, 1).unwrap();
        let work = first.pulse().request();
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        work.end();
        work.begin();
        let _second = house.enter(client(2)).unwrap();
        first.asked_to_leave().await;
    }

    #[tokio::test]
    async fn one_client_makes_room_for_itself_only() {
        let house = Arc::new(House::new(10, 2));
        let _other = house.enter(client(9)).unwrap();
        let mut mine = [speaks(&house, 1).unwrap(), speaks(&house, 1).unwrap()];
        assert!(house.enter(client(1)).is_none());
        tokio::time::sleep(PATIENCE + Duration::from_millis(100)).await;
        mine[1].pulse().beat();
        let _third = house.enter(client(1)).unwrap();
        mine[0].asked_to_leave().await;
        assert_eq!(house.guests.lock().unwrap().of_client[&key(client(1))], 2);
        let here = IpAddr::from([127, 0, 0, 1]);
        let all: Vec<_> = (0..7).map(|_| house.enter(here)).collect();
        assert!(all.iter().all(Option::is_some), "whoever is on this machine may be everyone");
    }
}
