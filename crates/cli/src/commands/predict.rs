//! `budwood predict`: label texts with an adapter.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood_base::head::HeadKind;
use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_model::{Adapter, Base};
use budwood_tasks::{DataSource, Dataset, Example, Input, Split, Target, Tokenizer, task};
use budwood_train::{Answers, answers, prepare};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::base::Form;
use crate::commands::train::ColumnArgs;
use crate::output::table;
use crate::training::text_sizes;
use crate::{Settings, base};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the adapter.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// The text, or two texts for a task of pairs. Without a text and without --input, lines of
    /// standard input are read; a pair's texts are separated by a tab.
    #[arg(num_args = 0..=2)]
    text: Vec<String>,
    /// File with a text in each row.
    #[arg(long, conflicts_with = "text")]
    input: Option<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Form of the frozen weights [default: that of the adapter's training].
    #[arg(long, value_enum)]
    base_precision: Option<Form>,
    /// Layers whose adapters are left out, such as 0-2,5 (AdapterDrop); layer norms and head stay.
    #[arg(long, value_name = "LAYERS")]
    leave_out: Option<String>,
    /// Form of the answers [default: table on a terminal, else jsonl].
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Jsonl,
}

/// An adapter on its base, ready to answer.
pub(crate) struct Loaded {
    pub(crate) meta: AdapterMeta,
    pub(crate) base: Base,
    pub(crate) adapter: Adapter,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) workers: Workers,
}

impl Loaded {
    /// Opens an adapter and its base, which must be the one that it was trained on.
    ///
    /// Without a `form` the frozen weights are held as in the adapter's training; another one is said.
    pub(crate) fn open(
        settings: &Settings,
        path: &Path,
        base_name: Option<&str>,
        form: Option<Form>,
    ) -> Result<Self> {
        let folder = AdapterFolder::load(path)?;
        let name = base_name.unwrap_or(&folder.meta.base.name);
        let model = BaseModel::open(&base::folder(name)?)?;
        folder.meta.check_base(&model)?;
        let tokenizer = Tokenizer::open(model.folder(), &model.spec().family)?;
        tokenizer.check_vocabulary(text_sizes(&model)?.0)?;
        let meta = folder.meta;
        let precision = match (form, meta.precision.as_str()) {
            (Some(Form::Int8), _) | (None, "int8") => Precision::Int8,
            (None, "f32") if model.is_quantized() => Precision::Int8,
            (Some(Form::F32), _) | (None, "f32") => Precision::F32,
            (None, other) => bail!("the adapter's precision '{other}' is not known"),
        };
        let name = base::precision_name(precision);
        if name != meta.precision {
            eprintln!(
                "the adapter was trained on weights in {}, but {name} is used",
                meta.precision
            );
        }
        let base = base::load(&model, precision, false)?;
        let adapter =
            Adapter::from_tensors(&base, &meta.method, meta.head.clone(), &folder.tensors)?;
        let workers = Workers::new(Device::cpu(), settings.threads);
        Ok(Self { meta, base, adapter, tokenizer, workers })
    }

    /// Leaves out the adapter's parts in layers given as `0-2,5`.
    pub(crate) fn leave_out(&mut self, layers: &str) -> Result<()> {
        let all = self.meta.encoder.layers;
        let number = |text: &str| -> Result<usize> {
            match text.trim().parse() {
                Ok(layer) if layer < all => Ok(layer),
                _ => bail!(
                    "--leave-out {layers}: '{text}' is not a layer; there are 0 to {}",
                    all - 1
                ),
            }
        };
        let mut list = Vec::new();
        for part in layers.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            list.extend(number(first)?..=number(last)?);
        }
        self.adapter.leave_out(list);
        Ok(())
    }

    pub(crate) fn answer(&mut self, data: &Dataset, threads: usize) -> Result<Answers> {
        let prepared = prepare(&self.tokenizer, data, self.meta.task.max_length, threads)?;
        if prepared.truncated > 0 {
            eprintln!(
                "{} of {} texts are longer than {} tokens and were cut",
                prepared.truncated,
                prepared.len(),
                self.meta.task.max_length
            );
        }
        Ok(answers(&mut self.workers, &self.base, &self.adapter, &prepared)?)
    }
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let mut loaded =
        Loaded::open(settings, &args.adapter, args.base.as_deref(), args.base_precision)?;
    if let Some(layers) = &args.leave_out {
        loaded.leave_out(layers)?;
    }
    let data = inputs(args, &loaded.meta)?;
    let answers = loaded.answer(&data, settings.threads)?;
    let default = if std::io::stdout().is_terminal() { Format::Table } else { Format::Jsonl };
    let format = if settings.json { Format::Jsonl } else { args.format.unwrap_or(default) };
    write(&loaded.meta, &data, &answers, format)?;
    Ok(ExitCode::SUCCESS)
}

