//! What stands for object stores in a program that was built without them.

use std::path::PathBuf;

use budwood_base::address::Address;

use crate::{Error, Notice};

fn none(address: &Address) -> Error {
    Error::Object(format!(
        "{address}: this program was built without object stores: take the container, or build it \
         with `cargo build --release --features object-store`"
    ))
}

pub(crate) fn named(address: &Address, _: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    Err(none(address))
}

pub(crate) fn data(address: &Address, _: &mut dyn FnMut(Notice<'_>)) -> Result<PathBuf, Error> {
    Err(none(address))
}

/// Whether this program can use object stores.
///
/// # Errors
/// With the remedy, if it cannot.
pub fn check_stores(address: &Address) -> Result<(), Error> {
    Err(none(address))
}

/// What the store called the content when this process fetched it; `text` is the address, or data
/// as `LAYOUT=ADDRESS`.
pub fn tag_of(_: &str) -> Option<String> {
    None
}

/// A message in which places of fetched files are named by their addresses.
pub fn as_named(message: &str) -> String {
    message.into()
}
