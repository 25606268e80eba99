//! What the program does with bases and adapters that were edited, forged or made to overflow.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use budwood_base::digest;
use budwood_base::tensor::TensorMap;
use budwood_formats::Weights;
use budwood_formats::safetensors_file::to_bytes;
use serde_json::{Value, json};
use world::{World, json, train_args};

const SHORT: &str = "--epochs 1 --lr 0.0003";

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(path).unwrap_or_else(|_| "{}".into());
    let mut value = json(&text);
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Makes an adapter what an older Budwood would have written, with tensors and description changed.
fn of_old(
    world: &World,
    adapter: &str,
    tensors: impl FnOnce(&mut TensorMap),
    description: impl FnOnce(&mut Value),
) {
    let folder = world.path(adapter);
    let weights = folder.join("adapter.safetensors");
    let mut all = Weights::open(&weights).unwrap().tensors().unwrap();
    tensors(&mut all);
    let bytes = to_bytes(&weights, &all).unwrap();
    fs::write(&weights, &bytes).unwrap();
    edit(&folder.join("adapter.json"), |json| {
        json["weights_sha256"] = digest::of_bytes(&bytes).into();
        for field in ["encoder_sha256", "tokenizer_settings"] {
            json["base"].as_object_mut().unwrap().remove(field);
        }
        description(json);
    });
}

#[test]
fn an_edited_base_is_refused_by_name() {
    let world = World::new();
    world.train("a", SHORT);
    let answers = world.ok("predict --adapter a good");
    for (file, field, value, words) in [
        ("config.json", "num_attention_heads", json!(2), ["encoder's heads is 4", "2 here"]),
        ("config.json", "hidden_act", json!("relu"), ["activation is gelu", "relu here"]),
        ("config.json", "layer_norm_eps", json!(1e-3), ["norm_eps is 1e-12", "0.001 here"]),
        ("config.json", "num_hidden_layers", json!(1_000_000_000), ["1000000000 layers", "holds"]),
        (
            "tokenizer_config.json",
            "do_lower_case",
            json!(false),
            ["do_lower_case is true", "false here"],
        ),
    ] {
        let path = world.path("base").join(file);
        let before = fs::read(&path).ok();
        edit(&path, |json| json[field] = value.clone());
        for command in ["predict --adapter a good", "eval --adapter a --data test.csv"] {
            world.fails(command, &words);
        }
        match before {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
    edit(&world.path("base/config.json"), |json| json["_name_or_path"] = json!("x"));
    assert_eq!(world.ok("predict --adapter a good"), answers);
}

#[test]
fn an_older_adapter_is_used_and_what_cannot_be_checked_is_said() {
    let world = World::new();
    world.train("a", SHORT);
    let answers = world.ok("predict --adapter a good");
    of_old(&world, "a", |_| {}, |_| {});
    let output = world.run("predict --adapter a good");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), answers);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("older Budwood") && said.contains("tokenizer_config.json"), "{said}");
    assert!(world.ok("inspect a").contains("older Budwood"));
    // What it does hold is compared all the same.
    edit(&world.path("base/config.json"), |json| json["num_attention_heads"] = json!(2));
    world.fails("predict --adapter a good", &["heads is 4 in the adapter and 2 here"]);
}

#[test]
fn an_edited_description_is_refused_by_every_command() {
    let world = World::new();
    world.train("a", SHORT);
    world.train("b", &format!("{SHORT} --seed 2"));
    edit(&world.path("a/adapter.json"), |json| json["labels"] = json!(["rotten", "fresh"]));
    for command in [
        "predict --adapter a good",
        "eval --adapter a --data test.csv",
        "inspect a",
        "average a b --out c",
        "merge --adapter a --out c",
    ] {
        world.fails(command, &["adapter.json", "digest"]);
    }
    assert!(!world.path("c").exists());
}

#[test]
fn what_merge_and_average_write_is_covered_too() {
    let world = World::new();
    world.train("a", &format!("{SHORT} --method lora[r=2]"));
    world.train("b", &format!("{SHORT} --method lora[r=2] --seed 2"));
    world.ok("average a b --out mean");
    world.ok("merge --adapter a --out merged");
    for adapter in ["mean", "merged/head"] {
        world.ok(&format!("predict --adapter {adapter} good"));
        edit(&world.path(adapter).join("adapter.json"), |json| {
            json["head"]["pooling"] = json!("cls")
        });
        world.fails(&format!("predict --adapter {adapter} good"), &["digest"]);
    }
}

/// Numbers that are finite and overflow in the pass.
#[test]
fn answers_that_are_no_numbers_are_errors() {
    let world = World::new();
    world.train("a", SHORT);
    of_old(
        &world,
        "a",
        |tensors| {
            let head = tensors.get_mut("head.out.weight").unwrap();
            head.data.iter_mut().for_each(|x| *x = 3e38_f32.copysign(*x));
        },
        |_| {},
    );
    let words = ["example 1", "arithmetic"];
    for command in ["predict --json --adapter a good", "eval --json --adapter a --data test.csv"] {
        world.fails(command, &words);
        assert!(world.run(command).stdout.is_empty(), "{command}");
    }
}

