//! Bodies of requests as they arrive: whole, within limits of size, time and memory.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::memory::{Memory, Room};

/// Bytes a second that a body must come with, at least, once its first seconds are over.
const SLOWEST: u64 = 50_000;

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes.
    pub most: usize,
    /// Time until it must be there; a body has a second more for each 50 kB that came.
    pub time: Duration,
}

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has more bytes than the bounds.
    Large,
    /// It came too slowly.
    Slow,
    /// The client went away, or what came is no body.
    Cut,
    /// Bodies of others take all of the memory.
    Full,
}

/// A body on its way. What it takes of the memory grows as it arrives: announcing much costs
/// nothing.
pub struct Arrival {
    body: Body,
    bytes: BytesMut,
    bounds: Bounds,
    begin: Instant,
    memory: Memory,
    room: Option<Room>,
}

impl Arrival {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// If more bytes are announced than there may be.
    pub fn new(
        headers: &HeaderMap,
        body: Body,
        bounds: Bounds,
        memory: &Memory,
    ) -> Result<Self, Refused> {
        let length = headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|l| l > bounds.most as u64) {
            return Err(Refused::Large);
        }
        let memory = memory.clone();
        Ok(Self { body, bytes: BytesMut::new(), bounds, begin: Instant::now(), memory, room: None })
    }

    /// Waits for the next piece; `false` if there is none.
    ///
    /// # Errors
    /// If a bound is passed, or the body breaks off.
    pub async fn more(&mut self) -> Result<bool, Refused> {
        let extra = Duration::from_secs(self.bytes.len() as u64 / SLOWEST);
        let until = self.begin + self.bounds.time + extra;
        let Some(frame) = timeout_at(until, self.body.frame()).await.map_err(|_| Refused::Slow)?
        else {
            return Ok(false);
        };
        let Ok(data) = frame.map_err(|_| Refused::Cut)?.into_data() else { return Ok(true) };
        let length = self.bytes.len() + data.len();
        if length > self.bounds.most {
            return Err(Refused::Large);
        }
        // One kilobyte more for each that is begun.
        let more = (length.div_ceil(1024) - self.bytes.len().div_ceil(1024)) as u32;
        let more = self.memory.try_take(more).ok_or(Refused::Full)?;
        match &mut self.room {
            None => self.room = Some(more),
            Some(room) => room.add(more),
        }
        self.bytes.extend_from_slice(&data);
        Ok(true)
    }

    /// What is there so far.
    pub fn so_far(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that came, and their part of the memory.
    pub fn taken(self) -> (Bytes, Option<Room>) {
        (self.bytes.freeze(), self.room)
    }

    /// All of the body.
    ///
    /// # Errors
    /// If a bound is passed, or the body breaks off.
    pub async fn whole(mut self) -> Result<(Bytes, Option<Room>), Refused> {
        while self.more().await? {}
        Ok(self.taken())
    }
}
