//! Handing a sweep to a cluster: one script or manifest whose tasks all run the sweep's own
//! command. Each task takes runs that no other has (a run's folder is locked while it is trained)
//! and that the store does not hold, so that no run is done twice, and one that was killed is taken
//! up again from its checkpoint. Queues, limits and restarts are the engine's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use budwood_store::Address;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::job::{ClusterArgs, Engine, Job};
use super::{kubernetes, slurm};
use crate::out;
use crate::output::{json, say};
use crate::settings::Settings;

/// The folder of scripts, logs and submissions in that of a sweep.
pub(crate) const FOLDER: &str = "cluster";
/// Tasks of a job array unless the user says otherwise.
const TASKS: usize = 100;

/// What was submitted, in [`FOLDER`] as `jobs.json`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jobs {
    /// The sweep's name in the store.
    pub(crate) sweep: String,
    pub(crate) store: String,
    /// Keys of all its runs.
    pub(crate) runs: Vec<String>,
    /// Numbers of the engine's jobs, oldest first.
    pub(crate) ids: Vec<String>,
}

impl Jobs {
    /// Where the runs are recorded.
    pub(crate) fn place(&self) -> Result<Address> {
        Ok(Address::parse(self.store.as_ref())?)
    }

    /// Reads what was submitted from the folder of a sweep.
    pub(crate) fn open(out: &Path) -> Result<Self> {
        let found = Self::find(out)?;
        found.with_context(|| {
            let file = Self::file(out);
            format!("{} was not submitted: there is no {}", out.display(), file.display())
        })
    }

    fn find(out: &Path) -> Result<Option<Self>> {
        let file = Self::file(out);
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let damaged = || format!("{} is damaged", file.display());
        let jobs: Self = serde_json::from_str(&text).with_context(damaged)?;
        // They become words of Slurm's programs, where one that begins with a dash is an option.
        if let Some(id) = jobs.ids.iter().find(|id| !slurm::is_number(id)) {
            bail!("{}: {id:?} is not the number of a job", damaged());
        }
        Ok(Some(jobs))
    }

    fn file(out: &Path) -> PathBuf {
        out.join(FOLDER).join("jobs.json")
    }

    fn write(&self, out: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        out::write_file(&Self::file(out), &text)
    }
}

/// A sweep as it is handed over.
pub(super) struct Sweep<'a> {
    pub(super) name: &'a str,
    /// The sweep file with its variables filled in.
    pub(super) text: &'a str,
    pub(super) out: &'a Path,
    pub(super) store: &'a Address,
    /// Runs at the same time in a task.
    pub(super) jobs: Option<usize>,
    pub(super) keys: Vec<String>,
    pub(super) left: usize,
}

