//! What stands behind an address.

use budwood_board::Board;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::upload::Upload;

/// Answers a question to an open board.
pub(crate) type Show = fn(&Board, &Ask) -> Result<Reply, Fault>;
/// Prepares slow work that needs no board.
pub(crate) type Prepare = fn(&Board, &Ask) -> Result<Rest, Fault>;
/// Slow work that needs no board.
pub(crate) type Rest = Box<dyn FnOnce(&Ask) -> Result<Reply, Fault> + Send>;

/// How an address is answered, and so what that costs and who may ask how often.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Page(Show),
    Search(Show),
    Export(Show),
    /// An adapter is tried.
    Trial(Prepare),
}

/// An address that is read.
pub(crate) struct Route {
    /// `{name}` is one segment of the path.
    pub(crate) path: &'static str,
    /// Its name in the navigation; empty if it does not stand there.
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

impl Route {
    pub(crate) const fn page(path: &'static str, show: Show) -> Self {
        Self { path, name: "", work: Work::Page(show) }
    }

    pub(crate) const fn search(path: &'static str, show: Show) -> Self {
        Self { path, name: "", work: Work::Search(show) }
    }

    pub(crate) const fn export(path: &'static str, show: Show) -> Self {
        Self { path, name: "", work: Work::Export(show) }
    }

    pub(crate) const fn trial(path: &'static str, prepare: Prepare) -> Self {
        Self { path, name: "", work: Work::Trial(prepare) }
    }

    /// The same with a name, by which it stands in the navigation.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// A change to the board, in one piece or in several: none says that others come first, then it is
/// called again.
pub(crate) type Job =
    Box<dyn FnMut(&mut Board, &Upload, &Ask) -> Result<Option<Reply>, Fault> + Send>;
