//! The frozen model: weights in the form in which the device multiplies them.

use budwood_base::encoder::{EncoderSpec, ImageInput, InputSpec, NormPlacement, TextInput};
use budwood_base::names;
use budwood_base::site::{Sublayer, WeightSite};
use budwood_base::tensor::Tensor;
use budwood_engine::{Activation, Device, Precision, Table, Weight};

use crate::error::ModelError;

/// One affine product.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The weight `[out, in]`.
    pub weight: Weight,
    /// The bias `[out]`.
    pub bias: Vec<f32>,
}

/// Gain and bias of one layer norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Gain (γ).
    pub gamma: Vec<f32>,
    /// Bias (β).
    pub beta: Vec<f32>,
}

/// One layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    linears: [Linear; 6],
    norms: [Norm; 2],
    /// Layer scale of each sub-layer.
    pub(crate) scales: Option<[Vec<f32>; 2]>,
}

impl Layer {
    pub(crate) fn linear(&self, site: WeightSite) -> &Linear {
        &self.linears[site as usize]
    }

    pub(crate) fn norm(&self, sublayer: Sublayer) -> &Norm {
        &self.norms[sublayer as usize]
    }
}

/// What makes the first hidden states of the input.
#[derive(Clone, Debug)]
pub(crate) enum Embeddings {
    Text(TextEmbeddings),
    Image(ImageEmbeddings),
}

/// Tables that are added up, and the norm of their sum.
#[derive(Clone, Debug)]
pub(crate) struct TextEmbeddings {
    pub(crate) word: Table,
    pub(crate) position: Table,
    pub(crate) token_type: Option<Table>,
    pub(crate) norm: Norm,
}

/// The projection of patches, the tokens before them, and the table of positions.
#[derive(Clone, Debug)]
pub(crate) struct ImageEmbeddings {
    /// Never quantised: pixels are the model's only input, and the product is less than a hundredth
    /// of the work.
    pub(crate) patch: Linear,
    /// `[special tokens, d]`
    pub(crate) special: Vec<f32>,
    /// `[positions, d]`
    pub(crate) position: Vec<f32>,
}

