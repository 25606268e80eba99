//! A sweep as a job array of Slurm (sbatch(1), scontrol(1)).

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::job::{Job, ask};

/// Seconds before the limit of time at which a task saves and is queued again.
const BEFORE_THE_END: u32 = 60;

/// The script of every task.
pub(super) fn script(job: &Job<'_>) -> Result<String> {
    let mut options = vec![
        format!("--job-name={}", job.name),
        format!("--array=0-{}", job.tasks - 1),
        format!("--cpus-per-task={}", job.args.cpus),
        format!("--chdir={}", quoted(&job.here.to_string_lossy())),
        format!("--output={}", quoted(&log(&job.logs, "%A_%a.log")?)),
        "--open-mode=append".into(),
        "--requeue".into(),
        format!("--signal=B:USR1@{BEFORE_THE_END}"),
    ];
    options.extend(job.args.partition.as_ref().map(|name| format!("--partition={}", quoted(name))));
    options.extend(job.args.mem.as_ref().map(|size| format!("--mem={}", quoted(size))));
    options.extend(job.args.time.as_ref().map(|time| format!("--time={}", quoted(time))));
    options.extend(job.args.sbatch.as_ref().cloned());
    let options: String = options.iter().map(|option| format!("#SBATCH {option}\n")).collect();
    let command: Vec<_> = job.command.iter().map(|word| quoted(word)).collect();
    Ok(format!(
        "#!/bin/bash
{options}
# Shortly before the limit of time Slurm sends USR1: the run stops, keeps its checkpoint, and the
# task is queued again.
again=
trap 'again=yes; kill -INT $task' USR1
{command} &
task=$!
wait $task; code=$?
# A signal ends the waiting, not the task.
while kill -0 $task 2> /dev/null; do wait $task; code=$?; done
if [ -n \"$again\" ]; then
    exec scontrol requeue \"${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}\"
fi
exit $code
",
        command = command.join(" ")
    ))
}

/// Submits the array, and one task after it for runs whose tasks were killed for good.
pub(super) fn submit(job: &Job<'_>, script: &Path) -> Result<Vec<String>> {
    let script = script.to_string_lossy();
    let array = number(&ask("sbatch", &["--parsable", &script])?)?;
    let after = format!("--dependency=afterany:{array}");
    let (name, log) = (format!("--job-name={}-rest", job.name), log(&job.logs, "%A.log"));
    let rest = log.and_then(|log| {
        let log = format!("--output={log}");
        ask("sbatch", &["--parsable", &after, &name, &log, "--array=0", &script])
    });
    match rest.and_then(|said| number(&said)) {
        Ok(rest) => Ok(vec![array, rest]),
        // Half of it must not be left behind.
        Err(e) => {
            ask("scancel", &[&array])?;
            Err(e)
        }
    }
}

/// The file of a task's log: a name in which Slurm puts numbers for `%A` and `%a`, and which would
/// be taken as it stands if there were a backslash (sbatch(1), filename pattern).
fn log(folder: &Path, name: &str) -> Result<String> {
    let folder = folder.to_string_lossy();
    ensure!(
        !folder.contains('\\'),
        "Slurm writes no logs to {folder}, which has a backslash in its name; choose another --out"
    );
    Ok(format!("{}/{name}", folder.replace('%', "%%")))
}

/// The number in what `sbatch --parsable` prints: the job, and its cluster after a semicolon.
fn number(said: &str) -> Result<String> {
    let number = said.trim().split(';').next().unwrap_or_default();
    if !is_number(number) {
        bail!("sbatch printed '{}' where the number of a job was expected", said.trim());
    }
    Ok(number.into())
}

/// Whether a text is the number of a job.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A word of the shell: as it is where it is plain, else in quotes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,%+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_one_word() {
        assert_eq!(quoted("/home/a/runs.db"), "/home/a/runs.db");
        assert_eq!(quoted("my runs"), "'my runs'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn what_slurm_would_replace_in_a_folder_stays() {
        let of = |folder: &str| log(Path::new(folder), "%A.log");
        assert_eq!(of("/runs/100%/of%j").unwrap(), "/runs/100%%/of%%j/%A.log");
        assert!(of("/a\\b").unwrap_err().to_string().contains("choose another"));
    }

    #[test]
    fn only_a_number_is_a_job() {
        assert_eq!(number("17\n").unwrap(), "17");
        assert_eq!(number("17;east\n").unwrap(), "17");
        assert!(number("").is_err() && number("Submitted batch job 17").is_err());
    }
}
