//! Ranks over MPI.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Destination, Root, Source};

use crate::link::Link;

/// This process in MPI's world. Dropped at the end, which waits for the others; where it is dropped
/// by a panic, all are ended.
pub(crate) struct Mpi {
    rank: usize,
    size: usize,
    /// Calls are made by one thread at a time.
    universe: Mutex<Universe>,
}

impl Mpi {
    /// Begins MPI; none if it cannot be called from more than one thread, one at a time.
    pub(crate) fn start() -> Option<Self> {
        let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)?;
        if threading < Threading::Serialized {
            return None;
        }
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        Some(Self { rank, size, universe: Mutex::new(universe) })
    }

    /// The world, and the turn to call it.
    fn world(&self) -> (SimpleCommunicator, MutexGuard<'_, Universe>) {
        let universe = self.universe.lock().unwrap_or_else(PoisonError::into_inner);
        (universe.world(), universe)
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Others may wait for this rank for ever.
            self.world().0.abort(101);
        }
    }
}

impl Link for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn gather(&self, own: &[u8], counts: &[usize]) -> Vec<u8> {
        let (world, _turn) = self.world();
        let mut all = vec![0u8; counts.iter().sum()];
        let mut places = Vec::with_capacity(counts.len());
        let mut end = 0i32;
        // A gathering is at most 2^30 bytes.
        let counts: Vec<i32> = counts.iter().map(|&n| n as i32).collect();
        for count in &counts {
            places.push(end);
            end += count;
        }
        world.all_gather_varcount_into(own, &mut PartitionMut::new(&mut all[..], counts, places));
        all
    }

    fn send(&self, to: usize, numbers: &[f32]) {
        let (world, _turn) = self.world();
        world.process_at_rank(to as i32).send(numbers);
    }

    fn receive(&self, from: usize, numbers: &mut [f32]) {
        let (world, _turn) = self.world();
        world.process_at_rank(from as i32).receive_into(numbers);
    }

    fn broadcast(&self, from: usize, numbers: &mut [f32]) {
        let (world, _turn) = self.world();
        world.process_at_rank(from as i32).broadcast_into(numbers);
    }
}
