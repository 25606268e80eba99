//! What a training step costs on threads and ranks, from the pieces that are measured on one.
//!
//! ```text
//! rank 0    chunks in rounds of a thread each | its sum, segment by segment ->
//! rank 1    chunks ...                        | + its gradients, segment by segment ->
//! all       <- the sum                        | the optimizer's step
//! ```

use budwood_base::random::Key;

/// Bytes of a segment, as `budwood-ranks` cuts vectors.
const SEGMENT: f64 = 4.0 * 64.0 * 1024.0;
/// Small exchanges of a step: of losses, of parameters' sums and of wishes to stop, each with a
/// header.
const EXCHANGES: f64 = 6.0;
/// Steps that a simulation takes the mean of.
const STEPS: usize = 50;

/// Pieces of a step, in seconds, and their number.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Chunks of a step.
    pub(super) chunks: usize,
    /// Times of one chunk on one thread, as they were measured.
    pub(super) chunk: Vec<f64>,
    /// The share of a chunk in which idle threads help.
    pub(super) helped: f64,
    /// Adding one gradient to a sum.
    pub(super) add: f64,
    /// The optimizer's step and the packing of what it changed.
    pub(super) update: f64,
    /// Bytes of a gradient.
    pub(super) bytes: f64,
}

/// A network between ranks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) name: &'static str,
    /// Seconds from one rank to the next for a message of no bytes.
    latency: f64,
    /// Bytes a second in one direction.
    rate: f64,
}

/// Networks that plans are made for; the figures are those of usual MPI benchmarks.
pub(super) const NETWORKS: [Network; 2] = [
    Network { name: "10 Gbit/s Ethernet", latency: 30e-6, rate: 1.1e9 },
    Network { name: "InfiniBand HDR", latency: 1.5e-6, rate: 23e9 },
];

impl Network {
    /// A message of so many bytes.
    fn message(&self, bytes: f64) -> f64 {
        self.latency + bytes / self.rate
    }
}

impl Pieces {
    fn mean(&self) -> f64 {
        self.chunk.iter().sum::<f64>() / self.chunk.len().max(1) as f64
    }

    /// The chunks of the rank that has most.
    fn most(&self, ranks: usize) -> usize {
        self.chunks.div_ceil(ranks)
    }

    /// `own` chunks on some threads: a round for each so many, in which the threads that are left
    /// over help.
    fn computing(&self, own: usize, threads: usize, chunk: f64) -> f64 {
        let (rounds, left) = (own / threads, own % threads);
        let help = |pieces: usize| {
            let each = threads as f64 / pieces as f64;
            1.0 - self.helped + self.helped / each
        };
        chunk * (rounds as f64 + if left > 0 { help(left) } else { 0.0 })
    }

    fn segments(&self) -> f64 {
        (self.bytes / SEGMENT).ceil().max(1.0)
    }

    /// Giving the sum to all, and small exchanges.
    fn telling(&self, ranks: usize, network: Network) -> f64 {
        let rounds = (ranks as f64).log2().ceil();
        let share = (ranks - 1) as f64 / ranks as f64;
        let sum = 2.0 * share * self.bytes / network.rate + rounds * network.latency;
        sum + EXCHANGES * rounds * network.latency
    }

    /// A step on one process.
    pub(super) fn on_threads(&self, threads: usize) -> f64 {
        self.computing(self.chunks, threads, self.mean()) + self.update
    }

    /// A step over ranks of some threads each: all are done at once, the sum passes along them, and
    /// each adds to a segment while the one before it works on the next.
    pub(super) fn on_ranks(&self, ranks: usize, threads: usize, network: Network) -> f64 {
        if ranks == 1 {
            return self.on_threads(threads);
        }
        let own = self.most(ranks);
        let segments = self.segments();
        let part = self.bytes / segments;
        let adding = own as f64 * self.add / segments;
        // A rank works on a segment for as long as it takes to add or to send it.
        let slowest = adding.max(network.message(part));
        let through = (ranks.min(self.chunks) - 1) as f64 * (adding + network.message(part));
        let passing = through + (segments - 1.0) * slowest;
        let computing = self.computing(own, threads, self.mean());
        computing + passing + self.telling(ranks, network) + self.update
    }

