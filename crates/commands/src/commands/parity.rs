//! `budwood parity`: compare with a reference library on a case file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use budwood::number;
use budwood_engine::Device;
use budwood_train::parity::compare;
use serde_json::json;

use crate::output::json;
use crate::settings::Settings;
use budwood::spec::PrecisionSpec;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The base model: a folder, a name that `budwood models` lists, or OWNER/NAME of the Hugging
    /// Face hub.
    #[arg(long)]
    base: String,
    /// AdapterHub's or PEFT's adapter with its head: a folder, or OWNER/NAME of the hub.
    #[arg(long)]
    adapter: PathBuf,
    /// File with inputs, outputs, gradients and parameters after three AdamW steps.
    #[arg(long)]
    case: PathBuf,
    /// Largest error of outputs and hidden states, relative to the largest element.
    #[arg(long, default_value_t = 1e-5, value_parser = number::amount::<1>)]
    tolerance: f64,
    /// Largest error of gradients and of parameters after three steps.
    #[arg(long, default_value_t = 1e-4, value_parser = number::amount::<1>)]
    gradient_tolerance: f64,
    #[command(flatten)]
    precision: PrecisionSpec,
}

pub(crate) fn run(_: &Settings, args: &Args) -> Result<ExitCode> {
    let on = (Device::cpu(), args.precision.get(false));
    let base = crate::base::folder(&args.base)?;
    let adapter = crate::foreign::folder(&args.adapter)?;
    let case = crate::base::here(&args.case)?;
    let parity = compare(&base, &adapter, &case, on)?;
    let passed = parity.logits <= args.tolerance
        && parity.last_hidden <= args.tolerance
        && parity.loss <= args.tolerance
        && parity.gradients <= args.gradient_tolerance
        && parity.parameters <= args.gradient_tolerance;
    json(&json!({ "passed": passed, "relative_errors": parity, "device": Device::cpu().name() }))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
