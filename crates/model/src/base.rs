//! The frozen model: weights in the form in which the device multiplies them.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use budwood_base::encoder::{
    EncoderSpec, ImageInput, InputSpec, NormPlacement, PoolerForm, Positions, TextInput,
};
use budwood_base::names;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_base::tensor::Tensor;
use budwood_engine::{
    Activation, Buf, Context, Device, PatchRotary, Precision, Product, Rotary, Table, Weight,
};

use crate::distance::{DISTANCES_MOST, bias_buckets, by_distance, disentangled_rows};
use crate::error::ModelError;
use crate::frozen::{AttentionPooler, Linear, Norm, Pooler, PoolerProduct};

/// Places whose rotary angles are kept.
const ROTARY_PLACES: usize = 8192;

/// One layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    linears: [Linear; 6],
    norms: [Option<Norm>; 2],
    /// Products of distances: those that make what queries meet, and what keys meet.
    relative: [Option<Linear>; 2],
    /// What they, or the layer's own products, make of the table of distances.
    terms: [Option<Arc<Buf>>; 2],
    /// Layer scale of each sub-layer.
    pub(crate) scales: Option<[Vec<f32>; 2]>,
}

/// What distances between tokens add to scores.
#[derive(Clone, Debug)]
pub(crate) enum Relative {
    Bias {
        /// `[buckets, heads]`
        table: Vec<f32>,
        /// The bucket of each distance.
        buckets: Vec<u16>,
        /// `[heads, distances]`
        by_distance: Vec<f32>,
    },
    Disentangled {
        /// `[2 span, d]`
        table: Vec<f32>,
        norm: Option<Norm>,
        /// The table after its norm.
        states: Arc<Buf>,
        /// The row of each distance.
        rows: Vec<u16>,
    },
}

impl Layer {
    pub(crate) fn linear(&self, site: WeightSite) -> &Linear {
        &self.linears[site as usize]
    }

    /// The product of its own that makes a term of distances, if it has one.
    pub(crate) fn relative(&self, term: usize) -> Option<&Linear> {
        self.relative[term].as_ref()
    }

    /// A term of distances of the base alone.
    pub(crate) fn term(&self, term: usize) -> Option<&Buf> {
        self.terms[term].as_deref()
    }

    pub(crate) fn norm(&self, sublayer: Sublayer) -> Option<&Norm> {
        self.norms[sublayer as usize].as_ref()
    }
}

/// What makes the first hidden states of the input.
#[derive(Clone, Debug)]
pub(crate) enum Embeddings {
    Text(TextEmbeddings),
    Image(ImageEmbeddings),
}

/// Tables that are added up.
#[derive(Clone, Debug)]
pub(crate) struct TextEmbeddings {
    pub(crate) word: Table,
    pub(crate) position: Option<Table>,
    pub(crate) token_type: Option<Table>,
    /// What makes the hidden width of narrower tables; never quantised, as it is small.
    pub(crate) projection: Option<Linear>,
}

/// The projection of patches, the tokens before them, and the table of positions.
#[derive(Clone, Debug)]
pub(crate) struct ImageEmbeddings {
    /// Never quantised: pixels are the model's only input, and the product is less than a hundredth
    /// of the work.
    pub(crate) patch: Linear,
    /// `[special tokens, d]`
    pub(crate) special: Vec<f32>,
    /// `[positions, d]`; none where attention alone knows places.
    pub(crate) position: Option<Vec<f32>>,
}

/// A frozen encoder, ready to compute.
#[derive(Clone, Debug)]
pub struct Base {
    spec: EncoderSpec,
    device: Device,
    precision: Precision,
    trainable: bool,
    frozen_dropout: bool,
    adapter_precision: Precision,
    pub(crate) embeddings: Embeddings,
    pub(crate) embedding_norm: Option<Norm>,
    pub(crate) relative: Option<Relative>,
    /// Rotary positions: of layers that attend to all, and of those with a window.
    rotary: Option<[Rotary; 2]>,
    /// One for each layer that has weights of its own.
    layers: Vec<Layer>,
    pub(crate) final_norm: Option<Norm>,
    pub(crate) pooler: Option<Pooler>,
    /// The table of words as a product, made when a head first asks for it.
    words: OnceLock<Arc<Weight>>,
}

