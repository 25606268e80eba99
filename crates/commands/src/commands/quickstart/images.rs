//! Images: a small ViT that has learned made-up signs, frozen, and adapters of it that tell
//! handwritten digits apart.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use budwood::run::{FOLDER, RunData, Trained};
use budwood_base::digest;
use budwood_base::folder::OutFolder;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_formats::{BaseModel, model_folder};
use budwood_model::merged;
use clap::Parser;
use flate2::read::GzDecoder;
use serde_json::json;

use super::shared::{Args, accuracy, flags, majority, trained};
use super::signs;
use crate::base;
use crate::commands::train::Args as TrainArgs;
use crate::new_vit::{self, NewArgs};
use crate::output::{bytes, json, say, seconds, thousands};
use crate::settings::Settings;

/// The model, as `--pretrain` and `budwood models quantize` made it, its weights packed: a static,
/// as each use of a constant may be a copy.
static MODEL: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../../model/config.json")),
    ("preprocessor_config.json", include_bytes!("../../../model/preprocessor_config.json")),
    ("model.safetensors.gz", include_bytes!("../../../model/model.safetensors.gz")),
    ("budwood.json", include_bytes!("../../../model/budwood.json")),
];

/// The shape of the model, as flags of `models new`.
const SHAPE: [&str; 2] = ["--layers", "4"];

/// How the model learns signs; part of its name in the cache, so that another recipe is another
/// model.
const EACH: usize = 200;
const EPOCHS: usize = 6;

/// A run of the flags of `train`; none if it was interrupted.
fn train(
    settings: &Settings,
    args: &TrainArgs,
    data: RunData,
    out: &Path,
) -> Result<Option<((Trained, AdapterMeta), f64)>> {
    let most = data.test.as_ref().map_or(0.0, majority);
    Ok(trained(settings, args, data, out)?.map(|saved| (saved, most)))
}

/// A model in the cache, made by `make` if it is not there; none if that was interrupted.
fn cached(name: &str, make: impl FnOnce(&Path) -> Result<bool>) -> Result<Option<PathBuf>> {
    let models = budwood_hub::cache_folder()?.join("models");
    let place = models.join(format!("{}{name}", budwood_hub::MADE));
    Ok((place.exists() || make(&place)?).then_some(place))
}

/// The folder of the model that this program holds.
fn packed() -> Result<Option<PathBuf>> {
    let digest = digest::of_parts(MODEL.iter().copied());
    cached(&digest[..12], |place| {
        OutFolder::open(place, &model_folder::KIND)?.replace(|new| {
            MODEL.iter().try_for_each(|&(name, content)| match name.strip_suffix(".gz") {
                Some(name) => {
                    let mut file = File::create(new.join(name))?;
                    io::copy(&mut GzDecoder::new(content), &mut file).map(drop)
                }
                None => fs::write(new.join(name), content),
            })
        })?;
        Ok(true)
    })
}

/// The folder of the model that knows signs, trained here.
fn pretrained(settings: &Settings) -> Result<Option<PathBuf>> {
    // A run that was interrupted goes on there.
    let work = |place: &Path| place.with_extension("work");
    let made = cached(&format!("{EACH}-{EPOCHS}"), |place| {
        let held = OutFolder::open(place, &model_folder::KIND)?;
        let (new, trained) = (work(place).join("new"), work(place).join("trained"));
        let pictures = thousands((signs::SIGNS * EACH) as u64);
        if !settings.json {
            say!("training the model itself on {pictures} pictures of made-up signs ...")?;
        }
        if !new.exists() {
            untrained(&new)?;
        }
        let more = format!(
            "--recipe paper --method full --epochs {EPOCHS} --batch-size 64 --lr 1e-3 \
             --optimizer adamw --weight-decay 0.05 --dropout 0"
        );
        let args = flags(Some(&new), "signs", &trained, &more)?;
        if train(settings, &args, signs::data(EACH)?, &trained)?.is_none() {
            return Ok(false);
        }
        let adapter = AdapterFolder::load(&trained)?;
        let start = BaseModel::open(&new)?;
        let fetch = |name: &str| Ok::<_, budwood_train::Error>(start.tensor(name)?);
        let changed = merged(&adapter.meta.method, start.spec(), &adapter.tensors, fetch)?;
        held.replace(|new| model_folder::write(&start, &changed, new))?;
        Ok(true)
    })?;
    // Also what a process left that was killed before it could remove it.
    if let Some(work) = made.as_deref().map(work).filter(|work| work.exists()) {
        OutFolder::open(&work.join("new"), &model_folder::KIND)?.remove()?;
        OutFolder::open(&work.join("trained"), &FOLDER)?.remove()?;
        let _ = fs::remove_dir(&work);
    }
    Ok(made)
}

