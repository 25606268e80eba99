//! What an encoder reads, and the sizes of what embeds it.

use serde::{Deserialize, Serialize};

use super::image_axes::ImageAxes;
use crate::names;

/// What an encoder reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum InputSpec {
    /// Token ids.
    Text(TextInput),
    /// Pixels.
    Image(ImageInput),
}

impl InputSpec {
    /// Tokens at a sequence's beginning that stand for all of it: the first of a text; the class
    /// token and registers of an image.
    pub fn first_tokens(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::Image(image) => image.first_tokens(),
        }
    }
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

    /// The padding's row among the positions, which is its id, too; none where positions begin at
    /// the first row.
    pub fn position_padding(&self) -> Option<u32> {
        self.position_offset.checked_sub(1).map(|row| row as u32)
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
    /// Where its embeddings are other than ViT's.
    #[serde(default, skip_serializing_if = "ImageAxes::is_default")]
    pub axes: ImageAxes,
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
    /// Rows and columns of patches of an image of that size in pixels. Of an image of the model's
    /// own size that patches do not cover, the rest to the right and below is not read, as in the
    /// convolution of other libraries (384 pixels in patches of 14).
    ///
    /// # Errors
    /// If patches do not cover an image of another size.
    pub fn grid(&self, height: usize, width: usize) -> Result<(usize, usize), ImageSizeError> {
        let patch = self.patch;
        let whole = |length: usize| length > 0 && length.is_multiple_of(patch);
        let own = (height, width) == (self.image_size, self.image_size) && patch <= height;
        match own || (whole(height) && whole(width)) {
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

    /// The tensors of the tokens before the patches, in order, with how many tokens each holds.
    pub fn special(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let class = usize::from(!self.axes.without_class_token);
        let all = [
            (names::CLASS_TOKEN, class),
            (names::DISTILLATION_TOKEN, usize::from(self.distillation)),
            (names::REGISTERS, self.axes.registers),
        ];
        all.into_iter().filter(|(_, tokens)| *tokens > 0)
    }

    /// Tokens before the patches.
    pub fn special_tokens(&self) -> usize {
        self.special().map(|(_, tokens)| tokens).sum()
    }

    /// Those of them that have a position.
    pub fn positioned_tokens(&self) -> usize {
        self.special_tokens() - self.axes.registers
    }

    /// Those of them that methods keep at the beginning: class token and registers.
    pub fn first_tokens(&self) -> usize {
        self.special_tokens() - usize::from(self.distillation)
    }

    /// Rows, and columns, of patches that the position embedding was made for.
    pub fn side(&self) -> usize {
        self.image_size / self.patch
    }

    /// Rows of the position embedding.
    pub fn positions(&self) -> usize {
        self.positioned_tokens() + self.side().pow(2)
    }

    /// Numbers in a patch.
    pub fn patch_elements(&self) -> usize {
        self.channels * self.patch * self.patch
    }
}
