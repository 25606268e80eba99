//! What is done on a server beside an import, on a connection of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError::Disconnected};
use std::time::Duration;

use crate::{Board, Place, dialect};

/// Time in which words wait: in shorter ones each word's list is written more often.
const PAUSE: Duration = Duration::from_secs(3);

/// What an import says: all its elements are in, and what is left is counted.
pub(super) struct AllIn;

/// Puts words into their indexes until the import ends. The words of rows wait beside an index
/// until somebody puts them in, which takes a third of a paper's time; searches find what waits, so
/// that it does not matter when this is done, nor whether. When all elements are in, the planner
/// looks at what grew: what it would see before is soon far from what there is.
pub(super) fn put_in_order(place: &Place, import: &Receiver<AllIn>) {
    let mut board = None;
    loop {
        let said = import.recv_timeout(PAUSE);
        if matches!(said, Err(Disconnected)) {
            return;
        }
        if board.is_none() {
            board = Board::open(place).ok();
        }
        let Some(sql) = board.as_ref().map(Board::sql) else { return };
        let done = match said {
            Ok(AllIn) => dialect::settle(sql),
            Err(_) => dialect::put_words_in(sql),
        };
        if done.is_err() {
            return;
        }
    }
}
