//! The program as a user runs it, on a tiny model: whole runs, bad input, and being killed.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use budwood_formats::native::AdapterFolder;
use world::{World, json, reviews, train_args};

#[test]
fn train_eval_predict_inspect() {
    let world = World::new();
    let text = world.train("out", "--test-data test.csv");
    assert!(text.contains("accuracy") && text.contains("% of the base"), "{text}");
    let eval = json(&world.ok("eval --json --adapter out --data test.csv"));
    let accuracy = eval["scores"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.85, "the task can be learned: {accuracy}");
    assert!(eval["scores"]["f1"].is_number() && eval["confusion"].is_array());

    let inspect = json(&world.ok("inspect --json out"));
    assert_eq!(inspect["labels"], serde_json::json!(["fresh", "rotten"]));
    assert_eq!(inspect["method"]["parts"][0]["options"]["activation"], "gelu_new");
    let test = inspect["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["split"] == "test" && m["name"] == "accuracy");
    assert_eq!(test.unwrap()["value"].as_f64(), Some(accuracy), "training and eval agree");
    assert!(world.ok("inspect out").contains("per cent") || world.ok("inspect out").contains('%'));
    assert!(world.ok("inspect base").contains("bert"));

    let mut predict = world.command("predict --json --adapter out");
    let one = predict.arg("the film was lovely").output().unwrap();
    let one = json(&String::from_utf8(one.stdout).unwrap());
    assert_eq!(one["label"], "fresh");
    let sum: f64 = one["scores"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5);
    // The same answers from a file, in the file's order.
    let lines = world.ok("predict --adapter out --input test.csv --format jsonl");
    assert_eq!(lines.lines().count(), 60);
    let csv = world.ok("predict --adapter out --input test.csv --format csv");
    assert!(csv.starts_with("text,label,score\n") && csv.lines().count() == 61);
    assert!(world.ok("predict --adapter out --input test.csv --format table").contains("rotten"));

    let written = world.ok("eval --json --adapter out --data test.csv --predictions answers.csv");
    assert!(json(&written)["rows"] == 60);
    let answers = fs::read_to_string(world.path("answers.csv")).unwrap();
    assert_eq!(answers.lines().count(), 61);
}

#[test]
fn standard_input_is_read_line_by_line() {
    use std::io::Write;
    let world = World::new();
    world.train("out", "--epochs 1");
    let mut child = world
        .command("predict --adapter out")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"the film was good\n\nit is so bad\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}

#[test]
fn regression_and_pairs() {
    let world = World::new();
    let mut rows = "sentence1\tsentence2\tscore\n".to_string();
    for (i, line) in reviews(200, 3).lines().skip(1).enumerate() {
        let (text, label) = line.split_once(',').unwrap();
        let score = if label == "fresh" { 4.0 } else { 1.0 } + (i % 5) as f64 * 0.1;
        rows += &format!("{text}\tthe \"film\"\t{score}\n");
    }
    world.write("pairs.tsv", rows);
    let text = world.ok(&train_args("pairs.tsv", "out", ""));
    assert!(text.contains("task: regression") && text.contains("spearman"), "{text}");
    let eval = json(&world.ok("eval --json --adapter out --data pairs.tsv"));
    assert!(eval["scores"]["pearson"].as_f64().unwrap() > 0.6, "{eval}");
    let mut predict = world.command("predict --json --adapter out");
    let output = predict.args(["the film was lovely", "the film"]).output().unwrap();
    assert!(json(&String::from_utf8(output.stdout).unwrap())["value"].is_number());
    world.fails("predict --adapter out oneword", &["two texts"]);
}

#[test]
fn other_forms_of_the_same_data_give_the_same_adapter() {
    let world = World::new();
    let csv = fs::read_to_string(world.path("train.csv")).unwrap();
    let rows: Vec<(&str, &str)> = csv.lines().skip(1).map(|l| l.split_once(',').unwrap()).collect();
    let jsonl: String =
        rows.iter().map(|(t, l)| format!("{{\"text\":\"{t}\",\"label\":\"{l}\"}}\n")).collect();
    world.write("rows.jsonl", jsonl);
    let tsv: String = rows.iter().map(|(t, l)| format!("{l}\t{t}\r\n\r\n")).collect();
    world.write("rows.tsv", tsv);
    let quoted: String = rows.iter().map(|(t, l)| format!("\"{t}\",{l}\n")).collect();
    world.write("quoted.csv", format!("\u{feff}text,label\n{quoted}"));
    let hash =
        |args: String| json(&world.ok(&args))["weights_sha256"].as_str().unwrap().to_string();
    let more = "--json --epochs 1";
    let expected = hash(train_args("train.csv", "a", more));
    assert_eq!(hash(train_args("rows.jsonl", "b", more)), expected);
    assert_eq!(hash(train_args("quoted.csv", "c", more)), expected);
    let columns = "--no-header --text-column 2 --label-column 1";
    assert_eq!(hash(train_args("rows.tsv", "d", &format!("{more} {columns}"))), expected);
    // And another seed another one.
    assert_ne!(hash(train_args("train.csv", "e", &format!("{more} --seed 1"))), expected);
}

#[test]
fn bad_data_is_refused_with_its_place() {
    let world = World::new();
    let fails = |name: &str, text: &[u8], more: &str, words: &[&str]| {
        world.write(name, text);
        world.fails(&train_args(name, "out", more), words);
        assert!(!world.path("out/adapter.json").exists(), "{name}: nothing half-written");
    };
    fails("a.csv", b"text,sort\nx,y\n", "", &["a.csv", "--label-column", "text, sort"]);
    fails("b.csv", b"words,label\nx,y\n", "", &["b.csv", "--text-column"]);
    fails(
        "c.csv",
        b"text,label\nx,y\n",
        "--label-column kind",
        &["no column 'kind'", "--label-column"],
    );
    fails("d.csv", b"", "", &["d.csv", "no row"]);
    fails("e.csv", b"text,label\n", "", &["no row"]);
    fails("f.csv", b"text,label\ngood,1\nbad\n", "", &["f.csv, line 3", "1 fields"]);
    fails("g.csv", b"text,label\ngood,1\ncaf\x81,0\n", "", &["g.csv, line 3", "--encoding"]);
    fails(
        "i.csv",
        b"text,label\ngood,yes\nbad,no\n",
        "--task regression",
        &["line 2", "--task classification"],
    );
    fails("j.csv", b"text,label\ngood,a\nbad,a\n", "", &["at least two classes"]);
    fails("k.csv", b"text,label\ngood,a\nbad,\n", "", &["line 3", "missing", "--missing drop"]);
    fails(
        "l.jsonl",
        b"{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"b\"}\n",
        "",
        &["line 2", "'label'"],
    );
    fails("m.jsonl", b"{\"text\":\n", "", &["line 1", "not a JSON object"]);
    fails("n.parquet", b"PAR1", "", &["n.parquet", "Parquet"]);
    fails("o.xls", b"?", "", &["'.xls'", ".csv"]);
    world.fails(&train_args("nothing.csv", "out", ""), &["nothing.csv"]);
    world.fails(&train_args("glue:CoLi=x", "out", ""), &["glue:CoLA"]);
    // A file in Windows-1252 is fine, said or not.
    world.write("p.csv", b"text,label\ngood caf\xe9,1\nbad,0\ngood,1\nbad,0\n");
    world.ok(&train_args("p.csv", "latin", "--encoding latin-1 --dev-share 0 --epochs 1"));
    let text = world.ok(&train_args("p.csv", "found", "--dev-share 0 --epochs 1"));
    assert!(text.contains("windows-1252"), "{text}");
}

#[test]
fn bad_labels_at_evaluation_are_refused() {
    let world = World::new();
    world.train("out", "--epochs 1");
    world.write("bad.csv", "text,label\ngood,fresh\nbad,stale\n");
    world.fails(
        "eval --adapter out --data bad.csv",
        &["bad.csv, line 3", "'stale'", "fresh, rotten"],
    );
}

#[test]
fn bad_settings_are_refused() {
    let world = World::new();
    let fails = |more: &str, words: &[&str]| {
        world.fails(
            &train_args("train.csv", "out", more).replace("--method adapter[width=8]", ""),
            words,
        );
        assert!(!world.path("out/adapter.json").exists());
    };
    fails("--method adaptor", &["did you mean 'adapter'"]);
    fails("--method adapter[wide=3]", &["did you mean 'width'"]);
    fails("--metric pearson", &["does not fit", "accuracy"]);
    fails("--max-length 100", &["40 positions"]);
    fails("--lr=-1", &["--lr"]);
    fails("--dev-share 1", &["leave nothing"]);
    fails("--base nowhere", &["'nowhere'", "minilm"]);
    let output = world.run("train --frobnicate");
    assert_eq!(output.status.code(), Some(2), "wrong usage has its own exit code");
}

/// None of them is begun, and each is named.
#[test]
fn numbers_without_meaning_or_end_are_refused() {
    let world = World::new();
    for (flag, values) in [
        ("--epochs", &["0", "-1", "nan", "1e12", "1e300"][..]),
        ("--batch-size", &["0", "-1", "1e9", "99999999999999999999"]),
        ("--accumulate", &["0", "99999999999999999999"]),
        ("--batch-tokens", &["0"]),
        ("--warmup", &["nan", "-1", "2", "inf"]),
        ("--clip", &["nan", "-1", "inf"]),
        ("--lr", &["0", "nan", "inf"]),
        ("--weight-decay", &["nan", "-1"]),
        ("--dropout", &["nan", "1", "-0.1"]),
        ("--save-every", &["nan", "-1", "1e30"]),
        ("--patience", &["-1"]),
        ("--max-length", &["0", "99999999999999999999"]),
        ("--seed", &["-1", "99999999999999999999"]),
    ] {
        for value in values {
            let begin = Instant::now();
            let words = ["train", "--base", "base", "--data", "train.csv", "--out", "out"];
            let given = format!("{flag}={value}");
            let mut command = world.command("");
            let done = command.args(words).args(["--recipe", "paper", &given]).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(matches!(done.status.code(), Some(1 | 2)), "{given}: {said}");
            assert!(said.contains(flag) && !said.contains("panicked"), "{given}: {said}");
            assert!(!world.path("out/adapter.json").exists(), "{given}");
            assert!(begin.elapsed().as_secs() < 10, "{given}");
        }
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let world = World::new();
    let many: String = (0..200).map(|i| format!("w{i}\n")).collect();
    world.write("base/vocab.txt", format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{many}"));
    world.fails(&train_args("train.csv", "out", ""), &["vocab.txt", "does not fit", "100 rows"]);
    fs::remove_file(world.path("base/vocab.txt")).unwrap();
    world.fails(&train_args("train.csv", "out", ""), &["tokenizer"]);
}

#[test]
fn an_adapter_is_refused_on_another_base() {
    let world = World::new();
    world.train("out", "--epochs 1");
    let copy = world.path("other");
    fs::create_dir(&copy).unwrap();
    for file in ["config.json", "model.safetensors", "vocab.txt"] {
        fs::copy(world.path("base").join(file), copy.join(file)).unwrap();
    }
    let mut bytes = fs::read(copy.join("model.safetensors")).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&1.5f32.to_le_bytes());
    fs::write(copy.join("model.safetensors"), bytes).unwrap();
    world.fails(
        "eval --adapter out --base other --data test.csv",
        &["another base model", "SHA-256"],
    );
    world.ok("eval --adapter out --base base --data test.csv");
}

#[test]
fn an_adapter_is_not_overwritten_by_accident() {
    let world = World::new();
    world.train("out", "--epochs 1");
    world.fails(&train_args("train.csv", "out", ""), &["--overwrite"]);
    world.train("out", "--epochs 1 --overwrite");
}

#[test]
fn a_diverging_run_stops_and_keeps_what_was_good() {
    let world = World::new();
    // The rate is harmless in the first steps of the warm-up and absurd later.
    let more = "--lr 1e25 --warmup 0.9 --eval-every 1 --clip 0 --epochs 40";
    world.fails(&train_args("train.csv", "out", more), &["diverged at step", "smaller --lr"]);
    if world.path("out/adapter.json").exists() {
        world.ok("eval --adapter out --data test.csv");
    }
}

#[test]
fn an_unwritable_folder_is_refused() {
    let world = World::new();
    world.write("file", "not a folder");
    world.fails(&train_args("train.csv", "file/out", "--epochs 1"), &["file/out"]);
}

/// A limit on the size of files makes writes fail as a full disk does.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_half_written() {
    let world = World::new();
    let args = train_args("train.csv", "out", "--epochs 1 --save-every 1000");
    let limited = |kib: usize| {
        let budwood = env!("CARGO_BIN_EXE_budwood");
        let script = format!("trap '' XFSZ; ulimit -f {kib}; exec {budwood} {args}");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(world.dir.path()).output().unwrap()
    };
    let output = limited(4);
    let error = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("out/adapter.safetensors"), "{error}");
    let left: Vec<_> =
        fs::read_dir(world.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().contains("tmp")), "{left:?}");
    assert!(!world.path("out/adapter.json").exists());
    assert!(limited(1000).status.success());
}

