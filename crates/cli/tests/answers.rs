//! What is said beside an answer: thresholds of labels, explanations, and whether two runs differ.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use serde_json::Value;
use world::{World, json, reviews, train_args};

/// Rows with labels: `warm` for half of the rows with a good word, `cold` for a third of the
/// others, and `seventh` by nothing that they say.
fn labelled(n: usize, seed: u64) -> String {
    let row = |(i, line): (usize, &str)| {
        let (text, label) = line.split_once(',').unwrap();
        let said = match label {
            "fresh" if i % 2 == 0 => Some("warm"),
            "rotten" if i % 3 == 0 => Some("cold"),
            _ => None,
        };
        let labels = said.into_iter().chain((i % 7 == 0).then_some("seventh"));
        format!("{text},{}\n", labels.collect::<Vec<_>>().join("|"))
    };
    let rows: String = reviews(n, seed).lines().skip(1).enumerate().map(row).collect();
    format!("text,label\n{rows}")
}

const LINEAR: &str = "train --base base --max-length 24 --pooling mean --threads 2 --method linear";

#[test]
fn labels_have_thresholds_that_every_answer_goes_by() {
    let world = World::new();
    world.write("several.csv", labelled(500, 1));
    world.write("more.csv", labelled(400, 2));
    let run = "--task multilabel --data several.csv --test-data more.csv";
    let text = world.ok(&format!("{LINEAR} {run} --out out"));
    assert!(text.contains("thresholds: ") && text.contains("at 0.5 for all"), "{text}");
    let meta = json(&fs::read_to_string(world.path("out/adapter.json")).unwrap());
    let labels: Vec<&str> =
        meta["labels"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    let thresholds: Vec<f64> =
        meta["task"]["thresholds"].as_array().unwrap().iter().flat_map(Value::as_f64).collect();
    assert_eq!(thresholds.len(), labels.len());
    assert!(thresholds.iter().any(|t| *t < 0.45), "labels of less than half: {thresholds:?}");
    // `predict` gives the labels above their thresholds, and no others.
    let mut between = 0;
    for line in world.ok("predict --adapter out --input more.csv --format jsonl").lines() {
        let answer = json(line);
        for (label, threshold) in labels.iter().zip(&thresholds) {
            let p = answer["scores"][label].as_f64().unwrap();
            let given = answer["labels"].as_array().unwrap().contains(&(*label).into());
            assert_eq!(given, p > *threshold, "{label} {threshold} {answer}");
            between += usize::from(p > *threshold && p <= 0.5);
        }
    }
    assert!(between > 5, "thresholds change something");
    // `eval` scores by them, says the scores without, and is what the run said.
    let eval = json(&world.ok("eval --adapter out --data more.csv --json"));
    let f1 = |name: &str| eval[name]["micro_f1"].as_f64().unwrap();
    assert!(f1("scores") > f1("scores_without_thresholds"), "{eval}");
    let metrics = meta["metrics"].as_array().unwrap();
    let tested = metrics.iter().find(|m| m["split"] == "test" && m["name"] == "micro_f1").unwrap();
    assert_eq!(tested["value"].as_f64(), Some(f1("scores")));
    let table = world.ok("eval --adapter out --data more.csv --report report");
    assert!(table.contains("in the place of its own threshold"), "{table}");
    let page = fs::read_to_string(world.path("report/report.html")).unwrap();
    assert!(page.contains("the adapter at 0.5 for each label"));
    // Fitted by nobody else: the paper's recipe has none, nor have classes.
    let paper = format!("{LINEAR} {run} --out paper --recipe paper --epochs 1");
    world.ok(&paper);
    let meta = json(&fs::read_to_string(world.path("paper/adapter.json")).unwrap());
    assert!(meta["task"].get("thresholds").is_none());
    // A mean of both has the means of their thresholds, 0.5 where there is none.
    world.ok("average out paper --weights 0.25,0.75 --out mean");
    let mean = json(&fs::read_to_string(world.path("mean/adapter.json")).unwrap());
    let means = mean["task"]["thresholds"].as_array().unwrap().iter().flat_map(Value::as_f64);
    for (mean, own) in means.zip(&thresholds) {
        assert!((mean - 0.25 * own - 0.75 * 0.5).abs() < 1e-6, "{mean} {own}");
    }
    // A threshold that was edited is refused, as any edit is.
    let path = world.path("out/adapter.json");
    let edited = fs::read_to_string(&path).unwrap();
    let first = format!("{}", meta["task"]["max_length"]);
    fs::write(&path, edited.replace("\"thresholds\": [", &format!("\"thresholds\": [{first}, ")))
        .unwrap();
    world.fails("predict --adapter out good", &["adapter.json"]);
}

/// The effect of a word is what its absence changes, as the program says by itself.
#[test]
fn an_explanation_is_what_the_answer_is_without_each_word() {
    let world = World::new();
    world.train("out", "");
    let text = "the film was lovely and so";
    let mut command = world.command("predict --adapter out --explain --json");
    let output = command.arg(text).output().unwrap();
    let answer = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(answer["label"], "fresh");
    let explained = &answer["explained"][0];
    assert_eq!((&explained["of"], &explained["number"]), (&answer["label"], &answer["score"]));
    let words = explained["words"].as_array().unwrap();
    let all: Vec<&str> = text.split(' ').collect();
    assert_eq!(words.len(), all.len());
    for (i, word) in words.iter().enumerate() {
        let rest = [&all[..i], &all[i + 1..]].concat().join(" ");
        let output = world.command("predict --adapter out --json").arg(rest).output().unwrap();
        let without = json(&String::from_utf8(output.stdout).unwrap());
        let effect =
            answer["score"].as_f64().unwrap() - without["scores"]["fresh"].as_f64().unwrap();
        assert!((word["effect"].as_f64().unwrap() - effect).abs() < 1e-6, "{word} {effect}");
        let [start, end] = ["start", "end"].map(|n| word[n].as_u64().unwrap() as usize);
        assert_eq!((&text[start..end], word["word"].as_str()), (all[i], Some(all[i])));
    }
    // The same on a terminal, and as a page.
    let mut command =
        world.command("predict --adapter out --explain --format table --html page.html");
    let output = command.arg("a film <b>lovely</b> & so").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("<b>lovely</b> ") && said.contains("effect"), "{said}");
    assert!(said.contains("++") || said.contains("--"), "the strongest word is marked: {said}");
    let page = fs::read_to_string(world.path("page.html")).unwrap();
    assert!(page.contains("&lt;b&gt;lovely&lt;/b&gt;</span>") && !page.contains("<b>"), "{page}");
    world.fails("predict --adapter out --explain --html page.html good", &["page.html"]);
    world.ok("predict --adapter out --explain --html page.html --overwrite good");
    // Without words there is nothing to leave out; a file is explained row by row.
    let mut command = world.command("predict --adapter out --explain --json");
    let nothing = json(&String::from_utf8(command.arg("").output().unwrap().stdout).unwrap());
    assert_eq!(nothing["explained"][0]["words"].as_array().unwrap().len(), 0);
    assert_eq!(world.ok("predict --adapter out --explain --input test.csv").lines().count(), 60);
    world.write("long.txt", "good ".repeat(2001));
    let mut command = world.command("predict --adapter out --explain");
    let output = command.stdin(fs::File::open(world.path("long.txt")).unwrap()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(error.contains("2001 words") && error.contains("2000"), "{error}");
}

#[test]
fn numbers_labels_and_pairs_are_explained_and_tags_are_not() {
    let world = World::new();
    let price = |line: &str| {
        let (text, label) = line.split_once(',').unwrap();
        format!("{text},{}\n", if label == "fresh" { 800_000 } else { 200_000 })
    };
    let rows: String = reviews(200, 3).lines().skip(1).map(price).collect();
    world.write("prices.csv", format!("text,label\n{rows}"));
    world.ok(&format!("{LINEAR} --data prices.csv --out price --task regression"));
    let answer = json(&world.ok("predict --adapter price --explain --json lovely"));
    let explained = &answer["explained"][0];
    assert_eq!((explained["of"].as_str(), &explained["number"]), (Some("value"), &answer["value"]));
    let effect = explained["words"][0]["effect"].as_f64().unwrap();
    assert!(effect.abs() > 10_000.0, "in the unit: {answer}");
    world.write("several.csv", labelled(300, 1));
    world.ok(&format!("{LINEAR} --data several.csv --out several --task multilabel"));
    let answer = json(&world.ok("predict --adapter several --explain --json lovely"));
    for explained in answer["explained"].as_array().unwrap() {
        let label = explained["of"].as_str().unwrap();
        assert_eq!(explained["number"], answer["scores"][label], "{answer}");
    }
    let pair = |line: &str| line.replacen(' ', "\t", 1).replace(',', "\t") + "\n";
    let rows: String = reviews(200, 5).lines().skip(1).map(pair).collect();
    world.write("pairs.tsv", format!("sentence1\tsentence2\tlabel\n{rows}"));
    world.ok(&format!("{LINEAR} --data pairs.tsv --out pairs"));
    let answer = json(&world.ok("predict --adapter pairs --explain --json lovely film"));
    let parts = answer["explained"][0]["words"].as_array().unwrap().iter().map(|w| &w["part"]);
    assert_eq!(parts.collect::<Vec<_>>(), ["text", "text2"]);
    world.write("tags.conll", "the\tO\nlovely\tB-POS\n\na\tO\nfilm\tB-NEG\n\n".repeat(10));
    world.ok(&train_args("tags.conll", "tags", "--epochs 1"));
    world.fails("predict --adapter tags --explain lovely", &["explain", "each word"]);
}

#[test]
fn runs_differ_beyond_chance_or_they_do_not() {
    let world = World::new();
    let stored = "--store runs.db --test-data test.csv";
    world.ok(&format!("{LINEAR} --data train.csv {stored} --out good"));
    // Other labels on the same rows: hardly better than chance.
    let turned: String = reviews(600, 1)
        .lines()
        .enumerate()
        .map(|(i, line)| match (i % 2, line.split_once(',')) {
            (1, Some((text, "fresh"))) => format!("{text},rotten\n"),
            (1, Some((text, "rotten"))) => format!("{text},fresh\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    world.write("turned.csv", turned);
    world.ok(&format!("{LINEAR} --data turned.csv {stored} --out bad"));
    let compared = json(&world.ok("runs compare 1 2 --store runs.db --json"));
    let score = &compared["score"];
    let number = |name: &str| score[name].as_f64().unwrap();
    assert_eq!(
        (score["name"].as_str(), compared["split"].as_str()),
        (Some("accuracy"), Some("test"))
    );
    assert!((number("a") - number("b") - number("difference")).abs() < 1e-9);
    assert!(number("low") <= number("difference") && number("difference") <= number("high"));
    assert!(number("low") > 0.0 && number("p") < 0.05 && score["differs"] == true, "{score}");
    assert_eq!(score["p"], compared["mcnemar_p"]);
    let said = world.ok("runs compare 1 2 --store runs.db");
    assert!(said.contains("95 % interval") && said.contains("chance hardly makes"), "{said}");
    let same = json(&world.ok("runs compare 1 1 --store runs.db --json"));
    assert_eq!(
        (same["score"]["p"].as_f64(), same["score"]["differs"].as_bool()),
        (Some(1.0), Some(false))
    );
    // Other examples are refused, and splits without answers.
    world.write("other.csv", reviews(60, 9));
    world.ok(&format!(
        "{LINEAR} --data train.csv --store runs.db --test-data other.csv --out other"
    ));
    world.fails("runs compare 1 3 --store runs.db", &["same test examples"]);
    let none = ["same dev examples", "run 1 has none", "--dev-data"];
    world.fails("runs compare 1 2 --split dev --store runs.db", &none);

    // Numbers: the errors themselves.
    let numbers = |seed: u64, shift: usize| -> String {
        let row = |(i, line): (usize, &str)| {
            let (text, label) = line.split_once(',').unwrap();
            let right = if label == "fresh" { 8 } else { 2 };
            format!("{text},{}.5\n", right + i * shift % 7)
        };
        let rows: String = reviews(200, seed).lines().skip(1).enumerate().map(row).collect();
        format!("text,label\n{rows}")
    };
    world.write("a.csv", numbers(1, 0));
    world.write("b.csv", numbers(1, 3));
    world.write("c.csv", numbers(2, 0));
    for data in ["a", "b"] {
        let run = "--store numbers.db --test-data c.csv";
        world.ok(&format!("{LINEAR} --data {data}.csv {run} --out {data}"));
    }
    let compared = json(&world.ok("runs compare 1 2 --store numbers.db --json"));
    let score = &compared["score"];
    assert_eq!(score["name"], "rmse");
    assert!(score["high"].as_f64().unwrap() < 0.0 && score["differs"] == true, "{score}");
    let eval = json(&world.ok("eval --adapter a --data c.csv --json"));
    if let Some(rmse) = eval["scores"]["rmse"].as_f64() {
        assert!((rmse - score["a"].as_f64().unwrap()).abs() < 1e-4);
    }
}
