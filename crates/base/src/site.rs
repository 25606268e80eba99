//! The places of an encoder layer where a method may act.

use serde::{Deserialize, Serialize};

use crate::names;

/// The two halves of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sublayer {
    /// Multi-head attention with its output product.
    Attention,
    /// The feed-forward network.
    Ffn,
}

impl Sublayer {
    /// Both, in the order of the data flow.
    pub const ALL: [Self; 2] = [Self::Attention, Self::Ffn];

    /// Canonical name of its output site.
    pub fn output_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_OUT,
            Self::Ffn => names::FFN_OUT,
        }
    }

    /// Canonical name of its norm.
    pub fn norm_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_NORM,
            Self::Ffn => names::FFN_NORM,
        }
    }

    /// Canonical name of its layer scale.
    pub fn scale_name(self) -> &'static str {
        match self {
            Self::Attention => names::ATTENTION_SCALE,
            Self::Ffn => names::FFN_SCALE,
        }
    }
}

/// The six products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightSite {
    /// Queries.
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Attention's output.
    AttentionOut,
    /// The first product of the feed-forward network.
    FfnIn,
    /// The second.
    FfnOut,
}

impl WeightSite {
    /// All six, in the order of the data flow.
    pub const ALL: [Self; 6] =
        [Self::Query, Self::Key, Self::Value, Self::AttentionOut, Self::FfnIn, Self::FfnOut];

    /// The three that read attention's input.
    pub const ATTENTION_INPUTS: [Self; 3] = [Self::Query, Self::Key, Self::Value];

    /// Canonical name.
    pub fn name(self) -> &'static str {
        names::WEIGHT_SITES[self as usize]
    }
}
