//! A few connections to the board, used by as many threads that may block.

use std::sync::{Arc, Mutex, PoisonError};

use budwood_board::Board;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// A few connections to the board. Who finds none free waits.
#[derive(Clone)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    boards: Arc<Boards>,
}

struct Boards(Mutex<Vec<Board>>);

/// A connection that is free for whoever waited for it.
pub(crate) struct Place(OwnedSemaphorePermit);

impl Pool {
    pub(crate) fn new(boards: Vec<Board>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(boards.len())),
            boards: Arc::new(Boards(Mutex::new(boards))),
        }
    }

    /// Runs `job` with a connection, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Board) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.run_in(self.place().await?, job).await
    }

    /// Waits for a connection.
    pub(crate) async fn place(&self) -> Result<Place, Fault> {
        Ok(Place(self.free.clone().acquire_owned().await.map_err(Fault::internal)?))
    }

    /// Runs `job` with a connection that was waited for.
    pub(crate) async fn run_in<T: Send + 'static>(
        &self,
        Place(permit): Place,
        job: impl FnOnce(&mut Board) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let boards = Arc::clone(&self.boards);
        let work = move || {
            // A client that left does not free the connection before the work is over.
            let _permit = permit;
            let lease = Lease::take(&boards.0)?;
            lease.run(job)
        };
        tokio::task::spawn_blocking(work).await.map_err(Fault::internal)?
    }
}

impl Drop for Boards {
    /// The end of a connection to a server blocks, which a thread that also serves must not.
    fn drop(&mut self) {
        let boards = std::mem::take(self.0.get_mut().unwrap_or_else(PoisonError::into_inner));
        let _ = std::thread::spawn(move || drop(boards)).join();
    }
}

/// A connection that goes back when it is dropped, also by a panic.
struct Lease<'a> {
    boards: &'a Mutex<Vec<Board>>,
    board: Option<Board>,
}

impl<'a> Lease<'a> {
    fn take(boards: &'a Mutex<Vec<Board>>) -> Result<Self, Fault> {
        let board = boards.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self { boards, board })
    }

    fn run<T>(mut self, job: impl FnOnce(&mut Board) -> Result<T, Fault>) -> Result<T, Fault> {
        let board = self.board.as_mut().ok_or_else(|| Fault::internal("no connection is free"))?;
        board.look();
        job(board)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(board) = self.board.take() {
            self.boards.lock().unwrap_or_else(PoisonError::into_inner).push(board);
        }
    }
}
