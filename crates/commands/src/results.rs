//! A folder for results: of this machine, or made here and then sent to an object store.

use std::path::{Path, PathBuf};

use anyhow::Result;
use budwood_base::address::Place;
use budwood_base::folder::{Kind, OutFolder};

use crate::remote::Remote;

/// A folder that a command writes.
pub(crate) struct Results {
    folder: OutFolder,
    /// That folder as the user named it, where it is of this machine.
    shown: PathBuf,
    remote: Option<Remote>,
}

impl Results {
    /// Checks that it can be written; nothing that is there is changed.
    pub(crate) fn open(path: &Path, kind: &'static Kind) -> Result<Self> {
        Self::opened(path, kind, |_| Ok(()))
    }

    /// As [`Results::open`], of a run: it goes on from the checkpoint in the store.
    pub(crate) fn of_run(path: &Path, kind: &'static Kind) -> Result<Self> {
        Self::opened(path, kind, Remote::pull)
    }

    fn opened(
        path: &Path,
        kind: &'static Kind,
        ready: impl FnOnce(&mut Remote) -> Result<()>,
    ) -> Result<Self> {
        let address = match Place::of_path(path)? {
            Place::Here(path) => {
                let folder = OutFolder::open(&path, kind)?;
                return Ok(Self { folder, shown: path, remote: None });
            }
            Place::Store(address) => address,
        };
        let mut remote = Remote::open(&address, kind)?;
        let mut folder = OutFolder::open(remote.staging(), kind)?;
        ready(&mut remote)?;
        folder.make()?;
        let shown = remote.staging().to_path_buf();
        Ok(Self { folder, shown, remote: Some(remote) })
    }

    /// The folder of this machine, as it is to be named.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.remote.as_ref().map_or_else(|| self.folder.is_whole(), Remote::is_whole)
    }

    /// The folder of this machine, and the place in a store that it is sent to.
    pub(crate) fn parts(&mut self) -> (&mut OutFolder, Option<&mut Remote>) {
        (&mut self.folder, self.remote.as_mut())
    }

    /// The folder of this machine.
    pub(crate) fn folder(&self) -> &OutFolder {
        &self.folder
    }

    /// Whether it goes to a store.
    pub(crate) fn is_sent(&self) -> bool {
        self.remote.is_some()
    }

    /// Sends what is in the folder of this machine, if it goes to a store.
    pub(crate) fn send(&mut self) -> Result<()> {
        self.remote.as_mut().map_or(Ok(()), |remote| remote.send(&self.folder))
    }

    /// Fills a new folder through `fill` and puts it in its place in one step.
    pub(crate) fn replace<E>(mut self, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<()>
    where
        E: From<std::io::Error>,
        anyhow::Error: From<E>,
    {
        let sent = match self.folder.replace(fill) {
            Ok(()) => self.send(),
            Err(error) => Err(error.into()),
        };
        // Whoever asks again makes it again.
        let settled = self.settle();
        sent.and(settled)
    }

    /// Ends the work on it: what lay here for a store goes.
    pub(crate) fn settle(self) -> Result<()> {
        let Self { folder, remote, .. } = self;
        drop(folder);
        remote.map_or(Ok(()), Remote::settle)
    }
}
