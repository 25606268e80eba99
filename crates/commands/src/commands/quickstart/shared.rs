//! What the quickstarts of texts and of images share.

use std::path::{Path, PathBuf};

use anyhow::Result;
use budwood::number;
use budwood::run::{FOLDER, RunData, Trained};
use budwood_formats::native::AdapterMeta;
use budwood_tasks::{Dataset, Target};
use clap::Parser;

use crate::commands::train;
use crate::out;
use crate::progress::{TrainProgress, catch_interrupt};
use crate::settings::Settings;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the adapters.
    #[arg(long, default_value = "budwood-quickstart")]
    pub(super) out: PathBuf,
    /// Images instead of texts: a small model, pre-trained on generated signs, learns digits.
    #[arg(long)]
    pub(super) images: bool,
    /// With --images: train the small model here, too, instead of taking the program's own.
    #[arg(long, requires = "images")]
    pub(super) pretrain: bool,
    /// Examples to train on [default: 4000 reviews, or 1000 images].
    #[arg(long, value_parser = number::count::<20, 1_000_000>)]
    pub(super) rows: Option<usize>,
    /// Passes over the examples [default: 2, or 8 with --images].
    #[arg(long, value_parser = number::count::<1, 100_000>)]
    pub(super) epochs: Option<usize>,
}

/// The flags of `train` as if these had been written; `more` are those without spaces in their
/// values.
pub(super) fn flags(
    base: Option<&Path>,
    data: &str,
    out: &Path,
    more: &str,
) -> Result<train::Args> {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: train::Args,
    }
    let out = out.to_string_lossy();
    let base = base.map(|base| base.to_string_lossy());
    let base = base.iter().flat_map(|base| ["--base", base]);
    let given = ["train", "--overwrite", "--data", data, "--out", &out].into_iter();
    Ok(Flags::try_parse_from(given.chain(base).chain(more.split_whitespace()))?.args)
}

/// A run on these data, saved; none if it was interrupted.
pub(super) fn trained(
    settings: &Settings,
    args: &train::Args,
    data: RunData,
    out: &Path,
) -> Result<Option<(Trained, AdapterMeta)>> {
    let mut place = out::folder(out, &FOLDER, &args.spec.inputs())?;
    let mut run = args.load(settings, data)?;
    catch_interrupt();
    let mut progress = TrainProgress::new(settings.json);
    let result = run.train(Some(place.parts().0), out, |event| progress.on_event(event));
    progress.finish();
    let Some(result) = result? else { return Ok(None) };
    let saved = result.save(place.folder(), out)?;
    Trained::settle(out)?;
    Ok(Some(saved))
}

/// The accuracy of a run on its test set.
pub(super) fn accuracy((_, meta): &(Trained, AdapterMeta)) -> f64 {
    let metrics = &meta.metrics;
    metrics.iter().find(|m| m.split == "test" && m.name == "accuracy").map_or(0.0, |m| m.value)
}

/// The share of the class that occurs most often.
pub(super) fn majority(data: &Dataset) -> f64 {
    let mut counts: Vec<usize> = Vec::new();
    for example in &data.examples {
        if let Target::Class(class) = example.target {
            counts.resize(counts.len().max(class as usize + 1), 0);
            counts[class as usize] += 1;
        }
    }
    let most = counts.into_iter().max().unwrap_or(0);
    most as f64 / data.examples.len().max(1) as f64
}
