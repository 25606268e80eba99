//! One file a command.

pub(crate) mod average;
pub(crate) mod bench;
pub(crate) mod board;
pub(crate) mod data;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod jobs;
pub(crate) mod merge;
pub(crate) mod methods;
pub(crate) mod models;
pub(crate) mod parity;
pub(crate) mod predict;
pub(crate) mod push;
pub(crate) mod quickstart;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod submit;
mod submit_scored;
pub(crate) mod sweep;
pub(crate) mod train;
pub(crate) mod verify;
