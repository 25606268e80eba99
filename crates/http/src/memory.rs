//! Memory that all requests share: each takes its part, and gives it back when it is done.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory in kilobytes, of which parts are taken. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Memory {
    kilobytes: u32,
    free: Arc<Semaphore>,
}

/// A part that is taken; it is free again when this is dropped.
#[derive(Debug)]
pub struct Room(OwnedSemaphorePermit);

impl Memory {
    /// So many megabytes.
    pub fn megabytes(n: u32) -> Self {
        let kilobytes = n << 10;
        Self { kilobytes, free: Arc::new(Semaphore::new(kilobytes as usize)) }
    }

    /// Takes a part, if it is free now.
    pub fn try_take(&self, kilobytes: u32) -> Option<Room> {
        Arc::clone(&self.free).try_acquire_many_owned(kilobytes).ok().map(Room)
    }

    /// Waits for a part. What is larger than all of it waits for all of it.
    pub async fn take(&self, kilobytes: u32) -> Option<Room> {
        let kilobytes = kilobytes.min(self.kilobytes);
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_many_owned(kilobytes).await.ok().map(Room)
    }
}

impl Room {
    /// Adds another part of the same memory.
    pub fn add(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Bytes that hold this part until the last of them is in the system's hands.
    pub fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _room: self })
    }
}

struct Held {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_hold_their_part_until_the_last_is_gone() {
        let memory = Memory::megabytes(1);
        let mut room = memory.try_take(1000).unwrap();
        assert!(memory.try_take(25).is_none());
        room.add(memory.try_take(24).unwrap());
        let bytes = room.hold(Bytes::from_static(b"abc"));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert!(memory.try_take(1).is_none());
        drop(part);
        assert!(memory.take(u32::MAX).await.is_some(), "all of it");
    }
}
