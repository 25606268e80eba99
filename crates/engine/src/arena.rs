//! Buffers are taken from here and given back, so that a step allocates nothing once every size
//! that it needs has been seen.

use crate::Buf;

/// A store of free buffers.
#[derive(Debug, Default)]
pub struct Arena {
    /// Free storage by capacity, smallest first.
    free: Vec<Vec<f32>>,
    allocations: usize,
    bytes: usize,
}

impl Arena {
    /// A `[rows, columns]` buffer whose content is undefined.
    pub(crate) fn take(&mut self, rows: usize, columns: usize) -> Buf {
        let len = rows * columns;
        let at = self.free.partition_point(|storage| storage.len() < len);
        // Storage twice as large as needed would be missed by a larger request; and what rests in
        // half the memory would not.
        let data = match self.free.get(at) {
            Some(storage) if storage.len() < 2 * len.max(64) => self.free.remove(at),
            _ => {
                let capacity = size_class(len);
                self.allocations += 1;
                self.bytes += capacity * size_of::<f32>();
                vec![0.0; capacity]
            }
        };
        Buf::from_storage(data, rows, columns)
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Buf) {
        self.give_storage(buffer.into_storage());
    }

    /// Takes storage back.
    pub(crate) fn give_storage(&mut self, storage: Vec<f32>) {
        let at = self.free.partition_point(|other| other.len() < storage.len());
        self.free.insert(at, storage);
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
}
