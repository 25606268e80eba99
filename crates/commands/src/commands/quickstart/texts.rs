//! Texts: MiniLM, film reviews, a linear probe and an adapter.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use budwood::run::{RunData, Trained};
use budwood::spec::BasePrecision;
use budwood_engine::{Device, Precision};
use budwood_formats::native::AdapterMeta;
use budwood_tasks::{Dataset, Example, Input, Target};
use serde_json::json;

use super::shared::{Args, accuracy, flags, majority, trained};
use crate::adapter::{Opening, answer};
use crate::base;
use crate::output::{bytes, json, say, seconds, thousands};
use crate::settings::Settings;
use budwood::precision_name;

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
    // Adapters trained on weights in int8 are as good (docs/results.md) and train faster.
    let precision = Device::cpu().fastest_precision();
    let path = budwood_hub::fetch(&budwood_hub::ROTTEN_TOMATOES, &mut base::told())?;
    let (train_set, test_set) = reviews(&path, args.rows.unwrap_or(4000))?;
    if !settings.json {
        say!(
            "model  all-MiniLM-L6-v2, 22.7 M parameters, frozen, held in {}",
            precision_name(precision)
        )?;
        say!(
            "task   is a film review fresh or rotten? {} reviews to learn from, {} to test\n",
            thousands(train_set.examples.len() as u64),
            thousands(test_set.examples.len() as u64)
        )?;
    }
    let most = majority(&test_set);
    // The checkpoint is chosen on reviews that are neither trained on nor reported.
    let (train_set, dev_set) = train_set.split(0.1, 0, "dev")?;
    let reviews = Reviews { path: &path, dev: Some(&dev_set), test: &test_set, precision };
    let mut finished = Vec::new();
    for (method, title) in [("linear", "linear probe"), ("adapter", "adapter")] {
        if !settings.json {
            say!("training the {title} ...")?;
        }
        let more = format!("--method {method} --epochs {}", args.epochs.unwrap_or(2));
        let Some(done) = reviews.train(settings, &train_set, &args.out.join(method), &more)? else {
            return Ok(ExitCode::from(130));
        };
        finished.push(done);
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
        few.push(accuracy(&done));
    }
    let out = args.out.join("adapter");
    let meta = &finished[1].1;
    let share = 100.0 * meta.parameters_trained as f64 / meta.parameters_base as f64;
    let adapter = Opening::default().open(settings, &out)?;
    let examples =
        EXAMPLES.map(|a| Example { input: Input::Text(a.into()), target: Target::None }).to_vec();
    let questions = Dataset { examples, ..test_set.clone() };
    let (_, answers) = answer(&adapter, &questions)?;
    let predictions: Vec<_> = EXAMPLES
        .into_iter()
        .enumerate()
        .map(|(i, text)| {
            let class = answers.class(i) as usize;
            (text, meta.labels[class].clone(), answers.probabilities(i)[class])
        })
        .collect();
    if settings.json {
        json(&json!({
            "accuracy": accuracy(&finished[1]), "linear_probe": accuracy(&finished[0]), "majority_class": most,
            "parameters_trained": meta.parameters_trained, "percent_of_base": share,
            "precision": precision_name(precision), "bytes": finished[1].0.bytes, "adapter": out, "predictions": predictions,
            "few": { "rows": few_set.examples.len(), "linear_probe": few[0], "accuracy": few[1] },
            "seconds": begin.elapsed().as_secs_f64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "\naccuracy on {} reviews that it has not seen",
        thousands(test_set.examples.len() as u64)
    )?;
    say!("  majority class  {:5.1} %", 100.0 * most)?;
    say!("  linear probe    {:5.1} %", 100.0 * accuracy(&finished[0]))?;
    say!("  adapter         {:5.1} %", 100.0 * accuracy(&finished[1]))?;
    say!("\nwith {} reviews to learn from, chosen by cross-validation", few_set.examples.len())?;
    say!("  linear probe    {:5.1} %", 100.0 * few[0])?;
    say!("  adapter         {:5.1} %", 100.0 * few[1])?;
    say!(
        "\ntrained {} parameters, {share:.1} % of the model; {} on disk",
        thousands(meta.parameters_trained),
        bytes(finished[1].0.bytes)
    )?;
    say!("\npredictions")?;
    for (text, label, score) in &predictions {
        say!("  {label:<6} {score:.2}  {text}")?;
    }
    say!("\nall of it took {}. Try it:", seconds(begin.elapsed().as_secs_f64()))?;
    say!("  budwood predict --adapter {} \"your own words\"", out.display())?;
    say!("  budwood inspect {}", out.display())?;
    Ok(ExitCode::SUCCESS)
}

/// The reviews that runs share.
#[derive(Clone, Copy)]
struct Reviews<'a> {
    path: &'a Path,
    dev: Option<&'a Dataset>,
    test: &'a Dataset,
    precision: Precision,
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
        let mut args = flags(None, &self.path.to_string_lossy(), out, more)?;
        args.spec.precision.base_precision = match self.precision {
            Precision::F32 => BasePrecision::F32,
            Precision::Int8 | Precision::Int8Forward => BasePrecision::Int8,
        };
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
