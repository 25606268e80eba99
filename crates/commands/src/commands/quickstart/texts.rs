//! Texts: MiniLM, film reviews, a linear probe and an adapter.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood::run::{RunData, Trained};
use budwood::spec::PrecisionSpec;
use budwood::{RunSpec, precision_name};
use budwood_formats::native::AdapterMeta;
use budwood_tasks::{Dataset, Example, Input, Target};
use serde_json::json;

use super::shared::{Args, accuracy, flags, majority, trained};
use crate::adapter::{Opening, answer};
use crate::base;
use crate::output::{bytes, json, say, seconds, thousands};
use crate::settings::Settings;

/// Reviews of the second act.
const FEW: usize = 50;
/// Reviews of our own, for the three predictions.
const EXAMPLES: [&str; 3] = [
    "A warm, funny film that earns every one of its tears.",
    "Two hours of explosions in search of a story.",
    "The plot creaks, but the cast is having so much fun that you hardly mind.",
];

pub(super) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    let path = budwood_hub::fetch(&budwood_hub::ROTTEN_TOMATOES, &mut base::told())?;
    let (train_set, test_set) = reviews(&path, args.rows.unwrap_or(4000))?;
    let spec = RunSpec::default();
    let precision = PrecisionSpec { base_precision: spec.base_precision(None), ..spec.precision };
    let precision = precision_name(precision.get(false));
    if !settings.json {
        say!("model  all-MiniLM-L6-v2, 22.7 M parameters, frozen, held in {precision}")?;
        say!(
            "task   is a film review fresh or rotten? {} reviews to learn from, {} to test\n",
            thousands(train_set.examples.len() as u64),
            thousands(test_set.examples.len() as u64)
        )?;
    }
    // The checkpoint is chosen on reviews that are neither trained on nor reported.
    let (train_set, dev_set) = train_set.split(0.1, 0, "dev")?;
    let reviews = Reviews { path: &path, dev: Some(&dev_set), test: &test_set };
    let mut all = Vec::new();
    for (method, title) in [("linear", "linear probe"), ("adapter", "adapter")] {
        if !settings.json {
            say!("training the {title} ...")?;
        }
        let more = format!("--method {method} --epochs {}", args.epochs.unwrap_or(2));
        let Some(done) = reviews.train(settings, &train_set, &args.out.join(method), &more)? else {
            return Ok(ExitCode::from(130));
        };
        all.push(done);
    }
    // The second act: what fifty of them are enough for.
    let few_set = train_set.clone().sample(FEW, 0);
    if !settings.json {
        say!("training both again, on {} of the reviews ...", few_set.examples.len())?;
    }
    let reviews = Reviews { dev: None, ..reviews };
    let mut few = Vec::new();
    for method in ["linear", "adapter"] {
        let out = args.out.join(format!("few-{method}"));
        let more = format!("--method {method}");
        let Some(done) = reviews.train(settings, &few_set, &out, &more)? else {
            return Ok(ExitCode::from(130));
        };
        few.push(done);
    }
    let out = args.out.join("adapter");
    let ended = Ended {
        precision,
        majority: majority(&test_set),
        all: &all,
        few: (few_set.examples.len(), &few),
        predictions: predictions(settings, &out, &test_set)?,
        out,
        seconds: begin.elapsed().as_secs_f64(),
    };
    match settings.json {
        true => ended.json()?,
        false => ended.tell(test_set.examples.len())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The classes of our own reviews by the adapter in a folder, with their probabilities. All but the
/// texts is as in `like`.
fn predictions(
    settings: &Settings,
    out: &Path,
    like: &Dataset,
) -> Result<Vec<(&'static str, String, f32)>> {
    let adapter = Opening::default().open(settings, out)?;
    let example = |text: &str| Example { input: Input::Text(text.into()), target: Target::None };
    let questions = Dataset { examples: EXAMPLES.map(example).to_vec(), ..like.clone() };
    let (_, answers) = answer(&adapter, &questions)?;
    let answered = |(i, text)| {
        let class = answers.class(i) as usize;
        (text, adapter.meta().labels[class].clone(), answers.probabilities(i)[class])
    };
    Ok(EXAMPLES.into_iter().enumerate().map(answered).collect())
}

/// What the quickstart shows.
struct Ended<'a> {
    /// How the frozen weights were held.
    precision: &'a str,
    /// The share of the class that occurs most often.
    majority: f64,
    /// The probe and the adapter.
    all: &'a [(Trained, AdapterMeta)],
    /// As `all`, from so few reviews.
    few: (usize, &'a [(Trained, AdapterMeta)]),
    predictions: Vec<(&'static str, String, f32)>,
    /// The folder of the adapter.
    out: PathBuf,
    seconds: f64,
}

impl Ended<'_> {
    /// The parameters that were trained, in percent of the model's.
    fn share(&self) -> f64 {
        let meta = &self.all[1].1;
        100.0 * meta.parameters_trained as f64 / meta.parameters_base as f64
    }

    fn json(&self) -> Result<()> {
        let (all, (rows, few)) = (self.all, self.few);
        json(&json!({
            "accuracy": accuracy(&all[1]), "linear_probe": accuracy(&all[0]),
            "majority_class": self.majority, "parameters_trained": all[1].1.parameters_trained,
            "percent_of_base": self.share(), "precision": self.precision, "bytes": all[1].0.bytes,
            "adapter": self.out, "predictions": self.predictions,
            "few": { "rows": rows, "linear_probe": accuracy(&few[0]), "accuracy": accuracy(&few[1]) },
            "seconds": self.seconds,
        }))
    }

    /// For people; `tested` is the number of reviews that it was tested on.
    fn tell(&self, tested: usize) -> Result<()> {
        let (all, (rows, few)) = (self.all, self.few);
        let scored = |name: &str, accuracy: f64| say!("  {name:<14}  {:5.1} %", 100.0 * accuracy);
        say!("\naccuracy on {} reviews that it has not seen", thousands(tested as u64))?;
        scored("majority class", self.majority)?;
        scored("linear probe", accuracy(&all[0]))?;
        scored("adapter", accuracy(&all[1]))?;
        say!("\nwith {rows} reviews to learn from, chosen by cross-validation")?;
        scored("linear probe", accuracy(&few[0]))?;
        scored("adapter", accuracy(&few[1]))?;
        say!(
            "\ntrained {} parameters, {:.1} % of the model; {} on disk",
            thousands(all[1].1.parameters_trained),
            self.share(),
            bytes(all[1].0.bytes)
        )?;
        say!("\npredictions")?;
        for (text, label, score) in &self.predictions {
            say!("  {label:<6} {score:.2}  {text}")?;
        }
        say!("\nall of it took {}. Try it:", seconds(self.seconds))?;
        say!("  budwood predict --adapter {} \"your own words\"", self.out.display())?;
        say!("  budwood inspect {}", self.out.display())?;
        Ok(())
    }
}

/// The reviews that runs share.
#[derive(Clone, Copy)]
struct Reviews<'a> {
    path: &'a Path,
    dev: Option<&'a Dataset>,
    test: &'a Dataset,
}

