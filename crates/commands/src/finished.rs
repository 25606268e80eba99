//! The end of a run: its record put into a store, and what is told of it.

use std::path::Path;

use anyhow::{Context, Result};
use budwood::run::{Trained, positive_of, skipped};
use budwood_base::record::in_words;
use budwood_store::Store;
use budwood_tasks::metric::why_undefined;

use crate::output::{bytes, note, say, seconds, thousands};

/// Adds a run to a store; if that fails, what is left to do stays in its folder.
pub(crate) fn add_to(trained: &Trained, store: &mut Store, out: &Path) -> Result<()> {
    let added = store.add(&trained.record, &trained.predictions).with_context(|| {
        format!(
            "the adapter is saved in {}, but the run is not recorded; the same command records it",
            out.display()
        )
    })?;
    if !added {
        note!("{} has this run already; its record stays as it was", store.address());
    }
    Ok(())
}

/// The end of a run, for people.
pub(crate) fn tell(trained: &Trained, out: &Path) -> Result<()> {
    let record = &trained.record;
    let share = 100.0 * record.parameters_trained as f64 / record.parameters_base as f64;
    let early = if trained.stopped_early { ", stopped early" } else { "" };
    say!(
        "trained {} parameters ({share:.2} % of the base) in {} and {} steps{early}",
        thousands(record.parameters_trained),
        seconds(record.seconds),
        trained.steps
    )?;
    if let Some(account) = &trained.account {
        say!("{account}")?;
    }
    for metric in &record.metrics {
        let mark = if metric.primary { "  (chose the checkpoint)" } else { "" };
        let about = (record.kind.as_str(), &record.labels[..], trained.positive.as_ref());
        let of = positive_of(&metric.name, about);
        let value = in_words(metric.value);
        say!("{:<5} {:<19} {value}{of}{mark}", metric.split, metric.name)?;
    }
    for (split, name) in &trained.undefined {
        say!("{split:<5} {name:<19} undefined: {}", why_undefined(name))?;
    }
    say!("adapter: {} ({})", out.display(), bytes(trained.bytes))?;
    say_all(&skipped(&trained.skipped))
}

/// Lines on standard output.
pub(crate) fn say_all(lines: &[String]) -> Result<()> {
    Ok(lines.iter().try_for_each(|line| say!("{line}"))?)
}
