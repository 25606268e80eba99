//! Good inputs to begin with: the reference cases of the tests, and a few written here.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::mutate::Files;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

/// A file for one input.
pub(crate) fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Files {
    vec![(name.into(), bytes.into())]
}

/// All folders under `tests/PLACE` that hold a file of that name, each an input.
pub(crate) fn folders(place: &str, holding: &str) -> Vec<Files> {
    fn walk(folder: &Path, holding: &str, out: &mut Vec<Files>) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut paths: Vec<_> = entries.collect();
        paths.sort();
        if folder.join(holding).is_file() {
            let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned());
            let read = |p: &PathBuf| Some((name(p)?, fs::read(p).ok()?));
            out.push(paths.iter().filter(|p| p.is_file()).filter_map(read).collect());
        }
        paths.iter().filter(|p| p.is_dir()).for_each(|p| walk(p, holding, out));
    }
    let mut out = Vec::new();
    walk(&tests().join(place), holding, &mut out);
    out
}

/// Tokenizers of each kind.
pub(crate) fn tokenizers() -> Vec<Files> {
    let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", "##s", "good", "."];
    let vocab: serde_json::Map<String, Value> =
        words.iter().zip(0..).map(|(w, i)| (w.to_string(), json!(i))).collect();
    let normalizer = json!({ "type": "Sequence", "normalizers": [
        { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
          "strip_accents": null, "lowercase": true },
        { "type": "Replace", "pattern": { "String": "  " }, "content": " " },
    ] });
    let added: Vec<_> = (0..5)
        .map(|i| {
            json!({ "id": i, "content": words[i], "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let word_piece = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": normalizer, "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab },
    });
    let mut bpe = word_piece.clone();
    bpe["pre_tokenizer"] =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true });
    bpe["model"] = json!({
        "type": "BPE", "dropout": null, "unk_token": "[UNK]", "fuse_unk": false,
        "byte_fallback": false, "vocab": { "[UNK]": 0, "a": 1, "b": 2, "ab": 3, "[CLS]": 4, "[SEP]": 5 },
        "merges": [["a", "b"]],
    });
    let mut unigram = word_piece.clone();
    unigram["model"] = json!({
        "type": "Unigram", "unk_id": 1, "byte_fallback": false,
        "vocab": [["[PAD]", 0.0], ["[UNK]", -1.0], ["[CLS]", 0.0], ["[SEP]", 0.0], ["a", -2.5]],
    });
    let mut all: Vec<_> =
        [word_piece, bpe, unigram].iter().map(|t| file("tokenizer.json", t.to_string())).collect();
    all.push(file("vocab.txt", words.join("\n")));
    let config = ("tokenizer_config.json".to_string(), b"{\"do_lower_case\": false}".to_vec());
    all.push(vec![all[3][0].clone(), config]);
    all
}

/// Tables and texts of every form that is read.
pub(crate) fn data() -> Vec<Files> {
    let squad = json!({ "version": "2.0", "data": [{ "title": "t", "paragraphs": [{
        "context": "The film was made in Oslo in 1999.",
        "qas": [{ "id": "1", "question": "Where?", "is_impossible": false,
                  "answers": [{ "text": "Oslo", "answer_start": 21 }] }] }] }] });
    let mut all = vec![
        file("x.csv", "text,label\n\"a, \"\"b\"\"\",yes\nc,no\nd,yes\ne,no\n"),
        file("x.csv", "sentence1,sentence2,score\na,b,0.5\nc,d,1e3\n"),
        file("x.tsv", "sentence\tlabel\na b\t1\nc\t0\n"),
        file(
            "x.jsonl",
            "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": [\"x\", \"y\"]}\n",
        ),
        file("x.conll", "-DOCSTART- -X- O O\n\nOslo NNP B-LOC\nis VBZ O\n\nAda NNP I-PER\n"),
        file("x.json", squad.to_string()),
    ];
    let parquet = tests().join("../crates/tasks/tests/small.parquet");
    all.extend(fs::read(parquet).ok().map(|bytes| file("x.parquet", bytes)));
    all
}

/// Images in every form that is read.
pub(crate) fn images() -> Vec<Files> {
    let entries = fs::read_dir(tests().join("images")).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|e| e.path()).filter(|p| p.is_file()).collect();
    paths.sort();
    let known = |p: &PathBuf| p.extension().is_some_and(|e| e != "json");
    paths.iter().filter(|p| known(p)).filter_map(|p| Some(file("x", fs::read(p).ok()?))).collect()
}

/// Records that are submitted to a board.
pub(crate) fn submissions() -> Vec<Files> {
    let whole = json!({
        "external_id": "a-1", "task": "Text Classification", "setting": "",
        "dataset": { "name": "SST-2", "split": "test", "rows": 1821, "sha256": null },
        "metrics": [{ "name": "Accuracy", "value": "91.5", "direction": "higher", "interval": [90.1, 92.0] }],
        "model": { "name": "BERT", "links": [], "base": { "name": "bert", "sha256": null },
                   "adapter": { "method": "lora", "sha256": null, "trained": 1000, "total": 100000 } },
        "paper": { "title": "A paper", "url": "https://example.org/a" },
        "code_links": [{ "title": "code", "url": "https://example.org/c" }],
        "uses_additional_data": false, "date": "2024-02-29", "notes": "*n*",
    });
    let small = json!({
        "task": "Text Classification", "dataset": { "name": "SST-2" },
        "metrics": [{ "name": "Accuracy", "value": 91.5 }], "model": { "name": "BERT" },
    });
    [whole, small].iter().map(|v| file("submission.json", v.to_string())).collect()
}

/// Bodies of a synchronisation.
pub(crate) fn synchronisations() -> Vec<Files> {
    let body = json!({
        "task": "Sentiment Analysis", "dataset": "SST-2", "description": "d",
        "mirror_url": "https://example.org/m", "external_id": "e",
        "metrics": [{ "name": "Accuracy", "description": "", "is_loss": false }],
        "results": [
            { "metrics": { "Accuracy": "91.5" }, "methodology": "BERT", "external_id": "r1",
              "paper": "https://example.org/a", "uses_additional_data": false,
              "evaluated_on": "2020-01-01", "external_source_url": null },
            { "metrics": { "Accuracy": 90 }, "methodology": "CNN", "external_id": "r2" },
        ],
    });
    vec![file("body.json", body.to_string())]
}

/// Sweep files: a grid of all that they hold, and a small one.
pub(crate) fn sweeps() -> Vec<Files> {
    let data = "text,label\na good film,yes\na bad film,no\nfine,yes\nawful,no\n";
    let whole = r#"name = "all"
about = "a test"
seeds = [0, 1, 2]
ablate = true
keep-adapters = false

[train]
recipe = "paper"
base = "base"
epochs = [1, 2.5]
lr = [1e-3, 3e-4]
label-names = ["no", "yes"]

[[task]]
name = "films"
data = "x.csv"
test-share = 0.2

[[task]]
name = "few"
data = "${HOME}/x.csv"
train-rows = 3

[[method]]
name = "adapter"
method = ["adapter[size=4]", "lora[r=2]"]
epochs = 3
"#;
    let small = "name = \"a\"\n[[task]]\ndata = \"x.csv\"\n[[method]]\nmethod = \"lora\"\n";
    let one = |text: &str| {
        let files = [("sweep.toml", text), ("x.csv", data)];
        files.map(|(name, text)| (name.to_string(), text.as_bytes().to_vec())).to_vec()
    };
    vec![one(whole), one(small)]
}