/// The texts to answer.
fn inputs(args: &Args, meta: &AdapterMeta) -> Result<Dataset> {
    let pair = meta.task.text_columns.len() == 2;
    let needed = if pair { "two texts" } else { "one text" };
    let example = |a: &str, b: Option<&str>| -> Result<Example> {
        if b.is_some() != pair {
            bail!("this adapter answers {needed} at a time");
        }
        Ok(Example { input: Input::texts(a, b), target: Target::None })
    };
    if let Some(input) = &args.input {
        let mut columns = args.columns.clone();
        if columns.text_column.is_empty() && !columns.no_header {
            columns.text_column.clone_from(&meta.task.text_columns);
        }
        let text = input.to_string_lossy();
        let source: DataSource = columns.source(&text)?;
        return Ok(source.examples(
            task::find(&meta.task.kind)?,
            &meta.labels,
            Split::Test,
            false,
        )?);
    }
    let examples = match &args.text[..] {
        [a] => vec![example(a, None)?],
        [a, b] => vec![example(a, Some(b))?],
        _ => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            let lines = text.lines().filter(|l| !l.trim().is_empty());
            let split = |line: &str| match line.split_once('\t').filter(|_| pair) {
                Some((a, b)) => example(a, Some(b)),
                None => example(line, None),
            };
            lines.map(split).collect::<Result<_>>()?
        }
    };
    if examples.is_empty() {
        bail!("there is no text to answer");
    }
    let digest = budwood_base::record::DataDigest {
        split: "input".into(),
        source: "command line".into(),
        rows: examples.len() as u64,
        sha256: String::new(),
    };
    Ok(Dataset { examples, digest, skipped: Vec::new() })
}

fn write(meta: &AdapterMeta, data: &Dataset, answers: &Answers, format: Format) -> Result<()> {
    let kind = meta.head.kind;
    let regression = kind == HeadKind::Regression;
    let probabilities = match kind {
        HeadKind::MultiLabel => answers.label_probabilities(),
        _ => answers.probabilities(),
    };
    let (classes, values, sets) = (answers.classes(), answers.values(), answers.labels());
    let label = |i: usize| match kind {
        HeadKind::MultiLabel => {
            let names = sets[i].iter().map(|&l| meta.labels[l as usize].as_str());
            names.collect::<Vec<_>>().join("|")
        }
        _ => meta.labels[classes[i] as usize].clone(),
    };
    // Of several labels, the least sure one.
    let score = |i: usize| match kind {
        HeadKind::MultiLabel => {
            sets[i].iter().map(|&l| probabilities[i][l as usize]).fold(1.0, f32::min)
        }
        _ => probabilities[i][classes[i] as usize],
    };
    let mut out = std::io::stdout().lock();
    match format {
        Format::Jsonl => {
            for (i, example) in data.examples.iter().enumerate() {
                let cells = example.input.cells().into_iter();
                let mut object = Value::Object(cells.map(|(n, c)| (n.into(), c.into())).collect());
                if regression {
                    object["value"] = json!(values[i]);
                } else {
                    if kind == HeadKind::MultiLabel {
                        let names = sets[i].iter().map(|&l| &meta.labels[l as usize]);
                        object["labels"] = json!(names.collect::<Vec<_>>());
                    } else {
                        object["label"] = json!(label(i));
                        object["score"] = json!(score(i));
                    }
                    let all = meta.labels.iter().zip(&probabilities[i]);
                    object["scores"] =
                        Value::Object(all.map(|(l, p)| (l.clone(), json!(p))).collect());
                }
                writeln!(out, "{object}")?;
            }
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            let answer: &[&str] = if regression { &["value"] } else { &["label", "score"] };
            for (i, example) in data.examples.iter().enumerate() {
                let cells = example.input.cells();
                if i == 0 {
                    csv.write_record(cells.iter().map(|(name, _)| name).chain(answer))?;
                }
                let answer = match regression {
                    true => vec![values[i].to_string()],
                    false => vec![label(i), score(i).to_string()],
                };
                let cells = cells.iter().map(|(_, cell)| cell.to_string());
                csv.write_record(cells.chain(answer))?;
            }
            csv.flush()?;
        }
        Format::Table => {
            drop(out);
            let head =
                if regression { vec!["value", "text"] } else { vec!["label", "score", "text"] };
            let mut rows: Vec<Vec<String>> = vec![head.iter().map(ToString::to_string).collect()];
            for (i, example) in data.examples.iter().enumerate() {
                let cells = example.input.cells().into_iter().map(|(_, cell)| cell);
                let text: Vec<&str> = cells.collect();
                let text: String = text.join(" | ").chars().take(80).collect();
                rows.push(if regression {
                    vec![format!("{:.3}", values[i]), text]
                } else {
                    vec![label(i), format!("{:.3}", score(i)), text]
                });
            }
            table(&rows)?;
        }
    }
    Ok(())
}
