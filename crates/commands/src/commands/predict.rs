//! `budwood predict`: label texts with an adapter.

mod explain;

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use budwood::spec::{BasePrecision, ColumnSpec, ReadLimits};
use budwood_base::head::HeadKind;
use budwood_tasks::{
    AnswerLimits, DataSource, Dataset, Example, Image, ImageContent, Input, Split, Target, task,
};
use budwood_train::KEPT;
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::adapter::{Opening, answer, input};
use crate::base::{self, source_named};
use crate::out;
use crate::output::{note, stdout, table};
use crate::settings::Settings;
use budwood::answer::{Answer, AnswerOptions, typed};
use budwood::reader::Reader;
use budwood::{Adapter, is_of_job};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter: a folder, s3://BUCKET/NAME, or OWNER/NAME of the Hugging Face hub.
    #[arg(long)]
    adapter: PathBuf,
    /// Base model [default: the one that the adapter names].
    #[arg(long)]
    base: Option<String>,
    /// The text, or two texts for a task of pairs; image files or folders of them for a task of
    /// images. Without one and without --input, lines of standard input are read; a pair's texts
    /// are separated by a tab.
    text: Vec<String>,
    /// A question about --context.
    #[arg(long, requires = "context", conflicts_with = "text")]
    question: Option<String>,
    /// The text that holds the answer to --question.
    #[arg(long, requires = "question")]
    context: Option<String>,
    /// File, or s3://BUCKET/NAME, with a text, a question with its context, a sentence or an image
    /// in each row.
    #[arg(long, conflicts_with_all = ["text", "question"])]
    input: Option<PathBuf>,
    /// Number format of the frozen weights. auto: that of the adapter's training.
    #[arg(long, value_enum, default_value_t)]
    base_precision: BasePrecision,
    /// Layers to run without their adapters, such as 0-2,5 (AdapterDrop); layer norms and head
    /// stay.
    #[arg(long, value_name = "LAYERS")]
    leave_out: Option<String>,
    /// Number of candidate answers to a question; the best is shown, JSON has all.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    n_best: u32,
    /// Longest answer to a question, in tokens.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    max_answer_length: u32,
    /// Show only the N most likely classes with their scores, the most likely first [default: all];
    /// with a masked language model the N most likely words for each mask [default: 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Answer `none` if the most likely class has a probability below P, from 0 to 1. `budwood
    /// eval` shows how accuracy rises with it.
    #[arg(long, value_name = "P", value_parser = probability)]
    abstain_below: Option<f32>,
    /// Say which words an answer hangs on: each is left out in turn, and the text answered again.
    #[arg(long)]
    explain: bool,
    /// Write the explanation to this file, as a page that needs nothing else.
    #[arg(long, value_name = "FILE", requires = "explain", group = "written")]
    html: Option<PathBuf>,
    /// Write the answers to this file, or s3://BUCKET/NAME, instead of standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "explain", group = "written")]
    output: Option<PathBuf>,
    /// Replace the file of --output or --html that is there.
    #[arg(long, requires = "written")]
    overwrite: bool,
    /// Form of the answers [default: table on a terminal; by the file of --output, .csv or .conll;
    /// else jsonl].
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    columns: ColumnSpec,
    #[command(flatten)]
    limits: ReadLimits,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Jsonl,
    /// A word and its tag in each line.
    Conll,
}

