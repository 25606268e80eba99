//! What is done on a server beside an import, on a connection of its own.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::{Board, Place, dialect};

/// Time in which words wait: in shorter ones each word's list is written more often.
const PAUSE: Duration = Duration::from_secs(1);

/// Puts words into their indexes until the import ends. The words of rows wait beside an index
/// until somebody puts them in, which takes a third of a paper's time; searches find what waits, so
/// that it does not matter when this is done, nor whether.
pub(super) fn put_words_in(place: &Place, end: &Receiver<()>) {
    let mut board = None;
    while end.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        if board.is_none() {
            board = Board::open(place).ok();
        }
        // The planner does not look meanwhile: what it would see is soon far from what there is.
        if board.as_ref().is_none_or(|board| dialect::put_words_in(board.sql()).is_err()) {
            return;
        }
    }
}
