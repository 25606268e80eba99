//! What the encoder reads: sequences one after another, without padding.

use budwood_base::encoder::ImageInput;
use budwood_engine::Spans;

/// Sequences one after another, without padding: texts, or images of one size.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) input: Input,
    /// Where sequences begin and end.
    pub spans: Spans,
}

/// What the sequences are made from.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Tokens(Tokens),
    Images(Images),
    States(States),
}

/// The tokens of all sequences of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) ids: Vec<u32>,
    pub(crate) types: Vec<u32>,
}

/// The patches of all images of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Images {
    /// `[images * patches, channels * patch * patch]`, patches in reading order.
    pub(crate) patches: Vec<f32>,
    /// Rows and columns of patches in each image.
    pub(crate) grid: (usize, usize),
}

/// Hidden states that were computed before.
#[derive(Clone, Debug)]
pub(crate) struct States {
    /// Layers that they have been through.
    pub(crate) layers: usize,
    /// `[T, d]`
    pub(crate) rows: Vec<f32>,
    /// Rows and columns of patches, if they are those of images.
    pub(crate) grid: Option<(usize, usize)>,
}

impl Batch {
    /// A batch of sequences of tokens given as `(ids, types)`; types are all zero where the encoder
    /// has none.
    ///
    /// # Panics
    /// If a sequence has not as many types as ids.
    pub fn from_sequences<'a>(sequences: impl IntoIterator<Item = (&'a [u32], &'a [u32])>) -> Self {
        let (mut ids, mut types, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for (i, t) in sequences {
            assert_eq!(i.len(), t.len(), "a type for each token");
            ids.extend_from_slice(i);
            types.extend_from_slice(t);
            lengths.push(i.len());
        }
        Self { input: Input::Tokens(Tokens { ids, types }), spans: Spans::from_lengths(lengths) }
    }

    /// A batch of images `[channels, height, width]` of one size in pixels, normalised as the
    /// encoder expects. An image is a sequence of [`ImageInput::tokens`] tokens.
    ///
    /// # Panics
    /// If patches do not cover the images, which [`ImageInput::tokens`] tells, or one has another
    /// number of elements.
    pub fn from_images<'a>(
        spec: &ImageInput,
        size: (usize, usize),
        images: impl IntoIterator<Item = &'a [f32]>,
    ) -> Self {
        let (images, n) = Images::cut(spec, size, images);
        let length = images.tokens(spec);
        let spans = Spans::from_lengths(std::iter::repeat_n(length, n));
        Self { input: Input::Images(images), spans }
    }

    /// A batch of sequences of these lengths whose hidden states after the lowest `layers` layers,
    /// `[T, d]`, are known; see [`crate::lowest_states`]. `grid` is rows and columns of patches, if
    /// they are those of images.
    pub fn from_states(
        layers: usize,
        rows: Vec<f32>,
        lengths: &[usize],
        grid: Option<(usize, usize)>,
    ) -> Self {
        let input = Input::States(States { layers, rows, grid });
        Self { input, spans: Spans::from_lengths(lengths.iter().copied()) }
    }

    /// Rows and columns of patches in each image.
    pub(crate) fn grid(&self) -> Option<(usize, usize)> {
        match &self.input {
            Input::Tokens(_) => None,
            Input::Images(images) => Some(images.grid),
            Input::States(states) => states.grid,
        }
    }

    /// Number of tokens of all sequences.
    pub(crate) fn tokens(&self) -> usize {
        self.spans.rows()
    }
}

impl Images {
    /// Cuts images `[channels, height, width]` into patches; also gives the number of images.
    fn cut<'a>(
        spec: &ImageInput,
        (height, width): (usize, usize),
        images: impl IntoIterator<Item = &'a [f32]>,
    ) -> (Self, usize) {
        let grid = spec.grid(height, width).unwrap_or_else(|e| panic!("{e}"));
        let side = spec.patch;
        let (mut patches, mut n) = (Vec::new(), 0);
        for image in images {
            assert_eq!(image.len(), spec.channels * height * width, "an image of another size");
            for (top, left) in
                (0..grid.0).flat_map(|y| (0..grid.1).map(move |x| (y * side, x * side)))
            {
                for plane in image.chunks_exact(height * width) {
                    let line = |y: usize| &plane[(top + y) * width + left..][..side];
                    (0..side).for_each(|y| patches.extend_from_slice(line(y)));
                }
            }
            n += 1;
        }
        (Self { patches, grid }, n)
    }

    /// Tokens of each image.
    pub(crate) fn tokens(&self, spec: &ImageInput) -> usize {
        spec.special_tokens() + self.grid.0 * self.grid.1
    }
}
