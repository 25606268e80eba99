//! Sweep files: from a TOML file to the list of its runs.
//!
//! A value that is a list is a grid: every combination is a run. Flags are those of `budwood
//! train`, without the dashes; a task's flags go before those of `[train]`, a method's before both.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use budwood_base::files::read_plain_text;
use clap::Parser;
use serde::Deserialize;
use toml::{Table, Value};

use crate::commands::train;

/// The folder of the adapters in that of a sweep.
pub(crate) const ADAPTERS: &str = "adapters";

/// Flags that may be given several times: their lists are no grids.
const REPEATED: &[&str] = &["text-column", "label-column", "label-names"];
/// Bytes of a sweep file.
const LARGEST: u64 = 16 << 20;
/// Runs of one sweep; more are a slip in a grid.
const RUNS: usize = 100_000;

/// A sweep file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SweepFile {
    /// Its name in the store.
    pub(crate) name: String,
    /// What it is for.
    #[serde(default)]
    pub(crate) about: String,
    /// Seeds of each run.
    #[serde(default = "one_seed")]
    seeds: Vec<u64>,
    /// Score each adapter without every span of layers too.
    #[serde(default)]
    pub(crate) ablate: bool,
    /// Keep the adapters beside the store.
    #[serde(default = "yes")]
    pub(crate) keep_adapters: bool,
    #[serde(default)]
    train: Table,
    #[serde(default)]
    task: Vec<Table>,
    #[serde(default)]
    method: Vec<Table>,
    /// The file with its variables filled in.
    #[serde(skip)]
    pub(crate) text: String,
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

fn yes() -> bool {
    true
}

/// One run of a sweep.
#[derive(Clone)]
pub(crate) struct Planned {
    /// Runs that are compared as one method.
    pub(crate) group: String,
    /// Its flags.
    pub(crate) args: train::Args,
    /// Its key in the store.
    pub(crate) key: String,
}

impl SweepFile {
    /// Reads a sweep file; `${NAME}` in it stands for one of `set`, or of the environment.
    pub(crate) fn open(path: &Path, set: &BTreeMap<String, String>) -> Result<Self> {
        let text = read_plain_text(path, LARGEST)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let text = expand(&text, set).with_context(|| path.display().to_string())?;
        let file: Self = toml::from_str(&text)
            .with_context(|| format!("{} is not a sweep file", path.display()))?;
        Ok(Self { text, ..file })
    }

    /// All runs: tasks by methods by grids by seeds. Adapters go to folders under `out`.
    pub(crate) fn runs(&self, out: &Path) -> Result<Vec<Planned>> {
        if self.task.is_empty() || self.method.is_empty() || self.seeds.is_empty() {
            bail!("the sweep '{}' needs a [[task]], a [[method]] and a seed at least", self.name);
        }
        let (mut runs, mut keys) = (Vec::<Planned>::new(), HashSet::new());
        for task in &self.task {
            for method in &self.method {
                let mut flags = self.train.clone();
                flags.extend(task.clone());
                let group = match method.get("name").and_then(Value::as_str) {
                    Some(name) => name.to_string(),
                    None => bail!("a [[method]] of the sweep '{}' lacks its name", self.name),
                };
                flags.extend(
                    method
                        .iter()
                        .filter(|(k, _)| *k != "name")
                        .map(|(k, v)| (k.clone(), v.clone())),
                );
                if let Some((flag, _)) = flags.iter().find(|(flag, v)| values(flag, v).is_empty()) {
                    bail!(
                        "{}: '{flag}' is an empty list, so that there is nothing to run",
                        self.place(&group, &flags)
                    );
                }
                let there = combinations(&flags).saturating_mul(self.seeds.len());
                if there.saturating_add(runs.len()) > RUNS {
                    bail!(
                        "the sweep '{}' has more than {RUNS} runs; make its grids smaller",
                        self.name
                    );
                }
                for choice in grid(&flags) {
                    for &seed in &self.seeds {
                        let planned = self.planned(&group, &choice, seed, out)?;
                        if keys.insert(planned.key.clone()) {
                            runs.push(planned);
                        }
                    }
                }
            }
        }
        Ok(runs)
    }

