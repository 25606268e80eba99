//! Sweeps handed to a cluster, with programs in the place of Slurm's. `tests/cluster/slurm.sh` has
//! a real one.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use world::{World, json};

const SWEEP: &str = r#"
name = "It's small"
seeds = [0, 1, 2, 3]
[train]
recipe = "paper"
base = "base"
epochs = 1
train-rows = 60
[[task]]
data = "${WHERE}/train.csv"
[[method]]
name = "probe"
method = "linear"
"#;

/// A machine from which jobs are submitted: `sbatch` runs the first task at once.
struct Cluster {
    world: World,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self { world: World::new() };
        fs::create_dir(cluster.world.path("bin")).unwrap();
        cluster.world.write("sweep.toml", SWEEP);
        cluster.program(
            "sbatch",
            "echo \"$@\" >> said\nfor last; do :; done\n\
             case \"$*\" in *afterany*) echo '18;east'; exit;; esac\n\
             SLURM_ARRAY_JOB_ID=17 SLURM_ARRAY_TASK_ID=0 bash \"$last\" > task.log 2>&1 || \
             { cat task.log >&2; exit 1; }\necho 17",
        );
        cluster.program("scancel", "echo scancel \"$@\" >> said");
        cluster.program(
            "squeue",
            "case \"$*\" in *17*) echo 'slurm_load_jobs error: Invalid job id specified' >&2; \
             exit 1;; esac\necho '18_0|PENDING|0:00|(Dependency)'",
        );
        cluster
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.world.path("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command("");
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.world.path("bin").display())).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, args: &[&str], word: &str) {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr).to_string();
        assert!(!output.status.success() && error.contains(word), "{error}");
    }

    fn said(&self) -> String {
        fs::read_to_string(self.world.path("said")).unwrap_or_default()
    }
}

const SUBMIT: [&str; 6] = ["sweep", "sweep.toml", "--set", "WHERE=.", "--on", "slurm"];

fn submit<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SUBMIT, more].concat()
}

#[test]
fn a_sweep_is_submitted_once_and_its_runs_are_recorded() {
    let cluster = Cluster::new();
    // A name with all that a shell could stumble over.
    let out = "it's $(touch broken) \"here\"";
    let script = cluster.ok(&submit(&["--out", out, "--dry-run", "--cpus", "2"]));
    assert!(script.contains("#SBATCH --array=0-1\n") && script.contains("--threads 2"), "{script}");
    assert_eq!(cluster.said(), "");
    cluster.fails(&["sweep", "sweep.toml", "--set", "WHERE=.", "--on", "kubernetes"], "--image");
    for made in [out, "budwood-runs"] {
        assert!(!cluster.world.path(made).exists(), "what is not submitted writes nothing");
    }

    cluster.ok(&submit(&["--out", out, "--array-size", "3", "--time", "10", "--mem", "1G"]));
    let said = cluster.said();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("--dependency=afterany:17"), "{said}");
    let script = fs::read_to_string(cluster.world.path(out).join("cluster/sweep.sbatch")).unwrap();
    for option in ["--array=0-2", "--time=10", "--mem=1G", "--requeue"] {
        assert!(script.contains(&format!("#SBATCH {option}\n")), "{script}");
    }
    let status = json(&cluster.ok(&["jobs", "status", out, "--json"]));
    assert_eq!((&status["runs"], &status["done"]), (&4.into(), &4.into()));
    assert_eq!(status["tasks"][0]["state"], "PENDING");
    assert!(!cluster.world.path("broken").exists());
    // Nothing is left: nothing is submitted.
    let again = cluster.ok(&submit(&["--out", out]));
    assert!(again.contains("all 4 runs"), "{again}");
    assert_eq!(cluster.said(), said);
    cluster.ok(&["jobs", "cancel", out]);
    assert!(cluster.said().ends_with("scancel 17 18\n"));

    // A number that is an option of scancel would cancel all that the user has.
    let jobs = cluster.world.path(out).join("cluster/jobs.json");
    let text = fs::read_to_string(&jobs).unwrap();
    let said = cluster.said();
    for bad in ["--user=me", "", "17 18"] {
        fs::write(&jobs, text.replace("\"17\"", &format!("{bad:?}"))).unwrap();
        for what in ["status", "cancel"] {
            cluster.fails(&["jobs", what, out], "is not the number of a job");
        }
    }
    assert_eq!(cluster.said(), said);

    // The numbers of earlier jobs are not forgotten where they cannot be read.
    fs::write(cluster.world.path(out).join("cluster/jobs.json"), "{").unwrap();
    fs::remove_file(cluster.world.path(out).join("runs.db")).unwrap();
    let said = cluster.said();
    cluster.fails(&submit(&["--out", out]), "jobs.json is damaged");
    assert_eq!(cluster.said(), said);
}

/// If the second job is refused, the first is taken back.
#[test]
fn half_a_submission_is_taken_back() {
    let cluster = Cluster::new();
    cluster.program(
        "sbatch",
        "case \"$*\" in *afterany*) echo 'no more jobs for you' >&2; exit 1;; esac\necho 17",
    );
    cluster.fails(&submit(&["--out", "runs"]), "no more jobs for you");
    assert_eq!(cluster.said(), "scancel 17\n");
    cluster.fails(&["jobs", "status", "runs"], "was not submitted");
    cluster.program("sbatch", "echo Submitted batch job 17");
    cluster.fails(&submit(&["--out", "runs"]), "where the number of a job was expected");
}

#[test]
fn what_does_not_fit_is_refused() {
    let cluster = Cluster::new();
    cluster.fails(&submit(&["--out", "runs", "--image", "x"]), "--image is for another engine");
    cluster.fails(&submit(&["--out", "runs", "--sbatch", "--x\nrm"]), "end of a line");
    cluster.fails(&["sweep", "sweep.toml", "--cpus", "2"], "--on <ENGINE>");
    cluster.fails(&["jobs", "logs", "runs"], "was not submitted");
    let kubernetes = ["sweep", "sweep.toml", "--set", "WHERE=.", "--out", "runs"];
    let on = |more: &[&'static str]| [&kubernetes[..], &["--on", "kubernetes"], more].concat();
    cluster.fails(&on(&["--image", "x"]), "needs --claim");
    let fit = ["--image", "x", "--claim", "work", "--time", "soon"];
    cluster.fails(&on(&fit), "--time soon is not a time");
    assert!(!cluster.world.path("runs/cluster").exists());
}

#[test]
fn kubernetes_gets_a_manifest() {
    let cluster = Cluster::new();
    let words = ["sweep", "sweep.toml", "--set", "WHERE=.", "--out", "runs", "--on", "kubernetes"];
    let more = ["--image", "lab/budwood:1", "--claim", "work", "--mem", "4G", "--time", "1:00:00"];
    cluster.ok(&[&words[..], &more].concat());
    let text = fs::read_to_string(cluster.world.path("runs/cluster/sweep.yaml")).unwrap();
    let job = json(&text);
    assert_eq!(job["metadata"]["name"], "budwood-it-s-small");
    assert_eq!((&job["spec"]["completions"], &job["spec"]["parallelism"]), (&4.into(), &4.into()));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["activeDeadlineSeconds"], 3600);
    assert_eq!(pod["containers"][0]["resources"]["limits"]["memory"], "4Gi");
    assert_eq!(pod["containers"][0]["command"][1], "sweep");
}
