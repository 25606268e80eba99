//! How texts are masked for a masked language model.

use serde::{Deserialize, Serialize};

/// How much is masked, and whether words are masked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Masking {
    /// Share of the tokens of a text; at least one is masked.
    pub share: f64,
    /// Whether all tokens of a word are masked where one is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_words: bool,
}

impl Masking {
    /// The share in BERT's training.
    pub const SHARE: f64 = 0.15;

    /// Refuses a share that masks nothing, or more than there is. Returns the fault in words.
    ///
    /// # Errors
    /// If it is not above 0 and at most 1.
    pub fn check(&self) -> Result<(), String> {
        match self.share > 0.0 && self.share <= 1.0 {
            true => Ok(()),
            false => Err(format!("{} is not a share above 0 and up to 1", self.share)),
        }
    }
}

impl Default for Masking {
    fn default() -> Self {
        Self { share: Self::SHARE, whole_words: false }
    }
}
