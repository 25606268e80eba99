//! Images: a small ViT that this machine trains on clothes (or has trained before), frozen, and
//! adapters of it that tell handwritten digits apart.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use budwood::run::{FOLDER, RunData, Trained};
use budwood_base::folder::OutFolder;
use budwood_formats::native::{AdapterFolder, AdapterMeta};
use budwood_formats::{BaseModel, model_folder};
use budwood_model::merged;
use clap::Parser;
use serde_json::json;

use super::shared::{Args, accuracy, flags, majority, trained};
use crate::base;
use crate::new_vit::{self, NewArgs};
use crate::output::{bytes, json, say, seconds, thousands};
use crate::settings::Settings;

/// How the model learns clothes; part of its name in the cache, so that another recipe is another
/// model.
const ROWS: usize = 12_000;
const EPOCHS: usize = 6;

/// A run of the flags of `train`; none if it was interrupted.
fn train(
    settings: &Settings,
    (model, data): (&Path, &str),
    out: &Path,
    more: &str,
) -> Result<Option<((Trained, AdapterMeta), f64)>> {
    let args = flags(Some(model), data, out, more)?;
    let data = RunData::read(&args.spec, args.resources.limits, &mut base::told())?;
    let most = data.test.as_ref().map_or(0.0, majority);
    Ok(trained(settings, &args, data, out)?.map(|saved| (saved, most)))
}

/// The folder of the model that knows clothes, trained if it is not in the cache; none if that was
/// interrupted.
fn model(settings: &Settings) -> Result<Option<PathBuf>> {
    let place = budwood_hub::cache_folder()?
        .join("models")
        .join(format!("{}{ROWS}-{EPOCHS}", budwood_hub::MADE));
    // A run that was interrupted goes on here.
    let work = place.with_extension("work");
    let (new, trained) = (work.join("new"), work.join("trained"));
    let clear = || -> Result<()> {
        if work.exists() {
            OutFolder::open(&new, &model_folder::KIND)?.remove()?;
            OutFolder::open(&trained, &FOLDER)?.remove()?;
            let _ = std::fs::remove_dir(&work);
        }
        Ok(())
    };
    if place.exists() {
        clear()?;
        return Ok(Some(place));
    }
    let held = OutFolder::open(&place, &model_folder::KIND)?;
    if !settings.json {
        say!("training the model itself on {} pictures of clothes ...", thousands(ROWS as u64))?;
    }
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: NewArgs,
    }
    let new_args = ["new", "--overwrite", "--out", &new.to_string_lossy()].map(ToString::to_string);
    if !new.exists() {
        new_vit::write(&Flags::try_parse_from(new_args)?.args)?;
    }
    let more = format!(
        "--recipe paper --method full --train-rows {ROWS} --epochs {EPOCHS} --batch-size 64 --lr 1e-3 --optimizer adamw \
         --weight-decay 0.05 --dropout 0 --flip"
    );
    if train(settings, (&new, "fashion-mnist"), &trained, &more)?.is_none() {
        return Ok(None);
    }
    let adapter = AdapterFolder::load(&trained)?;
    let start = BaseModel::open(&new)?;
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(start.tensor(name)?);
    let changed = merged(&adapter.meta.method, start.spec(), &adapter.tensors, fetch)?;
    held.replace(|new| model_folder::write(&start, &changed, new))?;
    clear()?;
    Ok(Some(place))
}

pub(super) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    let (rows, epochs) = (args.rows.unwrap_or(1000), args.epochs.unwrap_or(10));
    let Some(base) = model(settings)? else { return Ok(ExitCode::from(130)) };
    let parameters = BaseModel::open(&base)?.spec().parameters() as u64;
    if !settings.json {
        say!(
            "model  a ViT of {} parameters that has seen clothes only, frozen",
            thousands(parameters)
        )?;
        say!("task   which digit is it? {} pictures to learn from\n", thousands(rows as u64))?;
    }
    let mut finished = Vec::new();
    let mut most = 0.0;
    for (method, rate, title) in
        [("linear", "1e-2", "linear probe"), ("adapter[width=32]", "1e-2", "adapter")]
    {
        if !settings.json {
            say!("training the {title} ...")?;
        }
        let name = method.split('[').next().unwrap_or(method);
        let more = format!(
            "--recipe paper --method {method} --lr {rate} --train-rows {rows} --epochs {epochs} --test-share 0.2 \
             --optimizer adamw --dropout 0"
        );
        let Some((run, majority)) =
            train(settings, (&base, "mnist-5k"), &args.out.join(name), &more)?
        else {
            return Ok(ExitCode::from(130));
        };
        most = majority;
        finished.push(run);
    }
    let [probe, adapter] = [accuracy(&finished[0]), accuracy(&finished[1])];
    let meta = &finished[1].1;
    let share = 100.0 * meta.parameters_trained as f64 / meta.parameters_base as f64;
    let out = args.out.join("adapter");
    let tested = meta.data.iter().find(|d| d.split == "test").map_or(0, |d| d.rows);
    if settings.json {
        json(&json!({
            "accuracy": adapter, "linear_probe": probe, "majority_class": most, "base": base,
            "parameters_trained": meta.parameters_trained, "percent_of_base": share,
            "bytes": finished[1].0.bytes, "adapter": out, "seconds": begin.elapsed().as_secs_f64(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("\naccuracy on {} digits that it has not seen", thousands(tested))?;
    say!("  majority class  {:5.1} %", 100.0 * most)?;
    say!("  linear probe    {:5.1} %", 100.0 * probe)?;
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
