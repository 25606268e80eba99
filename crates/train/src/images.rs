//! Images of a data set as a model reads them: decoded when they are needed, and kept while there
//! is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use budwood_base::encoder::ImageInput;
use budwood_base::random::Key;
use budwood_images::{Augment, Processor, Rgb};
use budwood_model::Batch;
use budwood_tasks::{Dataset, Image, Input};

use crate::Error;

/// The images of a data set with all that says how they become pixels.
#[derive(Debug)]
pub struct Images {
    images: Vec<Image>,
    /// Their numbers in the cache.
    numbers: Vec<usize>,
    processor: Processor,
    augment: Augment,
    spec: ImageInput,
    /// Rows and columns of patches.
    grid: (usize, usize),
    cache: Arc<Mutex<Cache>>,
}

/// Images by their number, in eight bits, until the room is used up. Which images are kept depends
/// on the threads, what they are does not.
#[derive(Debug)]
struct Cache {
    images: HashMap<usize, Arc<Rgb>>,
    room: usize,
}

impl Images {
    /// The images of `data` for an encoder. `cache` is the memory for decoded ones in bytes.
    ///
    /// # Errors
    /// If an example is not an image, or the images' size is none that the encoder can take.
    pub fn new(
        data: &Dataset,
        processor: Processor,
        augment: Augment,
        spec: &ImageInput,
        cache: usize,
    ) -> Result<Self, Error> {
        if spec.channels != 3 {
            let message = format!(
                "the model reads images of {} channels; only red, green and blue are prepared",
                spec.channels
            );
            return Err(Error::Usage(message));
        }
        let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
        let (height, width) = processor.output().map_err(|e| usage(&e))?;
        let grid = spec.grid(height, width).map_err(|e| usage(&e))?;
        let image = |input: &Input| match input {
            Input::Image(image) => Ok(image.clone()),
            _ => Err(Error::Usage("the model reads images, but the data are texts".into())),
        };
        let images = data.examples.iter().map(|e| image(&e.input)).collect::<Result<_, _>>()?;
        let cache = Arc::new(Mutex::new(Cache { images: HashMap::new(), room: cache }));
        let numbers = (0..data.examples.len()).collect();
        Ok(Self { images, numbers, processor, augment, spec: spec.clone(), grid, cache })
    }

    /// Some of the images, with the same cache.
    pub(crate) fn subset(&self, images: &[usize]) -> Self {
        Self {
            images: images.iter().map(|&i| self.images[i].clone()).collect(),
            numbers: images.iter().map(|&i| self.numbers[i]).collect(),
            processor: self.processor.clone(),
            augment: self.augment,
            spec: self.spec.clone(),
            grid: self.grid,
            cache: Arc::clone(&self.cache),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The digest of an image's content.
    pub(crate) fn digest(&self, image: usize) -> &str {
        &self.images[image].sha256
    }

    /// The random changes in training.
    pub fn augment(&self) -> Augment {
        self.augment
    }

    /// Tokens of an image.
    pub(crate) fn tokens(&self) -> usize {
        self.spec.special_tokens() + self.grid.0 * self.grid.1
    }

    /// Rows and columns of patches of an image.
    pub(crate) fn grid(&self) -> (usize, usize) {
        self.grid
    }

    /// One image in the model's size, in eight bits; changed at random where a key is given.
    ///
    /// # Errors
    /// If it cannot be decoded.
    pub fn pixels(&self, image: usize, key: Option<Key>) -> Result<Arc<Rgb>, Error> {
        // What is kept is what is common to all epochs: with random parts, the whole image.
        let whole = self.augment.crop;
        let number = self.numbers[image];
        let cached = self.lock().images.get(&number).cloned();
        let base = match cached {
            Some(cached) => cached,
            None => {
                let decoded = self.images[image].decode()?;
                self.keep(number, if whole { decoded } else { self.processor.prepare(&decoded) })
            }
        };
        let key = key.filter(|_| self.augment.any());
        let mut pixels = match (key, whole) {
            (None, false) => return Ok(base),
            (None, true) => self.processor.prepare(&base),
            (Some(_), false) => (*base).clone(),
            (Some(key), true) => self.augment.prepare(&base, &self.processor, key),
        };
        if let Some(key) = key {
            self.augment.finish(&mut pixels, key);
        }
        Ok(Arc::new(pixels))
    }

    fn keep(&self, number: usize, pixels: Rgb) -> Arc<Rgb> {
        let pixels = Arc::new(pixels);
        let mut cache = self.lock();
        if let Some(room) = cache.room.checked_sub(pixels.pixels.len()) {
            cache.room = room;
            cache.images.insert(number, Arc::clone(&pixels));
        }
        pixels
    }

    /// The model's input from images in its size.
    pub(crate) fn batch(&self, images: &[Arc<Rgb>]) -> Batch {
        let (height, width) = images.first().map_or((0, 0), |i| (i.height, i.width));
        let n = 3 * height * width;
        let mut pixels = vec![0.0; images.len() * n];
        for (image, out) in images.iter().zip(pixels.chunks_exact_mut(n)) {
            self.processor.normalize(image, out);
        }
        Batch::from_images(&self.spec, (height, width), pixels.chunks_exact(n))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
