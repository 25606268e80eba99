//! What the server counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::shelf::Counts;

/// Upper ends of the groups of a histogram of times, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper ends of the groups of a histogram of inputs in a chunk.
const INPUTS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Adapters that are counted by name; others share one name, so that memory stays flat.
const NAMES: usize = 10_000;
/// The name of those.
const OTHERS: &str = "";

#[derive(Clone)]
struct Histogram {
    ends: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    all: u64,
}

impl Histogram {
    fn new(ends: &'static [f64]) -> Self {
        Self { ends, counts: vec![0; ends.len()], sum: 0.0, all: 0 }
    }

    fn add(&mut self, value: f64) {
        for (count, end) in self.counts.iter_mut().zip(self.ends) {
            *count += u64::from(value <= *end);
        }
        self.sum += value;
        self.all += 1;
    }

    fn write(&self, out: &mut String, name: &str, label: &str) {
        for (count, end) in self.counts.iter().zip(self.ends) {
            let comma = if label.is_empty() { "" } else { "," };
            let _ = writeln!(out, "{name}_bucket{{{label}{comma}le=\"{end}\"}} {count}");
        }
        let comma = if label.is_empty() { "" } else { "," };
        let _ = writeln!(out, "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {}", self.all);
        let braces = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
        let _ = writeln!(out, "{name}_sum{braces} {}", self.sum);
        let _ = writeln!(out, "{name}_count{braces} {}", self.all);
    }
}

#[derive(Clone)]
struct OfAdapter {
    requests: u64,
    failed: u64,
    inputs: u64,
    tokens: u64,
    cut: u64,
    seconds: Histogram,
}

struct Counted {
    adapters: BTreeMap<String, OfAdapter>,
    refused: u64,
    /// By status.
    faults: BTreeMap<u16, u64>,
    chunks: Histogram,
    chunk_tokens: u64,
    chunk_seconds: f64,
}

/// One number without labels.
fn plain(out: &mut String, name: &str, kind: &str, help: &str, value: &dyn Display) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

/// All counters.
pub(crate) struct Metrics(Mutex<Counted>);

/// What became of a request to one adapter.
pub(crate) struct Request {
    pub(crate) inputs: u64,
    pub(crate) tokens: u64,
    /// Inputs that were longer than the adapter reads.
    pub(crate) cut: u64,
    pub(crate) failed: bool,
    pub(crate) took: Duration,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counted {
            adapters: BTreeMap::new(),
            refused: 0,
            faults: BTreeMap::new(),
            chunks: Histogram::new(&INPUTS),
            chunk_tokens: 0,
            chunk_seconds: 0.0,
        }))
    }

    fn with<R>(&self, work: impl FnOnce(&mut Counted) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request that was answered or failed.
    pub(crate) fn request(&self, adapter: &str, request: &Request) {
        self.with(|counted| {
            let known = counted.adapters.contains_key(adapter);
            let name = if known || counted.adapters.len() < NAMES { adapter } else { OTHERS };
            let new = || OfAdapter {
                requests: 0,
                failed: 0,
                inputs: 0,
                tokens: 0,
                cut: 0,
                seconds: Histogram::new(&SECONDS),
            };
            let own = counted.adapters.entry(name.into()).or_insert_with(new);
            own.requests += 1;
            own.failed += u64::from(request.failed);
            own.inputs += request.inputs;
            own.tokens += request.tokens;
            own.cut += request.cut;
            own.seconds.add(request.took.as_secs_f64());
        });
    }

    /// A request for which there was no room.
    pub(crate) fn refused(&self) {
        self.with(|counted| counted.refused += 1);
    }

    /// An answer that is a fault.
    pub(crate) fn fault(&self, status: u16) {
        self.with(|counted| *counted.faults.entry(status).or_default() += 1);
    }

    /// A chunk that was computed.
    pub(crate) fn chunk(&self, inputs: usize, tokens: usize, took: Duration) {
        self.with(|counted| {
            counted.chunks.add(inputs as f64);
            counted.chunk_tokens += tokens as u64;
            counted.chunk_seconds += took.as_secs_f64();
        });
    }

    /// All of it as text.
    pub(crate) fn text(&self, (tokens, inputs): (usize, usize), shelf: &Counts) -> String {
        let mut out = String::new();
        plain(&mut out, "budwood_queue_tokens", "gauge", "Tokens that wait.", &tokens);
        plain(&mut out, "budwood_queue_inputs", "gauge", "Inputs that wait.", &inputs);
        plain(&mut out, "budwood_adapters_held", "gauge", "Adapters in memory.", &shelf.adapters);
        let help = "Bytes of the parameters of adapters in memory.";
        plain(&mut out, "budwood_adapters_held_bytes", "gauge", help, &shelf.held);
        let help = "Adapters read from disk.";
        plain(&mut out, "budwood_adapter_loads_total", "counter", help, &shelf.loads);
        let help = "Adapters put away for others.";
        plain(&mut out, "budwood_adapter_evictions_total", "counter", help, &shelf.evictions);
        self.with(|counted| {
            let help = "Requests for which there was no room.";
            plain(&mut out, "budwood_refused_total", "counter", help, &counted.refused);
            let name = "budwood_faults_total";
            let _ = writeln!(out, "# HELP {name} Answers that were faults.");
            let _ = writeln!(out, "# TYPE {name} counter");
            for (status, count) in &counted.faults {
                let _ = writeln!(out, "{name}{{status=\"{status}\"}} {count}");
            }
            let help = "Tokens that were computed.";
            plain(
                &mut out,
                "budwood_computed_tokens_total",
                "counter",
                help,
                &counted.chunk_tokens,
            );
            let help = "Seconds of all threads at work.";
            plain(
                &mut out,
                "budwood_computing_seconds_total",
                "counter",
                help,
                &counted.chunk_seconds,
            );
            let name = "budwood_chunk_inputs";
            let _ = writeln!(out, "# HELP {name} Inputs that were computed together.");
            let _ = writeln!(out, "# TYPE {name} histogram");
            counted.chunks.write(&mut out, name, "");
            type Count = fn(&OfAdapter) -> u64;
            let by_adapter: [(&str, &str, Count); 5] = [
                ("requests", "Requests.", |a| a.requests),
                ("failed", "Requests that failed.", |a| a.failed),
                ("inputs", "Inputs.", |a| a.inputs),
                ("tokens", "Tokens.", |a| a.tokens),
                ("cut_inputs", "Inputs longer than the adapter reads.", |a| a.cut),
            ];
            for (what, help, count) in by_adapter {
                let name = format!("budwood_{what}_total");
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
                for (adapter, own) in &counted.adapters {
                    let _ = writeln!(out, "{name}{{adapter=\"{adapter}\"}} {}", count(own));
                }
            }
            let name = "budwood_request_seconds";
            let _ = writeln!(out, "# HELP {name} From a request's body to its answer.");
            let _ = writeln!(out, "# TYPE {name} histogram");
            for (adapter, own) in &counted.adapters {
                own.seconds.write(&mut out, name, &format!("adapter=\"{adapter}\""));
            }
        });
        out
    }
}
