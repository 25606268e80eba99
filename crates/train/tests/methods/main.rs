//! Every method on every family: what must hold whatever a method does.
//!
//! Methods come from the tables `METHODS` and `UNIONS` with their own examples, families from
//! `FAMILIES`: a new one is tested by everything here without being named here.

#![allow(clippy::unwrap_used)]

mod ending;
mod gradients;
mod long;
mod memory;
mod merging;
mod mixing;
mod precision;
mod refusing;
mod saving;
mod support;
mod training;
