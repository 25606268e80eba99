//! Data as people have them, from the file to the answer: what is said, what is left out, and what
//! scores mean.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use serde_json::{Value, json};
use world::{World, json as parsed, reviews, train_args};

fn adapter(world: &World, out: &str) -> Value {
    parsed(&fs::read_to_string(world.path(out).join("adapter.json")).unwrap())
}

#[test]
fn data_shows_what_train_would_read() {
    let world = World::new();
    let text = world.ok("data train.csv --base base");
    for words in [
        "600 examples",
        "CSV, UTF-8, comma",
        "text 'text', label 'label'",
        "fresh",
        "tokens",
        "train: 540 rows",
    ] {
        assert!(text.contains(words), "lacks '{words}': {text}");
    }
    let report = parsed(&world.ok("data train.csv --test-data test.csv --json"));
    assert_eq!((&report["task"], &report["rows"]), (&json!("classification"), &json!(600)));
    assert_eq!(report["examples"].as_array().unwrap().len(), 10);
    assert_eq!(report["splits"][2]["rows"], 60);
    // It fails where training would, also for programs.
    world.write("bad.csv", "text,label\na,x\n\"b,y\n");
    // What train says of them is said here, too.
    world.write("steers.csv", "text,label\na,\"x\u{7}\"\nb,y\n");
    let words = ["the data cannot be used: the label \"x\\u{7}\" holds a control character"];
    world.fails("data steers.csv", &words);
    world.fails(&train_args("steers.csv", "out", ""), &words);
    world.fails("data bad.csv", &["bad.csv, line 3", "not closed"]);
    let output = world.run("data bad.csv --json");
    assert_eq!(output.status.code(), Some(1));
    let error = parsed(&String::from_utf8(output.stdout).unwrap());
    assert!(error["error"].as_str().unwrap().contains("line 3"), "{error}");
}

#[test]
fn rows_that_cannot_be_read_are_left_out_and_counted() {
    let world = World::new();
    world.write("a.csv", reviews(100, 1) + "\"good\"film,fresh\nbad\ntext,label\nso bad,\n");
    world
        .fails(&train_args("a.csv", "a", "--epochs 1"), &["line 102", "2 more rows", "--skip-bad"]);
    let text = world.ok(&train_args("a.csv", "a", "--epochs 1 --skip-bad --missing drop"));
    assert!(text.contains("4 left out:") && text.contains("line 104: equals the header"), "{text}");
    assert_eq!(adapter(&world, "a")["data"][0]["skipped"], 4);
    // Where nothing was left out, nothing is said.
    world.ok(&train_args("train.csv", "b", "--epochs 1"));
    assert_eq!(adapter(&world, "b")["data"][0].get("skipped"), None);
}

#[test]
fn each_row_and_line_has_an_answer() {
    let world = World::new();
    world.train("out", "--epochs 1");
    world.write("in.csv", "text\ngood film\n\"\"\n\"  \"\na\u{2028}b\n");
    let answers = |args: &str| world.ok(args).lines().filter(|l| !l.trim().is_empty()).count();
    assert_eq!(answers("predict --json --adapter out --input in.csv"), 4);
    world.write("in.jsonl", "{\"text\":\"good\"}\n{\"text\":null}\n{\"text\":\"\"}\n");
    assert_eq!(answers("predict --json --adapter out --input in.jsonl"), 3);
    world.write("in.txt", "good\n\nbad\u{85}film\n   \nend");
    assert_eq!(answers("predict --json --adapter out --input in.txt --no-header"), 5);
    world.fails("predict --adapter out --input in.txt", &["--no-header"]);
    let mut command = world.command("predict --json --adapter out");
    let output = command.stdin(fs::File::open(world.path("in.txt")).unwrap()).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 5);
}

#[test]
fn numbers_of_any_size_are_learned_and_judged_in_their_unit() {
    let world = World::new();
    // Prices around 90,000 and 250,000.
    let prices = |n, seed| {
        let reviews = reviews(n, seed).replace("label", "price");
        let price = |(i, line): (usize, &str)| {
            let at = |base: usize| format!(",{}.5\n", base + 10 * i);
            line.replace(",fresh", &at(250_000)).replace(",rotten", &at(90_000)).trim().to_string()
                + "\n"
        };
        reviews.lines().enumerate().map(price).collect::<String>()
    };
    world.write("train.csv", prices(600, 1));
    world.write("test.csv", prices(60, 2));
    let more = "--label-column price --test-data test.csv --epochs 60 --metric rmse";
    let text = world.ok(&train_args("train.csv", "out", more));
    assert!(text.contains("in their own unit"), "{text}");
    let meta = adapter(&world, "out");
    assert!(meta["training"]["target_scale"]["mean"].as_f64().unwrap() > 90_000.0, "{meta}");
    let eval = parsed(&world.ok("eval --json --adapter out --data test.csv"));
    let rmse = eval["scores"]["rmse"].as_f64().unwrap();
    assert!(rmse < 30_000.0, "{eval}");
    let chosen = meta["metrics"].as_array().unwrap().iter();
    let of = |split: &str| {
        let found = chosen.clone().find(|m| m["split"] == split && m["name"] == "rmse");
        found.unwrap()["value"].as_f64().unwrap()
    };
    // What chose the checkpoint, in the unit, is what the saved adapter gives.
    assert!((of("test") - rmse).abs() < 1.0, "{} {rmse}", of("test"));
    assert!(of("dev") < 30_000.0 && of("dev") > 1.0);
    let mut predict = world.command("predict --json --adapter out");
    let output = predict.arg("the film was lovely").output().unwrap();
    let value = parsed(&String::from_utf8(output.stdout).unwrap())["value"].as_f64().unwrap();
    assert!((200_000.0..310_000.0).contains(&value), "{value}");
    // Numbers of the size that a head begins with are learned as they are.
    world.write("small.csv", reviews(60, 1).replace("fresh", "1.5").replace("rotten", "4.25"));
    world.ok(&train_args("small.csv", "small", "--epochs 1"));
    assert_eq!(adapter(&world, "small")["training"].get("target_scale"), None);
}

