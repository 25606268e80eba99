//! How a base model reads examples: texts by its tokenizer, images by its processor.

use std::sync::Arc;

use budwood_base::encoder::{ImageInput, InputSpec};
use budwood_base::masking::Masking;
use budwood_formats::BaseModel;
use budwood_formats::native::TaskMeta;
use budwood_images::{Augment, Processor};
use budwood_tasks::{Dataset, Input, Tokenizer};
use budwood_train::{Images, Lengths, Prepared, prepare, prepare_images, prepare_masked};

use crate::Error;

/// Tokens that an image may make. Attention takes their square in memory and time.
const TOKENS_MOST: usize = 10_000;

/// What turns examples into the model's input.
pub enum Reader {
    /// Texts by a tokenizer.
    Texts(Arc<Tokenizer>),
    /// Images by a processor.
    Images(Processor, ImageInput),
}

fn mismatch(message: &str) -> Error {
    Error::Setting { name: "base", message: message.into() }
}

/// How images are read in training, beside what the model asks for.
#[derive(Clone, Copy, Default)]
pub struct ImageReading {
    /// Random changes.
    pub augment: Augment,
    /// Bytes for images that were decoded.
    pub cache: usize,
}

impl Reader {
    /// The reader of a model; images in another size than its own where a side is given.
    pub fn open(model: &BaseModel, side: Option<usize>) -> Result<Self, Error> {
        match &model.spec().input {
            InputSpec::Text(_) if side.is_some() => {
                let message = "is given, but the base model reads texts".into();
                Err(Error::Setting { name: "image-size", message })
            }
            InputSpec::Text(text) => {
                let tokenizer = Tokenizer::open(model.folder(), model.family().frame)?;
                let tokenizer = tokenizer.with_types(text.token_types);
                tokenizer.check_vocabulary(text.vocab)?;
                Ok(Self::Texts(Arc::new(tokenizer)))
            }
            InputSpec::Image(image) => {
                let config = "preprocessor_config.json";
                if !image.axes.is_default() && !model.folder().join(config).exists() {
                    let message = format!(
                        "the model has no {config}, which says how its images are prepared; put \
                         that of the original model into {}",
                        model.folder().display()
                    );
                    return Err(Error::Setting { name: "base", message });
                }
                let mut processor = Processor::open(model.folder(), image.image_size)?;
                if let Some(side) = side {
                    processor = processor.with_side(side);
                }
                Self::images(processor, image)
            }
        }
    }

    /// The reader of an adapter on its base: images as in the adapter's training, whatever the
    /// base's own file says now.
    pub fn of_adapter(model: &BaseModel, task: &TaskMeta) -> Result<Self, Error> {
        match (&model.spec().input, &task.images) {
            (InputSpec::Image(image), Some(recorded)) => {
                let processor = Processor::recorded(recorded)
                    .map_err(|e| Error::Adapter(format!("adapter.json: task.images: {e}")))?;
                Self::images(processor, image)
            }
            (InputSpec::Text(_), Some(_)) => {
                let message =
                    "adapter.json says how images are prepared, but the base model reads texts";
                Err(Error::Adapter(message.into()))
            }
            _ => Self::open(model, None),
        }
    }

    fn images(processor: Processor, image: &ImageInput) -> Result<Self, Error> {
        processor.check()?;
        let (height, width) = processor.output()?;
        let tokens = image.tokens(height, width)?;
        if tokens > TOKENS_MOST {
            let message = format!(
                "an image of {height} x {width} pixels makes {tokens} tokens; at most \
                 {TOKENS_MOST} are read: choose a smaller size"
            );
            return Err(Error::Setting { name: "image-size", message });
        }
        Ok(Self::Images(processor, image.clone()))
    }

    /// Examples, whose classes or tags have these names, as the model reads them.
    pub fn prepare(
        &self,
        data: &Dataset,
        labels: &[String],
        lengths: Lengths,
        images: ImageReading,
        threads: usize,
    ) -> Result<Prepared, Error> {
        let is_image = matches!(data.examples.first().map(|e| &e.input), Some(Input::Image(_)));
        match self {
            Self::Texts(_) if is_image => Err(mismatch(
                "the data are images, but the base model reads texts; give one of images",
            )),
            Self::Images(..) if !is_image => Err(mismatch(
                "the data are texts, but the base model reads images; give one of texts",
            )),
            Self::Texts(tokenizer) => Ok(prepare(tokenizer, data, labels, lengths, threads)?),
            Self::Images(processor, spec) => {
                let ImageReading { augment, cache } = images;
                let images = Images::new(data, processor.clone(), augment, spec, cache)?;
                Ok(prepare_images(images, data))
            }
        }
    }

    /// Texts as a masked language model reads them: with masks that are chosen, or, without
    /// `masking`, with those that stand in them.
    pub fn prepare_masked(
        &self,
        data: &Dataset,
        masking: Option<Masking>,
        max_length: usize,
        threads: usize,
    ) -> Result<Prepared, Error> {
        match self {
            Self::Texts(tokenizer) => {
                Ok(prepare_masked(tokenizer, data, masking, max_length, threads)?)
            }
            Self::Images(..) => {
                Err(mismatch("a masked language model reads texts, but the base model images"))
            }
        }
    }

    /// Bytes of an image in the model's size; 0 for texts.
    pub fn image_bytes(&self) -> usize {
        match self {
            Self::Texts(_) => 0,
            Self::Images(processor, _) => processor.output().map_or(0, |(h, w)| 3 * h * w),
        }
    }

    /// How images are prepared, if the model reads images.
    pub fn processor(&self) -> Option<&Processor> {
        match self {
            Self::Texts(_) => None,
            Self::Images(processor, _) => Some(processor),
        }
    }
}
