//! One training run, from its specification to its adapter's folder.
//!
//! [`train`] does all of it. Its steps are there by themselves for those who keep a store, share a
//! base between runs, or have data in memory:
//!
//! ```text
//! RunData::read      the data of the run       RunData::from_examples   data in memory
//! TrainingBase::open its frozen base           TrainingBases::get       shared between runs
//! Run::new           everything loaded         Run::description         what will be done
//! Run::train         -> Unsaved, in memory     Unsaved::save            -> Trained, on disk
//! ```

mod base;
mod beginning;
mod config;
mod data;
mod describe;
mod estimate;
mod identity;
mod idle;
mod memory;
mod record;
mod save;
mod settled;
mod training;
mod whole;

use std::sync::Arc;
use std::time::Instant;

use budwood_base::head::HeadSpec;
use budwood_base::masking::Masking;
use budwood_engine::{Device, Workers};
use budwood_images::Augment;
use budwood_model::Adapter;
use budwood_tasks::Dataset;
use budwood_train::{Lengths, Prepared, Scale, TrainConfig, answers, scores};

use crate::reader::ImageReading;
use crate::spec::Resources;
use crate::{Error, RunSpec};

use beginning::Beginning;
use settled::Settled;

pub use base::{TrainingBase, TrainingBaseOptions, TrainingBases};
pub use data::{RunData, Tables, source_named};
pub use describe::{cut, positive_of, skipped};
pub use memory::peak_memory;
pub use record::record_of;
pub use save::{FOLDER, Trained, Unsaved, write_adapter};
pub use whole::{RunEvent, train, train_on};

/// A run with everything loaded.
pub struct Run {
    spec: RunSpec,
    resources: Resources,
    data: RunData,
    base: Arc<TrainingBase>,
    workers: Workers,
    config: TrainConfig,
    head: HeadSpec,
    lengths: Lengths,
    why_pooling: String,
    /// How texts are masked, of masked language models.
    masking: Option<Masking>,
    /// What adapters begin with.
    begin: Beginning,
    train: Prepared,
    dev: Option<Prepared>,
    test: Option<Prepared>,
    /// Seconds that reading and encoding the data took, without loading the model.
    pub seconds_reading: f64,
}

impl Run {
    /// Encodes the data for the base, and checks all settings.
    ///
    /// # Errors
    /// If a setting has no meaning on these data or this base, or the base cannot read the data.
    pub fn new(
        spec: &RunSpec,
        resources: &Resources,
        base: Arc<TrainingBase>,
        data: RunData,
    ) -> Result<Self, Error> {
        let settled = spec.settled(&data, &base.model)?;
        let Settled { config, head, lengths, why_pooling, masking, begin, positive } = settled;
        // The recipe has units of its own.
        let scale = if spec.is_paper() { data.scale() } else { Scale::NONE };
        let started = Instant::now();
        let threads = resources.threads();
        let prepare = |d: &Dataset, augment, cache| {
            let images = ImageReading { augment, cache };
            let mut prepared = match masking {
                Some(_) => base.reader.prepare_masked(d, masking, lengths.max, threads)?,
                None => base.reader.prepare(d, &data.labels, lengths, images, threads)?,
            };
            (prepared.positive, prepared.scale) = (positive, scale);
            Ok::<_, Error>(prepared)
        };
        let augment = spec.data.images.augment();
        let (cache, each) = (resources.image_bytes(), base.reader.image_bytes());
        // What random parts are taken from may be of any size; the rest of the room is for
        // validation.
        let for_train = match augment.crop {
            true => cache / 4 * 3,
            false => cache.min(each * data.train.examples.len()),
        };
        let train = prepare(&data.train, augment, for_train)?;
        let plain = |d: &Dataset, cache| prepare(d, Augment::default(), cache);
        let dev = data.dev.as_ref().map(|d| plain(d, cache - for_train)).transpose()?;
        let test = data.test.as_ref().map(|d| plain(d, 0)).transpose()?;
        let seconds_reading = started.elapsed().as_secs_f64();
        let workers = Workers::new(Device::cpu(), threads).over(resources.ranks.clone());
        Ok(Self {
            spec: spec.clone(),
            resources: resources.clone(),
            data,
            base,
            workers,
            config,
            head,
            lengths,
            why_pooling,
            masking,
            begin,
            train,
            dev,
            test,
            seconds_reading,
        })
    }

    /// Layers of the encoder.
    pub fn layers(&self) -> usize {
        self.base.model.spec().layers
    }

    /// One score of an adapter on the validation set, and the number of its examples; none without
    /// a validation set or such a score.
    ///
    /// # Errors
    /// If an output is not a finite number.
    pub fn dev_score(
        &mut self,
        adapter: &Adapter,
        metric: &str,
    ) -> Result<Option<(f64, u64)>, Error> {
        let Some(dev) = &self.dev else { return Ok(None) };
        let answers = answers(&mut self.workers, &self.base.packed, adapter, dev)?;
        let score = scores(&answers, dev).into_iter().find(|s| s.name == metric);
        Ok(score.map(|score| (score.value, dev.examples() as u64)))
    }
}
