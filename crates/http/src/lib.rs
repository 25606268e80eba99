//! What stands between clients and a service: connections, how many, how long, and from whom.
//!
//! | limit | against |
//! |---|---|
//! | connections, over all clients and for each | clients that open many and say nothing |
//! | time in which a client must say or take something | clients that stop in the middle |
//! | bytes that it must take in that time | clients that read a byte now and then |
//! | bytes of a body, their pace, and memory of all bodies | clients that announce much |
//! | one valid header `Host` | requests that mean two services at once |
//!
//! A service is a router of axum. It learns the client's address from [`Peer`].

mod arrival;
mod client;
mod connection;
mod door;
mod handles;
mod host;
mod house;
mod log;
mod memory;
mod paced;
mod tls;
mod validity;

pub use arrival::{Arrival, Bounds, Refused};
pub use client::{Peer, key};
pub use door::{Fault, Limits, Threads, run};
pub use log::log;
pub use memory::{Memory, Room};
pub use tls::Tls;
