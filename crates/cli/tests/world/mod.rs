//! A folder in which the program is run: a tiny model, its tokenizer and data that can be learned.
#![allow(dead_code)]

pub(crate) mod hub;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A folder with a tiny BERT, its tokenizer and a data set that can be learned.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) const WORDS: &str =
    "good fine great nice lovely bad poor awful sad ugly the a film was is very so and it";

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        fs::create_dir(&base).unwrap();
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
        for file in ["config.json", "model.safetensors"] {
            fs::copy(golden.join(file), base.join(file)).unwrap();
        }
        let special = "[PAD] [UNK] [CLS] [SEP] [MASK]";
        let vocabulary: Vec<&str> = special.split(' ').chain(WORDS.split(' ')).collect();
        fs::write(base.join("vocab.txt"), vocabulary.join("\n")).unwrap();
        let world = Self { dir };
        world.write("train.csv", reviews(600, 1));
        world.write("test.csv", reviews(60, 2));
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_budwood"));
        command.args(args.split_whitespace()).current_dir(self.dir.path());
        command.env("BUDWOOD_CACHE", self.path("cache")).stdin(Stdio::null());
        command.env("HF_HOME", self.path("hub")).env("HF_HUB_OFFLINE", "1");
        command
    }

    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what must succeed; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, args: &str) -> String {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "budwood {args}\n{error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must fail with exit code 1, naming all of `words`; nothing may be left at `out`.
    #[track_caller]
    pub(crate) fn fails(&self, args: &str, words: &[&str]) {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr).to_string();
        assert_eq!(output.status.code(), Some(1), "budwood {args}\n{error}");
        assert!(error.contains("error: ") && !error.contains("panicked"), "{error}");
        for word in words {
            assert!(error.contains(word), "budwood {args}\nlacks '{word}': {error}");
        }
    }

    /// Begins a server, which is asked for JSON; its process, and its address without a scheme.
    pub(crate) fn serve(&self, words: &str) -> (Child, String) {
        let mut command = self.command(&format!("{words} --port 0 --json"));
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut text = String::new();
        for line in BufReader::new(server.stdout.take().unwrap()).lines() {
            text += &line.unwrap();
            if text.ends_with('}') {
                break;
            }
        }
        let url = json(&text)["url"].as_str().unwrap().to_owned();
        (server, url.trim_start_matches("http://").trim_end_matches('/').to_owned())
    }

    pub(crate) fn train(&self, out: &str, more: &str) -> String {
        self.ok(&train_args("train.csv", out, more))
    }
}

/// A training by the paper's recipe, unless `more` names another.
pub(crate) fn train_args(data: &str, out: &str, more: &str) -> String {
    let recipe = if more.contains("--recipe") { "" } else { "--recipe paper" };
    format!(
        "train --base base --data {data} --out {out} --method adapter[width=8] --max-length 24 \
         --pooling mean --lr 0.003 --epochs 40 --dropout 0 --threads 2 {recipe} {more}"
    )
}

/// Reviews in which one word decides.
pub(crate) fn reviews(n: usize, seed: u64) -> String {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let mut state = seed;
    let mut next = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut text = "text,label\n".to_string();
    for _ in 0..n {
        let good = next(2) == 0;
        let mut review: Vec<&str> = (0..2 + next(7)).map(|_| words[10 + next(9)]).collect();
        let word = words[next(5) + if good { 0 } else { 5 }];
        review.insert(next(review.len()), word);
        text += &format!("{},{}\n", review.join(" "), if good { "fresh" } else { "rotten" });
    }
    text
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("not JSON: {e}\n{text}"))
}
