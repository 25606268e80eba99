//! From a specification to the settings of the training loop and of the head, checked.

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::masking::Masking;
use budwood_base::method::MethodSpec;
use budwood_formats::{BaseModel, length_max};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::metric::{default_metric, of_kind};
use budwood_tasks::task::Task;
use budwood_train::recipe::{self, Plan};
use budwood_train::{Lengths, OptimizerSpec, Schedule, TrainConfig};

use super::data::RunData;
use crate::spec::{OptimizerChoice, RecipeChoice, ScheduleChoice};
use crate::{DOC_STRIDE, Error, RunSpec};

/// Tokens of an input, where nothing else is said.
const LENGTH: usize = 128;
/// The same for question answering.
const QUESTION_LENGTH: usize = 384;

impl RunSpec {
    /// Checks all settings that have a meaning without the data: what is wrong with them is known
    /// before any work.
    ///
    /// # Errors
    /// With the first setting that has no meaning.
    pub fn check_settings(&self) -> Result<(), Error> {
        self.check()?;
        let spec = self.in_full();
        settings_of(&spec, &plan_of(&spec, 1)?).map(drop)
    }

    /// The settings of the training loop on data, checked.
    ///
    /// # Errors
    /// If a setting has no meaning, or none on these data.
    pub fn config(&self, data: &RunData) -> Result<TrainConfig, Error> {
        let spec = &self.in_full();
        let plan = plan_of(spec, data.train.examples.len())?;
        let metric = match &spec.metric {
            None => default_metric(&data.name, data.task.name).to_string(),
            Some(name) => {
                let names: Vec<_> = of_kind(data.task.name).map(|m| m.name).collect();
                if !names.contains(&name.as_str()) {
                    let (kind, names) = (data.task.name, names.join(", "));
                    let message = format!("'{name}' does not fit a {kind} task; {names} do");
                    return Err(Error::Setting { name: "metric", message });
                }
                name.clone()
            }
        };
        let max_length = lengths(spec, data.task).max;
        let class_weights = spec.weights_of(&data.labels)?;
        let settings = settings_of(spec, &plan)?;
        let config = TrainConfig { max_length, metric, class_weights, ..settings };
        config.check()?;
        Ok(config)
    }
}

/// How long inputs are, in training on a task.
fn lengths(spec: &RunSpec, task: &Task) -> Lengths {
    let usual = match task.head {
        HeadKind::QuestionAnswering => QUESTION_LENGTH,
        _ => LENGTH,
    };
    let stride = spec.doc_stride.map_or(DOC_STRIDE, |n| n as usize);
    Lengths { max: spec.max_length.unwrap_or(usual), stride }
}

/// How long inputs are, in training on a task with a base, which has so many positions.
pub(super) fn lengths_on(spec: &RunSpec, task: &Task, model: &BaseModel) -> Result<Lengths, Error> {
    let mut lengths = lengths(spec, task);
    if let InputSpec::Text(text) = &model.spec().input {
        let longest = length_max(text, &method_of(spec)?);
        if longest == 0 {
            let message =
                format!("its vectors take all {} positions of the model", text.length_max());
            return Err(Error::Setting { name: "method", message });
        }
        if spec.max_length.is_none() {
            lengths.max = lengths.max.min(longest);
        }
        if lengths.max > longest {
            let message = format!(
                "{} is more than the {longest} positions that the model has for texts",
                lengths.max
            );
            return Err(Error::Setting { name: "max-length", message });
        }
    }
    Ok(lengths)
}

/// How texts are masked; none for tasks that mask nothing.
///
/// # Errors
/// If a setting of masks or of long texts is given for another task, or has no meaning.
pub(super) fn masking(spec: &RunSpec, task: &Task) -> Result<Option<Masking>, Error> {
    let (masks, questions) = (HeadKind::MaskedLm, HeadKind::QuestionAnswering);
    let given = [
        ("mask-share", spec.mask_share.is_some(), masks, "masked-lm"),
        ("whole-words", spec.whole_words, masks, "masked-lm"),
        ("doc-stride", spec.doc_stride.is_some(), questions, "question-answering"),
    ];
    if let Some((name, .., of)) = given.into_iter().find(|g| g.1 && g.2 != task.head) {
        let message = format!("is for --task {of}, but the task is {}", task.name);
        return Err(Error::Setting { name, message });
    }
    if task.head != HeadKind::MaskedLm {
        return Ok(None);
    }
    let share = spec.mask_share.unwrap_or(Masking::SHARE);
    let masking = Masking { share, whole_words: spec.whole_words };
    masking.check().map_err(|message| Error::Setting { name: "mask-share", message })?;
    Ok(Some(masking))
}

