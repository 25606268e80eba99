//! The stores of runs that commands are given.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, bail};
use budwood_base::record::RunRecord;
use budwood_store::{Address, Filter, Store, StoredRun};
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Reads the address of a store. What is wrong with it is said without repeating it, as it may hold
/// a password.
#[derive(Clone)]
pub(crate) struct Place;

impl TypedValueParser for Place {
    type Value = Address;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Address, clap::Error> {
        Address::parse(value).map_err(|error| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(command)
        })
    }
}

/// A store that must be there.
pub(crate) fn open(place: &Address) -> Result<Store> {
    match Store::find(place)? {
        Some(store) => Ok(store),
        None => {
            bail!("there is no store {place}; `budwood sweep` and `budwood train --store` make one")
        }
    }
}

/// The runs of a store that must be there.
pub(crate) fn stored(place: &Address, filter: &Filter) -> Result<(Store, Vec<StoredRun>)> {
    let store = open(place)?;
    let runs = store.runs(filter)?;
    Ok((store, runs))
}

/// The run of a key, if a store has it. `changed` says what of its data and base is not as in its
/// record: files may have changed under their names, and relative names are others elsewhere.
///
/// # Errors
/// If something changed.
pub(crate) fn known(
    store: &Store,
    key: &str,
    changed: impl FnOnce(&RunRecord) -> Option<String>,
) -> Result<Option<StoredRun>> {
    if !store.has(key)? {
        return Ok(None);
    }
    let known = store.run(key)?;
    if let Some(what) = changed(&known.record) {
        bail!(
            "run {} of {} is done, but with {what}; give another --out and --store for what is \
             new, or what was there before",
            known.id,
            store.address()
        );
    }
    Ok(Some(known))
}

/// The address of a store as what a command reads; a server is no place for results.
pub(crate) fn inputs(place: &Address) -> Vec<&str> {
    place.file().and_then(Path::to_str).into_iter().collect()
}