impl Base {
    /// Builds the encoder from tensors by their canonical names (`base::names`). `trainable` packs
    /// the weights for gradients too. `fetch` is asked for each tensor once.
    ///
    /// # Errors
    /// What `fetch` gives, or a specification that this encoder cannot be.
    pub fn load<E: From<ModelError>>(
        spec: EncoderSpec,
        device: Device,
        precision: Precision,
        trainable: bool,
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<Self, E> {
        let d = spec.hidden;
        let norm_bias = !spec.axes.norms_without_bias;
        let mut loader = Loader { device, precision, trainable, norm_bias, fetch: &mut fetch };
        let embeddings = match &spec.input {
            InputSpec::Text(text) => Embeddings::Text(loader.text_embeddings(text, &spec)?),
            InputSpec::Image(image) => Embeddings::Image(loader.image_embeddings(image, &spec)?),
        };
        let embedding_norm = match spec.has_embedding_norm() {
            true => Some(loader.norm(names::EMBEDDING_NORM, spec.embedding_width())?),
            false => None,
        };
        let relative = loader.relative(&spec)?;
        let layers = (0..spec.own_layers()).map(|i| loader.layer(&spec, i, relative.as_ref()));
        let layers = layers.collect::<Result<_, E>>()?;
        let final_norm = match spec.norm {
            NormPlacement::Post => None,
            NormPlacement::Pre => Some(loader.norm(names::FINAL_NORM, d)?),
        };
        let rotary = match (&spec.axes.positions, &spec.input) {
            (Positions::Rotary { base, window_base, width }, InputSpec::Text(text)) => {
                let places = text.length_max().min(ROTARY_PLACES);
                Some([*base, *window_base].map(|base| Rotary::new(base, *width, places)))
            }
            _ => None,
        };
        // The pooler is small and never quantised.
        loader.precision = Precision::F32;
        let pooler = if spec.pooler { Some(loader.pooler(&spec)?) } else { None };
        Ok(Self {
            spec,
            device,
            precision,
            trainable,
            frozen_dropout: true,
            adapter_precision: Precision::F32,
            embeddings,
            embedding_norm,
            relative,
            rotary,
            layers,
            final_norm,
            pooler,
            words: OnceLock::new(),
        })
    }

    /// Sizes and switches.
    pub fn spec(&self) -> &EncoderSpec {
        &self.spec
    }

    /// Sets the dropout of the encoder, which acts in training only.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    pub fn set_dropout(&mut self, p: f32) {
        assert!((0.0..1.0).contains(&p), "dropout probability {p} is not in [0, 1)");
        (self.spec.hidden_dropout, self.spec.attention_dropout) = (p, p);
    }

    /// Sets the encoder's stochastic depth, which acts in training only.
    ///
    /// # Panics
    /// If it is not in `[0, 1)`.
    pub fn set_drop_path(&mut self, p: f32) {
        assert!(
            (0.0..1.0).contains(&p),
            "probability {p} of skipping a sub-layer is not in [0, 1)"
        );
        self.spec.drop_path = p;
    }

    /// Whether anything random acts in the encoder in training.
    pub fn has_dropout(&self) -> bool {
        let spec = &self.spec;
        [spec.hidden_dropout, spec.attention_dropout, spec.drop_path].iter().any(|&p| p > 0.0)
    }

    /// Whether dropout acts in training in the layers, from the lowest, in which and below which
    /// nothing is trained. It does unless told otherwise; without it their output is the same in
    /// every step.
    pub fn set_frozen_dropout(&mut self, acts: bool) {
        self.frozen_dropout = acts;
    }

    /// As told by [`Base::set_frozen_dropout`].
    pub fn has_frozen_dropout(&self) -> bool {
        self.frozen_dropout
    }

    /// Holds the matrices of adapters that are read from now on in this form, where they are held
    /// packed alone ([`crate::Adapter::from_tensors`]).
    pub fn set_adapter_precision(&mut self, precision: Precision) {
        self.adapter_precision = precision;
    }

    /// As told by [`Base::set_adapter_precision`].
    pub(crate) fn adapter_precision(&self) -> Precision {
        self.adapter_precision
    }

    /// The device that the weights are packed for.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The form of the frozen weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether gradients can flow through the weights.
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// The bucket of each distance, where biases are added to scores.
    pub(crate) fn bias_buckets(&self) -> Option<&[u16]> {
        match &self.relative {
            Some(Relative::Bias { buckets, .. }) => Some(buckets),
            _ => None,
        }
    }

    /// Rotary positions of a layer, if it has them.
    pub(crate) fn rotary(&self, layer: usize) -> Option<&Rotary> {
        let [all, window] = self.rotary.as_ref()?;
        Some(if self.spec.window(layer).is_some() { window } else { all })
    }