    /// The same by simulation: chunks take what measured ones took, drawn at random, each segment
    /// is added and sent when its turn has come.
    pub(super) fn simulated(&self, ranks: usize, threads: usize, network: Network) -> f64 {
        let segments = self.segments() as usize;
        let part = self.bytes / segments as f64;
        let mut sum = 0.0;
        for step in 0..STEPS {
            let key = Key::new(0).child(step as u64);
            let mut drawn = 0;
            let mut draw = || {
                drawn += 1;
                self.chunk[key.below(drawn, self.chunk.len())]
            };
            let mut arrived = vec![0.0f64; segments];
            let mut end = 0.0f64;
            for rank in 0..ranks {
                let own = self.chunks * (rank + 1) / ranks - self.chunks * rank / ranks;
                // Chunks go to the thread that is free first.
                let mut free = vec![0.0f64; threads.min(own).max(1)];
                let alone = own > 0 && own < threads;
                for _ in 0..own {
                    let chunk = draw();
                    let next = free.iter_mut().min_by(|a, b| a.total_cmp(b));
                    if let Some(next) = next {
                        *next +=
                            if alone { self.computing(1, threads / own, chunk) } else { chunk };
                    }
                }
                let mut ready = free.into_iter().fold(0.0, f64::max);
                let adding = if rank == 0 { 0.0 } else { own as f64 * self.add };
                for segment in &mut arrived {
                    ready = ready.max(*segment) + adding / segments as f64;
                    *segment = ready + if rank + 1 < ranks { network.message(part) } else { 0.0 };
                    // The link is busy until the segment has left.
                    ready = ready.max(*segment - network.latency);
                }
                end = arrived.last().copied().unwrap_or(ready).max(end);
            }
            let telling = if ranks > 1 { self.telling(ranks, network) } else { 0.0 };
            sum += end + telling + self.update;
        }
        sum / STEPS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: usize) -> Pieces {
        Pieces { chunks, chunk: vec![0.4], helped: 0.9, add: 2e-3, update: 0.01, bytes: 9.6e6 }
    }

    /// By hand: 16 chunks on 2 threads are 8 rounds; on 3 six, of which the last has one chunk that
    /// two others help.
    #[test]
    fn threads_take_rounds_and_help() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(pieces(16).on_threads(1), 16.0 * 0.4 + 0.01);
        near(pieces(16).on_threads(2), 8.0 * 0.4 + 0.01);
        near(pieces(16).on_threads(3), 5.0 * 0.4 + 0.4 * (0.1 + 0.9 / 3.0) + 0.01);
        near(pieces(16).on_threads(32), 0.4 * (0.1 + 0.45) + 0.01);
    }

    /// By hand: two ranks compute 8 chunks each, 37 segments pass from one to the other, and the
    /// second adds its 8 gradients.
    #[test]
    fn ranks_pass_the_sum_along() {
        let pieces = pieces(16);
        let network = Network { name: "", latency: 1e-3, rate: 1e9 };
        let part = 9.6e6 / 37.0;
        let (adding, message): (f64, f64) = (16e-3 / 37.0, 1e-3 + part / 1e9);
        let passing = adding + message + 36.0 * adding.max(message);
        let telling = 9.6e6 / 1e9 + 1e-3 + 6e-3;
        let expected = 8.0 * 0.4 + passing + telling + 0.01;
        let found = pieces.on_ranks(2, 1, network);
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    /// Without chance the simulation says what the model says, but for the last hop.
    #[test]
    fn the_simulation_agrees_with_the_model() {
        for network in NETWORKS {
            for ranks in [1, 2, 4, 8, 16] {
                for threads in [1, 2] {
                    let pieces = pieces(64);
                    let (model, simulated) = (
                        pieces.on_ranks(ranks, threads, network),
                        pieces.simulated(ranks, threads, network),
                    );
                    assert!((model / simulated - 1.0).abs() < 0.05, "{ranks}: {model} {simulated}");
                }
            }
        }
    }

    /// More ranks than chunks have nothing to compute.
    #[test]
    fn it_ends_at_the_number_of_chunks() {
        let pieces = pieces(16);
        for network in NETWORKS {
            let (at_16, at_64) = (pieces.on_ranks(16, 1, network), pieces.on_ranks(64, 1, network));
            assert!(at_64 > 0.95 * at_16, "{at_64} {at_16}");
        }
    }
}
