//! What stands for results in object stores in a program that was built without them.

use std::path::Path;

use anyhow::Result;
use budwood_base::address::Address;
use budwood_base::folder::{Kind, OutFolder};
use budwood_hub::check_stores;

/// There is none.
pub(crate) enum Remote {}

impl Remote {
    pub(crate) fn open(address: &Address, _: &'static Kind) -> Result<Self> {
        check_stores(address)?;
        anyhow::bail!("{address}: object stores are not used here")
    }

    pub(crate) fn staging(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn is_whole(&self) -> bool {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &OutFolder) -> Result<()> {
        match *self {}
    }

    pub(crate) fn pull(&mut self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn push(&mut self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn settle(self) -> Result<()> {
        match self {}
    }
}

pub(crate) fn check_file(address: &Address, _: bool) -> Result<()> {
    Ok(check_stores(address)?)
}

pub(crate) fn write_file(
    address: &Address,
    _: impl FnOnce(&mut std::fs::File) -> Result<()>,
) -> Result<()> {
    Ok(check_stores(address)?)
}
