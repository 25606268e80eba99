//! Inputs as the model reads them, apart from the work of the model: what a server needs that makes
//! batches from the requests of many clients.
//!
//! ```text
//! Adapter::encode   texts -> tokens            any thread, cheap
//! Base::outputs     some inputs of anyone      one worker a thread, a chunk at a time
//! Encoded::answers  outputs -> answers         any thread, cheap
//! ```

use std::sync::Arc;

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_engine::{Context, Device};
use budwood_formats::native::AdapterFolder;
use budwood_tasks::{Dataset, Example, Input, Target};
use budwood_train::{Answers, Lengths, Prepared, chunk_outputs, tokens_beside};

use crate::answer::{Answer, AnswerOptions, typed};
use crate::reader::{ImageReading, Reader};
use crate::{Adapter, Base, Error};

/// Inputs of one adapter, or of the base alone, as the model reads them.
pub struct Encoded {
    of: Owner,
    data: Dataset,
    prepared: Prepared,
}

enum Owner {
    Adapter(Adapter),
    Vectors(Vectors),
}

/// The memory that one thread computes with.
#[derive(Debug)]
pub struct Worker(Context);

/// The base alone, whose answers are vectors. Cloning shares it.
#[derive(Clone)]
pub struct Vectors(Arc<Pooled>);

struct Pooled {
    base: Base,
    adapter: budwood_model::Adapter,
    reader: Arc<Reader>,
    lengths: Lengths,
}

impl Base {
    /// Memory for one thread. It is warm after the first use.
    pub fn worker(&self) -> Worker {
        Worker(Context::new(Device::cpu()))
    }

    /// The base's pooled vectors; pooled as the model's own files say where nothing else is asked.
    ///
    /// # Errors
    /// If the base has no such pooling, or its tokenizer or image processor cannot be read.
    pub fn vectors(&self, pooling: Option<Pooling>) -> Result<Vectors, Error> {
        let pooling = pooling.unwrap_or_else(|| self.model().default_pooling().0);
        let adapter = budwood_model::Adapter::pooling(
            self.packed(),
            &MethodSpec::named("linear"),
            pooling,
            0,
        )?;
        let reader = self.reader()?;
        let max = match &self.model().spec().input {
            budwood_base::encoder::InputSpec::Text(text) => text.length_max(),
            budwood_base::encoder::InputSpec::Image(_) => usize::MAX,
        };
        let lengths = Lengths { max, stride: crate::DOC_STRIDE };
        Ok(Vectors(Arc::new(Pooled { base: self.clone(), adapter, reader, lengths })))
    }

    /// The vectors that an adapter's head sees: the base's, changed by the adapter.
    ///
    /// # Errors
    /// If the adapter does not fit the base.
    pub fn vectors_of(&self, folder: &AdapterFolder) -> Result<Vectors, Error> {
        let AdapterFolder { meta, tensors } = folder;
        let width = meta.head.pooling.width(self.model().spec().hidden);
        let head = HeadSpec {
            bias: false,
            ..HeadSpec::linear(HeadKind::Classification, width, meta.head.pooling)
        };
        // The head hands on what it sees.
        let own = tensors.iter().filter(|(name, _)| !name.starts_with("head."));
        let mut tensors: TensorMap = own.map(|(name, t)| (name.clone(), t.clone())).collect();
        let diagonal = (0..width * width).map(|i| f32::from(u8::from(i / width == i % width)));
        let same = Tensor::new(vec![width, width], diagonal.collect());
        tensors.insert("head.out.weight".into(), same);
        let adapter =
            budwood_model::Adapter::from_tensors(self.packed(), &meta.method, head, &tensors)?;
        let reader = match &meta.task.images {
            None => self.reader()?,
            Some(_) => Arc::new(Reader::of_adapter(self.model(), &meta.task)?),
        };
        let stride = meta.task.doc_stride.unwrap_or(crate::DOC_STRIDE);
        let lengths = Lengths { max: meta.task.max_length, stride };
        Ok(Vectors(Arc::new(Pooled { base: self.clone(), adapter, reader, lengths })))
    }

    /// The outputs of some inputs, in their order: of each the numbers of its head, or its vector.
    /// One batch, computed by the calling thread; an output is the same to the bit whatever stands
    /// beside it. Inputs of one adapter cost less where they are neighbours, and a text that is
    /// there for several adapters where they leave the lowest layers as they are. About
    /// [`crate::CHUNK_TOKENS`] tokens are a good chunk ([`Encoded::tokens_beside`]); images are a
    /// chunk of one request each.
    ///
    /// # Errors
    /// If an image cannot be decoded.
    ///
    /// # Panics
    /// If an input is of another base, or images stand beside other inputs.
    pub fn outputs(
        &self,
        worker: &mut Worker,
        chunk: &[(&Encoded, usize)],
    ) -> Result<Vec<Vec<f32>>, Error> {
        assert!(chunk.iter().all(|(e, _)| e.base().is(self)), "an input of another base");
        let inputs: Vec<_> = chunk.iter().map(|(encoded, input)| encoded.asked(*input)).collect();
        Ok(chunk_outputs(&mut worker.0, self.packed(), &inputs)?)
    }
}

