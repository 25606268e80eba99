//! What a family of encoders is.

use std::fmt;

use budwood_base::encoder::{Activation, EncoderSpec};
use budwood_base::head::Pooling;
use budwood_base::names;
use budwood_base::tokenizer::Frame;

use super::config::Config;
use crate::error::Error;

/// A family of encoders.
pub struct Family {
    /// Its name, as in adapter files.
    pub name: &'static str,
    /// Values of `model_type` in `config.json` that it reads.
    pub model_types: &'static [&'static str],
    /// Reads sizes and switches.
    pub spec: fn(&Config<'_>) -> Result<EncoderSpec, Error>,
    /// Prefix of the encoder's tensors in checkpoints with a head; checkpoints without lack it.
    pub prefix: &'static str,
    /// `(canonical name, name in the checkpoint)` outside layers, `.weight` and `.bias` left off
    /// where both exist.
    pub outer: &'static [(&'static str, &'static str)],
    /// Name of a layer, `{i}` for its number; without it, of the one that all layers are.
    pub layer: &'static str,
    /// As `outer`, inside a layer.
    pub inner: &'static [(&'static str, &'static str)],
    /// Modules of a layer that hold several of our products, one after another: the module, and
    /// ours in order.
    pub fused: &'static [(&'static str, &'static [&'static str])],
    /// Our products that several modules of a layer hold, one after another: ours, and the modules
    /// in order.
    pub parted: &'static [(&'static str, &'static [&'static str])],
    /// With what the names of its classes begin in `transformers` and `adapters`.
    pub class: &'static str,
    /// How special tokens stand around its texts.
    pub frame: Frame,
    /// The head of its models for whole inputs; none where it is of a form that heads here have
    /// not.
    pub classifier: Option<ClassifierHead>,
    /// The head of its models for masked words; none where it has none.
    pub masked_lm: Option<MaskedLmHead>,
    /// Why heads read a pooler of the checkpoint by default, in words: it was pre-trained.
    pub trusts_pooler: Option<&'static str>,
    /// How AdapterHub names its adapters; none where it has no models of it.
    pub adapterhub: Option<AdapterHub>,
}

/// The head that `transformers` puts over whole inputs.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierHead {
    /// What it reads.
    pub pooling: Pooling,
    /// Its first layer, if it has two: the activation, and the module.
    pub dense: Option<(Activation, &'static str)>,
    /// The module of the norm between its two layers, if it has one.
    pub norm: Option<&'static str>,
    /// The module of its last layer.
    pub out: &'static str,
    /// Whether the heads of its models over tokens have the same layers and names; else they are
    /// one layer, `classifier` or `qa_outputs`.
    pub over_tokens: bool,
}

/// The head that `transformers` puts over masked words: a layer, an activation, a norm, and the
/// table of words with a bias.
#[derive(Clone, Copy, Debug)]
pub struct MaskedLmHead {
    /// Names in checkpoints, of which the first that is there counts: the module of the layer, that
    /// of the norm, and the tensor of the bias.
    pub names: &'static [[&'static str; 3]],
    /// The activation; none for the encoder's own.
    pub activation: Option<Activation>,
    /// Whether the layer has a bias only where the configuration says so (`classifier_bias`).
    pub bias_by_flag: bool,
}

impl MaskedLmHead {
    /// That of BERT. Older checkpoints hold the bias under the second name.
    pub const BERT: Self = Self {
        names: &[
            [
                "cls.predictions.transform.dense",
                "cls.predictions.transform.LayerNorm",
                "cls.predictions.bias",
            ],
            [
                "cls.predictions.transform.dense",
                "cls.predictions.transform.LayerNorm",
                "cls.predictions.decoder.bias",
            ],
        ],
        activation: None,
        bias_by_flag: false,
    };

    /// That of RoBERTa.
    pub const ROBERTA: Self = Self {
        names: &[["lm_head.dense", "lm_head.layer_norm", "lm_head.bias"]],
        activation: Some(Activation::Gelu),
        ..Self::BERT
    };
}

impl ClassifierHead {
    /// That of BERT: one layer over the pooler.
    pub const OVER_POOLER: Self = Self {
        pooling: Pooling::Pooler,
        dense: None,
        norm: None,
        out: "classifier",
        over_tokens: false,
    };

    /// That of ViT: one layer over the first token.
    pub const OVER_FIRST: Self = Self { pooling: Pooling::Cls, ..Self::OVER_POOLER };

    /// That of RoBERTa: two layers over the first token in one module.
    pub const fn of_two(activation: Activation) -> Self {
        let dense = Some((activation, "classifier.dense"));
        Self { dense, out: "classifier.out_proj", ..Self::OVER_FIRST }
    }
}

/// Names of AdapterHub.
#[derive(Clone, Copy, Debug)]
pub struct AdapterHub {
    /// Where it keeps bottlenecks: after attention and after the feed-forward network; none where
    /// its bottleneck computes something else.
    pub outputs: [Option<&'static str>; 2],
    /// Which of a model's attentions prefixes are for.
    pub prefix: &'static str,
    /// Whether the library has models of the family, so that folders are written for it.
    pub has_models: bool,
}

impl Family {
    /// The checkpoint's name, prefix included, of a canonical tensor that is one of its own.
    pub fn checkpoint_name(&self, canonical: &str) -> Option<String> {
        let (table, place, rest) = match names::split_layer(canonical) {
            Some((layer, rest)) => (self.inner, format!("{}.", self.layer_name(layer)), rest),
            None => (self.outer, String::new(), canonical),
        };
        let found = table.iter().find_map(|(ours, theirs)| {
            let role = rest.strip_prefix(ours)?;
            matches!(role, "" | ".weight" | ".bias").then(|| format!("{theirs}{role}"))
        });
        found.map(|name| format!("{}.{place}{name}", self.prefix))
    }

    /// With what the names of a type's classes begin.
    pub fn class_of(&self, model_type: &str) -> &'static str {
        match model_type {
            "xlm-roberta" => "XLMRoberta",
            "camembert" => "Camembert",
            _ => self.class,
        }
    }

    /// The checkpoint's name of a layer, behind the prefix.
    pub fn layer_name(&self, layer: usize) -> String {
        self.layer.replace("{i}", &layer.to_string())
    }

    /// The layer's number, and what follows it, in a name behind the prefix.
    pub fn split_layer<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let Some((before, after)) = self.layer.split_once("{i}") else {
            return Some((0, name.strip_prefix(self.layer)?.strip_prefix('.')?));
        };
        let (layer, rest) = name.strip_prefix(before)?.split_once('.')?;
        let rest = rest.strip_prefix(after.trim_start_matches('.')).unwrap_or(rest);
        Some((names::layer_number(layer)?, rest))
    }

    /// The fused module that holds a product of ours, or the first of those that it is parted into;
    /// none for a product that is a module of its own.
    pub fn other_layout(&self, site: &str) -> Option<&'static str> {
        let fused = self.fused.iter().find(|(_, ours)| ours.contains(&site)).map(|f| f.0);
        fused.or_else(|| self.parted.iter().find(|(ours, _)| *ours == site)?.1.first().copied())
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
