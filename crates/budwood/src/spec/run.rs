//! A run: base, data, and how it is trained.

use budwood_base::head::HeadKind;
use budwood_base::method::MethodSpec;
use budwood_engine::{Device, Precision};
use budwood_train::ClassWeights;
use serde::{Deserialize, Serialize};

use super::{
    BasePrecision, DataSpec, Form, OptimizerChoice, PoolingChoice, RecipeChoice, ScheduleChoice,
    Switch,
};
use crate::Error;
#[cfg(feature = "clap")]
use crate::number;
use crate::number::Bound;

/// Every setting that decides the result of a training run.
///
/// Two runs with equal specifications, on equal files, give the same adapter to the bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, remote = "Self")]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct RunSpec {
    /// Base model: a folder, s3://BUCKET/NAME, a name of `budwood models`, or OWNER/NAME or
    /// OWNER/NAME@REVISION of the Hugging Face hub.
    #[cfg_attr(feature = "clap", arg(help_heading = "Model", long, default_value_t = RunSpec::default().base))]
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
    /// How to train. A setting that is given goes before what the recipe would choose.
    #[cfg_attr(feature = "clap", arg(help_heading = "Method", long, value_enum, default_value_t))]
    pub recipe: RecipeChoice,
    /// Tuning method, such as adapter, adapter[width=8], seq_bn, linear; see `budwood methods`.
    #[cfg_attr(feature = "clap", arg(help_heading = "Method", long, default_value_t = RunSpec::default().method))]
    pub method: String,
    /// How a sequence becomes one vector.
    #[cfg_attr(feature = "clap", arg(help_heading = "Method", long, value_enum, default_value_t))]
    pub pooling: PoolingChoice,
    /// Passes over the training data [default: by the rows; 3 with --recipe paper].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "N", long))]
    pub epochs: Option<usize>,
    /// Examples in a batch [default: 16 or 32 by the rows; 32 with --recipe paper].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "N", long))]
    pub batch_size: Option<usize>,
    /// Tokens in a batch, instead of a number of examples.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_name = "N", conflicts_with = "batch_size")
    )]
    pub batch_tokens: Option<usize>,
    /// Batches whose gradients are combined into one step.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "N", long, default_value_t = RunSpec::default().accumulate))]
    pub accumulate: usize,
    /// Largest learning rate [default: by the method and the rows; 0.001 with --recipe paper].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "RATE", long))]
    pub lr: Option<f64>,
    /// Share of the steps in which the learning rate rises from zero.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "SHARE", long, default_value_t = RunSpec::default().warmup))]
    pub warmup: f64,
    /// How the learning rate falls after the warm-up.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_enum, default_value_t)
    )]
    pub schedule: ScheduleChoice,
    /// Learning rate at the end of --schedule cosine [default: 0].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "RATE", long))]
    pub min_lr: Option<f64>,
    /// Optimizer [default: adamw; bert with --recipe paper].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", long, value_enum))]
    pub optimizer: Option<OptimizerChoice>,
    /// Decoupled weight decay; biases and norms have none.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "X", long, default_value_t = RunSpec::default().weight_decay))]
    pub weight_decay: f64,
    /// Scale gradients with a larger norm down to this norm; 0 for no limit.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", value_name = "NORM", long, default_value_t = RunSpec::default().clip))]
    pub clip: f64,
    /// Seed of initial values, the order of examples, and dropout.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", value_name = "N", long, default_value_t = 0)
    )]
    pub seed: u64,
    /// Tokens of an input; longer inputs are cut [default: 128; 384 for question answering].
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", long, value_name = "N"))]
    pub max_length: Option<usize>,
    /// Question answering: tokens from the start of one window over a long text to the start of the
    /// next [default: 128].
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", 
            long,
            value_name = "N",
            value_parser = clap::value_parser!(u32).range(1..=1_000_000)
        )
    )]
    pub doc_stride: Option<u32>,
    /// Dropout of the encoder in training [default: that of the model's config.json].
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_name = "P", value_parser = number::probability)
    )]
    pub dropout: Option<f32>,
    /// Stochastic depth of the encoder in training: the probability of skipping a sub-layer in the
    /// top layer; it falls to 0 in the lowest [default: 0].
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_name = "P", value_parser = number::probability)
    )]
    pub drop_path: Option<f32>,
    /// Dropout in the lowest layers, below everything that is trained. Matters for `linear`,
    /// `top_k` and adapters in the upper layers alone. With `off` the output of these layers is
    /// computed once and reused.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_enum, default_value_t)
    )]
    pub frozen_dropout: Switch,
    /// Steps between evaluations [default: one after each epoch].
    #[cfg_attr(feature = "clap", arg(help_heading = "Validation", long, value_name = "N"))]
    pub eval_every: Option<usize>,
    /// Stop after N evaluations without a better score.
    #[cfg_attr(feature = "clap", arg(help_heading = "Validation", long, value_name = "N"))]
    pub patience: Option<usize>,
    /// Of masked-lm: share of the tokens that are masked [default: 0.15].
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_name = "SHARE", value_parser = number::amount::<1>)
    )]
    pub mask_share: Option<f64>,
    /// Of masked-lm: mask all tokens of a word, or none.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", long))]
    pub whole_words: bool,
    /// Begin from this adapter (a folder, s3://BUCKET/NAME, or OWNER/NAME of the hub) of the same
    /// base and method, such as one of masked-lm. Its head is taken over only where the task is the
    /// same.
    #[cfg_attr(feature = "clap", arg(help_heading = "Method", long, value_name = "ADAPTER"))]
    pub init: Option<String>,
    /// Weight classes inversely to their frequency.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", long))]
    pub balanced: bool,
    /// Weights of classes in the loss: CLASS=WEIGHT, separated by commas. Other classes have weight
    /// 1.
    #[cfg_attr(
        feature = "clap",
        arg(
            help_heading = "Training",
            long,
            value_name = "CLASS=WEIGHT",
            value_delimiter = ',',
            conflicts_with = "balanced"
        )
    )]
    pub class_weights: Vec<String>,
    /// Share of the target probability that is spread over all classes in training. The linear
    /// probe is fitted without it.
    #[cfg_attr(
        feature = "clap",
        arg(help_heading = "Training", long, value_name = "SHARE", default_value_t = 0.0)
    )]
    pub label_smoothing: f64,
    /// Leave out the last batch of an epoch if it is not full.
    #[cfg_attr(feature = "clap", arg(help_heading = "Training", long))]
    pub drop_last: bool,
    /// Score by which the best checkpoint is chosen [default: GLUE's for its tasks, else accuracy
    /// or Spearman's correlation].
    #[cfg_attr(feature = "clap", arg(value_name = "NAME", help_heading = "Validation", long))]
    pub metric: Option<String>,
    /// The positive class for F1, if there are two classes [default: the second by name].
    #[cfg_attr(feature = "clap", arg(help_heading = "Validation", long, value_name = "CLASS"))]
    pub positive: Option<String>,
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            base: "minilm".into(),
            data: DataSpec::default(),
            precision: PrecisionSpec::default(),
            recipe: RecipeChoice::Auto,
            method: "adapter".into(),
            pooling: PoolingChoice::Auto,
            epochs: None,
            batch_size: None,
            batch_tokens: None,
            accumulate: 1,
            lr: None,
            warmup: 0.1,
            schedule: ScheduleChoice::Linear,
            min_lr: None,
            optimizer: None,
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
            mask_share: None,
            whole_words: false,
            init: None,
            balanced: false,
            class_weights: Vec::new(),
            label_smoothing: 0.0,
            drop_last: false,
            metric: None,
            positive: None,
        }
    }
}