/// The head of a run, and why its pooling is as it is.
///
/// # Errors
/// If it should pool a class token that the model has not.
pub(super) fn head(
    spec: &RunSpec,
    data: &RunData,
    model: &BaseModel,
) -> Result<(HeadSpec, String), Error> {
    if data.task.head == HeadKind::MaskedLm {
        let why = "without a meaning here: the places of masks have outputs of their own".into();
        return Ok((model.masked_lm()?.head, why));
    }
    let (auto, why) = model.default_pooling();
    let (pooling, why) = match spec.pooling.asked() {
        _ if data.task.head.over_tokens() => {
            (Pooling::Cls, "without a meaning here: every token has outputs of its own".into())
        }
        None => (auto, why),
        Some(pooling) => (pooling, "as asked for".into()),
    };
    if let InputSpec::Image(image) = &model.spec().input
        && image.axes.without_class_token
        && matches!(pooling, Pooling::Cls | Pooling::ClsMean)
    {
        let message = "the model has no class token: its first token is a patch; use mean, or \
                       pooler where the model has one";
        return Err(Error::Setting { name: "pooling", message: message.into() });
    }
    let (kind, outputs) = (data.task.head, data.task.head.outputs(data.labels.len()));
    let head = HeadSpec {
        // Heads of image encoders have none.
        dropout: if reads_images(model) { 0.0 } else { 0.1 },
        ..HeadSpec::linear(kind, outputs, pooling)
    };
    Ok((head, why))
}

/// Whether a model reads images.
pub(super) fn reads_images(model: &BaseModel) -> bool {
    matches!(model.spec().input, InputSpec::Image(_))
}

/// What the recipe chooses for so many rows.
fn plan_of(spec: &RunSpec, rows: usize) -> Result<Plan, Error> {
    let examples = spec.batch_size.map(BatchSize::Examples);
    let batch = spec.batch_tokens.map(BatchSize::Tokens).or(examples);
    Ok(recipe::plan(&method_of(spec)?, rows, batch))
}

/// The method with all its options.
pub(super) fn method_of(spec: &RunSpec) -> Result<MethodSpec, Error> {
    let method: MethodSpec = spec.method.parse().map_err(budwood_model::ModelError::from)?;
    Ok(budwood_model::method::resolve(&method)?)
}

/// What the specification says, and the recipe where it says nothing; without what the data
/// decide.
fn settings_of(spec: &RunSpec, plan: &Plan) -> Result<TrainConfig, Error> {
    let optimizer = match spec.optimizer {
        Some(OptimizerChoice::Bert) => OptimizerSpec::bert(),
        Some(OptimizerChoice::Adamw) | None => plan.optimizer.clone(),
    };
    let config = TrainConfig {
        method: method_of(spec)?,
        epochs: spec.epochs.unwrap_or(plan.epochs),
        batch: plan.batch,
        accumulate: spec.accumulate,
        learning_rate: spec.lr.unwrap_or(plan.learning_rate),
        warmup: spec.warmup,
        schedule: match (spec.schedule, spec.min_lr) {
            (ScheduleChoice::Linear, None) => Schedule::Linear,
            (ScheduleChoice::Linear, Some(_)) => {
                let message = "is for the schedule cosine".into();
                return Err(Error::Setting { name: "min-lr", message });
            }
            (ScheduleChoice::Cosine, min) => Schedule::Cosine { min: min.unwrap_or(0.0) },
        },
        optimizer: OptimizerSpec {
            weight_decay: spec.weight_decay,
            clip_norm: spec.clip,
            ..optimizer
        },
        seed: spec.seed,
        max_length: spec.max_length.unwrap_or(LENGTH),
        eval_every: spec.eval_every,
        patience: spec.patience,
        // Those of one's own need the classes' names.
        class_weights: spec.weights_of(&[]).unwrap_or_default(),
        label_smoothing: spec.label_smoothing,
        contrastive: spec.recipe == RecipeChoice::Contrastive,
        drop_last: spec.drop_last,
        metric: spec.metric.clone().unwrap_or_default(),
    };
    config.check()?;
    Ok(config)
}
