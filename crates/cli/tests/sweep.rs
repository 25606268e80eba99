//! Sweeps, the store and reports as a user runs them, on a tiny model.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use world::{World, json, reviews};

/// Two tasks, four methods, three seeds: 24 runs.
const SWEEP: &str = r#"
name = "small"
about = "a test"
seeds = [0, 1, 2]
ablate = true

[train]
recipe = "paper"
base = "base"
pooling = "mean"
max-length = 24
dropout = 0
epochs = 4
lr = 3e-3

[[task]]
name = "reviews"
data = "${WHERE}/train.csv"
test-share = 0.2

[[task]]
name = "few"
data = "${WHERE}/train.csv"
train-rows = 100

[[method]]
name = "full"
method = "full"

[[method]]
name = "adapters"
method = ["adapter[width=2]", "adapter[width=8]"]

[[method]]
name = "linear"
method = "linear"
"#;

fn world() -> World {
    let world = World::new();
    world.write("sweep.toml", SWEEP);
    world
}

const RUN: &str = "sweep sweep.toml --set WHERE=. --threads 2";

/// Killed at ten moments, the sweep ends with each of its runs once, with the same weights as
/// without.
#[test]
fn a_killed_sweep_ends_with_every_run_once() {
    let world = world();
    for i in 0..10 {
        let mut command = world.command(RUN);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(150 + 41 * (i % 5)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    world.ok(RUN);
    let again = json(&world.ok(&format!("{RUN} --json")));
    assert_eq!((again["runs"].as_u64(), again["done_before"].as_u64()), (Some(24), Some(24)));
    let runs = json(&world.ok("runs list --json"));
    let runs = runs.as_array().unwrap();
    assert_eq!(runs.len(), 24);
    let mut keys: Vec<_> = runs.iter().map(|r| r["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 24);
    world.ok(&format!("{RUN} --out whole --jobs 1"));
    let whole = json(&world.ok("runs list --json --store whole/runs.db"));
    for run in whole.as_array().unwrap() {
        let same = runs.iter().find(|r| r["key"] == run["key"]).unwrap();
        assert_eq!(same["weights_sha256"], run["weights_sha256"], "{}", run["method"]);
    }
}

/// A file of other rows under the same name would stand beside the results of those before.
#[test]
fn runs_on_data_that_have_changed_are_not_taken_for_done() {
    let world = world();
    let one = SWEEP.replace("[0, 1, 2]", "[0]").replace("ablate = true", "");
    let (tasks, _) = one.split_once("[[method]]").unwrap();
    world.write("sweep.toml", format!("{tasks}[[method]]\nname = 'linear'\nmethod = 'linear'\n"));
    world.ok(RUN);
    let before = fs::read_to_string(world.path("train.csv")).unwrap();
    world.ok(RUN);
    let mut rows: Vec<&str> = before.lines().collect();
    rows.swap(1, 2);
    fs::write(world.path("train.csv"), rows.join("\n")).unwrap();
    world.fails(RUN, &["runs.db is done", "with other train data", "--out"]);
    world.ok(&format!("{RUN} --out elsewhere"));
    // Data that were put back, or are gone, are no fault.
    fs::write(world.path("train.csv"), before).unwrap();
    world.ok(RUN);
    // So it is with a base that is another one by now.
    let vocabulary = fs::read_to_string(world.path("base/vocab.txt")).unwrap();
    fs::write(world.path("base/vocab.txt"), format!("{vocabulary}\nmore")).unwrap();
    world.fails(RUN, &["runs.db is done", "another base than base is now", "tokenizer"]);
    fs::write(world.path("base/vocab.txt"), vocabulary).unwrap();
    fs::remove_file(world.path("train.csv")).unwrap();
    assert!(world.ok(RUN).contains("2 done before"));
}

/// A short training whose run is recorded.
fn recorded(data: &str, out: &str, more: &str) -> String {
    format!(
        "train --base base --data {data} --test-share 0.2 --out {out} --store runs.db --epochs 1 \
         --recipe paper --pooling mean --max-length 24 --threads 2 {more}"
    )
}

/// Settings name files. With others in their place, a run has the key of one that is recorded.
#[test]
fn a_run_on_other_data_by_the_same_settings_is_not_left_out_of_the_store() {
    let world = World::new();
    let before = reviews(100, 1);
    world.write("few.csv", &before);
    world.ok(&recorded("few.csv", "a", ""));
    world.write("few.csv", reviews(100, 2));
    let words = ["run 1 of runs.db is done", "other train data than few.csv", "--store"];
    world.fails(&recorded("few.csv", "b", ""), &words);
    assert!(!world.path("b").exists(), "nothing is trained");
    // The same run once more is recorded once, and that is said.
    world.write("few.csv", &before);
    let again = world.run(&recorded("few.csv", "c", ""));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("runs.db has this run already"), "{said}");
    assert_eq!(json(&world.ok("runs list --store runs.db --json")).as_array().unwrap().len(), 1);
}

/// SQLite has names for databases that are gone with the process.
#[test]
fn a_store_is_a_file_whatever_its_name() {
    let world = World::new();
    world.write("few.csv", reviews(100, 1));
    world.ok(&recorded("few.csv", "a", ""));
    for name in [":memory:", "file:x.db?mode=memory"] {
        world.ok(&format!("store copy runs.db {name}"));
        let runs = json(&world.ok(&format!("runs list --json --store {name}")));
        assert_eq!(runs.as_array().unwrap().len(), 1, "{name}");
    }
}

/// Scores on other examples are no column of one task, and a mean of fewer seeds says so.
#[test]
fn a_report_tells_other_examples_and_missing_seeds_apart() {
    let world = World::new();
    for (folder, seed) in [("one", 1), ("two", 2)] {
        fs::create_dir(world.path(folder)).unwrap();
        world.write(&format!("{folder}/few.csv"), reviews(100, seed));
    }
    world.ok(&recorded("one/few.csv", "a", "--method linear"));
    world.ok(&recorded("one/few.csv", "b", "--method linear --seed 1"));
    world.ok(&recorded("one/few.csv", "c", "--method lora"));
    let columns = |report: &serde_json::Value| report["columns"].as_array().unwrap().clone();
    let report = json(&world.ok("report --store runs.db --json"));
    assert_eq!(columns(&report)[2..], ["few (accuracy, test)", "mean"]);
    let cells: Vec<&str> =
        report["rows"].as_array().unwrap().iter().map(|r| r[2].as_str().unwrap()).collect();
    assert!(cells[0].contains('±') && !cells[0].contains("seed"), "{cells:?}");
    assert!(cells[1].ends_with(" (1 seed)"), "{cells:?}");
    world.ok(&recorded("two/few.csv", "d", "--method lora"));
    let report = json(&world.ok("report --store runs.db --out other --json"));
    let columns = columns(&report);
    assert_eq!(columns.len(), 2 + 2 + 1, "{columns:?}");
    let runs = json(&world.ok("runs list --store runs.db --json"));
    let digest = |run: usize| {
        let data = runs[run]["data"].as_array().unwrap();
        let test = data.iter().find(|d| d["split"] == "test").unwrap();
        test["sha256"].as_str().unwrap()[..8].to_owned()
    };
    for (column, run) in [(2, 0), (3, 3)] {
        assert_eq!(columns[column], format!("few {} (accuracy, test)", digest(run)));
    }
}

/// Adapters that a sweep kept stay, whatever its file says later, and whichever store it is given.
#[test]
fn a_sweep_takes_no_adapter_that_it_kept() {
    let world = World::new();
    let file = |keep: bool, seeds: &str| {
        let text = format!(
            "name = 'kept'\nseeds = {seeds}\nkeep-adapters = {keep}\n[train]\nrecipe = 'paper'\n\
             base = 'base'\nepochs = 1\nmax-length = 24\npooling = 'mean'\n[[task]]\n\
             data = 'train.csv'\n[[method]]\nname = 'linear'\nmethod = 'linear'\n"
        );
        world.write("kept.toml", text);
    };
    let kept = || {
        let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(world.path("budwood-runs/adapters"))
            .unwrap()
            .map(|folder| folder.unwrap().path())
            .map(|p| (p.display().to_string(), fs::read(p.join("adapter.safetensors")).unwrap()))
            .collect();
        all.sort();
        all
    };
    file(true, "[0, 1]");
    world.ok("sweep kept.toml");
    let before = kept();
    assert_eq!(before.len(), 2);
    // Of which data an adapter is can be told from its folder, and what was not given is no word.
    assert!(before.iter().all(|(path, _)| path.contains("adapters/train-linear-")), "{before:?}");
    assert!(!world.ok("runs").contains("null") && !world.ok("runs export").contains("null"));
    file(false, "[0, 1, 2]");
    assert!(world.ok("sweep kept.toml").contains("2 done before"));
    assert!(kept() == before, "the third was not kept, the others are");
    let mut rows: Vec<String> = fs::read_to_string(world.path("train.csv"))
        .unwrap()
        .lines()
        .map(ToString::to_string)
        .collect();
    rows.swap(1, 2);
    fs::write(world.path("train.csv"), rows.join("\n")).unwrap();
    let words = ["holds the adapter of a run that other.db does not have", "--out"];
    let output = world.run("sweep kept.toml --store other.db");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert!(kept() == before);
}

/// On few rows the usual recipe scores by cross-validation. What has no score is said to be left
/// out.
#[test]
fn scores_by_cross_validation_are_reported() {
    let world = World::new();
    world.write("few.csv", reviews(90, 4));
    let usual = "train --base base --data few.csv --store runs.db --method linear --max-length 24";
    world.ok(&format!("{usual} --out a --seed 1"));
    world.ok(&format!("{usual} --out b --seed 2"));
    world.ok(&format!("{usual} --out c --recipe paper --epochs 1 --dev-share 0"));
    let output = world.run("report --store runs.db");
    let (table, said) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let (table, said) = (table.unwrap(), said.unwrap());
    assert!(table.contains("few (accuracy, cv)") && table.contains(" ±"), "{table}");
    assert!(said.contains("1 of 3 runs have no score"), "{said}");
}

/// Two sweeps of one file on one store at once share the runs.
#[test]
fn two_sweeps_share_the_runs() {
    let world = world();
    let mut other = world.command(RUN);
    let mut other = other.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let here = world.run(RUN);
    assert!(here.status.success(), "{}", String::from_utf8_lossy(&here.stderr));
    assert!(other.wait().unwrap().success());
    world.ok(RUN);
    assert_eq!(json(&world.ok("runs list --json")).as_array().unwrap().len(), 24);
}

#[test]
fn runs_are_listed_compared_exported_and_reported() {
    let world = world();
    let plan = json(&world.ok(&format!("{RUN} --dry-run --json")));
    assert_eq!((plan["runs"].as_u64(), plan["left"].as_u64()), (Some(24), Some(24)));
    assert!(plan["seconds_estimated"].as_f64().unwrap() > 0.0);
    assert!(!world.path("budwood-runs").exists(), "a dry run writes nothing");
    world.ok(RUN);
    assert!(world.ok("runs").contains("24 runs in"));
    let tables = world.ok("runs list --task few --method adapters");
    assert!(tables.contains("6 runs in"), "{tables}");

    let shown = world.ok("runs show 1");
    assert!(shown.contains("repeat with: budwood train"), "{shown}");
    let repeat = shown.lines().find_map(|l| l.strip_prefix("repeat with: budwood ")).unwrap();
    let repeated =
        json(&world.ok(&format!("{} --json", repeat.replace("--out adapter", "--out again"))));
    let run = json(&world.ok("runs show 1 --json"));
    assert_eq!(repeated["weights_sha256"], run["weights_sha256"], "the command repeats the run");

    // Of the same task, seed 0: the answers have the same examples.
    let runs = json(&world.ok("runs list --json --task reviews"));
    let ids: Vec<i64> =
        runs.as_array().unwrap().iter().map(|r| r["id"].as_i64().unwrap()).collect();
    let compared = json(&world.ok(&format!(
        "runs compare {} {} --split test --json",
        ids[0],
        ids[ids.len() - 1]
    )));
    let counts = ["both_right", "only_a", "only_b", "both_wrong"];
    let total: u64 = counts.iter().map(|c| compared[*c].as_u64().unwrap()).sum();
    assert_eq!(total, 120, "a fifth of 600 reviews");
    assert!((0.0..=1.0).contains(&compared["mcnemar_p"].as_f64().unwrap()));

    let csv = world.ok("runs export");
    assert!(csv.starts_with("run,key,sweep,task") && csv.lines().count() > 24 * 3);
    world.ok("runs export --format json --out runs.json");
    assert_eq!(
        json(&fs::read_to_string(world.path("runs.json")).unwrap()).as_array().unwrap().len(),
        24
    );
    let index = world.ok("runs export --format model-index --task few");
    assert_eq!(index.matches("- name: ").count(), 12);
    assert!(index.starts_with("model-index:\n") && index.contains("type: \"text-classification\""));

    let report = json(&world.ok("report --json"));
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(report["columns"].as_array().unwrap().len(), 2 + 2 + 1);
    let figures: Vec<&str> =
        report["figures"].as_array().unwrap().iter().filter_map(|f| f.as_str()).collect();
    for name in ["trade-off", "parameters-reviews", "parameters-few", "ablation-reviews"] {
        assert!(figures.contains(&name), "{figures:?}");
        let svg = fs::read_to_string(world.path(&format!("budwood-report/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("3 seeds"), "{name}");
        let png = fs::read(world.path(&format!("budwood-report/{name}.png"))).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
    }
    let page = fs::read_to_string(world.path("budwood-report/report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("src=") && !page.contains("href="));
    // Without any adapter, the score of the head alone on the frozen encoder remains.
    let full = json(&world.ok("runs show 1 --json"));
    let spans =
        full["metrics"].as_array().unwrap().iter().filter(|m| m["split"] == "ablation").count();
    assert_eq!(spans, 3, "two layers have three spans");
}

#[test]
fn faults_are_named_before_any_work() {
    let world = world();
    let with = |from: &str, to: &str| world.write("bad.toml", SWEEP.replace(from, to));
    let run = "sweep bad.toml --set WHERE=.";
    with("method = \"linear\"", "method = \"linnear\"");
    world.fails(run, &["linnear", "linear"]);
    with("adapter[width=2]", "adapter[widht=2]");
    world.fails(run, &["widht", "width"]);
    with("max-length = 24", "max-lenght = 24");
    world.fails(run, &["max-lenght", "max-length"]);
    with("train-rows = 100", "label-column = \"lable\"");
    world.fails(run, &["lable", "few"]);
    with("train-rows = 100", "metric = \"spearman\"");
    world.fails(run, &["spearman", "accuracy"]);
    // Of a task and a method that are not the first.
    with("train-rows = 100", "train-rows = 100\nepoch = 1");
    world.fails(run, &["task few, method full", "--epoch'"]);
    for (setting, words) in [
        ("metric = \"spearman\"", ["linear: reviews", "spearman"]),
        ("positive = \"none\"", ["linear: reviews", "--positive"]),
        ("class-weights = \"none=2\"", ["linear: reviews", "no class 'none'"]),
        ("label-column = \"lable\"", ["linear: reviews", "'lable'"]),
        ("max-length = 100_000", ["linear: reviews", "--max-length: 100000"]),
        ("init = \"nowhere\"", ["linear: reviews", "nowhere"]),
        ("flip = true", ["linear: reviews", "--flip"]),
        ("whole-words = true", ["linear: reviews", "--whole-words"]),
    ] {
        with("method = \"linear\"", &format!("method = \"linear\"\n{setting}"));
        world.fails(run, &words);
    }
    // The first fault of all data is said, so that thirty files are not mended in thirty turns.
    with("train-rows = 100", "label-column = \"lable\"\n[[task]]\ndata = \"gone.csv\"");
    world.fails(run, &["full: few", "lable", "full: gone.csv"]);
    with("lr = 3e-3", "lr = []");
    world.fails(run, &["'lr' is an empty list"]);
    with("lr = 3e-3", "lr = 3e-3\nstore = 'other.db'");
    world.fails(run, &["'store'", "leave it out"]);
    with("name = \"small\"", "nmae = \"small\"");
    world.fails(run, &["nmae"]);
    world.fails("sweep sweep.toml", &["${WHERE}", "--set WHERE="]);
    world.fails("sweep nowhere.toml", &["nowhere.toml"]);
    assert!(!world.path("budwood-runs/adapters").exists());

    world.write("notes.db", vec![1u8; 4096]);
    world.fails(&format!("{RUN} --store notes.db"), &["notes.db", "--store"]);
    world.fails("report --store notes.db", &["notes.db"]);
    world.fails("runs --store nowhere.db", &["nowhere.db", "sweep"]);
}

/// A model that is stored in int8 has no weights in f32: a run that asks for them fails, and does
/// not share the model of the run before it.
#[test]
fn runs_share_a_base_only_if_they_hold_it_in_the_same_form() {
    let world = World::new();
    world.ok("models quantize base --out small");
    world.write(
        "forms.toml",
        "name = 'forms'\n[train]\nrecipe = 'paper'\nbase = 'small'\nepochs = 1\n\
         max-length = 24\npooling = 'mean'\n[[task]]\nname = 'reviews'\ndata = 'train.csv'\n\
         [[method]]\nname = 'int8'\nmethod = 'linear'\n\
         [[method]]\nname = 'f32'\nmethod = 'linear'\nbase-precision = 'f32'\n",
    );
    let output = world.run("sweep forms.toml --json --jobs 1");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let done = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(done["done"], 1, "{done}");
    let failed = done["failed"].as_array().unwrap();
    assert!(failed.len() == 1 && failed[0].as_str().unwrap().contains("stored in int8"), "{done}");
}