impl RunSpec {
    /// The same run with what the recipe `paper` leaves open filled in: the settings by which a
    /// run is known in a store.
    #[must_use]
    pub fn in_full(&self) -> Self {
        let mut spec = self.clone();
        if spec.recipe == RecipeChoice::Paper {
            spec.data.dev_share.get_or_insert(0.1);
            spec.epochs.get_or_insert(3);
            spec.batch_size.get_or_insert(32);
            spec.lr.get_or_insert(1e-3);
            spec.optimizer.get_or_insert(OptimizerChoice::Bert);
        }
        spec
    }

    /// The same run on other data: a file, LAYOUT=FOLDER, or the name of a data set of a package.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<String>) -> Self {
        self.data.data = data.into();
        self
    }

    /// What a run reads: names of data, folders and the base model.
    pub fn inputs(&self) -> Vec<&str> {
        let data = &self.data;
        let files = [Some(&data.data), data.dev_data.as_ref(), data.test_data.as_ref()];
        let files = files.into_iter().flatten().map(String::as_str);
        let root = data.columns.image_root.as_deref().and_then(std::path::Path::to_str);
        files.chain([self.base.as_str()]).chain(self.init.as_deref()).chain(root).collect()
    }

    /// Checks the numbers that have bounds whatever the data and the model are.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first setting that is out of its bounds.
    pub fn check(&self) -> Result<(), Error> {
        let within = |name: &'static str, value: Option<f64>, bound: Bound| match value {
            Some(x) if !bound.holds(x) => {
                Err(Error::Setting { name, message: format!("{x} is {bound}") })
            }
            _ => Ok(()),
        };
        let share = Bound::Amount(1);
        within("dev-share", self.data.dev_share, share)?;
        within("test-share", Some(self.data.test_share), share)?;
        within("dropout", self.dropout.map(f64::from), Bound::Probability)?;
        within("drop-path", self.drop_path.map(f64::from), Bound::Probability)?;
        let count = |n: Option<usize>| n.map(|n| n as f64);
        within("train-rows", count(self.data.train_rows), Bound::Count(1, usize::MAX))?;
        within("mask-share", self.mask_share, share)?;
        within("label-smoothing", Some(self.label_smoothing), Bound::Probability)?;
        let stride = self.doc_stride.map(f64::from);
        within("doc-stride", stride, Bound::Count(1, 1_000_000))?;
        within("image-size", count(self.data.images.side()), Bound::Count(1, 4096))?;
        if self.data.test && self.data.test_data.is_some() {
            let message = "the layout's own test split or test-data: not both".into();
            return Err(Error::Setting { name: "test", message });
        }
        if self.balanced && !self.class_weights.is_empty() {
            let message = "weights of one's own or balanced: not both".into();
            return Err(Error::Setting { name: "class-weights", message });
        }
        if self.batch_size.is_some() && self.batch_tokens.is_some() && !self.is_paper() {
            let message = "batch-tokens or batch-size: not both".into();
            return Err(Error::Setting { name: "batch-tokens", message });
        }
        Ok(())
    }

    /// How much the examples of each of these classes count.
    ///
    /// # Errors
    /// If a weight is not written as CLASS=WEIGHT, or there is no such class.
    pub fn weights_of(&self, labels: &[String]) -> Result<ClassWeights, Error> {
        Ok(match (self.balanced, &self.class_weights[..]) {
            (true, _) => ClassWeights::Balanced,
            (false, []) => ClassWeights::Equal,
            (false, given) => ClassWeights::named(given, labels)?,
        })
    }

    /// The form of the frozen weights. `auto` is int8 for the recipe `auto` where this processor
    /// multiplies bytes faster, as accuracies do not differ (`docs/results.md`). It is the stored
    /// form by the paper's protocol, for methods that train the model's own weights, and for tasks
    /// with heads for numbers: an error of bytes is an error of the answer there. Where the head is
    /// not known yet, it is taken for another.
    pub fn base_precision(&self, head: Option<HeadKind>) -> BasePrecision {
        match self.precision.base_precision {
            BasePrecision::Auto
                if !self.is_paper()
                    && !self.needs_f32(head)
                    && Device::cpu().fastest_precision() == Precision::Int8 =>
            {
                BasePrecision::Int8
            }
            asked => asked,
        }
    }

    /// Whether bytes do not do: the method trains weights of the model itself, or the task has a
    /// head for numbers.
    pub(crate) fn needs_f32(&self, head: Option<HeadKind>) -> bool {
        if head == Some(HeadKind::Regression) {
            return true;
        }
        // What is no method is said where it is built.
        let Ok(method) = self.method.parse::<MethodSpec>() else { return false };
        budwood_model::method::needs_f32(&method).unwrap_or(false)
    }

    /// Whether the run is by the protocol of the paper.
    pub fn is_paper(&self) -> bool {
        self.recipe == RecipeChoice::Paper
    }
}

/// How the frozen weights are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(next_help_heading = "Model"))]
pub struct PrecisionSpec {
    /// Number format of the frozen weights. auto: int8 where this processor multiplies bytes
    /// faster (a third to half of the time of f32); f32 with --recipe paper, for numbers, and for
    /// methods that train the model's own weights.
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t))]
    pub base_precision: BasePrecision,
    /// Number format of the backward pass through int8 weights.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_enum, default_value_t = PrecisionSpec::default().backward_precision)
    )]
    pub backward_precision: Form,
}

impl PrecisionSpec {
    /// The form of the weights in memory, of a model that is stored in int8 or in f32. `auto` is
    /// the stored form.
    pub fn get(self, quantized: bool) -> Precision {
        let stored = if quantized { Form::Int8 } else { Form::F32 };
        match (self.base_precision.form().unwrap_or(stored), self.backward_precision) {
            (Form::F32, _) => Precision::F32,
            (Form::Int8, Form::Int8) => Precision::Int8,
            (Form::Int8, Form::F32) => Precision::Int8Forward,
        }
    }
}

impl Default for PrecisionSpec {
    fn default() -> Self {
        Self { base_precision: BasePrecision::Auto, backward_precision: Form::Int8 }
    }
}