/// A number from 0 to 1.
fn probability(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|p| (0.0..=1.0).contains(p));
    number.ok_or_else(|| format!("'{text}' is not a probability from 0 to 1"))
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let output = args.output.as_deref().filter(|_| settings.ranks.is_first());
    let files = || args.html.as_deref().into_iter().chain(output);
    for path in files() {
        let inputs = [args.adapter.to_str(), args.input.as_deref().and_then(Path::to_str)];
        let inputs: Vec<&str> = inputs.into_iter().flatten().collect();
        out::check_file(path, args.overwrite, &inputs)?;
    }
    let adapter = Opening {
        base: args.base.as_deref(),
        precision: args.base_precision.form(),
        leave_out: args.leave_out.as_deref(),
        positive: None,
    }
    .open(settings, &args.adapter)?;
    // The base may be known from the adapter alone, as it is whether texts are names of images.
    let base = adapter.base().model().folder().to_string_lossy();
    let mut read = vec![&*base];
    if matches!(adapter.reader(), Reader::Images(..)) {
        read.extend(args.text.iter().map(String::as_str));
    }
    files().try_for_each(|path| out::check_file(path, true, &read))?;
    let meta = adapter.meta();
    if args.abstain_below.is_some() && meta.head.kind != HeadKind::Classification {
        bail!("--abstain-below is for adapters that give one of several classes");
    }
    if meta.head.kind == HeadKind::MaskedLm && args.top.is_some_and(|n| n as usize > KEPT) {
        bail!("--top: {KEPT} words at most are kept for each masked place");
    }
    if args.explain {
        adapter.can_explain()?;
    }
    if args.explain && !settings.ranks.is_alone() {
        bail!("--explain answers by one process; start the program once");
    }
    let data = inputs(settings, args, &adapter)?;
    let limits =
        AnswerLimits { n_best: args.n_best as usize, max_tokens: args.max_answer_length as usize };
    let top = args.top.map(|n| n as usize);
    let options = AnswerOptions { limits, top, abstain_below: args.abstain_below };
    let terminal = std::io::stdout().is_terminal() && !is_of_job();
    let default = match args.output.as_deref().map(|path| path.extension().unwrap_or_default()) {
        Some(end) if end == "csv" => Format::Csv,
        Some(end) if end == "conll" => Format::Conll,
        None if terminal => Format::Table,
        _ => Format::Jsonl,
    };
    let format = if settings.json { Format::Jsonl } else { args.format.unwrap_or(default) };
    if format == Format::Table && args.output.is_some() {
        bail!("--output is written as csv, jsonl or conll");
    }
    if args.explain {
        if !matches!(format, Format::Table | Format::Jsonl) {
            bail!("--explain is written as a table or as jsonl");
        }
        let how = (format == Format::Jsonl, args.html.as_deref());
        explain::run(&adapter, &data, &options, how)?;
    } else {
        settings.ranks.same("input", &serde_json::to_vec(&data.digest)?)?;
        let (prepared, answers) = answer(&adapter, &data)?;
        let head = (meta.head.kind, &meta.labels[..]);
        let answers = typed(head, (&data, &prepared), &answers, &options);
        match output {
            Some(path) => out::write_file_with(path, |file| {
                let mut file = BufWriter::new(file);
                write(&data, &answers, format, &mut file)?;
                Ok(file.flush()?)
            })?,
            None if args.output.is_some() => {}
            None if format == Format::Table => show(&data, &answers)?,
            None => write(&data, &answers, format, &mut stdout())?,
        }
    }
    for line in &data.skipped {
        note!("left out: {line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The texts to answer.
fn inputs(settings: &Settings, args: &Args, adapter: &Adapter) -> Result<Dataset> {
    let meta = adapter.meta();
    if let Some(input) = &args.input {
        let mut columns = args.columns.clone();
        let text = input.to_string_lossy();
        if source_named(&columns, &text, args.limits)?.is_table() && !columns.no_header {
            adapter.take_columns(&mut columns);
        }
        let task = task::find(&meta.task.kind)?;
        let source: DataSource = source_named(&columns, &text, args.limits)?.read_for(task);
        let mut opened = source.open(Split::Test, false)?;
        opened.settle(Some(task))?;
        let (data, notes) = opened.examples(task, &meta.labels)?;
        notes.iter().for_each(|note| note!("note: {note}"));
        return Ok(data);
    }
    if matches!(adapter.reader(), Reader::Images(..)) {
        return images(settings, args);
    }
    let inputs = match (&args.question, &args.context, &args.text[..]) {
        (Some(question), Some(context), _) => vec![input(meta, question, Some(context))?],
        (_, _, [a]) => vec![input(meta, a, None)?],
        (_, _, [a, b]) => vec![input(meta, a, Some(b))?],
        (_, _, [_, _, _, ..]) => {
            bail!("at most two texts are answered at a time; give many with --input")
        }
        _ => {
            let text = standard_input(settings)?;
            let pair = meta.task.text_columns.len() == 2;
            let split = |line: &str| match line.split_once('\t').filter(|_| pair) {
                Some((a, b)) => input(meta, a, Some(b)),
                // An answer a line, whatever stands in it.
                None if pair && line.trim().is_empty() => input(meta, line, Some("")),
                None => input(meta, line, None),
            };
            // Some programs put a byte-order mark first.
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            text.lines().map(split).collect::<Result<_>>()?
        }
    };
    if inputs.is_empty() {
        bail!("there is no text to answer");
    }
    let examples: Vec<Example> =
        inputs.into_iter().map(|input| Example { input, target: Target::None }).collect();
    let digest = budwood_base::record::DataDigest {
        split: "input".into(),
        source: "command line".into(),
        rows: examples.len() as u64,
        sha256: String::new(),
        skipped: 0,
    };
    Ok(Dataset { examples, digest, skipped: Vec::new() })
}

/// What is given on standard input, which the first rank alone has.
fn standard_input(settings: &Settings) -> Result<String> {
    let bytes = settings.ranks.first_says(|| {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        Ok::<_, anyhow::Error>(bytes)
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
        anyhow::anyhow!("standard input, line {line}: is not UTF-8; give a file with --input")
    })
}

/// The images of files and folders that are named, or of files named on standard input.
fn images(settings: &Settings, args: &Args) -> Result<Dataset> {
    let mut names = args.text.clone();
    if names.is_empty() {
        let lines = standard_input(settings)?;
        names = lines.lines().filter(|l| !l.trim().is_empty()).map(Into::into).collect();
    }
    let kind = task::find("image-classification")?;
    let (mut examples, mut skipped) = (Vec::new(), Vec::new());
    for name in names {
        let path = base::here(Path::new(&name))?;
        if path.is_dir() {
            let opened =
                source_named(&args.columns, &name, args.limits)?.open(Split::Test, false)?;
            let (data, _) = opened.examples(kind, &[])?;
            examples.extend(data.examples);
            skipped.extend(data.skipped);
            continue;
        }
        match Image::open(name, ImageContent::File(path)) {
            Ok(image) => {
                examples.push(Example { input: Input::Image(image), target: Target::None })
            }
            Err(fault) if args.columns.skip_bad => skipped.push(fault.to_string()),
            Err(fault) => return Err(fault.into()),
        }
    }
    if examples.is_empty() {
        bail!("there is no image to answer");
    }
    let data = Dataset::from_examples(examples, "input", "command line");
    Ok(Dataset { skipped, ..data })
}

/// A cell of a table of answers.
enum Cell {
    Text(String),
    Number(f32),
}

/// An answer in the columns of a table; the names are the same for all answers of a task.
fn table_cells(answer: &Answer) -> Vec<(&'static str, Cell)> {
    match answer {
        Answer::Class { label, score, .. } => {
            vec![("label", Cell::Text(label.clone())), ("score", Cell::Number(*score))]
        }
        Answer::Labels { labels, scores } => {
            // Of several labels, the least sure one; where none holds, how sure that is.
            let none = labels.is_empty();
            let said = scores.iter().filter(|(name, _)| none || labels.contains(name));
            let score = said.map(|(_, p)| if none { 1.0 - p } else { *p }).fold(1.0, f32::min);
            vec![("label", Cell::Text(labels.join("|"))), ("score", Cell::Number(score))]
        }
        Answer::Value { value } => vec![("value", Cell::Number(*value))],
        Answer::Span { answer, score, .. } => {
            vec![("answer", Cell::Text(answer.clone())), ("score", Cell::Number(*score))]
        }
        Answer::Words { tags, entities, .. } => {
            let list: Vec<_> = entities.iter().map(|e| format!("{}: {}", e.kind, e.text)).collect();
            vec![("tags", Cell::Text(tags.join(" "))), ("entities", Cell::Text(list.join("; ")))]
        }
        Answer::Filled { filled, places } => {
            let best = || places.iter().filter_map(|words| words.first());
            let words: Vec<&str> = best().map(|w| w.word.as_str()).collect();
            // Of several words, the least sure one.
            let score = best().map(|w| w.score).reduce(f32::min);
            vec![
                ("words", Cell::Text(words.join(" "))),
                ("score", score.map_or(Cell::Text(String::new()), Cell::Number)),
                ("filled", Cell::Text(filled.clone())),
            ]
        }
        _ => Vec::new(),
    }
}

/// Each answer with the cells of its input.
fn pairs<'a>(
    data: &'a Dataset,
    replies: &'a [Answer],
) -> impl Iterator<Item = (Vec<(&'static str, Cow<'a, str>)>, &'a Answer)> {
    data.examples.iter().map(|e| e.input.cells()).zip(replies)
}

/// The answers as a table for people.
fn show(data: &Dataset, replies: &[Answer]) -> Result<()> {
    let heads = replies.iter().take(1).flat_map(table_cells).map(|c| c.0);
    let mut rows = vec![heads.chain(["text"]).map(ToString::to_string).collect()];
    for (cells, reply) in pairs(data, replies) {
        let answers = table_cells(reply).into_iter().map(|(_, cell)| match cell {
            Cell::Text(text) => text,
            Cell::Number(x) => format!("{x:.3}"),
        });
        let texts: Vec<_> = cells.into_iter().map(|(_, cell)| cell).collect();
        let text: String = texts.join(" | ").chars().take(80).collect();
        rows.push(answers.chain([text]).collect());
    }
    table(&rows)
}

/// The answers for programs.
fn write(data: &Dataset, replies: &[Answer], format: Format, out: &mut dyn Write) -> Result<()> {
    let pairs = || pairs(data, replies);
    match format {
        Format::Jsonl => {
            for (cells, reply) in pairs() {
                let input = cells.into_iter().map(|(n, c)| (n, json!(c)));
                let mut object: Map<_, _> = input.map(|(name, v)| (name.into(), v)).collect();
                // By way of a value, in which a number of 32 bits has all its digits.
                if let Value::Object(fields) = serde_json::to_value(reply)? {
                    object.extend(fields);
                }
                let object = Value::Object(object);
                writeln!(out, "{object}")?;
            }
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            for (i, (cells, reply)) in pairs().enumerate() {
                let names =
                    cells.iter().map(|c| c.0).chain(table_cells(reply).into_iter().map(|c| c.0));
                if i == 0 {
                    csv.write_record(names).map_err(io::Error::from)?;
                }
                let answers = table_cells(reply).into_iter().map(|(_, cell)| match cell {
                    Cell::Text(text) => text,
                    Cell::Number(x) => x.to_string(),
                });
                let cells = cells.into_iter().map(|(_, c)| c.into_owned()).chain(answers);
                csv.write_record(cells).map_err(io::Error::from)?;
            }
            csv.flush()?;
        }
        Format::Table => {}
        Format::Conll => {
            for reply in replies {
                let Answer::Words { words, tags, .. } = reply else {
                    bail!("--format conll is for adapters that give each word a tag");
                };
                for (word, tag) in words.iter().zip(tags) {
                    writeln!(out, "{word}\t{tag}")?;
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}
