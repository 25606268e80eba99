//! `budwood bench --plan`: the pieces of a training step, measured on one thread, and what a step
//! takes on more of them; checked by steps on 1 and 2 threads.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood_engine::{Device, Workers};
use serde_json::{Value, json};

use super::cost::{NETWORKS, Network, Pieces};
use super::subject::Subject;
use crate::output::{self, say, table};
use crate::settings::Settings;

const THREADS: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
const RANKS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// A step on so many threads.
struct OnThreads {
    threads: usize,
    model: f64,
    /// Where the machine has as many.
    measured: Option<f64>,
}

/// A step over so many ranks of one thread each.
struct OnRanks {
    network: Network,
    ranks: usize,
    model: f64,
    simulated: f64,
}

pub(super) fn run(settings: &Settings, subject: &mut Subject, steps: usize) -> Result<ExitCode> {
    if !settings.ranks.is_alone() {
        bail!("--plan measures one process; start it once");
    }
    let (one, two) = (measured(subject, 1, steps)?, measured(subject, 2, steps)?);
    let pieces = pieces(subject, steps)?;
    let on_threads = THREADS.map(|threads| OnThreads {
        threads,
        model: pieces.on_threads(threads),
        measured: match threads {
            1 => Some(one),
            2 if settings.threads > 1 => Some(two),
            _ => None,
        },
    });
    let on_network = |network: Network| {
        RANKS.map(|ranks| OnRanks {
            network,
            ranks,
            model: pieces.on_ranks(ranks, 1, network),
            simulated: pieces.simulated(ranks, 1, network),
        })
    };
    let on_ranks: Vec<OnRanks> = NETWORKS.into_iter().flat_map(on_network).collect();
    match settings.json {
        true => output::json(&as_json(&pieces, &on_threads, &on_ranks))?,
        false => tell(&pieces, &on_threads, &on_ranks)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The median time of some work, done once before.
fn timed(steps: usize, mut work: impl FnMut(usize) -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(steps);
    for step in 0..=steps {
        let start = Instant::now();
        work(step)?;
        if step > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// A whole step on so many threads.
fn measured(subject: &mut Subject, threads: usize, steps: usize) -> Result<f64> {
    let mut workers = Workers::new(Device::cpu(), threads);
    Ok(median(timed(steps, |step| Ok(subject.train(&mut workers, step)?))?))
}

fn pieces(subject: &mut Subject, steps: usize) -> Result<Pieces> {
    let mut one = Workers::new(Device::cpu(), 1);
    let mut two = Workers::new(Device::cpu(), 2);
    let many = 4 * steps;
    let chunk = timed(many, |step| Ok(subject.accumulate(&mut one, 1, step)?))?;
    // One chunk, with one thread that has none.
    let helped = median(timed(many, |step| Ok(subject.accumulate(&mut two, 1, step)?))?);
    let helped = 2.0 * (1.0 - helped / median(chunk.clone()));
    let numbers = subject.gradient_bytes() / size_of::<f32>();
    let (mut sum, gradient) = (vec![0.0f32; numbers], vec![1.0f32; numbers]);
    let add = median(timed(many, |_| {
        sum.iter_mut().zip(&gradient).for_each(|(sum, x)| *sum += x);
        std::hint::black_box(&mut sum);
        Ok(())
    })?);
    let update = median(timed(many, |_| {
        subject.update();
        Ok(())
    })?);
    Ok(Pieces {
        chunks: subject.chunks(),
        chunk,
        helped: helped.clamp(0.0, 1.0),
        add,
        update,
        bytes: subject.gradient_bytes() as f64,
    })
}

fn as_json(pieces: &Pieces, on_threads: &[OnThreads], on_ranks: &[OnRanks]) -> Value {
    let threads = |at: &OnThreads| json!({ "threads": at.threads, "seconds": at.model, "measured": at.measured });
    let ranks = |at: &OnRanks| {
        json!({
            "network": at.network.name, "ranks": at.ranks, "seconds": at.model,
            "simulated": at.simulated,
        })
    };
    json!({
        "pieces": {
            "chunks": pieces.chunks, "chunk_seconds": median(pieces.chunk.clone()),
            "helped": pieces.helped, "add_seconds": pieces.add, "update_seconds": pieces.update,
            "gradient_bytes": pieces.bytes,
        },
        "threads": on_threads.iter().map(threads).collect::<Vec<_>>(),
        "ranks": on_ranks.iter().map(ranks).collect::<Vec<_>>(),
    })
}

fn tell(pieces: &Pieces, on_threads: &[OnThreads], on_ranks: &[OnRanks]) -> Result<()> {
    say!(
        "{} chunks of {} each, of which idle threads help in {:.0} %; gradients of {}: {} to add, {} to \
         apply\n",
        pieces.chunks,
        ms(median(pieces.chunk.clone())),
        100.0 * pieces.helped,
        output::bytes(pieces.bytes as u64),
        ms(pieces.add),
        ms(pieces.update)
    )?;
    let first = on_threads.first().map_or(0.0, |at| at.model);
    let heads = |heads: [&str; 4]| heads.map(String::from).to_vec();
    let mut rows = vec![heads(["threads", "step", "times as fast", "measured"])];
    rows.extend(on_threads.iter().map(|at| {
        let measured = at.measured.map_or(String::new(), ms);
        vec![at.threads.to_string(), ms(at.model), format!("{:.1}", first / at.model), measured]
    }));
    table(&rows)?;
    for network in NETWORKS {
        say!("\nranks of one thread over {}", network.name)?;
        let mut rows = vec![heads(["ranks", "step", "times as fast", "simulated"])];
        rows.extend(on_ranks.iter().filter(|at| at.network.name == network.name).map(|at| {
            let faster = format!("{:.1}", first / at.model);
            vec![at.ranks.to_string(), ms(at.model), faster, ms(at.simulated)]
        }));
        table(&rows)?;
    }
    Ok(())
}

fn ms(seconds: f64) -> String {
    format!("{:.1} ms", 1e3 * seconds)
}