impl Vectors {
    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.0.adapter.head_spec().outputs
    }

    /// What makes the model's input.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The vectors of inputs, in their order.
    ///
    /// # Errors
    /// If an input cannot be read, or a number is not finite.
    pub fn of(&self, inputs: Vec<Input>) -> Result<Vec<Vec<f32>>, Error> {
        let set = self.encode(inputs)?;
        let Pooled { base, adapter, .. } = &*self.0;
        let answers = base.with_workers(|workers| {
            budwood_train::answers(workers, base.packed(), adapter, set.prepared())
        })?;
        Ok(answers.outputs)
    }

    /// Inputs as the model reads them: texts, pairs or images.
    ///
    /// # Errors
    /// If an input cannot be read.
    pub fn encode(&self, inputs: Vec<Input>) -> Result<Encoded, Error> {
        let kind = |input: &Input| !matches!(input, Input::Question { .. } | Input::Words(_));
        if let Some(row) = inputs.iter().position(|input| !kind(input)) {
            let message = "the base alone reads texts, pairs and images".into();
            return Err(Error::Input { row: row + 1, message });
        }
        let Pooled { base, reader, lengths, .. } = &*self.0;
        let data = dataset(inputs);
        let prepared =
            reader.prepare(&data, &[], *lengths, ImageReading::default(), base.threads())?;
        Ok(Encoded { of: Owner::Vectors(self.clone()), data, prepared })
    }
}

impl Adapter {
    /// Inputs as the model reads them, to be computed beside those of others.
    ///
    /// # Errors
    /// [`Error::Input`] if an input is not of the adapter's kind.
    pub fn encode(&self, inputs: Vec<Input>) -> Result<Encoded, Error> {
        Encoded::of_adapter(self.clone(), inputs)
    }
}

/// Inputs without targets.
fn dataset(inputs: Vec<Input>) -> Dataset {
    let example = |input| Example { input, target: Target::None };
    Dataset::from_examples(inputs.into_iter().map(example).collect(), "input", "memory")
}

impl Encoded {
    /// Inputs of an adapter.
    pub(crate) fn of_adapter(adapter: Adapter, inputs: Vec<Input>) -> Result<Self, Error> {
        for (row, input) in inputs.iter().enumerate() {
            adapter.check(row, input)?;
        }
        let data = dataset(inputs);
        let prepared = adapter.prepare(&data)?;
        Ok(Self { of: Owner::Adapter(adapter), data, prepared })
    }

    fn base(&self) -> &Base {
        match &self.of {
            Owner::Adapter(adapter) => adapter.base(),
            Owner::Vectors(vectors) => &vectors.0.base,
        }
    }

    /// One input with what it is for.
    fn asked(&self, input: usize) -> (&budwood_model::Adapter, &Prepared, usize) {
        let adapter = match &self.of {
            Owner::Adapter(adapter) => adapter.packed(),
            Owner::Vectors(vectors) => &vectors.0.adapter,
        };
        (adapter, &self.prepared, input)
    }

    /// Examples as the model reads them.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Number of the model's inputs. One that was given may be several: windows of a long text.
    pub fn len(&self) -> usize {
        self.prepared.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    /// Tokens of one of the model's inputs.
    pub fn tokens(&self, input: usize) -> usize {
        self.prepared.length(input)
    }

    /// Tokens that one of the inputs adds to the work on a chunk: fewer than its own where the same
    /// text is there for another adapter, and both leave the lowest layers as they are.
    pub fn tokens_beside<'a>(
        &self,
        input: usize,
        chunk: impl IntoIterator<Item = (&'a Self, usize)>,
    ) -> usize {
        let chunk = chunk.into_iter().map(|(encoded, input)| encoded.asked(input));
        tokens_beside(self.base().packed(), chunk, self.asked(input))
    }

    /// Tokens of all inputs.
    pub fn all_tokens(&self) -> usize {
        (0..self.len()).map(|input| self.tokens(input)).sum()
    }

    /// How many of the inputs that were given are longer than the adapter reads, and were cut.
    pub fn truncated(&self) -> usize {
        self.prepared.truncated
    }

    /// Whether the inputs are images.
    pub fn is_images(&self) -> bool {
        self.prepared.images().is_some()
    }

    /// The answers, from the outputs of all of the model's inputs in their order.
    ///
    /// # Errors
    /// If an output is not a finite number, or these are inputs of the base alone.
    pub fn answers(
        &self,
        outputs: Vec<Vec<f32>>,
        options: &AnswerOptions,
    ) -> Result<Vec<Answer>, Error> {
        let Owner::Adapter(adapter) = &self.of else {
            return Err(Error::Adapter("the base alone has vectors and no answers".into()));
        };
        let answers = self.checked(outputs)?;
        let meta = adapter.meta();
        let head = (meta.head.kind, &meta.labels[..]);
        Ok(typed(head, (&self.data, &self.prepared), &answers, options))
    }

    /// The outputs of all of the model's inputs, if each is a finite number.
    ///
    /// # Errors
    /// With the first example of which one is not.
    pub fn checked(&self, outputs: Vec<Vec<f32>>) -> Result<Answers, Error> {
        assert_eq!(outputs.len(), self.prepared.len(), "one output for each input");
        let answers = Answers { outputs };
        answers.check(&self.prepared)?;
        Ok(answers)
    }
}
