//! `budwood push`: an adapter to the Hugging Face hub, with a card.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use budwood::ExportForm;
use budwood_base::digest;
use budwood_formats::native::{AdapterFolder, is_adapter};
use budwood_hub::{Hub, ModelName, Settings as HubSettings, Upload};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde_json::json;

use super::export::Options;
use crate::card::Card;
use crate::foreign;
use crate::output::{bytes, json, note, say};
use crate::settings::Settings;

const CARD: &str = "README.md";
const RESULTS: &str = ".eval_results/budwood.yaml";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The adapter: a folder, s3://BUCKET/NAME, or OWNER/NAME of the Hugging Face hub.
    adapter: PathBuf,
    /// The repository, OWNER/NAME; it is made if it is not there.
    repository: String,
    /// The form of the files.
    #[arg(long, default_value = "budwood")]
    form: Form,
    #[command(flatten)]
    options: Options,
    /// The licence of the adapter in the hub's words, such as apache-2.0, mit, cc-by-4.0 or other.
    /// Needed unless the folder's README.md names one.
    #[arg(long)]
    license: Option<String>,
    /// The base's name on the hub, OWNER/NAME [default: the name in the adapter, where it is one].
    #[arg(long, value_name = "OWNER/NAME")]
    base_name: Option<String>,
    /// The commit's message.
    #[arg(long, default_value = "Upload with Budwood")]
    message: String,
    /// Make the repository private; one that is there and public is refused.
    #[arg(long)]
    private: bool,
    /// Show what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// A form of the files: one of [`ExportForm`], or none, which is Budwood's own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form(Option<ExportForm>);