    /// Rotary positions of images of so many rows and columns of patches, where it has them.
    ///
    /// # Panics
    /// If it has them and the input is not of images.
    pub(crate) fn patch_rotary(&self, grid: Option<(usize, usize)>) -> Option<PatchRotary> {
        let Positions::RotaryPatches { base } = self.spec.axes.positions else { return None };
        let Some(grid) = grid else { panic!("hidden states of images without rows and columns") };
        Some(PatchRotary::new(base, self.spec.head_dim(), grid))
    }

    /// The table of words as a product `[vocabulary, width]`, in the form of the other weights. It
    /// is packed once, and held beside the table as long as the base is.
    ///
    /// # Panics
    /// If the base reads images.
    pub(crate) fn words(&self) -> Arc<Weight> {
        let Embeddings::Text(TextEmbeddings { word, .. }) = &self.embeddings else {
            panic!("an encoder of images has no words");
        };
        let make = || {
            let (rows, width) = (word.rows(), word.columns());
            let elements = match word.elements() {
                Some(elements) => elements.into(),
                // Bytes with the scales of their rows, as numbers.
                None => {
                    let mut cx = Context::new(self.device);
                    let mut all = cx.zeros(rows, width);
                    let ids: Vec<u32> = (0..rows as u32).collect();
                    cx.add_table_rows(all.view_mut(), word, &ids);
                    Cow::from(cx.download(all.view()))
                }
            };
            let (precision, trainable) = (self.precision, self.trainable);
            Arc::new(Weight::new(self.device, &elements, rows, width, precision, trainable))
        };
        Arc::clone(self.words.get_or_init(make))
    }

    /// The activation of the feed-forward network.
    pub(crate) fn activation(&self) -> Activation {
        engine_activation(self.spec.activation)
    }

    /// A layer's weights; of all layers alike where they share them.
    pub(crate) fn layer(&self, layer: usize) -> &Layer {
        &self.layers[layer % self.layers.len()]
    }

    /// The frozen bias of a product, if it has one.
    pub(crate) fn linear_bias(&self, layer: usize, site: WeightSite) -> Option<&[f32]> {
        self.layer(layer).linear(site).bias.as_deref()
    }

    /// The elements of a product's weight; none where they are held in bytes.
    pub(crate) fn elements(&self, layer: usize, site: WeightSite) -> Option<Vec<f32>> {
        self.layer(layer).linear(site).weight.elements()
    }

    /// The squared norm of each row of a product's weight.
    pub(crate) fn row_squares(&self, layer: usize, site: WeightSite) -> Vec<f32> {
        self.layer(layer).linear(site).weight.row_squares()
    }

    /// A layer norm of a layer, where it has it.
    pub(crate) fn norm(&self, layer: usize, sublayer: Sublayer) -> Option<&Norm> {
        self.layer(layer).norm(sublayer)
    }

    /// Bytes of all weights as held.
    pub fn bytes(&self) -> usize {
        let linears = |l: &Layer| l.linears.iter().map(|l| l.weight.bytes()).sum::<usize>();
        let rotary = self.rotary.iter().flatten().map(Rotary::bytes).sum::<usize>();
        let words = self.words.get().map_or(0, |words| words.bytes());
        self.embeddings.bytes() + words + rotary + self.layers.iter().map(linears).sum::<usize>()
    }
}

impl Embeddings {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => {
                let tables = [Some(&text.word), text.position.as_ref(), text.token_type.as_ref()];
                let projection = text.projection.as_ref().map_or(0, |p| p.weight.bytes());
                tables.into_iter().flatten().map(Table::bytes).sum::<usize>() + projection
            }
            Self::Image(image) => {
                let vectors = [Some(&image.special), image.position.as_ref()];
                image.patch.weight.bytes()
                    + vectors.into_iter().flatten().map(|v| size_of_val(&v[..])).sum::<usize>()
            }
        }
    }
}

/// The engine's activation for a specification's.
pub(crate) fn engine_activation(a: budwood_base::encoder::Activation) -> Activation {
    use budwood_base::encoder::Activation as A;
    match a {
        A::Identity => Activation::Identity,
        A::Relu => Activation::Relu,
        A::Gelu => Activation::Gelu,
        A::GeluTanh => Activation::GeluTanh,
        A::QuickGelu => Activation::QuickGelu,
        A::Silu => Activation::Silu,
        A::Tanh => Activation::Tanh,
        A::Sigmoid => Activation::Sigmoid,
    }
}

struct Loader<'a, F> {
    device: Device,
    precision: Precision,
    trainable: bool,
    norm_bias: bool,
    fetch: &'a mut F,
}

