//! Files as people have them: layouts, encodings, columns, splits, and what is wrong with them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use budwood_base::tokenizer::Frame;
use budwood_tasks::read::{Encoding, ReadOptions, table};
use budwood_tasks::{
    Cell, ColumnChoice, DataSource, Dataset, Example, Input, Split, Target, Tokenizer, task,
};

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    fs::write(dir.join(name), text).unwrap();
}

fn layout(dir: &Path, name: &str) -> DataSource {
    let text = format!("{name}={}", dir.display());
    DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default()).unwrap()
}

#[test]
fn glue_files_are_read_with_and_without_headers() {
    let dir = tempfile::tempdir().unwrap();
    // CoLA has no header; a quote is an ordinary character.
    write(dir.path(), "train.tsv", "gj04\t1\t\tShe said \"no.\ngj04\t0\t*\tHim left.\n");
    let cola = layout(dir.path(), "glue:CoLA");
    let kind = common::kind(&cola).unwrap();
    let labels = common::labels(&cola, kind, Split::Train).unwrap();
    assert_eq!(labels, ["0", "1"]);
    let data = common::examples(&cola, kind, &labels, Split::Train, true).unwrap();
    assert_eq!(data.examples[0].input, Input::Text("She said \"no.".into()));
    assert_eq!(data.examples[1].target, Target::Class(0));

    // STS-B as CSV without a header, and as GLUE ships it.
    let sts = tempfile::tempdir().unwrap();
    write(sts.path(), "train.csv", "\"A plane, taking off.\",A plane.,5.0\nA dog.,A cat.,0.5\n");
    write(
        sts.path(),
        "dev.tsv",
        "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\tA man.\tA boy.\t3.25\n",
    );
    let source = layout(sts.path(), "glue:STS-B");
    let kind = common::kind(&source).unwrap();
    assert_eq!(kind.name, "regression");
    let train = common::examples(&source, kind, &[], Split::Train, true).unwrap();
    let pair = Input::texts("A plane, taking off.", Some("A plane."));
    assert_eq!(train.examples[0].input, pair);
    assert_eq!(train.examples[1].target, Target::Value(0.5));
    let dev = common::examples(&source, kind, &[], Split::Dev, true).unwrap();
    assert_eq!(dev.examples[0].target, Target::Value(3.25));

    // RTE keeps the order of its papers, whatever comes first in the file.
    let rte = tempfile::tempdir().unwrap();
    write(
        rte.path(),
        "train.tsv",
        "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\tentailment\n",
    );
    let source = layout(rte.path(), "glue:RTE");
    let kind = task::find("classification").unwrap();
    let labels = common::labels(&source, kind, Split::Train).unwrap();
    assert_eq!(labels, ["entailment", "not_entailment"]);
    assert!(!source.has(Split::Dev));
    let error = common::examples(&source, kind, &labels, Split::Dev, true).unwrap_err().to_string();
    assert!(error.contains("no file for the dev split"), "{error}");
}

#[test]
fn trec_is_latin_1_with_coarse_classes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "TREC.train", b"NUM:dist How far is Qu\xe9bec ?\nLOC:city Where ?\n");
    let source = layout(dir.path(), "trec");
    let kind = task::find("classification").unwrap();
    let labels = common::labels(&source, kind, Split::Train).unwrap();
    assert_eq!(labels, ["LOC", "NUM"]);
    let data = common::examples(&source, kind, &labels, Split::Train, true).unwrap();
    assert_eq!(data.examples[0].input, Input::Text("How far is Qu\u{e9}bec ?".into()));
    write(dir.path(), "TREC.train", "NUM How far ?\n");
    let error = common::labels(&source, kind, Split::Train).unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("COARSE:fine"), "{error}");
}