/// Submits the runs that are left, or shows what would be submitted.
pub(super) fn submit(
    settings: &Settings,
    args: &ClusterArgs,
    engine: Engine,
    sweep: &Sweep<'_>,
    dry_run: bool,
) -> Result<()> {
    let out = std::path::absolute(sweep.out)?;
    // A server is where it is for all nodes; they find its password where they find others.
    let store = match sweep.store.file() {
        Some(path) => word(&std::path::absolute(path)?)?,
        None => sweep.store.to_string(),
    };
    if sweep.store.has_password() {
        bail!(
            "the password in --store would stand in a script that others can read; leave it out, \
             and put it into ~/.pgpass, or into PGPASSWORD, where the tasks run"
        );
    }
    let folder = out.join(FOLDER);
    let file = folder.join("sweep.toml");
    let program = match engine {
        Engine::Slurm => word(&std::env::current_exe()?)?,
        Engine::Kubernetes => "budwood".into(),
    };
    let mut command = vec![program, "sweep".into(), word(&file)?];
    command.extend(["--out".into(), word(&out)?, "--store".into(), store.clone()]);
    command.extend(["--threads".into(), args.cpus.to_string()]);
    command.extend(sweep.jobs.iter().flat_map(|n| ["--jobs".into(), n.to_string()]));
    let at_once = sweep.jobs.unwrap_or(args.cpus).clamp(1, args.cpus);
    let tasks = args.array_size.unwrap_or(sweep.left.div_ceil(at_once).min(TASKS)).max(1);
    let (here, logs) = (std::env::current_dir()?, folder.join("logs"));
    let job = Job { name: job_name(sweep.name), command, tasks, here, logs, args };
    let (script, place) = match engine {
        Engine::Slurm => (slurm::script(&job)?, folder.join("sweep.sbatch")),
        Engine::Kubernetes => (kubernetes::manifest(&job)?, folder.join("sweep.yaml")),
    };
    if dry_run {
        match settings.json {
            true => json(&json!({ "left": sweep.left, "tasks": tasks, "script": script }))?,
            false => say!("{}", script.trim_end())?,
        }
        return Ok(());
    }
    if sweep.left == 0 {
        match settings.json {
            true => json(&json!({ "left": 0, "tasks": 0 }))?,
            false => say!("all {} runs of {} are done", sweep.keys.len(), sweep.name)?,
        }
        return Ok(());
    }
    // Numbers of earlier jobs are not lost.
    let mut jobs = Jobs::find(&out)?.unwrap_or_default();
    std::fs::create_dir_all(&job.logs)
        .with_context(|| format!("cannot make {}", job.logs.display()))?;
    out::write_file(&file, sweep.text.as_bytes())?;
    out::write_file(&place, script.as_bytes())?;
    (jobs.sweep, jobs.store, jobs.runs) = (sweep.name.into(), store, sweep.keys.clone());
    let ids = match engine {
        Engine::Slurm => slurm::submit(&job, &place)?,
        Engine::Kubernetes => Vec::new(),
    };
    jobs.ids.extend(ids.iter().cloned());
    jobs.write(&out)?;
    if settings.json {
        return json(&json!({
            "left": sweep.left, "tasks": tasks, "script": place, "ids": ids, "logs": job.logs,
        }));
    }
    let (n, shown) = (sweep.left, sweep.out.display());
    match engine {
        Engine::Slurm => {
            say!("submitted {n} runs to {tasks} tasks: job {}", ids.join(", "))?;
            say!("  budwood jobs status {shown}\n  budwood jobs logs {shown}")?;
            say!("  budwood jobs cancel {shown}")?;
        }
        Engine::Kubernetes => {
            say!("wrote {n} runs for {tasks} tasks. Begin them with:")?;
            say!("  kubectl apply -f {}", place.display())?;
        }
    }
    Ok(())
}

/// Options that another engine has.
pub(super) fn check(args: &ClusterArgs, engine: Engine) -> Result<()> {
    let of_slurm = [("--partition", &args.partition), ("--sbatch", &args.sbatch)];
    let of_kubernetes = [("--image", &args.image), ("--claim", &args.claim)];
    let (others, needed): (&[_], &[_]) = match engine {
        Engine::Slurm => (&of_kubernetes, &[]),
        Engine::Kubernetes => (&of_slurm, &of_kubernetes),
    };
    if let Some((flag, _)) = others.iter().find(|(_, value)| value.is_some()) {
        bail!("{flag} is for another engine than --on names");
    }
    if let Some((flag, _)) = needed.iter().find(|(_, value)| value.is_none()) {
        bail!("--on kubernetes needs {flag}");
    }
    let all = [&args.mem, &args.time, &args.partition, &args.sbatch, &args.image, &args.claim];
    for text in all.into_iter().flatten() {
        ensure!(!text.contains(['\n', '\r', '\0']), "'{text:?}' holds the end of a line");
    }
    Ok(())
}

/// A path as a word of a command.
fn word(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) if !text.contains(['\n', '\r']) => Ok(text.into()),
        _ => bail!("{path:?} cannot be written into a script; choose another name"),
    }
}

/// A name that every engine takes: small letters, digits and dashes.
fn job_name(sweep: &str) -> String {
    let lower = sweep.to_ascii_lowercase();
    let parts: Vec<_> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let name: String = format!("budwood-{}", parts.join("-")).chars().take(50).collect();
    name.trim_end_matches('-').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_are_plain() {
        assert_eq!(job_name("Table 1 (small)"), "budwood-table-1-small");
        assert_eq!(job_name("çä$(rm)"), "budwood-rm");
        assert_eq!(job_name(""), "budwood");
        assert!(job_name(&"a-".repeat(100)).len() <= 50);
    }
}
