//! Data that nothing can be learned from, or too little: an error with a remedy, or an honest
//! report.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use world::{World, json, reviews};

/// The default recipe with the linear probe, which is solved in a moment.
fn linear(data: &str, out: &str, more: &str) -> String {
    format!(
        "train --base base --data {data} --out {out} --max-length 24 --pooling mean --method linear {more}"
    )
}

/// The same with a method that trains.
fn adapter(data: &str, out: &str, more: &str) -> String {
    linear(data, out, more).replace("--method linear", "--method adapter[width=8]")
}

/// What is said then.
const NOTHING: &str = "no sign that anything was learned";

/// `n` rows whose labels are made from their numbers.
fn rows(n: usize, label: impl Fn(usize) -> String) -> String {
    let texts = reviews(n, 3);
    let texts = texts.lines().skip(1).map(|l| l.split(',').next().unwrap());
    let rows = texts.enumerate().map(|(i, text)| format!("{text},{}\n", label(i)));
    format!("text,label\n{}", rows.collect::<String>())
}

/// Numbers of no order.
fn noise(i: usize) -> usize {
    (i * 2_654_435_761) >> 7 & 1023
}

#[test]
fn labels_that_are_all_the_same_are_an_error() {
    let world = World::new();
    for (name, label) in [("class", "fresh"), ("number", "2.5"), ("large", "1000000000000.5")] {
        world.write("same.csv", rows(40, |_| label.into()));
        let named = if name == "large" { "1000000000000" } else { label };
        world.fails(&linear("same.csv", "out", ""), &[named, "two"]);
        assert!(!world.path("out").exists(), "{name}");
    }
}

#[test]
fn one_row_and_two_rows_end_in_an_error_or_say_that_nothing_was_learned() {
    let world = World::new();
    world.write("one.csv", rows(1, |_| "fresh".into()));
    world.fails(&adapter("one.csv", "out", ""), &["fresh"]);
    world.write("one.csv", rows(1, |_| "1.5".into()));
    world.fails(&adapter("one.csv", "out", ""), &["1.5"]);
    // Of more rows, whose classes are known.
    world.write("many.csv", rows(20, |i| ["fresh", "rotten"][i % 2].into()));
    for share in ["--train-rows 1", "--dev-share 0.9999"] {
        let words = &["too few (1)", "--recipe paper"];
        world.fails(&adapter("many.csv", "out", share), words);
        world.fails(&linear("many.csv", "out", share), words);
    }
    world.write("none.csv", "text,label\n");
    world.fails(&adapter("none.csv", "out", ""), &["none.csv"]);
    for labels in [["fresh", "rotten"], ["1.5", "2.5"]] {
        world.write("two.csv", rows(2, |i| labels[i].into()));
        let text = world.ok(&adapter("two.csv", labels[0], ""));
        assert!(text.contains(NOTHING), "{text}");
    }
}

#[test]
fn texts_that_are_all_equal_or_empty_say_that_nothing_was_learned() {
    let world = World::new();
    for (name, text) in [("equal", "a good film"), ("empty", "\"\""), ("blank", "\"  \"")] {
        let rows: String = (0..40).map(|i| format!("{text},{}\n", ["x", "y"][i % 2])).collect();
        world.write("same.csv", format!("text,label\n{rows}"));
        let output = world.run(&adapter("same.csv", name, ""));
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(NOTHING) || error.contains("error: "), "{name} {said} {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// In the run's own words, in those of `eval`, and on the page of a report.
#[test]
fn labels_of_noise_are_said_to_teach_nothing() {
    let world = World::new();
    for name in ["classes", "numbers"] {
        let label = |i: usize| match name {
            "classes" => ["x", "y"][noise(i) % 2].to_string(),
            _ => format!("{}.5", noise(i)),
        };
        world.write("noise.csv", rows(120, label));
        let text = world.ok(&linear("noise.csv", name, ""));
        assert!(text.contains(NOTHING), "{name}\n{text}");
        world.write("more.csv", rows(240, |i| label(i + 1000)));
        let eval = format!("eval --adapter {name} --data more.csv");
        assert!(world.ok(&eval).contains(NOTHING), "{name}");
        assert!(json(&world.ok(&format!("{eval} --json")))["learned_nothing"]["p"].is_f64());
        world.ok(&format!("{eval} --report {name}-report"));
        let page = fs::read_to_string(world.path(&format!("{name}-report/report.html"))).unwrap();
        assert!(page.contains(NOTHING), "{name}");
    }
    // Where something was learned, it is not said.
    world.ok(&linear("train.csv", "good", ""));
    let text = world.ok("eval --adapter good --data test.csv");
    assert!(!text.contains(NOTHING), "{text}");
    let found = json(&world.ok("eval --adapter good --data test.csv --json"));
    assert!(found.get("learned_nothing").is_none());
}

/// As many classes as rows.
fn many(world: &World, classes: usize) {
    world.write("many.csv", rows(classes, |i| format!("c{i}")));
    let text = world.ok(&linear("many.csv", "many", "--max-length 12"));
    assert!(text.contains(NOTHING), "{text}");
    let answer = json(&world.ok("predict --adapter many --json --top 1 good"));
    assert!(answer["label"].as_str().unwrap().starts_with('c'), "{answer}");
}

#[test]
#[ignore = "minutes without optimisation"]
fn ten_thousand_classes_are_trained_and_answered() {
    many(&World::new(), 10_000);
}

#[test]
fn very_many_classes_and_classes_of_one_row_are_trained_and_answered() {
    let world = World::new();
    world.write("each.csv", rows(60, |i| format!("c{i}")));
    let text = world.ok(&adapter("each.csv", "each", ""));
    assert!(text.contains(NOTHING), "{text}");
    many(&world, 1000);
    world.write("more.csv", rows(10_001, |i| format!("c{i}")));
    world.fails(&linear("more.csv", "more", ""), &["10001", "--max-classes"]);
}

#[test]
fn weights_of_classes_are_refused_where_there_are_none() {
    let world = World::new();
    world.write("prices.csv", rows(60, |i| format!("{i}.5")));
    for flag in ["--balanced", "--class-weights x=2"] {
        for recipe in ["auto", "paper"] {
            let args =
                adapter("prices.csv", "out", &format!("{flag} --recipe {recipe} --epochs 1"));
            let name = flag.split(' ').next().unwrap();
            world.fails(&args, &[name]);
            assert!(!world.path("out/adapter.json").exists());
        }
    }
}
