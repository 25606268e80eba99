//! What an encoder looks like: the switches in which the families differ. Plain data; a family's
//! file in `formats` fills it from `config.json`, the model builds itself from it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest;
use crate::names;
use crate::site::{Sublayer, WeightSite};

/// Sizes and switches of one frozen encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderSpec {
    /// Name of the family, as in `formats::family`: `bert`, `roberta`, `distilbert`, `vit`, ...
    pub family: String,
    /// Width of the residual stream (d).
    pub hidden: usize,
    /// Number of layers (L).
    pub layers: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width inside the feed-forward network.
    pub intermediate: usize,
    /// Activation of the feed-forward network.
    pub activation: Activation,
    /// Epsilon of every layer norm.
    pub norm_eps: f32,
    /// Where the layer norms stand.
    pub norm: NormPlacement,
    /// What the encoder reads.
    pub input: InputSpec,
    /// Whether the checkpoint holds a tanh pooler over the first token.
    pub pooler: bool,
    /// Whether each sub-layer's output is multiplied by a learned vector (DINOv2's layer scale).
    pub layer_scale: bool,
    /// Dropout after the embeddings and after each sub-layer's output product.
    pub hidden_dropout: f32,
    /// Dropout on attention probabilities.
    pub attention_dropout: f32,
    /// Stochastic depth in training (Huang et al. 2016): probability of skipping a sub-layer in the
    /// top layer. See [`EncoderSpec::drop_path_at`].
    #[serde(default)]
    pub drop_path: f32,
}

impl EncoderSpec {
    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// The part of it that changes answers, as JSON: without dropout, which acts in training only,
    /// and the padding token, which is never fed.
    pub fn acting(&self) -> Value {
        // By way of the text, in which numbers of 32 bits are as short as people write them.
        let text = serde_json::to_string(self).unwrap_or_default();
        let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            for field in ["hidden_dropout", "attention_dropout", "drop_path"] {
                map.remove(field);
            }
        }
        if let Some(Value::Object(input)) = value.get_mut("input") {
            input.remove("pad_id");
        }
        value
    }

    /// SHA-256 of [`EncoderSpec::acting`].
    pub fn sha256(&self) -> String {
        digest::of_json(&self.acting())
    }

    /// Probability of skipping a sub-layer of a layer: it rises from 0 in the lowest layer to
    /// `drop_path` in the top layer by equal steps, as in DeiT's and NOAH's training.
    pub fn drop_path_at(&self, layer: usize) -> f32 {
        self.drop_path * layer as f32 / (self.layers.max(2) - 1) as f32
    }

    /// `[outputs, inputs]` of the weight at a site.
    pub fn site_shape(&self, site: WeightSite) -> [usize; 2] {
        match site {
            WeightSite::FfnIn => [self.intermediate, self.hidden],
            WeightSite::FfnOut => [self.hidden, self.intermediate],
            _ => [self.hidden, self.hidden],
        }
    }

    /// Every tensor of the encoder, by its canonical name (`base::names`): the only list of them.
    ///
    /// The order is that of the data flow: embeddings, layers from the lowest, what follows the
    /// last layer.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut list = self.embedding_tensors();
        (0..self.layers).for_each(|layer| list.extend(self.layer_tensors(layer)));
        if self.norm == NormPlacement::Pre {
            list.extend(norm(names::FINAL_NORM, self.hidden));
        }
        if self.pooler {
            list.extend(product(names::POOLER, [self.hidden, self.hidden]));
        }
        list
    }

    /// The tensors below the first layer.
    fn embedding_tensors(&self) -> Vec<TensorSpec> {
        use TensorKind::{Table, Token};
        let d = self.hidden;
        let mut list = Vec::new();
        match &self.input {
            InputSpec::Text(text) => {
                list.push(tensor(names::WORD, &[text.vocab, d], Table));
                list.push(tensor(names::POSITION, &[text.positions, d], Table));
                if text.token_types > 0 {
                    list.push(tensor(names::TOKEN_TYPE, &[text.token_types, d], Table));
                }
                list.extend(norm(names::EMBEDDING_NORM, d));
            }
            InputSpec::Image(image) => {
                list.extend(product(names::PATCH, [d, image.patch_elements()]));
                list.push(tensor(names::CLASS_TOKEN, &[d], Token));
                if image.distillation {
                    list.push(tensor(names::DISTILLATION_TOKEN, &[d], Token));
                }
                list.push(tensor(names::POSITION, &[image.positions(), d], Table));
            }
        }
        list
    }

    /// The tensors of one layer.
    fn layer_tensors(&self, layer: usize) -> Vec<TensorSpec> {
        let named = |rest: &str| names::in_layer(layer, rest);
        let products =
            WeightSite::ALL.iter().flat_map(|&s| product(&named(s.name()), self.site_shape(s)));
        let norms = Sublayer::ALL.iter().flat_map(|s| norm(&named(s.norm_name()), self.hidden));
        let mut list: Vec<_> = products.chain(norms).collect();
        if self.layer_scale {
            let scale =
                |s: &Sublayer| tensor(&named(s.scale_name()), &[self.hidden], TensorKind::Scale);
            list.extend(Sublayer::ALL.iter().map(scale));
        }
        list
    }

    /// Elements of all tensors of the encoder.
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|t| t.shape.iter().product::<usize>()).sum()
    }
}