impl ValueEnum for Form {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Form>> = LazyLock::new(|| {
            let exports = ExportForm::value_variants().iter().copied().map(Some);
            std::iter::once(None).chain(exports).map(Form).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self.0 {
            None => Some(PossibleValue::new("budwood").help("Budwood's own folder")),
            Some(to) => to.to_possible_value(),
        }
    }
}

impl Form {
    /// The library in the hub's words.
    fn loader(self) -> &'static str {
        match self.0 {
            None => "budwood",
            Some(ExportForm::Adapterhub) => "adapter-transformers",
            Some(ExportForm::Peft) => "peft",
            Some(ExportForm::Transformers) => "transformers",
            Some(ExportForm::SentenceTransformers) => "sentence-transformers",
            Some(ExportForm::Onnx) => "transformers.js",
        }
    }
}

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let name = ModelName::parse(&args.repository)?;
    let name = name.filter(|n| n.repository().contains('/') && n.revision() == "main");
    let Some(name) = name else {
        bail!("{:?} is not a repository of the hub: give OWNER/NAME", args.repository);
    };
    if let Some(to) = args.form.0 {
        args.options.check(to)?;
    }
    let hub_settings = HubSettings::from_env()?;
    if hub_settings.offline && !args.dry_run {
        bail!("HF_HUB_OFFLINE is set: nothing can be sent; --dry-run shows what would be");
    }
    let mut folder = foreign::load_told(&args.adapter, args.options.base.as_deref())?;
    let place = tempfile::tempdir().context("cannot make a folder for the files")?;
    let (mut files, notes) = match args.form.0 {
        None => {
            folder.write(place.path())?;
            (budwood_formats::native::FILES.iter().map(|f| f.to_string()).collect(), Vec::new())
        }
        Some(to) => {
            let base = args.options.base_of(&folder, to)?;
            args.options.write(to, &folder, base.as_ref(), place.path())?
        }
    };
    notes.iter().for_each(|line| note!("{line}"));
    let card = write_card(args, &name, &folder, place.path(), &mut files)?;
    warn_of_paths(args, &folder);
    let uploads: Vec<Upload> = files
        .iter()
        .map(|path| Upload { path: path.clone(), file: place.path().join(path) })
        .collect();
    if args.dry_run {
        return show(settings, &name, &uploads, &card);
    }
    let mut told = String::new();
    let pushed = Hub::new(hub_settings).push(
        &name,
        args.private,
        &args.message,
        &uploads,
        &mut |progress| {
            if told != progress.file {
                told = progress.file.into();
                note!("sending {told} ({}) ...", bytes(progress.size));
            }
        },
    )?;
    if settings.json {
        json(&json!({
            "address": pushed.address, "commit": pushed.commit, "created": pushed.created,
            "files": files,
        }))?;
    } else {
        say!("{} files in {}", files.len(), pushed.address)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what would be sent.
fn show(settings: &Settings, name: &ModelName, files: &[Upload], card: &str) -> Result<ExitCode> {
    let mut described = Vec::new();
    for Upload { path, file } in files {
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        described.push((path, content.len() as u64, digest::of_bytes(&content)));
    }
    if settings.json {
        let files: Vec<_> = described
            .iter()
            .map(|(path, size, sha256)| json!({ "path": path, "bytes": size, "sha256": sha256 }))
            .collect();
        json(&json!({ "repository": name.repository(), "files": files, "card": card }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("would send to {}:", name.repository())?;
    for (path, size, _) in described {
        say!("  {path}  {}", bytes(size))?;
    }
    say!("\n{card}")?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of metadata that a card begins with, between two of `---`.
fn metadata(card: &str) -> Option<Vec<&str>> {
    let mut lines = card.lines().map(str::trim_end);
    let begins = lines.next() == Some("---");
    let rest: Vec<&str> = lines.collect();
    let end = rest.iter().position(|line| *line == "---").filter(|_| begins)?;
    Some(rest[..end].to_vec())
}

/// Writes the card, and the results in their own file; returns the card. A README.md beside the
/// adapter is its text, and the whole card if it has metadata.
fn write_card(
    args: &Args,
    name: &ModelName,
    folder: &AdapterFolder,
    place: &Path,
    files: &mut Vec<String>,
) -> Result<String> {
    let own = own_card(&args.adapter)?;
    let card = match (&own, own.as_deref().and_then(metadata)) {
        (Some(own), Some(metadata)) => {
            if !metadata.iter().any(|line| line.starts_with("license:")) {
                bail!(
                    "the metadata of the adapter's {CARD} name no licence; add a line such as license: mit"
                );
            }
            if args.license.is_some() {
                bail!("--license is given, but the adapter's {CARD} has metadata of its own");
            }
            own.clone()
        }
        (own, _) => {
            let Some(license) = &args.license else {
                bail!(
                    "under which licence? Say --license apache-2.0, or mit, cc-by-4.0, other: any \
                     that the hub knows"
                );
            };
            let card = Card {
                repository: name.repository(),
                license: check_license(license)?,
                base: base_on_hub(args, folder)?,
                loader: args.form.loader(),
                usage: usage(args.form, name, folder),
            };
            if let Some(results) = card.eval_results(&folder.meta) {
                let path = place.join(RESULTS);
                fs::create_dir_all(place.join(".eval_results"))
                    .and_then(|()| fs::write(&path, results))
                    .with_context(|| format!("cannot write {}", path.display()))?;
                files.push(RESULTS.into());
            }
            let text = own.clone().unwrap_or_else(|| card.text(&folder.meta));
            card.metadata(&folder.meta) + &text
        }
    };
    fs::write(place.join(CARD), &card).with_context(|| format!("cannot write {CARD}"))?;
    files.retain(|file| file != CARD);
    files.insert(0, CARD.into());
    Ok(card)
}

/// The README.md in an adapter's own folder.
fn own_card(adapter: &Path) -> Result<Option<String>> {
    let path = adapter.join(CARD);
    if !is_adapter(adapter) || !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
    Ok(Some(text?))
}

/// A licence in the hub's words: lower-case letters, digits, dots and hyphens.
fn check_license(license: &str) -> Result<&str> {
    let right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    match !license.is_empty() && license.len() <= 64 && license.chars().all(right) {
        true => Ok(license),
        false => bail!("--license {license:?} is none of the hub's names, such as apache-2.0"),
    }
}

/// The base's name on the hub: what is said, or the adapter's own where it is one.
fn base_on_hub<'a>(args: &'a Args, folder: &'a AdapterFolder) -> Result<Option<&'a str>> {
    if let Some(name) = &args.base_name {
        return match ModelName::parse(name)? {
            Some(_) => Ok(Some(name)),
            None => bail!("--base-name {name:?} is not a name of the hub: give OWNER/NAME"),
        };
    }
    let own = &folder.meta.base.name;
    let is_name = !Path::new(own).exists() && ModelName::parse(own)?.is_some();
    Ok(is_name.then_some(own.split('@').next().unwrap_or(own)))
}

/// How the files are loaded.
fn usage(form: Form, name: &ModelName, folder: &AdapterFolder) -> (&'static str, String) {
    let name = name.repository();
    let class = "AutoModelForSequenceClassification";
    match form.0 {
        None => {
            let base = folder.meta.base.name.rsplit('/').next().unwrap_or_default();
            ("sh", format!("budwood predict --adapter {name} --base {base} INPUT"))
        }
        Some(ExportForm::Adapterhub) => (
            "python",
            format!(
                "model = AutoAdapterModel.from_pretrained(BASE)\nmodel.load_adapter({name:?}, set_active=True)"
            ),
        ),
        Some(ExportForm::Peft) => (
            "python",
            format!("model = PeftModel.from_pretrained({class}.from_pretrained(BASE), {name:?})"),
        ),
        Some(ExportForm::Transformers) => ("python", format!("pipeline(model={name:?})")),
        Some(ExportForm::SentenceTransformers) => {
            ("python", format!("logits = SentenceTransformer({name:?}).encode(texts)"))
        }
        Some(ExportForm::Onnx) => (
            "js",
            format!(
                "const answer = await pipeline({:?}, {name:?});",
                crate::card::pipeline(&folder.meta)
            ),
        ),
    }
}

/// Says where the description names places of this machine.
fn warn_of_paths(args: &Args, folder: &AdapterFolder) {
    if args.form.0.is_some() {
        return;
    }
    let is_path = |text: &str| Path::new(text).is_absolute() || text.starts_with("~/");
    let named = folder.meta.data.iter().map(|data| data.source.as_str());
    let named = named.chain([folder.meta.base.name.as_str()]);
    let paths: Vec<&str> = named.filter(|text| is_path(text)).collect();
    if let Some(first) = paths.first() {
        note!(
            "adapter.json names places of this machine, such as {first}; whoever reads it sees them"
        );
    }
}