    /// Where flags stand in the file, as messages name it.
    fn place(&self, group: &str, flags: &Table) -> String {
        let name = ["name", "data"].iter().find_map(|key| flags.get(*key)).map(plain);
        let task = name.unwrap_or_else(|| "without a name".into());
        format!("the sweep '{}', task {task}, method {group}", self.name)
    }

    fn planned(&self, group: &str, flags: &Table, seed: u64, out: &Path) -> Result<Planned> {
        #[derive(Parser)]
        #[command(name = "a run", no_binary_name = true, disable_help_flag = true)]
        struct Flags {
            #[command(flatten)]
            args: train::Args,
        }
        let mut words = vec![format!("--seed={seed}"), "--out=out".into()];
        if flags.contains_key("minutes") {
            bail!("the sweep '{}' has 'minutes': a run of a sweep is not a search", self.name);
        }
        if let Some(flag) = ["store", "overwrite"].into_iter().find(|f| flags.contains_key(*f)) {
            bail!(
                "the sweep '{}' has '{flag}', which is no setting of a run; leave it out",
                self.name
            );
        }
        for (flag, value) in flags {
            match value {
                Value::Boolean(true) => words.push(format!("--{flag}")),
                Value::Boolean(false) => {}
                Value::Array(values) => {
                    words.extend(values.iter().map(|v| format!("--{flag}={}", plain(v))));
                }
                other => words.push(format!("--{flag}={}", plain(other))),
            }
        }
        let parsed = Flags::try_parse_from(&words).map_err(|e| {
            let text = e.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let tip = text.lines().find(|l| l.contains("tip:")).map(str::trim);
            let place = self.place(group, flags);
            anyhow::anyhow!("{place}: {line} {}", tip.unwrap_or_default())
        })?;
        let mut args = parsed.args;
        args.spec = args.spec.in_full();
        let key = args.spec.key();
        let data = &args.spec.data;
        let file = || Path::new(&data.data).file_stem().and_then(OsStr::to_str);
        let task = data.name.as_deref().or_else(file).unwrap_or("task");
        let folder = format!("{}-{}-{}", word(task), word(group), &key[..12]);
        args.out = out.join(ADAPTERS).join(folder);
        Ok(Planned { group: group.into(), args, key })
    }
}

impl Planned {
    /// The run in a few words.
    pub(crate) fn title(&self) -> String {
        let spec = &self.args.spec;
        let task = spec.data.name.as_deref().unwrap_or(&spec.data.data);
        let lr = spec.lr.map_or("by the recipe".into(), |lr| lr.to_string());
        format!("{}: {task}, {}, lr {lr}, seed {}", self.group, spec.method, spec.seed)
    }
}

/// The values of a flag that a grid has.
fn values<'a>(flag: &str, value: &'a Value) -> &'a [Value] {
    match value {
        Value::Array(values) if !REPEATED.contains(&flag) => values,
        one => std::slice::from_ref(one),
    }
}

/// Number of combinations in [`grid`].
fn combinations(flags: &Table) -> usize {
    flags.iter().fold(1, |all, (flag, value)| all.saturating_mul(values(flag, value).len()))
}

