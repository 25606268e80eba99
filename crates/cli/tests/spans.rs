//! Questions about a text and tags of words, from training to answers; and the output of frozen
//! layers, kept or not.
#![allow(clippy::unwrap_used)]

mod world;

use std::fs;

use serde_json::{Value, json};
use world::{WORDS, World, reviews, train_args};

fn parsed(text: &str) -> Value {
    world::json(text)
}

/// Sentences in which good and bad words are entities of one or two words.
fn tagged(n: usize, seed: u64) -> String {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let mut text = String::new();
    for review in reviews(n, seed).lines().skip(1) {
        let mut before = "O";
        for word in review.split(',').next().unwrap().split(' ') {
            let kind = match words.iter().position(|w| *w == word).unwrap() {
                0..5 => "POS",
                5..10 => "NEG",
                _ => "O",
            };
            let tag = match kind {
                "O" => "O".into(),
                kind if kind == before => format!("I-{kind}"),
                kind => format!("B-{kind}"),
            };
            text += &format!("{word}\t{tag}\n");
            before = kind;
        }
        text += "\n";
    }
    text
}

#[test]
fn words_are_tagged() {
    let world = World::new();
    world.write("train.conll", tagged(500, 1));
    world.write("test.conll", tagged(40, 2));
    let more = "--test-data test.conll --epochs 40 --lr 0.01 --store runs.db";
    let text = world.ok(&train_args("train.conll", "out", more));
    assert!(text.contains("task: token-classification") && text.contains("tags"), "{text}");
    let eval = parsed(&world.ok("eval --json --adapter out --data test.conll"));
    assert!(eval["scores"]["f1"].as_f64().unwrap() > 0.95, "{eval}");
    assert!(eval["scores"]["accuracy"].as_f64().unwrap() > 0.95 && eval["rows"] == 40, "{eval}");

    let mut predict = world.command("predict --json --adapter out");
    let output = predict.arg("the film was lovely and so").output().unwrap();
    let one = parsed(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(one["words"], json!(["the", "film", "was", "lovely", "and", "so"]));
    let entity = &one["entities"][0];
    let [start, end] = ["start", "end"].map(|end| entity[end].as_u64().unwrap() as usize);
    let text = one["text"].as_str().unwrap();
    assert_eq!((&entity["type"], &text[start..end]), (&json!("POS"), "lovely"));
    // Written in columns it is what was read, where it is right.
    let columns = world.ok("predict --adapter out --input test.conll --format conll");
    let (a, b) = (tagged(40, 2), columns);
    let same = a.lines().zip(b.lines()).filter(|(a, b)| a == b).count();
    assert!(a.lines().count() == b.lines().count() && same * 20 > a.lines().count() * 19, "{b}");
    // Words alone will do.
    world.write("words.conll", "the\nfilm\n\nugly\n");
    assert_eq!(world.ok("predict --adapter out --input words.conll").lines().count(), 2);
    let table = world.ok("predict --adapter out --input words.conll --format table");
    assert!(table.contains("NEG: ugly"), "{table}");
    world.fails("predict --adapter out --format conll one two", &["one text"]);

    // Sentences that are cut into pieces are scored as a whole.
    let more = "--max-length 6 --epochs 1 --store runs.db --seed 1 --test-data test.conll";
    let text = world.ok(&train_args("train.conll", "cut", more));
    assert!(text.contains("cut into pieces between words"), "{text}");
    let compared = parsed(&world.ok("runs compare 1 2 --split test --json --store runs.db"));
    assert_eq!(compared["both_wrong"].as_u64().map(|n| n < 40), Some(true), "{compared}");
}

#[test]
fn faults_of_tags_are_named() {
    let world = World::new();
    world.write("train.conll", tagged(60, 1));
    let words = tagged(30, 2).replace("\tB-NEG", "\tB-BAD");
    world.write("dev.conll", &words);
    let row = words[..words.find("B-BAD").unwrap()]
        .rfind("\n\n")
        .map_or(0, |i| words[..i + 2].lines().count())
        + 1;
    let place = format!("dev.conll, line {row}");
    let args = train_args("train.conll", "out", "--dev-data dev.conll --epochs 1");
    world.fails(&args, &[&place, "B-BAD", "B-POS"]);
    world.write("wide.conll", format!("{}the O O\n", tagged(3, 1)));
    world.fails(&train_args("wide.conll", "out", ""), &["wide.conll, line", "3 columns"]);
    // In IOB1 entities begin with I-.
    world.write("iob1.conll", tagged(60, 1).replace("B-", "I-"));
    let text = world.ok(&train_args("iob1.conll", "out", "--epochs 1"));
    assert!(text.contains("begin without B-") && text.contains("sentence 1, word"), "{text}");
    assert!(!text.contains("pooling"), "{text}");
}

/// Questions whose answer is the one good or bad word of a text that stands among other words.
fn squad(n: usize, seed: u64) -> String {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let mut articles = Vec::new();
    for (i, line) in reviews(n, seed).lines().skip(1).enumerate() {
        let context = line.split(',').next().unwrap();
        let is_answer = |w: &&str| words[..10].contains(w);
        let answer = context.split(' ').find(is_answer).unwrap();
        let start = context.find(answer).unwrap();
        let answers = json!([{ "text": answer, "answer_start": start }]);
        let qas = json!([{ "id": i.to_string(), "question": "was it", "answers": answers }]);
        articles.push(
            json!({ "title": i.to_string(), "paragraphs": [{ "context": context, "qas": qas }] }),
        );
    }
    json!({ "version": "1.1", "data": articles }).to_string()
}

#[test]
fn questions_are_answered() {
    let world = World::new();
    world.write("train.json", squad(300, 1));
    world.write("test.json", squad(40, 2));
    let more = "--dev-data test.json --epochs 40 --lr 0.01 --store runs.db";
    let text = world.ok(&train_args("train.json", "out", more));
    assert!(text.contains("question-answering") && text.contains("exact_match"), "{text}");
    let eval = parsed(&world.ok("eval --json --adapter out --data squad=test.json"));
    assert!(eval["scores"]["f1"].as_f64().unwrap() > 0.9, "{eval}");
    assert_eq!((&eval["rows"], &eval["confusion"]), (&json!(40), &Value::Null));
    let inspect = parsed(&world.ok("inspect --json out"));
    assert_eq!(inspect["task"]["doc_stride"], 128);

    let context = "The film is so LOVELY and it was the film";
    let ask = |more: &[&str]| {
        let mut command = world.command("predict --json --adapter out --question Was? --context");
        let output = command.arg(context).args(more).output().unwrap();
        parsed(&String::from_utf8(output.stdout).unwrap())
    };
    let one = ask(&[]);
    assert_eq!((&one["answer"], &one["start"]), (&json!("LOVELY"), &json!(15)));
    assert!(one["candidates"].as_array().unwrap().len() > 5);
    assert_eq!(ask(&["--n-best", "2"])["candidates"].as_array().unwrap().len(), 2);
    let short = ask(&["--max-answer-length", "1"]);
    let all = short["candidates"].as_array().unwrap();
    assert!(all.iter().all(|c| !c["answer"].as_str().unwrap().contains(' ')));

    // From files, in any of their forms, with answers or without.
    assert_eq!(world.ok("predict --adapter out --input test.json").lines().count(), 40);
    world.write("rows.csv", "question,context\nWas?,the film was bad\n");
    let csv = world.ok("predict --adapter out --input rows.csv --format csv");
    assert!(csv.starts_with("question,context,answer,score\n") && csv.contains(",bad,"), "{csv}");
    world.fails("predict --adapter out good", &["--question", "--context"]);

    // Windows: the same text read in pieces.
    let more = "--dev-data test.json --epochs 1 --max-length 10 --doc-stride 2 --store runs.db";
    let text = world.ok(&train_args("train.json", "pieces", more).replace("--max-length 24 ", ""));
    assert!(text.contains("windows that begin 2 tokens apart"), "{text}");
    let compared = parsed(&world.ok("runs compare 1 2 --split dev --json --store runs.db"));
    let counts = ["both_right", "only_a", "only_b", "both_wrong"].map(|n| compared[n].as_u64());
    assert_eq!(counts.iter().flatten().sum::<u64>(), 40, "{compared}");
    world.ok("eval --adapter out --data squad=test.json --predictions answers.csv");
    assert_eq!(fs::read_to_string(world.path("answers.csv")).unwrap().lines().count(), 41);
}

#[test]
fn the_output_of_frozen_layers_is_kept() {
    let world = World::new();
    let train = |out: &str, more: &str| {
        let args = train_args("train.csv", out, &format!("--json --epochs 3 {more}"));
        let args = args.replace("adapter[width=8]", "top_k[layers=1]").replace("--dropout 0 ", "");
        let output = world.run(&args);
        let error = String::from_utf8_lossy(&output.stderr).to_string();
        assert!(output.status.success(), "{error}");
        let summary = parsed(&String::from_utf8(output.stdout).unwrap());
        summary["weights_sha256"].as_str().unwrap().to_string()
    };
    let plain = train("a", "--frozen-dropout off --prefix-cache off");
    assert_eq!(train("b", "--frozen-dropout off"), plain);
    assert_eq!(train("c", "--frozen-dropout off --prefix-cache disk"), plain);
    let part = "--frozen-dropout off --prefix-cache disk --prefix-cache-limit 0";
    assert_eq!(train("d", part), plain);
    let left: Vec<_> = fs::read_dir(world.path("c")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.iter().all(|p| !p.to_string_lossy().contains("prefix")), "{left:?}");
    assert_ne!(train("e", ""), plain, "dropout below has an effect");
    // What is kept is said.
    let args = train_args("train.csv", "f", "--epochs 1 --frozen-dropout off");
    let output = world.run(&args.replace("adapter[width=8]", "linear"));
    let error = String::from_utf8_lossy(&output.stderr).to_string();
    assert!(error.contains("layers are frozen") && error.contains("540 training"), "{error}");
}
