//! A results board whose rows can be run again.
//!
//! A board is a folder with one SQLite file and the adapters of its rows, or a database of a
//! PostgreSQL server. It holds tasks, data
//! sets, papers and methods, leaderboards of results, and a log of every change. Results come from
//! archives ([`import`]), from submissions and from the store of runs; a result that carries its
//! adapter is evaluated by the board itself, through an evaluator that is handed in: this crate
//! knows no model. [`query`] answers what pages show.

pub mod access;
pub mod date;
mod db;
mod dialect;
pub mod direction;
mod entities;
mod error;
pub mod evidence;
pub mod export;
mod files;
mod fulltext;
pub mod import;
mod lexemes;
pub mod local;
mod log;
pub mod moderate;
pub mod query;
pub mod rank;
pub mod seed;
mod setting;
mod sql_names;
mod state;
pub mod submit;
mod summary;
pub mod text;
pub mod token;
pub mod value;
pub mod vectors;
pub mod verify;
mod words;

pub use budwood_database::Error as DatabaseError;
pub use db::{Board, Place};
pub use error::Error;
pub use setting::split_key;
pub use state::State;
