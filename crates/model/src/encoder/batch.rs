//! What the encoder reads: sequences one after another, without padding.

use budwood_base::encoder::ImageInput;
use budwood_engine::Spans;

/// Sequences one after another, without padding: texts, or images of one size.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) input: Input,
    /// Where sequences begin and end.
    pub spans: Spans,
    /// The tokens for which a masked language model is asked, in order; all where there is none.
    asked: Option<Vec<usize>>,
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
        Self::of(Input::Tokens(Tokens { ids, types }), Spans::from_lengths(lengths))
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
        Self::of(Input::Images(images), spans)
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
        Self::of(input, Spans::from_lengths(lengths.iter().copied()))
    }

    fn of(input: Input, spans: Spans) -> Self {
        Self { input, spans, asked: None }
    }

    /// The same batch, of which a masked language model is asked for these places alone: of each
    /// sequence its tokens' numbers, counted from 0, in order. There are as many losses and rows of
    /// outputs: one product with the whole vocabulary each.
    ///
    /// # Panics
    /// If there are not as many lists as sequences, or a place is not one of its sequence's.
    #[must_use]
    pub fn asking<'a>(mut self, places: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut asked = Vec::new();
        let mut lists = places.into_iter();
        for rows in self.spans.iter() {
            let Some(places) = lists.next() else { panic!("a list of places for each sequence") };
            let inside = |place: &u32| (*place as usize) < rows.len();
            assert!(places.iter().all(inside) && places.is_sorted(), "places are tokens, in order");
            asked.extend(places.iter().map(|place| rows.start + *place as usize));
        }
        assert!(lists.next().is_none(), "a sequence for each list of places");
        self.asked = Some(asked);
        self
    }

    /// The tokens for which a masked language model is asked; none where all are.
    pub(crate) fn asked(&self) -> Option<&[usize]> {
        self.asked.as_deref()
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
