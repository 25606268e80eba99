//! Masked language models: texts to an adapter, its scores and words, and what begins from it.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;
use std::path::PathBuf;

use budwood_formats::native::AdapterFolder;
use serde_json::{Value, json};
use world::{WORDS, World, reviews};

/// Runs of five words that follow each other in a circle, a run in each line.
fn circle(n: usize, seed: usize) -> String {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let run = |line: usize| {
        let start = (line * 7919 + seed) * 31 % 8;
        (0..5).map(|i| words[(start + i) % 8]).collect::<Vec<_>>().join(" ")
    };
    (0..n).map(run).collect::<Vec<_>>().join("\n")
}

/// A world whose base has a head for masked words of its own, beside the one that has none.
fn world() -> World {
    let world = World::new();
    let own = world.path("own");
    fs::create_dir(&own).unwrap();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/families/masked-lm-bert/base");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(file), own.join(file)).unwrap();
    }
    fs::copy(world.path("base").join("vocab.txt"), own.join("vocab.txt")).unwrap();
    world.write("train.txt", circle(200, 1));
    world.write("dev.txt", circle(30, 2));
    world
}

const TRAIN: &str = "train --task masked-lm --data train.txt --dev-data dev.txt --max-length 16 \
                     --recipe paper --lr 0.003 --dropout 0 --mask-share 0.3";

fn train(world: &World, more: &str) -> Value {
    world::json(&world.ok(&format!("{TRAIN} --json {more}")))
}

fn score(scores: &Value, name: &str) -> f64 {
    scores[name].as_f64().unwrap()
}