/// A frozen encoder, ready to compute.
#[derive(Clone, Debug)]
pub struct Base {
    spec: EncoderSpec,
    device: Device,
    precision: Precision,
    trainable: bool,
    frozen_dropout: bool,
    pub(crate) embeddings: Embeddings,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Option<Norm>,
    pub(crate) pooler: Option<Linear>,
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
        let mut loader = Loader { device, precision, trainable, fetch: &mut fetch };
        let embeddings = match &spec.input {
            InputSpec::Text(text) => Embeddings::Text(loader.text_embeddings(text, d)?),
            InputSpec::Image(image) => Embeddings::Image(loader.image_embeddings(image, d)?),
        };
        let layers = (0..spec.layers).map(|i| loader.layer(&spec, i)).collect::<Result<_, E>>()?;
        let final_norm = match spec.norm {
            NormPlacement::Post => None,
            NormPlacement::Pre => Some(loader.norm(names::FINAL_NORM, d)?),
        };
        // The pooler is small and never quantised.
        loader.precision = Precision::F32;
        let pooler = if spec.pooler { Some(loader.linear(names::POOLER, d, d)?) } else { None };
        Ok(Self {
            spec,
            device,
            precision,
            trainable,
            frozen_dropout: true,
            embeddings,
            layers,
            final_norm,
            pooler,
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

    /// The activation of the feed-forward network.
    pub(crate) fn activation(&self) -> Activation {
        engine_activation(self.spec.activation)
    }

    /// The frozen bias of a product.
    pub(crate) fn linear_bias(&self, layer: usize, site: WeightSite) -> &[f32] {
        &self.layers[layer].linear(site).bias
    }

    /// The elements of a product's weight; none where they are held in bytes.
    pub(crate) fn elements(&self, layer: usize, site: WeightSite) -> Option<Vec<f32>> {
        self.layers[layer].linear(site).weight.elements()
    }

    /// The squared norm of each row of a product's weight.
    pub(crate) fn row_squares(&self, layer: usize, site: WeightSite) -> Vec<f32> {
        self.layers[layer].linear(site).weight.row_squares()
    }

    /// A layer norm of a layer.
    pub fn norm(&self, layer: usize, sublayer: Sublayer) -> &Norm {
        self.layers[layer].norm(sublayer)
    }

    /// Bytes of all weights as held.
    pub fn bytes(&self) -> usize {
        let linears = |l: &Layer| l.linears.iter().map(|l| l.weight.bytes()).sum::<usize>();
        self.embeddings.bytes() + self.layers.iter().map(linears).sum::<usize>()
    }
}

impl Embeddings {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => {
                let tables = [Some(&text.word), Some(&text.position), text.token_type.as_ref()];
                tables.into_iter().flatten().map(Table::bytes).sum()
            }
            Self::Image(image) => {
                let vectors = [&image.special, &image.position];
                image.patch.weight.bytes()
                    + vectors.map(|v| size_of_val(&v[..])).iter().sum::<usize>()
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
        Ok(Norm { gamma, beta: self.vector(&format!("{name}.bias"), d)? })
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Linear, E> {
        let weight_name = format!("{name}.weight");
        let tensor = (self.fetch)(&weight_name)?;
        check(&weight_name, &tensor, &[outputs, inputs])?;
        let weight =
            Weight::new(self.device, &tensor.data, outputs, inputs, self.precision, self.trainable);
        Ok(Linear { weight, bias: self.vector(&format!("{name}.bias"), outputs)? })
    }

    fn table(&mut self, name: &str, shape: [usize; 2], precision: Precision) -> Result<Table, E> {
        let tensor = (self.fetch)(name)?;
        check(name, &tensor, &shape)?;
        Ok(Table::new(tensor.data, shape[1], precision))
    }

    fn text_embeddings(&mut self, text: &TextInput, d: usize) -> Result<TextEmbeddings, E> {
        // Only the table of words is large enough for bytes to matter.
        Ok(TextEmbeddings {
            word: self.table(names::WORD, [text.vocab, d], self.precision)?,
            position: self.table(names::POSITION, [text.positions, d], Precision::F32)?,
            token_type: match text.token_types {
                0 => None,
                n => Some(self.table(names::TOKEN_TYPE, [n, d], Precision::F32)?),
            },
            norm: self.norm(names::EMBEDDING_NORM, d)?,
        })
    }

    fn image_embeddings(&mut self, image: &ImageInput, d: usize) -> Result<ImageEmbeddings, E> {
        let name = format!("{}.weight", names::PATCH);
        let tensor = (self.fetch)(&name)?;
        let inputs = image.patch_elements();
        check(&name, &tensor, &[d, inputs])?;
        // No gradient flows to pixels.
        let weight = Weight::new(self.device, &tensor.data, d, inputs, Precision::F32, false);
        let bias = self.vector(&format!("{}.bias", names::PATCH), d)?;
        let mut special = self.vector(names::CLASS_TOKEN, d)?;
        if image.distillation {
            special.extend(self.vector(names::DISTILLATION_TOKEN, d)?);
        }
        let position = (self.fetch)(names::POSITION)?;
        check(names::POSITION, &position, &[image.positions(), d])?;
        Ok(ImageEmbeddings { patch: Linear { weight, bias }, special, position: position.data })
    }

    fn layer(&mut self, spec: &EncoderSpec, i: usize) -> Result<Layer, E> {
        let d = spec.hidden;
        let mut linear = |site: WeightSite| {
            let [outputs, inputs] = spec.site_shape(site);
            self.linear(&names::in_layer(i, site.name()), outputs, inputs)
        };
        let linears = [
            linear(WeightSite::Query)?,
            linear(WeightSite::Key)?,
            linear(WeightSite::Value)?,
            linear(WeightSite::AttentionOut)?,
            linear(WeightSite::FfnIn)?,
            linear(WeightSite::FfnOut)?,
        ];
        let norms = [
            self.norm(&names::in_layer(i, names::ATTENTION_NORM), d)?,
            self.norm(&names::in_layer(i, names::FFN_NORM), d)?,
        ];
        let scales = if spec.layer_scale {
            Some([
                self.vector(&names::in_layer(i, Sublayer::Attention.scale_name()), d)?,
                self.vector(&names::in_layer(i, Sublayer::Ffn.scale_name()), d)?,
            ])
        } else {
            None
        };
        Ok(Layer { linears, norms, scales })
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