/// A model of the same shape that has learned nothing.
fn untrained(folder: &Path) -> Result<()> {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: NewArgs,
    }
    let folder = folder.to_string_lossy();
    let given = ["new", "--overwrite", "--out", &folder].into_iter().chain(SHAPE);
    new_vit::write(&Flags::try_parse_from(given)?.args).map(drop)
}

pub(super) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    let (rows, epochs) = (args.rows.unwrap_or(1000), args.epochs.unwrap_or(8));
    let base = if args.pretrain { pretrained(settings) } else { packed() };
    let Some(base) = base? else { return Ok(ExitCode::from(130)) };
    let parameters = BaseModel::open(&base)?.spec().parameters() as u64;
    if !settings.json {
        say!(
            "model  a ViT of {} parameters that has seen made-up signs only, frozen",
            thousands(parameters)
        )?;
        say!("task   which digit is it? {} pictures to learn from\n", thousands(rows as u64))?;
    }
    let Some(new) = cached("untrained", |place| untrained(place).map(|()| true))? else {
        return Ok(ExitCode::from(130));
    };
    // By default the recipe chooses the steps.
    let few = args.epochs.map_or(String::new(), |n| format!("--epochs {n} "));
    let steps = format!("--recipe paper --epochs {epochs} --optimizer adamw --dropout 0");
    let runs = [
        ("linear", &base, "--method linear".into(), "linear probe"),
        ("adapter", &base, format!("{few}--method adapter[width=32]"), "adapter"),
        ("from-nothing", &new, format!("{steps} --method full --lr 1e-3"), "model from nothing"),
    ];
    let mut finished = Vec::new();
    let mut most = 0.0;
    for (name, base, more, title) in runs {
        if !settings.json {
            say!("training the {title} ...")?;
        }
        let out = args.out.join(name);
        let more = format!("{more} --train-rows {rows} --test-share 0.2");
        let args = flags(Some(base), "mnist-5k", &out, &more)?;
        let data = RunData::read(&args.spec, args.resources.limits, &mut base::told())?;
        let Some((run, majority)) = train(settings, &args, data, &out)? else {
            return Ok(ExitCode::from(130));
        };
        most = majority;
        finished.push(run);
    }
    let [probe, adapter, nothing] = [0, 1, 2].map(|run| accuracy(&finished[run]));
    let meta = &finished[1].1;
    let share = 100.0 * meta.parameters_trained as f64 / meta.parameters_base as f64;
    let out = args.out.join("adapter");
    let tested = meta.data.iter().find(|d| d.split == "test").map_or(0, |d| d.rows);
    if settings.json {
        json(&json!({
            "accuracy": adapter, "linear_probe": probe, "from_nothing": nothing,
            "majority_class": most, "base": base,
            "parameters_trained": meta.parameters_trained, "percent_of_base": share,
            "bytes": finished[1].0.bytes, "adapter": out, "seconds": begin.elapsed().as_secs_f64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("\naccuracy on {} digits that it has not seen", thousands(tested))?;
    say!("  majority class  {:5.1} %", 100.0 * most)?;
    say!("  linear probe    {:5.1} %", 100.0 * probe)?;
    say!("  from nothing    {:5.1} %", 100.0 * nothing)?;
    say!("  adapter         {:5.1} %", 100.0 * adapter)?;
    say!(
        "\ntrained {} parameters, {share:.1} % of the model; {} on disk",
        thousands(meta.parameters_trained),
        bytes(finished[1].0.bytes)
    )?;
    say!("\nall of it took {}. Try it:", seconds(begin.elapsed().as_secs_f64()))?;
    say!("  budwood predict --adapter {} digit.png", out.display())?;
    say!("  budwood inspect {}", out.display())?;
    say!("  budwood train --base {} --data FOLDER-OF-CLASSES --out mine", base.display())?;
    Ok(ExitCode::SUCCESS)
}
