//! Non-linearities.

use serde::{Deserialize, Serialize};

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