impl Reviews<'_> {
    /// A run of the flags of `train` on some reviews; none if it was interrupted.
    fn train(
        &self,
        settings: &Settings,
        train: &Dataset,
        out: &Path,
        more: &str,
    ) -> Result<Option<(Trained, AdapterMeta)>> {
        let args = flags(None, &self.path.to_string_lossy(), out, more)?;
        let labels = vec!["fresh".into(), "rotten".into()];
        let data = RunData {
            dev: self.dev.cloned(),
            test: Some(self.test.clone()),
            text_columns: vec!["text".into()],
            label_column: "category".into(),
            ..RunData::from_examples("classification", "rotten-tomatoes", labels, train.clone())?
        };
        trained(settings, &args, data, out)
    }
}

/// Reviews, mixed once for all by a fixed seed: the first to train on, a thousand others to test.
/// Rows that are summaries of plots are left out.
fn reviews(path: &std::path::Path, rows: usize) -> Result<(Dataset, Dataset)> {
    const TEST: usize = 1000;
    let table = budwood_tasks::read::table(path, Default::default())?;
    let place = |name: &str| table.columns.iter().position(|c| c.name == name);
    let (Some(category), Some(text)) = (place("category"), place("text")) else {
        bail!("{} lacks the columns category and text", path.display());
    };
    let example = |row: usize| {
        let class = match &*table.cell(row, category).text() {
            "fresh" => 0,
            "rotten" => 1,
            _ => return None,
        };
        let input = Input::Text(table.cell(row, text).text().into_owned());
        Some(Example { input, target: Target::Class(class) })
    };
    let all: Vec<Example> = (0..table.len()).filter_map(example).collect();
    let order = budwood_base::random::Key::new(0).named("reviews").permutation(all.len());
    let part = |range: std::ops::Range<usize>, split: &str| {
        let examples = order[range].iter().map(|&i| all[i].clone()).collect();
        Dataset::from_examples(examples, split, budwood_hub::ROTTEN_TOMATOES.name)
    };
    let rows = rows.min(all.len().saturating_sub(TEST));
    if rows == 0 {
        bail!("{} holds too few reviews", path.display());
    }
    Ok((part(TEST..TEST + rows, "train"), part(0..TEST, "test")))
}