/// A file that cannot be written is named, whatever writes its form.
#[test]
#[cfg(unix)]
fn a_full_disk_is_named_with_its_file() {
    let world = World::new();
    world.train("a", "--epochs 1");
    world.ok("board --board board init");
    for words in [
        // More than a buffer holds, so that it is the writer of the form that meets the end.
        "predict --adapter a --input train.csv --output /dev/full --format csv",
        "predict --adapter a --input train.csv --output /dev/full --format jsonl",
        "board --board board export --format csv --out /dev/full",
        "board --board board export --format json --out /dev/full",
    ] {
        world.fails(words, &["cannot write /dev/full: ", "No space left"]);
    }
}

/// Whoever reads what a command prints may leave, and its log may be full: the work is done, and
/// the code says so.
#[test]
#[cfg(unix)]
fn work_does_not_hang_on_who_reads_its_words() {
    let world = World::new();
    let closed = || Stdio::from(std::io::pipe().unwrap().1);
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let sweep = "name = 's'\n[train]\nbase = 'base'\nrecipe = 'paper'\nmax-length = 24\n\
                 [[task]]\ndata = 'train.csv'\n[[method]]\nname = 'l'\nmethod = 'linear'\n";
    world.write("sweep.toml", sweep);
    let train = |out| train_args("train.csv", out, "--epochs 1");
    for (i, words) in [
        train("a"),
        train("b") + " --json",
        "sweep sweep.toml --out sweep".into(),
        "eval --adapter a --data test.csv --predictions answers.csv".into(),
        "predict --adapter a --input test.csv".into(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut command = world.command(&words);
        command.stdout(closed()).stderr(if i % 2 == 0 { closed() } else { full() });
        assert_eq!(command.status().unwrap().code(), Some(0), "budwood {words}");
    }
    for made in ["a/adapter.json", "b/adapter.json", "sweep/runs.db", "answers.csv"] {
        assert!(world.path(made).is_file(), "{made}");
    }
    assert_eq!(json(&world.ok("runs --store sweep/runs.db --json")).as_array().unwrap().len(), 1);
    let mut command = world.command("predict --adapter a --input test.csv");
    let output = command.stdout(full()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: standard output: No space left"), "{said}");
}

#[test]
fn early_stopping_and_accumulation_work() {
    let world = World::new();
    let stopped = json(&world.train("a", "--json --epochs 60 --patience 2"));
    assert_eq!(stopped["stopped_early"], true);
    let json =
        json(&world.train("b", "--json --epochs 2 --accumulate 2 --balanced --batch-tokens 128"));
    assert!(json["steps"].as_u64().unwrap() > 0);
}

/// Killed at ten moments of the run, the adapter is the same to the bit as that of a run in one
/// piece.
#[test]
fn a_killed_run_goes_on_to_the_same_result() {
    let world = World::new();
    let more = "--json --dropout 0.1 --epochs 30 --save-every 0 --eval-every 20";
    let whole = json(&world.train("whole", more));
    let mut kills = 0;
    for i in 0..40 {
        let mut child = world
            .command(&train_args("train.csv", "killed", more))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(60 + 37 * (i % 7)));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if kills == 10 {
            break;
        }
    }
    assert!(kills >= 5, "the run ended before it could be killed: {kills}");
    if !world.path("killed/adapter.json").exists() {
        world.ok(&train_args("train.csv", "killed", more));
    }
    let killed = json(&world.ok("inspect --json killed"));
    assert_eq!(killed["weights_sha256"], whole["weights_sha256"]);
    assert!(!world.path("killed/checkpoint").exists(), "a finished run leaves no checkpoint");
    // Threads do not matter either.
    let one = train_args("train.csv", "one", more).replace("--threads 2", "--threads 1");
    assert_eq!(json(&world.ok(&one))["weights_sha256"], whole["weights_sha256"]);
}

#[test]
fn int8_is_recorded_and_used_again() {
    let world = World::new();
    let trained = json(&world.train("out", "--json --base-precision int8 --test-data test.csv"));
    assert_eq!(trained["precision"], "int8");
    let metrics = trained["metrics"].as_array().unwrap();
    let test = metrics.iter().find(|m| m["split"] == "test" && m["name"] == "accuracy").unwrap();
    let eval = |more: &str| world.run(&format!("eval --json --adapter out --data test.csv {more}"));
    let same = json(&String::from_utf8(eval("").stdout).unwrap());
    assert_eq!(same["scores"]["accuracy"], test["value"], "eval uses the precision of training");
    let other = eval("--base-precision f32");
    assert!(other.status.success());
    assert!(String::from_utf8_lossy(&other.stderr).contains("trained on weights in int8"));
}

#[test]
fn a_quantised_model_gives_what_quantising_at_load_gives() {
    let world = World::new();
    let written = json(&world.ok("models quantize base --out small --json"));
    let size = fs::metadata(world.path("base/model.safetensors")).unwrap().len();
    assert!(written["weights_bytes"].as_u64().unwrap() < size);
    world.fails("models quantize base --out small", &["small is there already", "--overwrite"]);
    world.fails("models quantize small --out smaller", &["stored in int8 already"]);
    let a = json(&world.train("a", "--json --base-precision int8"));
    let b = json(
        &world.ok(&train_args("train.csv", "b", "--json").replace("--base base", "--base small")),
    );
    assert_eq!(a["precision"], b["precision"]);
    let hash =
        |out: &str| json(&world.ok(&format!("inspect --json {out}")))["weights_sha256"].clone();
    assert_eq!(hash("a"), hash("b"), "to the bit");
    // The adapter fits both; f32 is not to be had from bytes.
    let scores = |more: &str| {
        let text = world.ok(&format!("eval --json --adapter a --data test.csv {more}"));
        json(&text)["scores"].clone()
    };
    assert_eq!(scores("--base small"), scores("--base base"));
    let f32 = "eval --adapter a --data test.csv --base small --base-precision f32";
    world.fails(f32, &["stored in int8"]);
    // A file that was changed is refused.
    let file = world.path("small/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    world.fails("eval --adapter a --data test.csv --base small", &["budwood.json", "damaged"]);
    fs::write(world.path("small/budwood.json"), "{}").unwrap();
    world.fails("eval --adapter a --data test.csv --base small", &["budwood.json"]);
}

#[test]
fn a_checkpoint_of_another_run_is_not_taken() {
    let world = World::new();
    let more = "--epochs 200 --save-every 0";
    let mut child = world
        .command(&train_args("train.csv", "out", more))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..500 {
        if world.path("out/checkpoint/checkpoint.json").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.fails(&train_args("train.csv", "out", "--epochs 3"), &["other settings"]);
    // Each of its files, cut off or gone: the message says how to begin again.
    let state = fs::read_to_string(world.path("out/checkpoint/checkpoint.json")).unwrap();
    let slot = serde_json::from_str::<serde_json::Value>(&state).unwrap()["slot"].clone();
    let vectors = format!("out/checkpoint/vectors-{slot}.safetensors");
    let words = ["is damaged", "remove its folder to begin again"];
    fs::write(world.path("out/checkpoint/checkpoint.json"), &state[..40]).unwrap();
    world.fails(&train_args("train.csv", "out", more), &words);
    fs::write(world.path("out/checkpoint/checkpoint.json"), &state).unwrap();
    fs::write(world.path(&vectors), "").unwrap();
    world.fails(&train_args("train.csv", "out", more), &words);
    fs::remove_file(world.path(&vectors)).unwrap();
    world.fails(&train_args("train.csv", "out", more), &words);
}

#[test]
fn parity_is_reported_and_judged() {
    let world = World::new();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let case = golden.join("adapters/bert/seq_bn");
    let args = format!(
        "parity --base {} --adapter {} --case {}",
        golden.join("base/bert").display(),
        case.join("adapter").display(),
        case.join("io.safetensors").display()
    );
    let report = json(&world.ok(&args));
    assert_eq!(report["passed"], true);
    assert!(report["relative_errors"]["gradients"].as_f64().unwrap() < 1e-4);
    let output = world.run(&format!("{args} --tolerance 1e-12"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn help_and_lists_are_there() {
    let world = World::new();
    assert!(world.ok("--help").contains("Exit codes"));
    assert!(world.ok("methods").contains("double_seq_bn"));
    assert!(json(&world.ok("methods --json")).as_array().unwrap().len() >= 4);
    assert!(world.ok("models").contains("minilm"));
    assert!(world.ok("models cache").contains("cache"));
    world.fails("models fetch nothing", &["minilm"]);
    let bench = json(&world.ok("bench --shape minilm --batch 1 --length 4 --steps 1"));
    assert!(bench["seconds_per_step"].as_f64().unwrap() > 0.0);
}

/// What is merged into a copy of the base answers as the adapter did.
#[test]
fn adapters_of_weights_can_be_merged() {
    let world = World::new();
    let methods = [
        "lora[r=4]",
        "lora[r=2,targets=[query,ffn_out],rslora=true]",
        "lora[r=3,dora=true]",
        "ia3",
        "top_k[layers=1]",
        "full",
        "bitfit",
    ];
    for (i, method) in methods.iter().enumerate() {
        world.train(&format!("a{i}"), &format!("--epochs 3 --method {method}"));
        world.ok(&format!("merge --adapter a{i} --out m{i}"));
        let answers = |adapter: &str| -> Vec<f64> {
            let text =
                world.ok(&format!("predict --adapter {adapter} --input test.csv --format jsonl"));
            text.lines().map(|l| json(l)["scores"]["fresh"].as_f64().unwrap()).collect()
        };
        let (before, after) = (answers(&format!("a{i}")), answers(&format!("m{i}/head")));
        let far = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 1e-5, "{method}: {far}");
        let inspected = json(&world.ok(&format!("inspect --json m{i}/head")));
        assert_eq!(inspected["method"]["parts"][0]["name"], "linear");
    }
    // What is merged is in f32, whatever it was trained on: that is said.
    let told = |adapter: &str| {
        let merge = world.run(&format!("merge --adapter {adapter} --out {adapter}-merged"));
        String::from_utf8(merge.stderr).unwrap()
    };
    world.train("bytes", "--epochs 1 --method lora[r=4] --base-precision int8");
    assert!(told("bytes").contains("trained on weights in int8"));
    assert_eq!(told("a0"), "");
    world.train("bottleneck", "--epochs 1");
    world.fails("merge --adapter bottleneck --out m", &["bottleneck", "only lora, ia3"]);
    assert!(!world.path("m").exists());
}

#[test]
fn adapters_can_be_averaged_and_left_out() {
    let world = World::new();
    world.train("a", "--epochs 20 --test-data test.csv");
    world.train("b", "--epochs 20 --split-seed 1");
    world.ok("average a a --out same");
    let hash =
        |name: &str| json(&world.ok(&format!("inspect --json {name}")))["weights_sha256"].clone();
    assert_eq!(hash("same"), hash("a"), "the mean of one with itself");
    world.ok("average a b --weights 1,0 --out first");
    assert_eq!(hash("first"), hash("a"));
    world.ok("average a b --out mean");
    world.ok("eval --adapter mean --data test.csv");
    world.train("other", "--epochs 1 --method linear");
    world.fails("average a other --out x", &["other", "method"]);
    world.fails("average a b --weights 1 --out x", &["--weights"]);
    // Two texts the other way round, or one of them, are another question.
    for (name, columns) in [("pair", &["one", "two"][..]), ("turned", &["two", "one"])] {
        let mut folder = AdapterFolder::load(&world.path("a")).unwrap();
        folder.meta.task.text_columns = columns.iter().map(|c| (*c).to_string()).collect();
        folder.save(&world.path(name)).unwrap();
    }
    world.fails("average pair turned --out x", &["turned", "order of texts", "pair"]);
    world.fails("average pair a --out x", &["order of texts"]);
    world.ok("average pair pair --out both");
    for not_a_mean in ["1,1", "0,0", "0.5,0.4"] {
        let average = format!("average a b --weights {not_a_mean} --out x");
        world.fails(&average, &["--weights", "add up to 1"]);
    }
    world.ok("average a b a --weights 0.33,0.33,0.33 --out thirds");
    // Inputs are cut as the longest of them is.
    world.train("long", "--epochs 1 --max-length 20");
    world.train("short", "--epochs 1 --max-length 10");
    world.ok("average short long --out lengths");
    let mean = json(&world.ok("inspect --json lengths"));
    assert_eq!(mean["task"]["max_length"], 20, "{mean}");

    let score = |more: &str| -> f64 {
        let eval = json(&world.ok(&format!("eval --json --adapter a --data test.csv {more}")));
        eval["scores"]["accuracy"].as_f64().unwrap()
    };
    assert!(score("--leave-out 0-1") < score(""), "without its adapters it knows less");
    world.fails("eval --adapter a --data test.csv --leave-out 2", &["--leave-out", "0 to 1"]);
    world.fails("eval --adapter a --data test.csv --leave-out 1-0", &["1-0", "the lower one"]);
}

/// Reviews in which several things may be praised.
#[test]
fn several_labels_a_row_are_learned() {
    let world = World::new();
    let mut text = "text,label\n".to_string();
    for i in 0..400usize {
        let words = [("good", "plot"), ("fine", "cast"), ("nice", "music")];
        let held: Vec<_> =
            words.iter().enumerate().filter(|(k, _)| (i * 7 + i / 3) >> k & 1 == 1).collect();
        let said: Vec<_> = held.iter().map(|(_, w)| w.0).collect();
        let labels: Vec<_> = held.iter().map(|(_, w)| w.1).collect();
        text += &format!("the film was {},{}\n", said.join(" and "), labels.join("|"));
    }
    world.write("several.csv", text);
    let train = |more: &str| {
        let args = train_args("several.csv", "out", "--task multilabel --overwrite --json");
        json(&world.ok(&format!("{args} {more}")))
    };
    let trained = train("--test-share 0.2");
    let score = |name: &str| {
        let metrics = trained["metrics"].as_array().unwrap();
        metrics.iter().find(|m| m["split"] == "test" && m["name"] == name).unwrap()["value"]
            .as_f64()
    };
    assert!(score("micro_f1").unwrap() > 0.95 && score("exact_match").unwrap() > 0.9, "{trained}");
    let answer = json(&world.ok("predict --adapter out good_film --format jsonl"));
    assert!(answer["labels"].is_array() && answer["scores"]["plot"].is_number());
    let answer = world.ok("predict --adapter out --format csv --input several.csv");
    assert!(answer.contains("plot|cast") || answer.contains("cast|plot"), "{answer}");
    // The first row has no label: its score says how sure that is.
    let first = world.ok("predict --adapter out --format jsonl --input several.csv");
    let first = json(first.lines().next().unwrap());
    assert_eq!(first["labels"], serde_json::json!([]), "{first}");
    let likeliest = first["scores"].as_object().unwrap().values().filter_map(|p| p.as_f64());
    let likeliest = likeliest.fold(0.0, f64::max);
    let score = answer.lines().nth(1).unwrap().rsplit(',').next().unwrap();
    assert!((score.parse::<f64>().unwrap() - (1.0 - likeliest)).abs() < 1e-6, "{score}, {first}");
    let eval = json(&world.ok("eval --json --adapter out --data several.csv --predictions p.csv"));
    assert!(eval["scores"]["macro_f1"].is_number());
    world.write("bad.csv", "text,label\ngood,plot|stunts\n");
    world.fails("eval --adapter out --data bad.csv", &["bad.csv", "plot|stunts", "music"]);
    world.fails(
        &train_args("train.csv", "x", "--task multilabel"),
        &["train.csv", "classification"],
    );
}
