//! The frozen base of a run, opened for training; runs that open it alike share one.

use std::sync::Arc;

use budwood_base::head::HeadKind;
use budwood_engine::Precision;
use budwood_formats::BaseModel;

use crate::reader::Reader;
use crate::spec::{BasePrecision, PrecisionSpec, Switch};
use crate::{Error, Notice, RunSpec, load};

/// A base model that is packed for training, with what reads its inputs.
pub struct TrainingBase {
    pub(super) model: BaseModel,
    pub(super) packed: budwood_model::Base,
    pub(super) reader: Reader,
}

/// What decides how a base model is opened for training. Runs with equal options share one.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingBaseOptions {
    base: String,
    precision: PrecisionSpec,
    dropout: Option<f32>,
    drop_path: Option<f32>,
    frozen_dropout: Switch,
    /// Height and width of images in pixels.
    side: Option<usize>,
}

impl TrainingBaseOptions {
    /// Those of a run whose task has such a head, if that is known.
    pub fn of(spec: &RunSpec, head: Option<HeadKind>) -> Self {
        let base_precision = spec.base_precision(head);
        Self {
            base: spec.base.clone(),
            precision: PrecisionSpec { base_precision, ..spec.precision },
            dropout: spec.dropout,
            drop_path: spec.drop_path,
            frozen_dropout: spec.frozen_dropout,
            side: spec.data.images.side(),
        }
    }
}

impl TrainingBaseOptions {
    /// The model in memory, in a form of its weights.
    fn pack(&self, model: &BaseModel, precision: Precision) -> Result<budwood_model::Base, Error> {
        let mut packed = load(model, precision, true)?;
        if let Some(p) = self.dropout {
            packed.set_dropout(p);
        }
        if let Some(p) = self.drop_path {
            packed.set_drop_path(p);
        }
        packed.set_frozen_dropout(self.frozen_dropout == Switch::On);
        Ok(packed)
    }
}

impl TrainingBase {
    /// Opens the model that a specification names. `report` is told of what is fetched.
    ///
    /// # Errors
    /// If it cannot be found, fetched or read, or a setting does not fit it.
    pub fn open(
        options: &TrainingBaseOptions,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<Self, Error> {
        let model = BaseModel::open(&budwood_hub::find_model(&options.base, report)?)?;
        let reader = Reader::open(&model, options.side)?;
        let packed = options.pack(&model, options.precision.get(model.is_quantized()))?;
        Ok(Self { model, packed, reader })
    }

    /// The same model in int8, for trainings that are only compared: they take half of the time.
    /// None where a form was asked for, or the model is held so already.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn for_trials(&self, spec: &RunSpec) -> Result<Option<budwood_model::Base>, Error> {
        let asked = spec.precision.base_precision != BasePrecision::Auto;
        if asked || self.packed.precision() != Precision::F32 {
            return Ok(None);
        }
        TrainingBaseOptions::of(spec, None).pack(&self.model, Precision::Int8).map(Some)
    }
}

/// Base models that were opened for training.
#[derive(Default)]
pub struct TrainingBases(Vec<(TrainingBaseOptions, Arc<TrainingBase>)>);

impl TrainingBases {
    /// The model of a run whose task has such a head, opened if no run before it had it.
    ///
    /// # Errors
    /// As [`TrainingBase::open`].
    pub fn get(
        &mut self,
        spec: &RunSpec,
        head: HeadKind,
        report: &mut dyn FnMut(Notice<'_>),
    ) -> Result<Arc<TrainingBase>, Error> {
        let options = TrainingBaseOptions::of(spec, Some(head));
        if let Some((_, base)) = self.0.iter().find(|(there, _)| *there == options) {
            return Ok(Arc::clone(base));
        }
        let base = Arc::new(TrainingBase::open(&options, report)?);
        self.0.push((options, Arc::clone(&base)));
        Ok(base)
    }
}