#[test]
fn words_are_learned_scored_and_filled() {
    let world = world();
    let told = train(&world, "--base base --method full --epochs 40 --out a");
    let dev = told["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "perplexity");
    assert_eq!(dev.unwrap()["primary"], true);
    let eval = |more: &str| {
        let text = world.ok(&format!("eval --json --adapter a --data dev.txt {more}"));
        world::json(&text)["scores"].clone()
    };
    // Masks of scores are the same in each run, and on any number of threads.
    let scores = eval("--predictions given.csv");
    assert_eq!(scores, eval("--threads 1"));
    assert_eq!(scores["perplexity"], dev.unwrap()["value"]);
    // Eight words are likely before anything is known of the others.
    assert!(score(&scores, "perplexity") < 3.0, "{scores}");
    assert!(score(&scores, "accuracy") > 0.6, "{scores}");
    let given = fs::read_to_string(world.path("given.csv")).unwrap();
    assert_eq!(given.lines().count(), 31, "{given}");

    let predict = |more: &[&str], text: &str| {
        let output = world.command("predict --json --adapter a").args(more).arg(text).output();
        world::json(&String::from_utf8(output.unwrap().stdout).unwrap())
    };
    let one = predict(&["--top", "3"], "good fine [MASK] nice lovely");
    assert_eq!(one["filled"], "good fine great nice lovely", "{one}");
    let words = one["places"][0].as_array().unwrap();
    assert_eq!((words.len(), &words[0]["word"]), (3, &json!("great")));
    assert!(score(&words[0], "score") > score(&words[1], "score"), "{one}");
    let two = predict(&[], "good [MASK] great nice [MASK]");
    assert_eq!(two["filled"], "good fine great nice lovely", "{two}");
    assert_eq!(two["places"].as_array().unwrap().len(), 2);
    // The table is the columns of the CSV form.
    world.write("in.txt", "nice lovely [MASK] poor awful\n[MASK] great\n");
    let csv = world.ok("predict --adapter a --input in.txt --format csv");
    let card = world.ok("push a me/words --license mit --dry-run");
    assert!(card.contains("pipeline_tag: \"fill-mask\""), "{card}");
    assert!(csv.starts_with("text,words,score,filled\n"), "{csv}");
    assert!(csv.contains("lovely bad poor") && csv.lines().count() == 3, "{csv}");
}

#[test]
fn a_seed_gives_the_same_adapter_and_masks_change_with_it() {
    let world = world();
    let weights = |out: &str, more: &str| {
        let told = train(&world, &format!("--base own --epochs 2 --out {out} {more}"));
        told["weights_sha256"].as_str().unwrap().to_string()
    };
    let one = weights("a", "--threads 1");
    assert_eq!(one, weights("b", "--threads 3"));
    assert_ne!(one, weights("c", "--seed 1"));
    assert_ne!(one, weights("d", "--whole-words"));
    let meta = world::json(&fs::read_to_string(world.path("d/adapter.json")).unwrap());
    assert_eq!(meta["task"]["masking"], json!({ "share": 0.3, "whole_words": true }));
    assert_eq!(meta["labels"], json!([]));
}

#[test]
fn heads_begin_as_the_checkpoints_own_and_are_written_as_its_own() {
    let world = world();
    let text = |base: &str, more: &str| world.ok(&format!("{TRAIN} --base {base} {more}"));
    let new = text("base", "--epochs 1 --out new");
    assert!(new.contains("head: a new one over the table of words"), "{new}");
    let own = text("own", "--epochs 1 --out own-head --method lora[r=2]");
    assert!(own.contains("head: begins as the checkpoint's own"), "{own}");
    // No step: what is saved is what was there.
    world.ok("export own-head whole --to transformers");
    let config = world::json(&fs::read_to_string(world.path("whole/config.json")).unwrap());
    assert_eq!(config["architectures"], json!(["BertForMaskedLM"]));
    assert!(config.get("id2label").is_none(), "{config}");
    let again = text("whole", "--epochs 1 --out again --lr 1e-12 --method linear");
    assert!(again.contains("head: begins as the checkpoint's own"), "{again}");
    let perplexity = |adapter: &str| {
        let text = world.ok(&format!("eval --json --adapter {adapter} --data dev.txt"));
        score(&world::json(&text)["scores"], "perplexity")
    };
    let (before, after) = (perplexity("own-head"), perplexity("again"));
    assert!((before / after - 1.0).abs() < 1e-4, "{before} {after}");
    for (to, library) in
        [("peft", "PEFT"), ("adapterhub", "AdapterHub"), ("adapterhub --headless", "AdapterHub")]
    {
        world.fails(&format!("export own-head out --to {to}"), &["masked language model", library]);
    }
}

#[test]
fn another_task_begins_from_an_adapter() {
    let world = world();
    train(&world, "--base base --method lora[r=2] --epochs 3 --out words");
    let begun =
        "train --base base --data train.csv --max-length 24 --init words --method lora[r=2]";
    for recipe in ["paper", "auto"] {
        let more = format!("--recipe {recipe} --epochs 3 --lr 0.003 --out {recipe}");
        let text = world.ok(&format!("{begun} {more}"));
        assert!(text.contains("begins from the adapter in words, with a new head"), "{text}");
        let meta = fs::read_to_string(world.path(recipe).join("adapter.json")).unwrap();
        let method = &world::json(&meta)["method"]["parts"][0]["name"];
        assert_eq!(method, "lora", "what is begun with is kept whatever the recipe chooses");
    }
    // A rate of next to nothing leaves what is begun with.
    world.ok(&format!("{begun} --recipe paper --epochs 1 --lr 1e-12 --out still"));
    let tensors = |folder: &str| {
        let bytes = fs::read(world.path(folder).join("adapter.safetensors")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let at = &header["layers.0.query.lora.a"]["data_offsets"];
        let [start, end] = [0, 1].map(|i| 8 + length + at[i].as_u64().unwrap() as usize);
        let numbers =
            bytes[start..end].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        numbers.collect::<Vec<f32>>()
    };
    let (before, after) = (tensors("words"), tensors("still"));
    let near = before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(!before.is_empty() && near, "{before:?}\n{after:?}");
    let same = train(&world, "--base base --init words --method lora[r=2] --epochs 1 --out more");
    assert!(same["steps"].as_u64().unwrap() > 0);
    world.fails(
        "train --base base --data train.csv --init words --out x",
        &["--init", "of the method lora", "say --method"],
    );
    world.fails(
        "train --base own --data train.csv --init words --method lora[r=2] --out x",
        &["another base"],
    );
    world.fails("train --base base --data train.csv --init nowhere --out x", &["nowhere"]);
    train(&world, "--base base --method linear --epochs 1 --out head");
    world.fails(
        "train --base base --data train.csv --init head --method linear --out x",
        &["nothing but a head", "--pooling"],
    );
    // A head's dropout acts in training alone: with another it is the same head.
    let mut head = AdapterFolder::load(&world.path("head")).unwrap();
    head.meta.head.dropout = 0.25;
    head.save(&world.path("dropping")).unwrap();
    train(&world, "--base base --init dropping --method linear --epochs 1 --out again");
}

#[test]
fn what_cannot_be_masked_is_refused_by_name() {
    let world = world();
    world.write("empty.txt", "");
    world.write("blank.txt", "\n \n\n");
    world.write("special.txt", "[MASK]\n[SEP] [CLS]\n");
    world.write("pairs.csv", "text1,text2\na,b\nc,d\n");
    let fails = |more: &str, words: &[&str]| {
        world.fails(&format!("train --task masked-lm --base base --out x {more}"), words);
        assert!(!world.path("x").join("adapter.json").exists());
    };
    fails("--data empty.txt", &["empty.txt", "no row"]);
    fails("--data blank.txt", &["blank.txt", "no row"]);
    fails("--data pairs.csv", &["one text of each row", "--text-column"]);
    fails("--data train.txt --mask-share 0", &["--mask-share", "above 0"]);
    fails("--data train.txt --metric f1", &["--metric", "perplexity, accuracy"]);
    fails("--data train.txt --balanced", &["--balanced"]);
    fails("--data train.txt --max-length 2", &["leaves no room"]);
    world.fails(
        "train --base base --data train.csv --out x --doc-stride 5",
        &["--doc-stride", "question-answering", "classification"],
    );
    world.fails(
        "train --base base --data train.csv --out x --whole-words",
        &["--whole-words", "masked-lm", "classification"],
    );
    // A vocabulary without a mask.
    let words = fs::read_to_string(world.path("base/vocab.txt")).unwrap();
    world.write("base/vocab.txt", words.replace("[MASK]", "[OTHER]"));
    fails("--data train.txt", &["vocab.txt", "[MASK] or <mask>"]);
    world.write("base/vocab.txt", words);
    // Output words that are not the input words.
    let path = world.path("own/config.json");
    let config = fs::read_to_string(&path).unwrap();
    let mut untied = world::json(&config);
    untied["tie_word_embeddings"] = json!(false);
    fs::write(&path, untied.to_string()).unwrap();
    world.fails(
        "train --task masked-lm --base own --data train.txt --out x",
        &["tie_word_embeddings"],
    );
    fs::write(&path, config).unwrap();

    train(&world, "--base base --epochs 1 --out a");
    world.fails("predict --adapter a nothing-here", &["fills in [MASK]", "write it"]);
    world.write("some.txt", "good [MASK]\nnone here\n");
    world.fails("predict --adapter a --input some.txt", &["2", "fills in [MASK]"]);
    world.fails("predict --adapter a one two", &["one text at a time"]);
    world.fails("predict --adapter a --top 65 [MASK]", &["--top", "64"]);
    world.fails("predict --adapter a --explain [MASK]", &["--explain", "words"]);
    world.fails("eval --adapter a --data special.txt", &["no text holds a token"]);
}

#[test]
fn plain_texts_are_lines_or_paragraphs_and_long_ones_are_windows() {
    let world = world();
    world.write("text.txt", "good fine\ngreat nice\n\nlovely bad\n\n\npoor awful sad\nugly\n");
    let rows = |more: &str| {
        let told = world::json(&world.ok(&format!(
            "train --json --task masked-lm --data text.txt --dev-share 0 --base base --recipe paper \
             --epochs 1 --overwrite --out a {more}"
        )));
        (told["data"]["rows"].as_u64(), told["truncated_rows"].as_u64())
    };
    assert_eq!(rows("--max-length 10"), (Some(5), Some(0)));
    assert_eq!(rows("--max-length 10 --paragraphs"), (Some(3), Some(0)));
    assert_eq!(rows("--max-length 4"), (Some(5), Some(1)));
    // Other files are tables as ever, whose labels do not matter.
    world.write("reviews.csv", reviews(20, 3));
    let more = "--base base --recipe paper --epochs 1 --out b";
    world.ok(&format!("train --task masked-lm --data reviews.csv {more}"));
    world.write("tabs.txt", "text\tlabel\ngood\tx\nbad\ty\nfine\tx\nsad\ty\n");
    let text = world
        .ok("train --data tabs.txt --dev-share 0 --base base --recipe paper --epochs 1 --out c");
    assert!(text.contains("2 classes"), "{text}");
}
