//! A sweep as an Indexed Job of Kubernetes (batch/v1). JSON is YAML too, so that no text has to be
//! quoted here.

use anyhow::{Result, bail};
use serde_json::json;

use super::job::Job;

/// A failed task is begun again so often: a node that goes away takes one try.
const TRIES: usize = 10;

/// The manifest of the job.
pub(super) fn manifest(job: &Job<'_>) -> Result<String> {
    let here = job.here.to_string_lossy();
    let mut limits = json!({ "cpu": job.args.cpus.to_string() });
    if let Some(mem) = &job.args.mem {
        limits["memory"] = memory(mem)?.into();
    }
    let mut spec = json!({
        "completionMode": "Indexed",
        "completions": job.tasks,
        "parallelism": job.tasks,
        "backoffLimitPerIndex": TRIES,
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "sweep",
                    "image": job.args.image,
                    "command": job.command,
                    "workingDir": here,
                    "resources": { "requests": limits, "limits": limits },
                    "volumeMounts": [{ "name": "work", "mountPath": here }],
                }],
                "volumes": [{
                    "name": "work",
                    "persistentVolumeClaim": { "claimName": job.args.claim },
                }],
            },
        },
    });
    if let Some(time) = &job.args.time {
        spec["template"]["spec"]["activeDeadlineSeconds"] = seconds(time)?.into();
    }
    let manifest = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": job.name },
        "spec": spec,
    });
    Ok(format!("{:#}\n", manifest))
}

/// Slurm's sizes in those of Kubernetes: both mean powers of two.
fn memory(size: &str) -> Result<String> {
    let end = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let unit = match size[end..].trim_end_matches(['B', 'b']) {
        "" | "M" => "Mi",
        "K" => "Ki",
        "G" => "Gi",
        "T" => "Ti",
        _ => bail!("--mem {size} is not a size such as 4G"),
    };
    if end == 0 {
        bail!("--mem {size} is not a size such as 4G");
    }
    Ok(format!("{}{unit}", &size[..end]))
}

/// Slurm's times: MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS[:MINUTES[:SECONDS]].
fn seconds(time: &str) -> Result<u64> {
    let numbers = |text: &str| -> Option<Vec<u64>> {
        text.split(':').map(|part| part.parse().ok().filter(|n| *n < 1 << 32)).collect()
    };
    let (days, rest) = match time.split_once('-') {
        Some((days, rest)) => (days.parse::<u64>().ok().filter(|n| *n < 1 << 20), rest),
        None => (Some(0), time),
    };
    let found = match (days, numbers(rest).as_deref(), time.contains('-')) {
        (Some(_), Some([m]), false) => Some(60 * m),
        (Some(_), Some([m, s]), false) => Some(60 * m + s),
        (Some(days), Some([h]), true) => Some(86_400 * days + 3600 * h),
        (Some(days), Some([h, m]), true) => Some(86_400 * days + 3600 * h + 60 * m),
        (Some(days), Some([h, m, s]), _) => Some(86_400 * days + 3600 * h + 60 * m + s),
        _ => None,
    };
    match found.filter(|seconds| *seconds > 0) {
        Some(seconds) => Ok(seconds),
        None => bail!("--time {time} is not a time such as 02:00:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_those_of_slurm() {
        let times = [("90", 5400), ("1:30", 90), ("2:00:00", 7200), ("1-2", 93_600)];
        for (text, expected) in times.into_iter().chain([("1-02:03:04", 93_784)]) {
            assert_eq!(seconds(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "0", "x", "1:2:3:4", "-1", "1-", "9999999999999999999"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(memory("4G").unwrap(), "4Gi");
        assert_eq!(memory("500").unwrap(), "500Mi");
        assert!(["G", "", "4X", "-4G", "4 G"].iter().all(|wrong| memory(wrong).is_err()));
    }
}
