//! The choices among which settings pick, by the names that files and flags use.

use budwood_base::head::Pooling;
use serde::{Deserialize, Serialize};

/// Yes or no, where the usual answer is yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Yes.
    #[default]
    On,
    /// No.
    Off,
}

/// How the frozen weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Four bytes a weight.
    F32,
    /// One byte a weight, with a scale for each row.
    Int8,
}

/// In which form the frozen weights are asked for. What `auto` is in training:
/// [`RunSpec::base_precision`](super::RunSpec::base_precision).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum BasePrecision {
    /// As suits the processor, the recipe and the adapter.
    #[default]
    Auto,
    /// Four bytes a weight.
    F32,
    /// One byte a weight, with a scale for each row.
    Int8,
}

impl BasePrecision {
    /// The form, if one is named.
    pub fn form(self) -> Option<Form> {
        match self {
            Self::Auto => None,
            Self::F32 => Some(Form::F32),
            Self::Int8 => Some(Form::Int8),
        }
    }
}

// Without a value in records, as before `auto` had a name: keys of runs stay what they were.
impl Serialize for BasePrecision {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.form().serialize(to)
    }
}

impl<'de> Deserialize<'de> for BasePrecision {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(from)?.as_deref() {
            None | Some("auto") => Ok(Self::Auto),
            Some("f32") => Ok(Self::F32),
            Some("int8") => Ok(Self::Int8),
            Some(other) => {
                let message = format!("'{other}' is no base-precision: auto, f32 and int8 are");
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

/// How a sequence becomes one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum PoolingChoice {
    /// By the model: mean for sentence encoders, pooler for a BERT that has one, else cls.
    #[default]
    Auto,
    /// The pre-trained pooler over the first token, frozen, as in the paper.
    Pooler,
    /// The first token.
    Cls,
    /// The mean of all tokens.
    Mean,
    /// The first token and the mean of all others: how DINOv2 classifies images.
    ClsMean,
}

impl PoolingChoice {
    /// What is asked for; none where the model is to say.
    pub fn asked(self) -> Option<Pooling> {
        match self {
            Self::Auto => None,
            Self::Pooler => Some(Pooling::Pooler),
            Self::Cls => Some(Pooling::Cls),
            Self::Mean => Some(Pooling::Mean),
            Self::ClsMean => Some(Pooling::ClsMean),
        }
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleChoice {
    /// Linearly to zero, as in BERT's code.
    #[default]
    Linear,
    /// Along half a cosine to --min-lr.
    Cosine,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerChoice {
    /// Adam without bias correction, as in BERT's code.
    #[default]
    Bert,
    /// AdamW, with bias correction.
    Adamw,
}

/// The recipe of a run. Runs in a record that name none are the paper's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum RecipeChoice {
    /// For good results on any data: starts from a linear probe, sets steps and rate by the data,
    /// keeps what does best on held-out rows.
    #[default]
    Auto,
    /// Like auto, after training the vectors on pairs of rows.
    Contrastive,
    /// The protocol of Houlsby et al. 2019, to the letter.
    Paper,
}

/// What is done with rows that have no label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum MissingChoice {
    /// Stop with an error.
    #[default]
    Error,
    /// Leave them out and say how many.
    Drop,
}

/// Where the output of frozen layers is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CacheChoice {
    /// In memory.
    #[default]
    Memory,
    /// In a file beside the checkpoint.
    Disk,
    /// Nowhere.
    Off,
}
