//! What a cluster's engine is asked to do.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use budwood::number;
use clap::ValueEnum;

#[derive(clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// Hand the runs to a cluster instead of training them here. See docs/cluster.md.
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub(super) on: Option<Engine>,
    /// Tasks at a time; each takes runs until none is left [default: one for each run, at most
    /// 100].
    #[arg(long, value_name = "N", requires = "on", value_parser = number::count::<1, 100_000>)]
    pub(super) array_size: Option<usize>,
    /// Processors of a task, which are its threads.
    #[arg(
        long, value_name = "N", requires = "on", default_value_t = 1,
        value_parser = number::count::<1, 1024>
    )]
    pub(super) cpus: usize,
    /// Memory of a task, such as 4G.
    #[arg(long, value_name = "SIZE", requires = "on")]
    pub(super) mem: Option<String>,
    /// Longest time of a task as Slurm writes it, such as 02:00:00; a task that reaches it is
    /// queued again and goes on.
    #[arg(long, requires = "on")]
    pub(super) time: Option<String>,
    /// Partition of Slurm.
    #[arg(long, value_name = "NAME", requires = "on")]
    pub(super) partition: Option<String>,
    /// More options of sbatch, such as "--account=lab --nice=100".
    #[arg(long, value_name = "OPTIONS", requires = "on", allow_hyphen_values = true)]
    pub(super) sbatch: Option<String>,
    /// Container image of Kubernetes' tasks, which holds the program.
    #[arg(long, requires = "on")]
    pub(super) image: Option<String>,
    /// Kubernetes' PersistentVolumeClaim of the volume with the current folder; all tasks share
    /// it.
    #[arg(long, value_name = "NAME", requires = "on")]
    pub(super) claim: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Submit a job array with sbatch.
    Slurm,
    /// Write an Indexed Job for kubectl.
    Kubernetes,
}

/// What an engine is asked to do.
pub(super) struct Job<'a> {
    pub(super) name: String,
    /// The command of every task.
    pub(super) command: Vec<String>,
    pub(super) tasks: usize,
    /// Where the user stood: paths of the sweep file are meant from here.
    pub(super) here: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) args: &'a ClusterArgs,
}

/// What a program of the engine printed.
pub(crate) fn ask(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| {
        format!("cannot run {program}: is this a machine from which jobs are submitted?")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