#[test]
fn the_digest_is_of_the_content_not_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.csv", "text,label\nx,1\ny,0\n");
    write(dir.path(), "b.jsonl", "{\"label\":1,\"text\":\"x\"}\n{\"label\":0,\"text\":\"y\"}\n");
    write(dir.path(), "c.csv", "text,label\nx,1\nz,0\n");
    let kind = task::find("classification").unwrap();
    let digest = |name: &str| {
        let path = dir.path().join(name).display().to_string();
        let source =
            DataSource::parse(&path, ColumnChoice::default(), ReadOptions::default()).unwrap();
        let labels = common::labels(&source, kind, Split::Train).unwrap();
        common::examples(&source, kind, &labels, Split::Train, true).unwrap().digest.sha256
    };
    assert_eq!(digest("a.csv"), digest("b.jsonl"));
    assert_ne!(digest("a.csv"), digest("c.csv"));
}

#[test]
fn packed_files_and_parquet_are_read() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let csv = "text,label\ngood,1\nbad,0\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(csv.as_bytes()).unwrap();
    write(dir.path(), "a.csv.gz", gz.finish().unwrap());
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(csv.as_bytes()).unwrap();
    write(dir.path(), "a.csv.bz2", bz.finish().unwrap());
    // Made with pyarrow 22: pa.table({"text": ["good", "bad", None], "label": [1, 0, 1], "score":
    // [0.5, 1.5, 2.0]}), Snappy.
    let parquet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/small.parquet");
    let options = ReadOptions::default();
    for name in ["a.csv.gz", "a.csv.bz2"] {
        let table = table(&dir.path().join(name), options).unwrap();
        assert_eq!(table.names(), ["text", "label"]);
        assert_eq!((table.cell(1, 0).text(), table.cell(1, 1).text()), ("bad".into(), "0".into()));
    }
    let table = table(&parquet, options).unwrap();
    assert_eq!(table.names(), ["text", "label", "score"]);
    let row: Vec<Cell> = (0..3).map(|c| table.cell(0, c).clone()).collect();
    assert_eq!(row, [Cell::from("good"), Cell::Int(1), Cell::Number(0.5)]);
    assert_eq!(table.cell(2, 0), &Cell::Missing);
}

#[test]
fn encodings_and_marks() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.csv", "\u{feff}text,label\r\n\r\n\"two\nlines\",1\r\n   \r\nb,0\r\n");
    let read = table(&dir.path().join("a.csv"), ReadOptions::default()).unwrap();
    assert_eq!(read.names(), ["text", "label"]);
    assert_eq!(read.places, [3, 6]);
    assert_eq!(read.cell(0, 0).text(), "two\nlines");
    write(dir.path(), "b.csv", b"text,label\ncaf\xe9,1\n");
    let utf_8 =
        ReadOptions { encoding: Some(Encoding::named("utf-8").unwrap()), ..Default::default() };
    let error = table(&dir.path().join("b.csv"), utf_8).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("0xe9"), "{error}");
    let read = table(&dir.path().join("b.csv"), ReadOptions::default()).unwrap();
    assert_eq!(read.cell(0, 0).text(), "caf\u{e9}");
    assert_eq!(read.form.encoding, Some("windows-1252"));
}

#[test]
fn a_split_keeps_the_shares_of_the_classes() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..200).map(|i| format!("t{i},{}\n", i32::from(i % 4 == 0))).collect();
    write(dir.path(), "a.csv", format!("text,label\n{rows}"));
    let path = dir.path().join("a.csv").display().to_string();
    let source = DataSource::parse(&path, ColumnChoice::default(), ReadOptions::default()).unwrap();
    let kind = task::find("classification").unwrap();
    let labels = common::labels(&source, kind, Split::Train).unwrap();
    let data = common::examples(&source, kind, &labels, Split::Train, true).unwrap();
    let (rest, dev) = data.clone().split(0.2, 5, "dev").unwrap();
    let ones = |d: &[Example]| d.iter().filter(|e| e.target == Target::Class(1)).count();
    assert_eq!((rest.examples.len(), dev.examples.len()), (160, 40));
    assert_eq!(ones(&dev.examples), 10);
    assert_eq!(dev, data.clone().split(0.2, 5, "dev").unwrap().1, "the same seed, the same split");
    assert_ne!(dev, data.clone().split(0.2, 6, "dev").unwrap().1);
    assert!(data.split(0.0, 5, "dev").is_err());
}

fn tokenizer(dir: &Path) -> Tokenizer {
    let words = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat ##s on mat , cafe 中";
    write(dir, "vocab.txt", words.replace(' ', "\n"));
    Tokenizer::open(dir, Frame::BERT).unwrap()
}

