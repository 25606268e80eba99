//! Many adapters on one frozen model over HTTP: each request names its adapter, and inputs of all
//! adapters share the model's work.
//!
//! | module | what it does |
//! |---|---|
//! | `routes` | addresses; one file for each kind of request under `routes/` |
//! | `app` | the way of a request: allowed, read, encoded, computed, counted |
//! | `shelf` | adapters by name, in memory under a limit, with generations |
//! | `source`, `names` | where adapters lie: a folder, or what the program hands in |
//! | `engine` | one queue for everybody, threads that take chunks from it |
//! | `given`, `shape`, `reply` | JSON to inputs, answers to the shapes that clients know |
//! | `guard` | what every answer passes: memory for what waits, counters, the log |
//! | `keys`, `metrics`, `fault` | who may, how much, what went wrong |
//!
//! No texts and no keys are written anywhere.

mod app;
mod engine;
mod fault;
mod given;
mod guard;
mod keys;
mod metrics;
mod names;
mod reply;
mod routes;
mod server;
mod shape;
mod shelf;
mod source;

pub use app::Limits;
pub use keys::Keys;
pub use names::is_name;
pub use server::{Beside, Settings, serve, service};
pub use source::{DESCRIPTIONS, Folder, Place, Source};
