//! `budwood quickstart`: a model, real data, an adapter, and what it is worth.

mod images;
mod shared;
mod signs;
mod texts;

use std::process::ExitCode;

use anyhow::Result;

use crate::out;
use crate::settings::Settings;

pub(crate) use shared::Args;

pub(crate) fn run(settings: &Settings, args: &Args) -> Result<ExitCode> {
    out::check_folder(&args.out, &[])?;
    out::check_shared(
        &args.out,
        "a quickstart",
        &["linear", "adapter", "few-linear", "few-adapter", "from-nothing"],
    )?;
    if args.images { images::run(settings, args) } else { texts::run(settings, args) }
}
