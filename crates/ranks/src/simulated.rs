//! Ranks that are threads of one process and talk by channels: what tests run on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use crate::link::Link;

enum Message {
    Bytes(Vec<u8>),
    Numbers(Vec<f32>),
}

/// One of the threads.
pub(crate) struct Simulated {
    rank: usize,
    /// To each rank, and from each.
    to: Vec<Sender<Message>>,
    from: Vec<Mutex<Receiver<Message>>>,
}

/// So many that reach each other.
pub(crate) fn links(size: usize) -> Vec<Simulated> {
    let new = |rank| Simulated { rank, to: Vec::new(), from: Vec::new() };
    let mut all: Vec<Simulated> = (0..size).map(new).collect();
    for from in 0..size {
        for to in 0..size {
            let (sender, receiver) = channel();
            all[from].to.push(sender);
            all[to].from.push(Mutex::new(receiver));
        }
    }
    all
}

impl Simulated {
    fn give(&self, to: usize, message: Message) {
        // One that is gone has failed; whoever waits for it sees that.
        let _ = self.to[to].send(message);
    }

    fn take(&self, from: usize) -> Message {
        let channel = self.from[from].lock().unwrap_or_else(PoisonError::into_inner);
        channel.recv().unwrap_or_else(|_| panic!("rank {from} is gone"))
    }
}

impl Link for Simulated {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn gather(&self, own: &[u8], counts: &[usize]) -> Vec<u8> {
        (0..self.size()).for_each(|to| self.give(to, Message::Bytes(own.into())));
        let mut all = Vec::new();
        for (from, &count) in counts.iter().enumerate() {
            match self.take(from) {
                Message::Bytes(bytes) if bytes.len() == count => all.extend(bytes),
                _ => panic!("rank {from} does something else"),
            }
        }
        all
    }

    fn send(&self, to: usize, numbers: &[f32]) {
        self.give(to, Message::Numbers(numbers.into()));
    }

    fn receive(&self, from: usize, numbers: &mut [f32]) {
        match self.take(from) {
            Message::Numbers(given) if given.len() == numbers.len() => {
                numbers.copy_from_slice(&given);
            }
            _ => panic!("rank {from} does something else"),
        }
    }

    fn broadcast(&self, from: usize, numbers: &mut [f32]) {
        if self.rank == from {
            let others = (0..self.size()).filter(|&to| to != from);
            others.for_each(|to| self.send(to, numbers));
        } else {
            self.receive(from, numbers);
        }
    }
}
