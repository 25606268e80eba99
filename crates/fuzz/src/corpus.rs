//! Good inputs to begin with: the reference cases of the tests, and a few written here.

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::tensor::Tensor;
use budwood_formats::safetensors_file::to_bytes;
use serde_json::{Value, json};

use crate::mutate::Files;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

/// A file for one input.
pub(crate) fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Files {
    vec![(name.into(), bytes.into())]
}

/// All folders under `tests/PLACE` that hold a file of that name.
pub(crate) fn places(place: &str, holding: &str) -> Vec<PathBuf> {
    fn walk(folder: PathBuf, holding: &str, out: &mut Vec<PathBuf>) {
        let mut below: Vec<_> = entries(&folder).into_iter().filter(|p| p.is_dir()).collect();
        if folder.join(holding).is_file() {
            out.push(folder);
        }
        below.drain(..).for_each(|path| walk(path, holding, out));
    }
    let mut out = Vec::new();
    walk(tests().join(place), holding, &mut out);
    out
}

/// The files of these folders, each an input.
pub(crate) fn folders(place: &str, holding: &str) -> Vec<Files> {
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned());
    let read = |p: &PathBuf| Some((name(p)?, fs::read(p).ok()?));
    let files = |folder: &PathBuf| {
        entries(folder).iter().filter(|p| p.is_file()).filter_map(read).collect()
    };
    places(place, holding).iter().map(files).collect()
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    all.sort();
    all
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
    let known = |p: &PathBuf| p.is_file() && p.extension().is_some_and(|e| e != "json");
    let paths = entries(&tests().join("images"));
    paths.iter().filter(|p| known(p)).filter_map(|p| Some(file("x", fs::read(p).ok()?))).collect()
}

/// How images are prepared, in both forms that there are.
pub(crate) fn processors() -> Vec<Files> {
    let new = json!({
        "image_processor_type": "ViTImageProcessor", "do_resize": true, "do_rescale": true,
        "do_normalize": true, "size": { "height": 8, "width": 8 }, "resample": 2,
        "rescale_factor": 0.00392156862745098, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    });
    let cropped = json!({
        "image_processor_type": "BitImageProcessor", "do_resize": true, "do_center_crop": true,
        "size": { "shortest_edge": 10 }, "crop_size": { "height": 8, "width": 8 }, "resample": 3,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    });
    let all = [new, cropped, json!({ "size": 8 })];
    all.iter().map(|v| file("preprocessor_config.json", v.to_string())).collect()
}

/// Models in ONNX and NumPy's archives.
pub(crate) fn conversions() -> Vec<Files> {
    let names = ["dinov2.onnx", "vit.npz", "vit_deflated.npz"];
    let read = |name| Some(file(name, fs::read(tests().join("golden/convert").join(name)).ok()?));
    names.into_iter().filter_map(read).collect()
}

/// The state of a run, with and without a best step.
pub(crate) fn checkpoints() -> Vec<Files> {
    let tensor = |data: &[f32]| Tensor::new([data.len()], data.to_vec());
    let one = |best: bool| -> Option<Files> {
        let names: &[&str] =
            if best { &["best", "m", "v", "values"] } else { &["m", "v", "values"] };
        let tensors = names.iter().map(|n| (n.to_string(), tensor(&[0.5, -1.0, 2.0]))).collect();
        let vectors = to_bytes(Path::new("vectors"), &tensors).ok()?;
        let state = json!({
            "run": "0123", "step": 7, "since_best": 1, "seconds": 1.5, "slot": 1,
            "best": best.then(|| json!({ "score": 0.5, "step": 5, "scores": { "loss": 0.1 } })),
            "vectors_sha256": budwood_base::digest::of_bytes(&vectors),
        });
        let folder = "checkpoint";
        Some(vec![
            (format!("{folder}/checkpoint.json"), state.to_string().into_bytes()),
            (format!("{folder}/vectors-1.safetensors"), vectors),
        ])
    };
    [true, false].into_iter().filter_map(one).collect()
}