#[test]
fn undefined_scores_are_said_and_choose_nothing() {
    let world = World::new();
    // Only one class stands in the validation data.
    world.write("dev.csv", "text,label\ngood film,fresh\nnice film,fresh\n");
    let more = "--dev-data dev.csv --epochs 2 --positive rotten --metric matthews";
    let text = world.ok(&train_args("train.csv", "out", more));
    assert!(text.contains("matthews            undefined: "), "{text}");
    assert!(!text.contains("chose the checkpoint") && !text.contains("NaN"), "{text}");
    let meta = adapter(&world, "out");
    assert_eq!(meta["task"]["positive"], "rotten");
    let metrics = meta["metrics"].as_array().unwrap();
    assert!(metrics.iter().all(|m| m["name"] != "matthews" && m["value"].is_number()), "{meta}");
    let eval = parsed(&world.ok("eval --json --adapter out --data dev.csv"));
    assert_eq!(eval["scores"]["matthews"], Value::Null);
    assert!(eval["undefined"]["matthews"].is_string(), "{eval}");
    let text = world.ok("eval --adapter out --data test.csv");
    assert!(text.contains("(of class 'rotten')"), "{text}");
    let text = world.ok("eval --adapter out --data test.csv --positive fresh");
    assert!(text.contains("(of class 'fresh')"), "{text}");
    world.fails(
        "eval --adapter out --data test.csv --positive stale",
        &["stale", "fresh and rotten"],
    );
}

#[test]
fn texts_are_cut_to_the_positions_that_the_model_has() {
    let world = World::new();
    let args = train_args("train.csv", "out", "--epochs 1").replace("--max-length 24 ", "");
    world.ok(&args);
    assert_eq!(adapter(&world, "out")["task"]["max_length"], 40);
}

/// Questions whose answer is the one bad word of a text; texts without one hold none.
fn squad_2(n: usize, seed: u64) -> String {
    let bad = ["bad", "poor", "awful", "sad", "ugly"];
    let question = |(i, line): (usize, &str)| {
        let context = line.split(',').next().unwrap();
        let answer = context.split(' ').find(|w| bad.contains(w));
        let answers: Vec<Value> = answer
            .map(|a| json!({ "text": a, "answer_start": context.find(a).unwrap() }))
            .into_iter()
            .collect();
        let qas = json!([{ "id": i.to_string(), "question": "was it", "is_impossible": answers.is_empty(), "answers": answers }]);
        json!({ "title": i.to_string(), "paragraphs": [{ "context": context, "qas": qas }] })
    };
    let reviews = reviews(n, seed);
    let articles: Vec<Value> = reviews.lines().skip(1).enumerate().map(question).collect();
    json!({ "version": "v2.0", "data": articles }).to_string()
}

#[test]
fn questions_may_have_no_answer() {
    let world = World::new();
    world.write("train.json", squad_2(400, 1));
    world.write("test.json", squad_2(60, 2));
    let more = "--dev-data test.json --epochs 40 --lr 0.01";
    let text = world.ok(&train_args("train.json", "out", more));
    assert!(text.contains("without an answer in their text"), "{text}");
    let threshold = adapter(&world, "out")["task"]["none_threshold"].as_f64();
    assert!(threshold.is_some());
    let eval = parsed(&world.ok("eval --json --adapter out --data squad=test.json"));
    let score = |name: &str| eval["scores"][name].as_f64().unwrap();
    for name in ["f1", "has_answer_f1", "no_answer_f1", "best_f1", "has_answer_exact_match"] {
        assert!(score(name) > 0.9, "{name}: {eval}");
    }
    assert!(score("best_f1") >= score("f1"));
    // Without validation data there is no threshold, and each question is given an answer.
    let more = "--dev-share 0 --epochs 1 --test-data test.json";
    world.ok(&train_args("train.json", "none", more));
    let meta = adapter(&world, "none");
    assert_eq!(meta["task"].get("none_threshold"), None);
    let found = meta["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "no_answer_f1");
    assert_eq!(found.unwrap()["value"], 0.0, "{meta}");
    let ask = |context: &str| {
        let mut command = world.command("predict --json --adapter out --question");
        let output = command.args(["was it", "--context", context]).output().unwrap();
        parsed(&String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(ask("the film was so ugly")["answer"], "ugly");
    let none = ask("the film was so lovely");
    assert_eq!((&none["answer"], &none["start"]), (&json!(""), &Value::Null), "{none}");
}