/// Digests stand in adapters' files, so they must never change. Expected values: Python's `hashlib`
/// over the lengths (eight bytes, little-endian), names and contents of the parts in order.
#[test]
fn digests_stay_as_they_are() {
    let example = |input, target| Example { input, target };
    let examples = vec![
        example(Input::Text("a cat".into()), Target::Class(1)),
        example(Input::Pair("x".into(), "\u{e9}".into()), Target::Value(0.5)),
        example(Input::Text(String::new()), Target::None),
        example(Input::Text("b".into()), Target::Labels(vec![1.0, 0.0])),
    ];
    let digest = Dataset::from_examples(examples, "train", "here").digest;
    assert_eq!(digest.sha256, "36fd0385f4135a4140c7165196494a740fdb3e497070282654ffda8a54a2d386");
    assert_eq!((digest.rows, digest.split.as_str(), digest.source.as_str()), (4, "train", "here"));
}

/// Ids from transformers' `BertTokenizerFast` over the same vocabulary.
#[test]
fn word_pieces_match_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(dir.path());
    let ids = |text: &str| tokenizer.encode(&Input::Text(text.into()), 128).unwrap().ids;
    assert_eq!(ids("The cats, SAT"), [2, 5, 6, 8, 11, 7, 3]);
    assert_eq!(ids("Caf\u{e9} 中cat dog"), [2, 12, 13, 6, 1, 3]);
    let pair = tokenizer.encode(&Input::texts("the cat", Some("on")), 128).unwrap();
    assert_eq!(pair.ids, [2, 5, 6, 3, 9, 3]);
    assert_eq!(pair.types, [0, 0, 0, 0, 1, 1]);
    assert_eq!(pair.cut, 0);
    assert!(tokenizer.check_vocabulary(14).is_ok());
    assert!(tokenizer.check_vocabulary(13).unwrap_err().to_string().contains("largest id is 13"));
}

#[test]
fn the_longer_text_of_a_pair_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(dir.path());
    let pair = tokenizer.encode(&Input::texts("the the the the", Some("cat cat")), 8).unwrap();
    assert_eq!(pair.ids, [2, 5, 5, 5, 3, 6, 6, 3]);
    assert_eq!(pair.cut, 1);
    // BERT's code takes from the second where both are as long.
    let pair = tokenizer.encode(&Input::texts("the the", Some("cat cat")), 6).unwrap();
    assert_eq!(pair.ids, [2, 5, 5, 3, 6, 3]);
    // So the first has the odd token, whichever is longer (slow `BertTokenizer`).
    for (a, b) in [("the the the", "cat cat cat cat"), ("the the the the", "cat cat cat")] {
        let pair = tokenizer.encode(&Input::texts(a, Some(b)), 8).unwrap();
        assert_eq!(pair.ids, [2, 5, 5, 5, 3, 6, 6, 3]);
    }
    assert_eq!(tokenizer.encode(&Input::Text("the the the".into()), 4).unwrap().ids, [2, 5, 5, 3]);
    assert!(tokenizer.encode(&Input::Text("the".into()), 2).is_err());
}

/// Settings that say nothing of the file are named.
#[test]
fn settings_without_effect_on_a_file_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let notes = |name: &str, content: &str, task: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let options = ReadOptions { paragraphs: true, ..ReadOptions::default() };
        let text = path.to_str().unwrap();
        let source = DataSource::parse(text, ColumnChoice::default(), options).unwrap();
        let mut source = source.read_for(task::find(task).unwrap());
        source.images.root = Some(dir.path().into());
        let opened = source.open(Split::Train, false).unwrap();
        opened.notes().cloned().collect::<Vec<_>>().join("; ")
    };
    let table = notes("a.csv", "text,label\na b,x\nc d,y\n", "classification");
    assert!(table.contains("paragraphs: without effect on CSV"), "{table}");
    assert!(table.contains("image-root: without effect"), "{table}");
    let plain = notes("a.txt", "a b\nc d\n\ne f\n", "masked-lm");
    assert!(!plain.contains("paragraphs") && plain.contains("image-root"), "{plain}");
}