/// One tensor of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Canonical name.
    pub name: String,
    /// Size of each dimension; a product's weight is `[outputs, inputs]`, a table `[rows, width]`.
    pub shape: Vec<usize>,
    /// What it is for.
    pub kind: TensorKind,
}

/// What a tensor of an encoder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorKind {
    /// The weight of a product.
    Product,
    /// The bias of a product.
    Bias,
    /// The gain of a norm, by which it multiplies.
    Gain,
    /// The shift of a norm, which it adds.
    Shift,
    /// A table of which the input chooses rows.
    Table,
    /// Factors of the elements of a sub-layer's output (layer scale).
    Scale,
    /// A token that stands before those of the input.
    Token,
}

fn tensor(name: &str, shape: &[usize], kind: TensorKind) -> TensorSpec {
    TensorSpec { name: name.into(), shape: shape.into(), kind }
}

/// Weight and bias of a product.
fn product(name: &str, shape: [usize; 2]) -> [TensorSpec; 2] {
    [
        tensor(&format!("{name}.weight"), &shape, TensorKind::Product),
        tensor(&format!("{name}.bias"), &shape[..1], TensorKind::Bias),
    ]
}

/// Gain and shift of a norm.
fn norm(name: &str, d: usize) -> [TensorSpec; 2] {
    [
        tensor(&format!("{name}.weight"), &[d], TensorKind::Gain),
        tensor(&format!("{name}.bias"), &[d], TensorKind::Shift),
    ]
}

/// Non-linearities, by the names that `transformers` and `adapters` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x
    Identity,
    /// max(x, 0)
    Relu,
    /// x Φ(x), with the error function
    Gelu,
    /// GELU by its tanh approximation (`gelu_new`), the one of BERT's original code
    GeluTanh,
    /// x σ(1.702 x)
    QuickGelu,
    /// x σ(x), also called swish
    Silu,
    /// tanh x
    Tanh,
    /// σ(x)
    Sigmoid,
}

impl Activation {
    /// All of them with the names accepted for each; the first name is the one we write.
    pub const NAMES: &[(Activation, &[&str])] = &[
        (Activation::Identity, &["identity", "linear"]),
        (Activation::Relu, &["relu"]),
        (Activation::Gelu, &["gelu", "gelu_orig", "gelu_python"]),
        (Activation::GeluTanh, &["gelu_new", "gelu_tanh", "gelu_pytorch_tanh", "gelu_fast"]),
        (Activation::QuickGelu, &["quick_gelu"]),
        (Activation::Silu, &["swish", "silu"]),
        (Activation::Tanh, &["tanh"]),
        (Activation::Sigmoid, &["sigmoid"]),
    ];

    /// The activation of that name, in any capitals.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(a, _)| *a)
    }

    /// The name that `transformers` and `adapters` read.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(a, _)| *a == self).map_or("identity", |(_, names)| names[0])
    }
}

/// Where a layer's norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormPlacement {
    /// After the residual sum, as in BERT.
    Post,
    /// Before each sub-layer, with a final norm after the last layer, as in ViT.
    Pre,
}

/// What an encoder reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum InputSpec {
    /// Token ids.
    Text(TextInput),
    /// Pixels.
    Image(ImageInput),
}

/// Sizes of a text encoder's embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextInput {
    /// Rows of the word embedding.
    pub vocab: usize,
    /// Rows of the position embedding.
    pub positions: usize,
    /// Row of the first token's position: 0, or `pad_id + 1` in the RoBERTa family.
    pub position_offset: usize,
    /// Rows of the token-type embedding; 0 where there is none.
    pub token_types: usize,
    /// Id of the padding token. Budwood never feeds it; files of other libraries may hold it.
    pub pad_id: u32,
}

impl TextInput {
    /// The longest sequence that the position embedding allows, special tokens included.
    pub fn length_max(&self) -> usize {
        self.positions - self.position_offset
    }
}

/// Sizes of an image encoder's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageInput {
    /// Height and width in pixels that the position embedding was made for.
    pub image_size: usize,
    /// Height and width of a patch in pixels.
    pub patch: usize,
    /// Colour channels.
    pub channels: usize,
    /// Whether a distillation token follows the class token, as in DeiT.
    pub distillation: bool,
}

/// An image that patches do not cover.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image of {height} x {width} pixels cannot be cut into patches of {patch} x {patch}: height and width must be multiples of {patch}"
)]
pub struct ImageSizeError {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height and width of a patch in pixels.
    pub patch: usize,
}