/// All combinations of the lists in a table of flags.
fn grid(flags: &Table) -> Vec<Table> {
    let mut all = vec![Table::new()];
    for (flag, value) in flags {
        let values = values(flag, value);
        let with = |table: &Table| -> Vec<Table> {
            let add = |value: &Value| {
                let mut table = table.clone();
                table.insert(flag.clone(), value.clone());
                table
            };
            values.iter().map(add).collect()
        };
        all = all.iter().flat_map(with).collect();
    }
    all
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// Only what a folder's name may hold.
fn word(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    text.chars().map(keep).collect()
}

/// Puts values in the place of `${NAME}`.
fn expand(text: &str, set: &BTreeMap<String, String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else { bail!("a ${{ is not closed") };
        let value = set.get(name).cloned().or_else(|| std::env::var(name).ok());
        let Some(value) = value else {
            bail!("names ${{{name}}}, which is not set; give it with --set {name}=VALUE");
        };
        // The value stands inside a TOML string.
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(text: &str) -> SweepFile {
        toml::from_str(text).unwrap()
    }

    const FILE: &str = r#"
        name = "s"
        seeds = [0, 1, 2]
        [train]
        recipe = "paper"
        epochs = 3
        lr = [1e-3, 1e-4]
        [[task]]
        name = "a"
        data = "a.csv"
        text-column = ["x", "y"]
        [[task]]
        name = "b"
        data = "b.csv"
        epochs = 1
        [[method]]
        name = "adapters"
        method = ["adapter[width=2]", "adapter[width=8]"]
        [[method]]
        name = "linear"
        method = "linear"
        lr = 1e-2
    "#;

    #[test]
    fn lists_are_grids() {
        let runs = sweep(FILE).runs(Path::new("out")).unwrap();
        // Two tasks, three seeds; two widths by two rates, and one.
        assert_eq!(runs.len(), 2 * 3 * (2 * 2 + 1));
        let linear = runs.iter().find(|r| r.group == "linear").unwrap();
        assert_eq!((linear.args.spec.lr, linear.args.spec.epochs), (Some(1e-2), Some(3)));
        assert_eq!(linear.args.spec.data.columns.text_column, ["x", "y"]);
        let b = runs.iter().find(|r| r.args.spec.data.name.as_deref() == Some("b")).unwrap();
        assert_eq!(b.args.spec.epochs, Some(1));
        let mut keys: Vec<_> = runs.iter().map(|r| &r.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), runs.len());
        let again = sweep(FILE).runs(Path::new("elsewhere")).unwrap();
        assert!(runs.iter().zip(&again).all(|(a, b)| a.key == b.key), "a key needs no place");
    }

    #[test]
    fn faults_are_named() {
        let fault = |from: &str, to: &str| {
            let result = sweep(&FILE.replace(from, to)).runs(Path::new("out"));
            result.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(
            fault("epochs = 1", "epoch = 1").contains("--epochs"),
            "{}",
            fault("epochs = 1", "epoch = 1")
        );
        assert!(fault("epochs = 3", "epochs = \"many\"").contains("many"));
        let list = (0..1000).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
        let grids = format!("batch-size = [{list}]\nmax-length = [{list}]\nepochs = [{list}]");
        assert!(fault("epochs = 3", &grids).contains("more than 100000 runs"));
        assert!(fault("name = \"linear\"", "").contains("lacks its name"));
        assert!(toml::from_str::<SweepFile>("name = \"s\"\nsede = [1]").is_err());
    }

    #[test]
    fn every_experiment_of_the_project_is_a_sweep() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
        let set: BTreeMap<String, String> =
            ["DATA", "BASE", "SMS", "IMAGES"].map(|n| (n.to_string(), "x".to_string())).into();
        // As version 0.1 made them.
        let known: serde_json::Value =
            serde_json::from_str(include_str!("../../cli/tests/sweep_keys.json")).unwrap();
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = SweepFile::open(&path, &set).unwrap();
            let runs = file.runs(Path::new("out")).unwrap();
            assert!(!runs.is_empty() && !file.about.is_empty());
            let keys: Vec<&str> = runs.iter().map(|run| run.key.as_str()).collect();
            let found = serde_json::json!({
                "runs": keys.len(), "first": keys[0], "last": keys[keys.len() - 1],
                "sha256": budwood_base::digest::of_bytes(keys.join("\n").as_bytes()),
            });
            let name = path.file_name().unwrap().to_str().unwrap();
            assert_eq!(found, known[name], "{name}");
            for run in runs {
                let method = run.args.spec.method.parse().unwrap();
                budwood_model::method::resolve(&method).unwrap();
            }
            seen += 1;
        }
        assert_eq!(seen, known.as_object().unwrap().len());
    }

    #[test]
    fn names_are_replaced() {
        let set = [("D".to_string(), "/a \"b\"".to_string())].into();
        assert_eq!(expand("x = \"${D}/c\"", &set).unwrap(), "x = \"/a \\\"b\\\"/c\"");
        let fault = expand("${BUDWOOD_NOT_SET}", &set).unwrap_err().to_string();
        assert!(fault.contains("--set BUDWOOD_NOT_SET="), "{fault}");
    }
}
