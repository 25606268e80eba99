//! The board over HTTP: pages, interface, feeds, badges.
//!
//! A page is a plain function from an open board and a question (`ask::Ask`) to a reply: it does
//! no input or output of its own and runs on a thread that may block. Each file of
//! `pages` says which addresses it answers, and `pages/mod.rs` lists the files: a new
//! page is one file and one line there. Everything around them is written once: who may ask how
//! often (`guard`), what a browser may do with the answer (`reply`), how an error is shown
//! (`fault`).

mod api;
mod app;
mod ask;
mod assets;
mod coding;
mod fault;
mod feeds;
mod guard;
mod layout;
mod pages;
mod parts;
mod piecewise;
mod pool;
mod reply;
mod route;
mod routes;
mod server;
mod upload;

pub use app::{Answer, FILES, Limits, Options, Predictor};
pub use routes::{addresses, router};
pub use server::serve;
