//! A run: base, data, and how it is trained.

use serde::{Deserialize, Serialize};

use super::{DataSpec, Form, OptimizerChoice, PoolingChoice, ScheduleChoice, Switch};

/// Every setting that decides the result of a training run.
///
/// Two runs with equal specifications, on equal files, give the same adapter to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, remote = "Self")]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct RunSpec {
    /// Base model: a folder, a name of `budwood models`, or OWNER/NAME of the Hugging Face hub.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().base))]
    pub base: String,
    /// The data.
    // Through the functions that do not ask whether all names are known: these are not all names.
    #[cfg_attr(feature = "clap", command(flatten))]
    #[serde(flatten, with = "DataSpec")]
    pub data: DataSpec,
    /// How the frozen weights are held.
    #[cfg_attr(feature = "clap", command(flatten))]
    #[serde(flatten)]
    pub precision: PrecisionSpec,
    /// Tuning method, such as adapter, adapter[width=8], seq_bn, linear; see `budwood methods`.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().method))]
    pub method: String,
    /// How a sequence becomes one vector.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub pooling: PoolingChoice,
    /// Passes over the training data.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().epochs))]
    pub epochs: usize,
    /// Examples in a batch.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().batch_size))]
    pub batch_size: usize,
    /// Tokens in a batch, instead of a number of examples.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", conflicts_with = "batch_size"))]
    pub batch_tokens: Option<usize>,
    /// Batches whose gradients make one step.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().accumulate))]
    pub accumulate: usize,
    /// Largest learning rate.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().lr))]
    pub lr: f64,
    /// Share of the steps over which the learning rate rises.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().warmup))]
    pub warmup: f64,
    /// How the learning rate falls after that.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub schedule: ScheduleChoice,
    /// Learning rate at the end of --schedule cosine [default: 0].
    #[cfg_attr(feature = "clap", arg(long))]
    pub min_lr: Option<f64>,
    /// Adam without bias correction as in BERT's code, or AdamW with it.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub optimizer: OptimizerChoice,
    /// Decoupled weight decay of matrices.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().weight_decay))]
    pub weight_decay: f64,
    /// Largest norm of a step's gradient; 0 for no limit.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = RunSpec::default().clip))]
    pub clip: f64,
    /// Seed of initial values, order and dropout.
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 0))]
    pub seed: u64,
    /// Tokens of an input; longer ones are cut [default: 128; 384 for question answering].
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub max_length: Option<usize>,
    /// Tokens between the beginnings of the windows in which a long text with an answer is read
    /// [default: 128].
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))
    )]
    pub doc_stride: Option<u32>,
    /// Dropout of the encoder in training [default: as the model's config.json says].
    #[cfg_attr(feature = "clap", arg(long))]
    pub dropout: Option<f32>,
    /// Stochastic depth of the encoder in training: the probability of skipping a sub-layer in the
    /// top layer; it falls to 0 in the lowest [default: 0].
    #[cfg_attr(feature = "clap", arg(long, value_name = "P"))]
    pub drop_path: Option<f32>,
    /// Dropout in training in the layers, from the lowest, in which and below which nothing is
    /// trained: those of `linear`, `top_k` and adapters in the upper layers alone. Off, their
    /// output is the same in every step, and is computed once.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub frozen_dropout: Switch,
    /// Steps between evaluations [default: one after each epoch].
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub eval_every: Option<usize>,
    /// Stop after N evaluations without a better score.
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub patience: Option<usize>,
    /// Weight classes inversely to their share.
    #[cfg_attr(feature = "clap", arg(long))]
    pub balanced: bool,
    /// Leave out incomplete batches.
    #[cfg_attr(feature = "clap", arg(long))]
    pub drop_last: bool,
    /// The score that chooses the checkpoint [default: GLUE's for its tasks, else accuracy or
    /// Spearman's].
    #[cfg_attr(feature = "clap", arg(long))]
    pub metric: Option<String>,
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            base: "minilm".into(),
            data: DataSpec::default(),
            precision: PrecisionSpec::default(),
            method: "adapter".into(),
            pooling: PoolingChoice::Auto,
            epochs: 3,
            batch_size: 32,
            batch_tokens: None,
            accumulate: 1,
            lr: 1e-3,
            warmup: 0.1,
            schedule: ScheduleChoice::Linear,
            min_lr: None,
            optimizer: OptimizerChoice::Bert,
            weight_decay: 0.01,
            clip: 1.0,
            seed: 0,
            max_length: None,
            doc_stride: None,
            dropout: None,
            drop_path: None,
            frozen_dropout: Switch::On,
            eval_every: None,
            patience: None,
            balanced: false,
            drop_last: false,
            metric: None,
        }
    }
}

/// How the frozen weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct PrecisionSpec {
    /// Form of the frozen weights: int8 takes a third to half of f32's time where the processor
    /// multiplies bytes [default: f32; int8 for a model that is stored so].
    #[cfg_attr(feature = "clap", arg(long, value_enum))]
    pub base_precision: Option<Form>,
    /// Form in which gradients flow through weights in int8.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_enum, default_value_t = PrecisionSpec::default().backward_precision)
    )]
    pub backward_precision: Form,
}

impl Default for PrecisionSpec {
    fn default() -> Self {
        Self { base_precision: None, backward_precision: Form::Int8 }
    }
}