/// Hostile sizes under a limit on memory that the program itself barely needs.
#[test]
fn sizes_without_bound_end_at_once() {
    let world = World::new();
    world.train("a", SHORT);
    for (pointer, value, word) in [
        ("/method/parts/0/options/width", json!(1_000_000_000), "down.weight"),
        ("/head/outputs", json!(1_000_000_000), "head.out.weight"),
        ("/head/outputs", json!(1u64 << 63), "head.out.weight"),
        ("/task/max_length", json!(1u64 << 40), "positions"),
        ("/task/doc_stride", json!(0), "doc_stride"),
        ("/task/kind", json!("regression"), "head for Classification"),
        ("/task/kind", json!("token-classification"), "head for Classification"),
        ("/head/kind", json!("token_classification"), "head for TokenClassification"),
        ("/task/images", json!({ "resize": { "exact": [1u64 << 40, 1] } }), "images"),
    ] {
        world.train("b", &format!("{SHORT} --overwrite"));
        of_old(
            &world,
            "b",
            |_| {},
            |json| {
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                json.pointer_mut(parent).unwrap()[field] = value.clone();
            },
        );
        let begin = Instant::now();
        let mut limited = Command::new("/bin/sh");
        limited.args(["-c", "ulimit -v 1500000; exec \"$0\" --threads 1 predict --adapter b good"]);
        limited.arg(env!("CARGO_BIN_EXE_budwood")).current_dir(world.dir.path()).process_group(0);
        let output = limited.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{pointer}: {error}");
        assert!(error.contains(word) && !error.contains("panicked"), "{pointer}: {error}");
        assert!(begin.elapsed().as_secs() < 10, "{pointer}");
    }
}

#[test]
fn names_do_not_steer_a_terminal() {
    let world = World::new();
    world.train("a", SHORT);
    of_old(
        &world,
        "a",
        |_| {},
        |json| json["method"]["parts"][0]["name"] = json!("\u{1b}]0;title\u{7}"),
    );
    for command in ["predict --adapter a good", "inspect a"] {
        let output = world.run(command);
        let all = [output.stdout, output.stderr].concat();
        assert!(!all.contains(&0x1b) && !all.contains(&7), "{command}");
    }
    world.write("steer.csv", "text,label\na film,\"\u{1b}[2J\"\nthe film,b\na,b\nthe,b\n");
    let train = train_args("steer.csv", "s", "--task classification --dev-share 0");
    world.fails(&train, &["control character"]);
}

#[test]
fn a_forged_quantised_model_stands_for_no_base_of_a_board() {
    let world = World::new();
    world.train("a", SHORT);
    world.ok("models quantize base --out small");
    // Another model's bytes that say they were made from the base.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
    let mut other = Weights::open(&golden.join("model.safetensors")).unwrap().tensors().unwrap();
    other.values_mut().flat_map(|t| &mut t.data).for_each(|x| *x *= 0.5);
    fs::create_dir(world.path("other")).unwrap();
    for file in ["config.json", "vocab.txt"] {
        fs::copy(world.path("base").join(file), world.path("other").join(file)).unwrap();
    }
    let path = world.path("other/model.safetensors");
    fs::write(&path, to_bytes(&path, &other).unwrap()).unwrap();
    world.ok("models quantize other --out forged");
    let real = json(&fs::read_to_string(world.path("small/budwood.json")).unwrap());
    edit(&world.path("forged/budwood.json"), |json| json["made_from"] = real["made_from"].clone());
    // With it, answers are said to be on what was not checked.
    let said = world.run("predict --adapter a --base forged good");
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("not checked"), "{said}");
    world.ok("board --board board init");
    let bases = || json(&world.ok("board --json --board board base list"));
    world.ok("board --board board base add base");
    let before = bases();
    for folder in ["forged", "small"] {
        world.fails(
            &format!("board --board board base add {folder}"),
            &["int8", "cannot be checked"],
        );
    }
    // The same weights with other heads.
    fs::create_dir(world.path("heads")).unwrap();
    for file in ["config.json", "vocab.txt", "model.safetensors"] {
        fs::copy(world.path("base").join(file), world.path("heads").join(file)).unwrap();
    }
    edit(&world.path("heads/config.json"), |json| json["num_attention_heads"] = json!(2));
    world.fails("board --board board base add heads", &["not replaced", "specification"]);
    assert_eq!(bases(), before);
    // An adapter of the forged bytes does not fit the real ones.
    world.ok(&train_args("train.csv", "f", SHORT).replace("--base base", "--base forged"));
    world.fails("predict --adapter f --base small good", &["int8"]);
}

#[test]
fn a_run_does_not_go_on_with_an_edited_base() {
    let world = World::new();
    let args = train_args("train.csv", "a", "--epochs 2000 --save-every 0");
    let mut child = world.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
    let checkpoint = world.path("a/checkpoint/checkpoint.json");
    let begin = Instant::now();
    while !checkpoint.exists() && begin.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    edit(&world.path("base/config.json"), |json| json["num_attention_heads"] = json!(2));
    world.fails(&args, &["another base", "specification"]);
}