impl<E: From<ModelError>, F: FnMut(&str) -> Result<Tensor, E>> Loader<'_, F> {
    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, E> {
        let tensor = (self.fetch)(name)?;
        check(name, &tensor, &[len])?;
        Ok(tensor.data)
    }

    fn norm(&mut self, name: &str, d: usize) -> Result<Norm, E> {
        let gamma = self.vector(&format!("{name}.weight"), d)?;
        let has_bias = self.norm_bias;
        let beta = if has_bias { self.vector(&format!("{name}.bias"), d)? } else { vec![0.0; d] };
        Ok(Norm { gamma, beta, has_bias })
    }

    fn linear(
        &mut self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        has_bias: bool,
    ) -> Result<Linear, E> {
        let weight_name = format!("{name}.weight");
        let (device, precision, trainable) = (self.device, self.precision, self.trainable);
        let room = (precision == Precision::F32)
            .then(|| Weight::with_room(device, outputs, inputs, trainable));
        let tensor = (self.fetch)(&weight_name)?;
        check(&weight_name, &tensor, &[outputs, inputs])?;
        let weight = match room {
            Some(mut weight) => {
                weight.set(device, &tensor.data);
                weight
            }
            None => Weight::new(device, &tensor.data, outputs, inputs, precision, trainable),
        };
        drop(tensor);
        let bias = has_bias.then(|| self.vector(&format!("{name}.bias"), outputs));
        Ok(Linear { weight, bias: bias.transpose()? })
    }

    fn table(&mut self, name: &str, shape: [usize; 2], precision: Precision) -> Result<Table, E> {
        let tensor = (self.fetch)(name)?;
        check(name, &tensor, &shape)?;
        Ok(Table::new(self.device, tensor.data, shape[1], precision))
    }

    fn text_embeddings(
        &mut self,
        text: &TextInput,
        spec: &EncoderSpec,
    ) -> Result<TextEmbeddings, E> {
        let width = spec.embedding_width();
        // Only the table of words is large enough for bytes to matter.
        let word = self.table(names::WORD, [text.vocab, width], self.precision)?;
        let mut table = |name: &str, rows: usize, exists: bool| {
            exists.then(|| self.table(name, [rows, width], Precision::F32)).transpose()
        };
        let has_positions = !spec.axes.without_position_table;
        let position = table(names::POSITION, text.positions, has_positions)?;
        let token_type = table(names::TOKEN_TYPE, text.token_types, text.token_types > 0)?;
        let precision = std::mem::replace(&mut self.precision, Precision::F32);
        let projection = spec
            .axes
            .embedding_width
            .map(|width| self.linear(names::EMBEDDING_PROJECTION, [spec.hidden, width], true));
        self.precision = precision;
        Ok(TextEmbeddings { word, position, token_type, projection: projection.transpose()? })
    }

    fn image_embeddings(
        &mut self,
        image: &ImageInput,
        spec: &EncoderSpec,
    ) -> Result<ImageEmbeddings, E> {
        let d = spec.hidden;
        let name = format!("{}.weight", names::PATCH);
        let tensor = (self.fetch)(&name)?;
        let inputs = image.patch_elements();
        check(&name, &tensor, &[d, inputs])?;
        // No gradient flows to pixels.
        let weight = Weight::new(self.device, &tensor.data, d, inputs, Precision::F32, false);
        let bias = !image.axes.without_patch_bias;
        let bias = bias.then(|| self.vector(&format!("{}.bias", names::PATCH), d)).transpose()?;
        let mut special = Vec::new();
        for (name, tokens) in image.special() {
            let tensor = (self.fetch)(name)?;
            let shape = [tokens, d];
            check(name, &tensor, if name == names::REGISTERS { &shape } else { &shape[1..] })?;
            special.extend(tensor.data);
        }
        let position = match spec.axes.without_position_table {
            true => None,
            false => {
                let position = (self.fetch)(names::POSITION)?;
                check(names::POSITION, &position, &[image.positions(), d])?;
                Some(position.data)
            }
        };
        Ok(ImageEmbeddings { patch: Linear { weight, bias }, special, position })
    }

    fn pooler(&mut self, spec: &EncoderSpec) -> Result<Pooler, E> {
        let d = spec.hidden;
        if spec.axes.pooler == PoolerForm::FirstToken {
            return Ok(Pooler::FirstToken(Box::new(self.linear(names::POOLER, [d, d], true)?)));
        }
        let mut product = |p: PoolerProduct| self.linear(p.name(), p.shape(spec), true);
        let products = [
            product(PoolerProduct::In)?,
            product(PoolerProduct::Out)?,
            product(PoolerProduct::FfnIn)?,
            product(PoolerProduct::FfnOut)?,
        ];
        let probe = self.vector(names::POOLER_PROBE, d)?;
        let norm = self.norm(names::POOLER_NORM, d)?;
        Ok(Pooler::Attention(Box::new(AttentionPooler { probe, products, norm })))
    }

    fn relative(&mut self, spec: &EncoderSpec) -> Result<Option<Relative>, E> {
        let shape = match &spec.axes.positions {
            Positions::Embedded | Positions::Rotary { .. } | Positions::RotaryPatches { .. } => {
                return Ok(None);
            }
            Positions::Bias { buckets, .. } => [*buckets, spec.heads],
            Positions::Disentangled(relative) => [2 * relative.span, spec.hidden],
        };
        let table = (self.fetch)(names::RELATIVE)?;
        check(names::RELATIVE, &table, &shape)?;
        let table = table.data;
        Ok(Some(match &spec.axes.positions {
            Positions::Disentangled(relative) => {
                let norm = match relative.norm {
                    true => Some(self.norm(names::RELATIVE_NORM, spec.hidden)?),
                    false => None,
                };
                let mut cx = Context::new(self.device);
                let mut states = cx.upload(&table, spec.hidden);
                if let Some(Norm { gamma, beta, .. }) = &norm {
                    cx.norm_in_place(states.view_mut(), gamma, beta, spec.norm_eps);
                }
                let rows = disentangled_rows(relative.span, relative.reach, DISTANCES_MOST);
                Relative::Disentangled { table, norm, states: Arc::new(states), rows }
            }
            Positions::Bias { buckets, reach } => {
                let buckets = bias_buckets(*buckets, *reach);
                let by_distance = by_distance(&table, spec.heads, &buckets);
                Relative::Bias { table, buckets, by_distance }
            }
            Positions::Embedded | Positions::Rotary { .. } | Positions::RotaryPatches { .. } => {
                return Ok(None);
            }
        }))
    }

    fn layer(
        &mut self,
        spec: &EncoderSpec,
        i: usize,
        relative: Option<&Relative>,
    ) -> Result<Layer, E> {
        let d = spec.hidden;
        let mut linear = |site: WeightSite| {
            let name = names::in_layer(i, site.name());
            self.linear(&name, spec.site_shape(site), spec.has_bias(site))
        };
        let linears = [
            linear(WeightSite::Query)?,
            linear(WeightSite::Key)?,
            linear(WeightSite::Value)?,
            linear(WeightSite::AttentionOut)?,
            linear(WeightSite::FfnIn)?,
            linear(WeightSite::FfnOut)?,
        ];
        let mut norm = |sublayer: Sublayer| {
            let name = names::in_layer(i, sublayer.norm_name());
            spec.has_norm(i, sublayer).then(|| self.norm(&name, d)).transpose()
        };
        let norms = [norm(Sublayer::Attention)?, norm(Sublayer::Ffn)?];
        let scales = if spec.layer_scale {
            Some([
                self.vector(&names::in_layer(i, Sublayer::Attention.scale_name()), d)?,
                self.vector(&names::in_layer(i, Sublayer::Ffn.scale_name()), d)?,
            ])
        } else {
            None
        };
        let (mut own, mut terms) = ([None, None], [None, None]);
        if let (Positions::Disentangled(of), Some(Relative::Disentangled { states, .. })) =
            (&spec.axes.positions, relative)
        {
            let sites = [
                (names::RELATIVE_KEY, WeightSite::Key),
                (names::RELATIVE_QUERY, WeightSite::Query),
            ];
            for (term, (name, site)) in sites.into_iter().enumerate() {
                if ![of.keys, of.queries][term] {
                    continue;
                }
                if !of.shared {
                    own[term] = Some(self.linear(&names::in_layer(i, name), [d, d], true)?);
                }
                let Linear { weight, bias } = own[term].as_ref().unwrap_or(&linears[site as usize]);
                let mut cx = Context::new(self.device);
                let mut out = cx.take(states.rows(), d);
                let product = Product { weight, bias: bias.as_deref(), out: out.view_mut() };
                cx.linear(states.view(), &mut [product]);
                terms[term] = Some(Arc::new(out));
            }
        }
        Ok(Layer { linears, norms, relative: own, terms, scales })
    }
}

fn check(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<(), ModelError> {
    if tensor.shape == shape {
        return Ok(());
    }
    Err(ModelError::Shape {
        name: name.into(),
        found: tensor.shape.clone(),
        expected: shape.to_vec(),
    })
}