impl ImageInput {
    /// Rows and columns of patches of an image of that size in pixels.
    ///
    /// # Errors
    /// If patches do not cover it.
    pub fn grid(&self, height: usize, width: usize) -> Result<(usize, usize), ImageSizeError> {
        let patch = self.patch;
        let whole = |length: usize| length > 0 && length.is_multiple_of(patch);
        match whole(height) && whole(width) {
            true => Ok((height / patch, width / patch)),
            false => Err(ImageSizeError { height, width, patch }),
        }
    }

    /// Tokens of an image of that size in pixels: those before the patches, and the patches.
    ///
    /// # Errors
    /// If patches do not cover it.
    pub fn tokens(&self, height: usize, width: usize) -> Result<usize, ImageSizeError> {
        let (rows, columns) = self.grid(height, width)?;
        Ok(self.special_tokens() + rows * columns)
    }

    /// Tokens before the patches: the class token and, if there is one, the distillation token.
    pub fn special_tokens(&self) -> usize {
        1 + usize::from(self.distillation)
    }

    /// Rows, and columns, of patches that the position embedding was made for.
    pub fn side(&self) -> usize {
        self.image_size / self.patch
    }

    /// Rows of the position embedding.
    pub fn positions(&self) -> usize {
        self.special_tokens() + self.side().pow(2)
    }

    /// Numbers in a patch.
    pub fn patch_elements(&self) -> usize {
        self.channels * self.patch * self.patch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(input: InputSpec, norm: NormPlacement, pooler: bool, scale: bool) -> EncoderSpec {
        EncoderSpec {
            family: String::new(),
            hidden: 768,
            layers: 12,
            heads: 12,
            intermediate: 3072,
            activation: Activation::Gelu,
            norm_eps: 1e-12,
            norm,
            input,
            pooler,
            layer_scale: scale,
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            drop_path: 0.0,
        }
    }

    fn text(vocab: usize, positions: usize, token_types: usize) -> InputSpec {
        InputSpec::Text(TextInput { vocab, positions, position_offset: 0, token_types, pad_id: 0 })
    }

    fn image(image_size: usize, patch: usize, distillation: bool) -> InputSpec {
        InputSpec::Image(ImageInput { image_size, patch, channels: 3, distillation })
    }

    /// The numbers that `transformers` counts in these models without heads; of DINOv2 without its
    /// mask token, which only its pre-training reads.
    #[test]
    fn the_tensors_of_known_models_have_as_many_elements_as_those() {
        use NormPlacement::{Post, Pre};
        let models = [
            ("bert-base-uncased", encoder(text(30_522, 512, 2), Post, true, false), 109_482_240),
            ("roberta-base", encoder(text(50_265, 514, 1), Post, true, false), 124_645_632),
            ("vit-base-patch16-224", encoder(image(224, 16, false), Pre, false, false), 85_798_656),
            ("deit-base-distilled", encoder(image(224, 16, true), Pre, false, false), 85_800_192),
            ("dinov2-base", encoder(image(518, 14, false), Pre, false, true), 86_580_480 - 768),
        ];
        for (name, spec, expected) in models {
            assert_eq!(spec.parameters(), expected, "{name}");
        }
    }

    #[test]
    fn stochastic_depth_rises_by_equal_steps() {
        let mut spec = encoder(image(224, 16, false), NormPlacement::Pre, false, false);
        (spec.layers, spec.drop_path) = (5, 0.2);
        let rates: Vec<f32> = (0..5).map(|layer| spec.drop_path_at(layer)).collect();
        assert_eq!(rates, [0.0, 0.05, 0.1, 0.15, 0.2].map(|p: f32| p));
        (spec.layers, spec.drop_path) = (1, 0.2);
        assert_eq!(spec.drop_path_at(0), 0.0);
    }

    #[test]
    fn names_are_unlike_and_shapes_fit_their_kinds() {
        let spec = encoder(image(224, 16, true), NormPlacement::Pre, true, true);
        let tensors = spec.tensors();
        let names: std::collections::BTreeSet<_> = tensors.iter().map(|t| &t.name).collect();
        assert_eq!(names.len(), tensors.len());
        for tensor in &tensors {
            let matrix = matches!(tensor.kind, TensorKind::Product | TensorKind::Table);
            assert_eq!(tensor.shape.len(), 1 + usize::from(matrix), "{}", tensor.name);
        }
        let of = |kind| tensors.iter().filter(|t| t.kind == kind).count();
        // Six products a layer, that of patches and the pooler; two norms a layer and the last one.
        assert_eq!((of(TensorKind::Product), of(TensorKind::Bias)), (74, 74));
        assert_eq!((of(TensorKind::Gain), of(TensorKind::Shift)), (25, 25));
        assert_eq!(
            (of(TensorKind::Scale), of(TensorKind::Token), of(TensorKind::Table)),
            (24, 2, 1)
        );
    }
}
