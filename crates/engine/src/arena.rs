//! Buffers are taken from here and given back, so that a step allocates nothing once every size
//! that it needs has been seen.

use crate::Buf;

/// A store of free buffers.
#[derive(Debug, Default)]
pub struct Arena {
    /// Free storage by capacity, smallest first.
    free: Vec<Free>,
    /// Buffers that were taken and are not back yet.
    taken: usize,
    /// How often all of them were back: chunks so far.
    pass: u64,
    allocations: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Free {
    storage: Vec<f32>,
    /// The pass that it was last used in.
    pass: u64,
}

impl Arena {
    /// A `[rows, columns]` buffer whose content is undefined.
    pub(crate) fn take(&mut self, rows: usize, columns: usize) -> Buf {
        let len = rows * columns;
        let at = self.free.partition_point(|free| free.storage.len() < len);
        self.taken += 1;
        // Storage twice as large as needed would be missed by a larger request; and what rests in
        // half the memory would not.
        let data = match self.free.get(at) {
            Some(free) if free.storage.len() < 2 * len.max(64) => self.free.remove(at).storage,
            _ => {
                self.drop_too_small(at, len);
                let capacity = size_class(len);
                self.allocations += 1;
                self.bytes += capacity * size_of::<f32>();
                vec![0.0; capacity]
            }
        };
        Buf::from_storage(data, rows, columns)
    }

    /// Lets storage of an earlier pass go that is too small for `len`, by less than a half; those
    /// before `at` are too small. What is made in its place serves both, so that chunks which
    /// become longer and longer leave no row of sizes behind.
    fn drop_too_small(&mut self, at: usize, len: usize) {
        let smaller = self.free[..at].iter().rposition(|free| free.pass < self.pass);
        if let Some(i) = smaller.filter(|&i| len < 2 * self.free[i].storage.len()) {
            let gone = self.free.remove(i).storage.len() * size_of::<f32>();
            self.bytes = self.bytes.saturating_sub(gone);
        }
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Buf) {
        self.give_storage(buffer.into_storage());
    }

    /// Takes storage back.
    pub(crate) fn give_storage(&mut self, storage: Vec<f32>) {
        let at = self.free.partition_point(|free| free.storage.len() < storage.len());
        self.free.insert(at, Free { storage, pass: self.pass });
        self.taken = self.taken.saturating_sub(1);
        self.pass += u64::from(self.taken == 0);
    }

    /// How often memory was asked for: unchanged over a step once the arena is warm.
    pub fn allocations(&self) -> usize {
        self.allocations
    }

    /// Bytes held in all buffers made here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Rounds up to a quarter of a power of two, so that batches of slightly different lengths share.
fn size_class(len: usize) -> usize {
    let step = (len.max(64).next_power_of_two() / 8).max(16);
    len.max(64).div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_is_used_again() {
        let mut arena = Arena::default();
        let a = arena.take(10, 100);
        let b = arena.take(3, 7);
        arena.give(a);
        arena.give(b);
        let a = arena.take(10, 99);
        assert_eq!(arena.allocations(), 2);
        // A request that fits no free storage closely asks for more.
        let c = arena.take(10, 100);
        assert_eq!(arena.allocations(), 3);
        arena.give(a);
        arena.give(c);
        assert!(arena.bytes() >= 4 * (2 * 990 + 21));
    }

    /// What a pass over sequences of this length takes: two buffers of a width, one of four times
    /// that.
    fn pass(arena: &mut Arena, length: usize) {
        let taken = [8, 8, 32].map(|width| arena.take(length, width));
        taken.into_iter().for_each(|buffer| arena.give(buffer));
    }

    #[test]
    fn lengths_in_any_order_take_little_more_memory_than_the_longest() {
        let lengths = [65, 72, 80, 96, 100, 112, 120, 127, 128];
        let alone = {
            let mut arena = Arena::default();
            pass(&mut arena, 128);
            arena.bytes()
        };
        let orders: [Vec<usize>; 3] = [
            lengths.to_vec(),
            lengths.iter().rev().copied().collect(),
            (0..9).map(|i| lengths[i * 4 % 9]).collect(),
        ];
        for order in orders {
            let mut arena = Arena::default();
            order.iter().for_each(|&length| pass(&mut arena, length));
            assert!(arena.bytes() <= alone * 5 / 4, "{order:?}: {} of {alone}", arena.bytes());
            // And nothing is made anew once all have been seen.
            let seen = arena.allocations();
            order.iter().for_each(|&length| pass(&mut arena, length));
            assert_eq!(arena.allocations(), seen, "{order:?}");
        }
    }
}
