//! Inputs of one training step after another. Images are decoded beside the training, on threads of
//! their own, a bounded number of steps ahead.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use budwood_base::random::Key;
use budwood_images::Rgb;
use budwood_model::{Batch, Targets};
use budwood_tasks::MaskedText;

use crate::data::Inputs;
use crate::masked::{self, Masked};
use crate::{Error, Images, Prepared};

/// Steps whose images are decoded before they are asked for.
const STEPS_AHEAD: usize = 2;

/// The inputs of a step, ready to be cut into batches.
pub(crate) enum Step<'a> {
    /// Texts are encoded already.
    Encoded(&'a Prepared, &'a [usize]),
    /// Texts with the masks of this step.
    Masked(Vec<MaskedText>),
    /// Images in the model's size, those of this rank: from this one of the step on.
    Images(&'a Images, usize, Vec<Arc<Rgb>>),
}

impl Step<'_> {
    /// The batch of some neighbouring examples of the step.
    pub(crate) fn batch(&self, examples: Range<usize>) -> Result<Batch, Error> {
        match self {
            Self::Encoded(data, all) => data.batch(&all[examples]),
            Self::Masked(all) => Ok(masked::batch(&all[examples])),
            Self::Images(images, first, own) => {
                Ok(images.batch(&own[examples.start - first..examples.end - first]))
            }
        }
    }

    /// What the answers should be, where that is another in each step.
    pub(crate) fn targets(&self) -> Option<Targets> {
        match self {
            Self::Masked(all) => Some(masked::targets(all)),
            Self::Encoded(..) | Self::Images(..) => None,
        }
    }
}

/// Examples of one step, each with the key of its random changes.
pub(crate) type Wanted = Vec<(usize, Key)>;

/// What the threads share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Which of a step's examples are this rank's.
type Own<'a> = dyn Fn(usize) -> Range<usize> + Send + Sync + 'a;

/// An image, or why there is none.
type Decoded = Result<Arc<Rgb>, Error>;

struct State {
    /// The next image to decode: step and place in it.
    next: (usize, usize),
    /// The step that training waits for or works on.
    taken: usize,
    /// Images of steps to come, by step.
    ready: BTreeMap<usize, Vec<Option<Decoded>>>,
    stopped: bool,
}

/// Steps in order, images decoded ahead.
pub(crate) struct Feed<'a> {
    data: &'a Prepared,
    step: usize,
    source: Source<'a>,
}

/// Where the inputs of a step come from.
enum Source<'a> {
    /// They are there.
    Direct,
    /// They are masked when they are asked for.
    Masked(&'a Masked, Box<dyn Fn(usize) -> Wanted + 'a>),
    /// They are decoded ahead.
    Decoded(&'a Images, Arc<Own<'a>>, Arc<Shared>),
}

impl<'a> Feed<'a> {
    /// Steps from `first` on whose inputs are made when they are asked for.
    pub(crate) fn direct(data: &'a Prepared, first: usize) -> Self {
        Self { data, step: first, source: Source::Direct }
    }

    /// Begins to decode, on `threads` threads of `scope`, this rank's `own` images of `steps`;
    /// texts are masked as the keys of `wanted` say.
    pub(crate) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        data: &'a Prepared,
        steps: Range<usize>,
        wanted: impl Fn(usize) -> Wanted + Send + Sync + 'a,
        own: impl Fn(usize) -> Range<usize> + Send + Sync + 'a,
        threads: usize,
    ) -> Self
    where
        'a: 'scope,
    {
        let first = steps.start;
        let images = match &data.inputs {
            Inputs::Texts(_) => return Self::direct(data, first),
            Inputs::Masked(masked) => {
                let source = Source::Masked(masked, Box::new(wanted));
                return Self { data, step: first, source };
            }
            Inputs::Images(images) => images,
        };
        let state =
            State { next: (first, 0), taken: first, ready: BTreeMap::new(), stopped: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let own: Arc<Own<'a>> = Arc::new(own);
        let wanted = Arc::new((wanted, Arc::clone(&own)));
        for _ in 0..threads.max(1) {
            let (shared, wanted) = (Arc::clone(&shared), Arc::clone(&wanted));
            let of_step = move |step: usize| wanted.0(step)[(wanted.1)(step)].to_vec();
            scope.spawn(move || shared.decode(images, steps.end, &of_step));
        }
        Self { data, step: first, source: Source::Decoded(images, own, shared) }
    }

    /// The inputs of the next step, whose examples are these.
    ///
    /// # Errors
    /// If an image cannot be decoded.
    pub(crate) fn next<'b>(&mut self, examples: &'b [usize]) -> Result<Step<'b>, Error>
    where
        'a: 'b,
    {
        let step = self.step;
        self.step += 1;
        let (images, own, shared) = match &self.source {
            Source::Direct => return Ok(Step::Encoded(self.data, examples)),
            Source::Masked(masked, wanted) => {
                let texts = wanted(step).into_iter().map(|(input, key)| masked.text(input, key));
                return Ok(Step::Masked(texts.collect()));
            }
            Source::Decoded(images, own, shared) => (*images, own, shared),
        };
        let mut state = shared.lock();
        state.taken = step;
        shared.changed.notify_all();
        let whole = |state: &State| {
            state.ready.get(&step).is_some_and(|images| images.iter().all(Option::is_some))
        };
        while !whole(&state) {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let decoded = state.ready.remove(&step).unwrap_or_default();
        drop(state);
        let decoded: Result<Vec<_>, Error> = decoded.into_iter().flatten().collect();
        Ok(Step::Images(images, own(step).start, decoded?))
    }
}

impl Drop for Feed<'_> {
    fn drop(&mut self) {
        if let Source::Decoded(.., shared) = &self.source {
            shared.lock().stopped = true;
            shared.changed.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes one image after another until all steps are done or nobody waits any more.
    fn decode(&self, images: &Images, steps: usize, wanted: &(impl Fn(usize) -> Wanted + ?Sized)) {
        let mut list: (usize, Wanted) = (usize::MAX, Vec::new());
        loop {
            let mut state = self.lock();
            while !state.stopped && state.next.0 > state.taken + STEPS_AHEAD {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let (step, place) = state.next;
            if state.stopped || step >= steps {
                return;
            }
            if list.0 != step {
                list = (step, wanted(step));
            }
            state.next = if place + 1 < list.1.len() { (step, place + 1) } else { (step + 1, 0) };
            let n = list.1.len();
            state.ready.entry(step).or_insert_with(|| (0..n).map(|_| None).collect());
            drop(state);
            // A rank may have none of a step's images.
            let Some(&(image, key)) = list.1.get(place) else {
                self.changed.notify_all();
                continue;
            };
            let decoded = images.pixels(image, Some(key));
            let mut state = self.lock();
            if let Some(slot) = state.ready.get_mut(&step).and_then(|s| s.get_mut(place)) {
                *slot = Some(decoded);
            }
            drop(state);
            self.changed.notify_all();
        }
    }
}
