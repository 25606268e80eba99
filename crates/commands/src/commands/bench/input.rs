//! `budwood bench --mode input`: how fast files of images become a model's input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use budwood_engine::{Device, Workers};
use budwood_images::{Processor, decode};
use serde_json::json;

use crate::output;
use crate::settings::Settings;
use budwood::run::peak_memory;

/// Reads, decodes, resizes and normalises every file of a folder, `passes` times over, after one
/// pass to warm up.
pub(super) fn run(
    settings: &Settings,
    folder: &Path,
    side: usize,
    passes: usize,
) -> Result<ExitCode> {
    let files = files(folder)?;
    let processor = Processor::from_config(&json!({ "size": side })).map_err(|e| anyhow!(e))?;
    let mut workers = Workers::new(Device::cpu(), settings.threads);
    let mut times = Vec::with_capacity(passes);
    for pass in 0..=passes {
        let start = Instant::now();
        read_all(&mut workers, &files, &processor, side)?;
        if pass > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied();
    output::json(&json!({
        "images": files.len(),
        "seconds_per_pass": median,
        "images_per_second": median.map(|s| files.len() as f64 / s),
        "peak_bytes": peak_memory(),
        "threads": settings.threads,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// The files of a folder by name, sub-folders left out.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files = Vec::new();
    for entry in list {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{}: no files; give a folder of images with --data", folder.display());
    }
    files.sort();
    Ok(files)
}

/// Reads each file once.
fn read_all(
    workers: &mut Workers,
    files: &[PathBuf],
    processor: &Processor,
    side: usize,
) -> Result<()> {
    let read = |path: &Path| -> Result<()> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let image = decode(&bytes).map_err(|e| anyhow!("{}: {e}", path.display()))?;
        processor.normalize(&processor.prepare(&image), &mut vec![0.0; 3 * side * side]);
        Ok(())
    };
    workers.map(files.len(), |_, i| read(&files[i])).into_iter().collect()
}
