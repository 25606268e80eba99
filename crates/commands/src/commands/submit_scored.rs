//! What `budwood submit` does with an adapter that comes without scores, as those of other
//! libraries do: it is scored on data here, and goes to the board in our form.

use std::path::Path;

use anyhow::{Context, Result, bail};
use budwood::run::record_of;
use budwood_base::record::{MetricValue, Prediction, RunRecord};
use budwood_formats::foreign as formats;
use budwood_tasks::metric::{default_metric, is_error};
use tempfile::TempDir;

use crate::adapter::Opening;
use crate::base::check_original;
use crate::evaluator::{data_flags, read_source, splits};
use crate::foreign;
use crate::settings::Settings;

/// An adapter with its scores.
pub(super) struct Scored {
    /// Where it lies in our form.
    pub(super) place: TempDir,
    /// The record of a run that only scored it.
    pub(super) run: RunRecord,
    /// Its answers on each split.
    pub(super) predictions: Vec<(String, Vec<Prediction>)>,
}

/// Scores an adapter of any library on the labelled splits of data that these flags name.
pub(super) fn scored(
    settings: &Settings,
    path: &Path,
    base: Option<&str>,
    flags: &[String],
) -> Result<Scored> {
    let spec = data_flags(flags)?;
    let place = foreign::folder(path)?;
    // What is not known of its base is said in opening it, and is part of its description.
    let opening = Opening { base, ..Opening::default() };
    let mut folder = foreign::load(&place, base)?;
    let adapter = opening.open_read(settings, folder.clone())?;
    check_original(adapter.base().model())?;
    let data = read_source(&spec)?;
    let meta = &mut folder.meta;
    if data.task.name != meta.task.kind {
        bail!("the adapter is for {}, the data for {}", meta.task.kind, data.task.name);
    }
    if data.labels != meta.labels {
        bail!(
            "the adapter's classes are {}, those of the data {}{}",
            meta.labels.join(", "),
            data.labels.join(", "),
            match formats::library(&place)? {
                Some(formats::Library::Peft) =>
                    "; PEFT keeps no names of classes: the base's config.json has them ('id2label')",
                _ => "",
            }
        );
    }
    meta.task.name.clone_from(&data.name);
    meta.task.metric = default_metric(&data.name, data.task.name).into();
    (meta.metrics, meta.data) = (Vec::new(), Vec::new());
    let mut predictions = Vec::new();
    let splits = splits(data);
    if splits.is_empty() {
        bail!("the data have no labelled rows to score on: give --test-data or --dev-data");
    }
    for split in splits {
        let (name, rows) = (split.digest.split.clone(), split.digest.rows);
        let evaluation = adapter.evaluate(&split)?;
        let value = |score: &budwood_train::Score| MetricValue {
            split: name.clone(),
            name: score.name.clone(),
            value: score.value,
            primary: score.name == meta.task.metric,
            rows,
        };
        let fits = evaluation.scores.iter().filter(|s| s.value.is_finite() && !is_error(&s.name));
        let found: Vec<MetricValue> = fits.map(value).collect();
        meta.metrics.extend(found);
        meta.data.push(split.digest);
        predictions.push((name, evaluation.predictions));
    }
    let place = tempfile::tempdir().context("cannot make a folder for the adapter")?;
    folder.write(place.path())?;
    let mut run = record_of(&folder.meta);
    run.settings = spec.source().into_iter().collect();
    Ok(Scored { place, run, predictions })
}
