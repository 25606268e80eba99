//! The axes on which the embeddings of images differ from ViT's. The default of each is what ViT
//! has.

use serde::{Deserialize, Serialize};

/// Where embeddings of images are other than ViT's. What is as there is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageAxes {
    /// Whether patches come first, with no class token before them (SigLIP).
    #[serde(skip_serializing_if = "is_off")]
    pub without_class_token: bool,
    /// Register tokens between the class token and the patches (Darcet et al. 2024). They have no
    /// positions.
    #[serde(skip_serializing_if = "is_none")]
    pub registers: usize,
    /// Whether the projection of patches has no bias (CLIP).
    #[serde(skip_serializing_if = "is_off")]
    pub without_patch_bias: bool,
    /// How positions are made for images of another size than their table.
    #[serde(skip_serializing_if = "PositionResize::is_default")]
    pub position_resize: PositionResize,
}

fn is_off(flag: &bool) -> bool {
    !flag
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl ImageAxes {
    /// Whether all is as in ViT.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a table of positions becomes one of another size: forms of PyTorch's `interpolate` with
/// `mode="bicubic"` and `align_corners=False`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionResize {
    /// A cubic with a = -0.75 over four rows, those at the edges repeated.
    #[default]
    Cubic,
    /// With `antialias=True`: a cubic with a = -0.5 that is stretched where the table shrinks, cut
    /// off at the edges and divided by the sum of its weights.
    Antialiased,
}

impl PositionResize {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
