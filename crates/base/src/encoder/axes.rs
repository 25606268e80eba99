//! The axes on which encoders differ from BERT and ViT. The default of each is what those have.

use serde::{Deserialize, Serialize};

use crate::site::WeightSite;

/// Where an encoder is other than BERT and ViT. What is as there is not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Axes {
    /// Width of the embeddings' tables, where a product makes the hidden width of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_width: Option<usize>,
    /// Whether a norm follows the embeddings; where nothing is said, it follows those of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_norm: Option<bool>,
    /// Whether the embeddings have no table of positions.
    #[serde(skip_serializing_if = "is_off")]
    pub without_position_table: bool,
    /// How attention knows where tokens stand.
    #[serde(skip_serializing_if = "is_default")]
    pub positions: Positions,
    /// Which layers attend to what is near alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The form of the feed-forward network.
    #[serde(skip_serializing_if = "is_default")]
    pub ffn: Ffn,
    /// Whether norms have a gain alone.
    #[serde(skip_serializing_if = "is_off")]
    pub norms_without_bias: bool,
    /// Whether attention in the first layer reads the embeddings as they are: that layer has no
    /// norm of attention.
    #[serde(skip_serializing_if = "is_off")]
    pub without_first_norm: bool,
    /// Products without a bias, in the order of the data flow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_bias: Vec<WeightSite>,
    /// Whether all layers are the same one (ALBERT): its weights, and what methods put into it.
    #[serde(skip_serializing_if = "is_off")]
    pub shared_layers: bool,
    /// What the checkpoint's own pooler is, where it has one.
    #[serde(skip_serializing_if = "is_default")]
    pub pooler: PoolerForm,
}

fn is_off(flag: &bool) -> bool {
    !flag
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Axes {
    /// Whether all is as in BERT and ViT.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How attention knows where tokens stand, beside what the embeddings say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Positions {
    /// By the embeddings alone.
    #[default]
    Embedded,
    /// Queries and keys are turned by angles that grow with their places (Su et al. 2021): elements
    /// `i` and `i + width / 2` of a head by `place * base^(-2 i / width)`.
    Rotary {
        /// The base of layers that attend to all.
        base: f32,
        /// That of layers with a window.
        window_base: f32,
        /// Elements of each head that are turned, from its first: an even number.
        width: usize,
    },
    /// As `Rotary`, of patches alone, in two dimensions (Siméoni et al. 2025). With `w` the width
    /// of a head, pairs `i` below `w / 4` are turned by `2 pi y base^(-4 i / w)`, the others
    /// likewise by `x`; `y` and `x` are the middle of the patch, from -1 to 1 over the image.
    RotaryPatches {
        /// The base.
        base: f32,
    },
    /// A learned number for each head and bucket of distances is added to the scores (Raffel et al.
    /// 2020); all layers share the table `[buckets, heads]`. Half of the buckets are for keys
    /// before the query; half of those hold one distance each.
    Bias {
        /// Buckets in all: a multiple of 4.
        buckets: usize,
        /// The distance from which on the last bucket of its side is used.
        reach: usize,
    },
    /// Scores of contents with places are added (He et al. 2021). All layers share the table
    /// `[2 span, hidden]`.
    Disentangled(Disentangled),
}

/// Sizes and switches of disentangled attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disentangled {
    /// Rows of the table for each direction.
    pub span: usize,
    /// The distance at which logarithmic buckets end; none where each distance has a row.
    pub reach: Option<usize>,
    /// Whether queries meet the places of keys (`c2p`).
    pub keys: bool,
    /// Whether keys meet the places of queries (`p2c`).
    pub queries: bool,
    /// Whether places go through the layer's own products of queries and keys (`share_att_key`),
    /// not through products of their own.
    pub shared: bool,
    /// Whether a norm follows the table.
    pub norm: bool,
}

/// Attention to what is near, in all layers but each `every`-th, the first one among those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Tokens to each side that a token attends to.
    pub reach: usize,
    /// Layers whose number is a multiple of it attend to all.
    pub every: usize,
}

/// The form of the feed-forward network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ffn {
    /// `W2 f(W1 x)`
    #[default]
    Plain,
    /// `W2 (f(a) * b)` where `a` and `b` are the halves of `W1 x`, whose width is twice the
    /// intermediate one.
    Gated,
}

/// What a checkpoint's own pooler makes one vector of the last hidden states by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolerForm {
    /// A product of the first token and tanh, as in BERT.
    #[default]
    FirstToken,
    /// A trained query attends to all tokens; a norm and a feed-forward network with a residual
    /// follow (Zhai et al. 2022). Heads, activation and inner width are those of the layers.
    Attention,
}
