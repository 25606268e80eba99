//! A run from its specification to its adapter's folder, in one call.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use budwood_base::folder::OutFolder;
use budwood_train::Event;

use super::save::{FOLDER, Trained};
use super::{Run, RunData, TrainingBase, TrainingBaseOptions};
use crate::spec::Resources;
use crate::{Error, Notice, RunSpec};

/// What happens in a run.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// A model or a data set is fetched, which may take a while.
    Fetching(Notice<'a>),
    /// All is read and checked, and training begins.
    Ready {
        /// What will be done, for people, line by line: the data, what is cut or left out.
        description: &'a [String],
    },
    /// Training goes on.
    Training(&'a Event<'a>),
}

/// Trains an adapter and writes its folder `out`, which must be new or empty, or hold the
/// checkpoint of the same run: then it goes on from there. `on_event` is told what happens, and
/// stops the run with [`ControlFlow::Break`]; none is returned then. Of several ranks
/// ([`Resources::ranks`]) each makes this call, and the first writes.
///
/// # Errors
/// If a setting has no meaning, the base or the data cannot be found or read, the folder holds an
/// adapter of another run or something else, it cannot be written, or numbers run away.
pub fn train(
    spec: &RunSpec,
    resources: &Resources,
    out: impl AsRef<Path>,
    on_event: impl FnMut(RunEvent<'_>) -> ControlFlow<()>,
) -> Result<Option<Trained>, Error> {
    let read = |told: &mut dyn FnMut(Notice<'_>)| RunData::read(spec, resources.limits, told);
    whole((spec, resources), read, out.as_ref(), on_event)
}

/// As [`train`], on data that were read before or that no file holds.
///
/// # Errors
/// As [`train`].
pub fn train_on(
    spec: &RunSpec,
    resources: &Resources,
    data: RunData,
    out: impl AsRef<Path>,
    on_event: impl FnMut(RunEvent<'_>) -> ControlFlow<()>,
) -> Result<Option<Trained>, Error> {
    whole((spec, resources), |_| Ok(data), out.as_ref(), on_event)
}

fn whole(
    (spec, resources): (&RunSpec, &Resources),
    read: impl FnOnce(&mut dyn FnMut(Notice<'_>)) -> Result<RunData, Error>,
    shown: &Path,
    mut on_event: impl FnMut(RunEvent<'_>) -> ControlFlow<()>,
) -> Result<Option<Trained>, Error> {
    spec.check_settings()?;
    let ranks = &resources.ranks;
    // Files are the first rank's; the others are told what it finds.
    let mut out = ranks.is_first().then(|| OutFolder::open(shown, &FOLDER)).transpose()?;
    let is_whole = out.as_ref().is_some_and(OutFolder::is_whole);
    let saved = ranks.first_says(|| {
        Ok::<_, Error>(serde_json::to_vec(&out.as_ref().and_then(Trained::pending))?)
    })?;
    let saved: Option<Trained> = serde_json::from_slice(&saved)?;
    let saved = saved.filter(|saved| saved.record.key == spec.key());
    if is_whole && saved.is_none() {
        return Err(Error::Occupied { path: shown.into() });
    }
    let mut go_on = ControlFlow::Continue(());
    let mut fetching = |notice: Notice<'_>| {
        if go_on.is_continue() {
            go_on = on_event(RunEvent::Fetching(notice));
        }
    };
    let begin = Instant::now();
    let data = read(&mut fetching)?;
    let seconds_reading = begin.elapsed().as_secs_f64();
    let options = TrainingBaseOptions::of(spec, Some(data.task.head));
    let base = TrainingBase::open(&options, &mut fetching)?;
    let mut run = Run::new(spec, resources, Arc::new(base), data)?;
    run.seconds_reading += seconds_reading;
    let description = run.description()?;
    if go_on.is_break() || on_event(RunEvent::Ready { description: &description }).is_break() {
        return Ok(None);
    }
    let identity = run.identity()?;
    let trained = match saved.filter(|saved| saved.identity == identity) {
        // A process that was killed had saved it.
        Some(saved) => saved,
        None if is_whole => return Err(Error::Occupied { path: shown.into() }),
        None => {
            let on_event = |event: Event<'_>| on_event(RunEvent::Training(&event));
            let Some(unsaved) = run.train(out.as_mut(), shown, on_event)? else {
                return Ok(None);
            };
            match &out {
                Some(out) => unsaved.save(out, shown)?.0,
                None => unsaved.trained,
            }
        }
    };
    if let Some(out) = &out {
        Trained::settle(out.path())?;
    }
    Ok(Some(trained))
}
