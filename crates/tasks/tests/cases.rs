//! Inputs made after public reports on other tools, each with what is right. The files in `cases`
//! stand for kinds of faults; further members of a kind are written here.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::tokenizer::Frame;
use budwood_tasks::read::{Encoding, ReadOptions, table};
use budwood_tasks::{
    Answer, ColumnChoice, Data, DataRequest, DataSource, Dataset, Example, Input, Missing, Split,
    Target, Tokenizer, task,
};
use common::{content, fails, notes, read, request, source, with};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

fn text(example: &Example) -> &str {
    match &example.input {
        Input::Text(text) => text,
        _ => panic!("no text"),
    }
}

#[test]
fn semicolons_are_found() {
    for name in ["02-semicolon/train.csv", "02-semicolon/nocomma.csv"] {
        let data = read(source(case(name))).unwrap();
        assert_eq!(data.labels, ["neg", "pos"]);
        notes(&data, &["semicolon"]);
    }
    let data = read(source(case("02-semicolon/train.csv"))).unwrap();
    assert_eq!(text(&data.train.examples[1]), "a cold and dull evening, really");
}

#[test]
fn words_for_nothing_are_words_among_words() {
    let labels = |name: &str| read(source(case(name))).unwrap().labels;
    assert_eq!(labels("03-null-words/train.csv"), ["NA", "None", "eent", "nan", "null"]);
    assert_eq!(labels("03-null-words/food.csv"), ["inf", "naan", "nan"]);
    assert_eq!(labels("03-null-words/inf.csv"), ["Infinity", "Zero"]);
    let data = read(source(case("03-null-words/foodfirst.csv"))).unwrap();
    assert_eq!(
        (data.task.name, &data.labels[..]),
        ("classification", &["nan", "pizza"].map(String::from)[..])
    );
}

#[test]
fn a_missing_number_is_said_with_its_place_or_left_out() {
    let rows = "text,score\na,1.5\nb,nan\nc,2.25\nd,\ne,None\nf,3.5\n";
    fails(content("a.csv", rows), &["line 3", "missing", "2 more rows", "--missing drop"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    fs::write(&path, rows).unwrap();
    let data = read(with(source(&path), |s| s.missing = Missing::Drop)).unwrap();
    assert_eq!((data.task.name, data.train.examples.len()), ("regression", 3));
    assert_eq!(data.train.digest.skipped, 3);
    assert_eq!(data.train.skipped[0], "line 3: the label is missing");
    notes(&data, &["3 rows without a label are left out"]);
    // Infinite is not missing, but no number.
    fails(content("b.csv", "text,y\na,1.5\nb,inf\nc,2.5\nd,0.1\n"), &["line 3", "'inf'", "finite"]);
    let many: String = (0..30).map(|i| format!("t{i},{}.5\n", i)).collect();
    fails(content("c.csv", format!("text,y\n{many}x,oops\n")), &["line 32", "'oops'"]);
    fails(content("d.csv", "text,y\na,\"1,5\"\nb,\"2,25\"\n"), &["line 2", "'1,5'", "comma"]);
    let json = "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":null}\n{\"text\":\"c\",\"label\":0}\n";
    fails(content("e.jsonl", json), &["line 2", "missing"]);
}

#[test]
fn numbers_are_equal_by_value() {
    let data = read(source(case("04-label-1-and-1.0/mixed.csv"))).unwrap();
    assert_eq!(data.labels, ["0", "1"]);
    notes(&data, &["several forms", "'1' (", "'1.0' ("]);
    let labels = ["1", "1.0", "\"1\"", "true", "0", "false", "0.0", "\"0\""];
    let row = |(i, l): (usize, &&str)| format!("{{\"text\":\"t{i}\",\"label\":{l}}}\n");
    let jsonl: String = labels.iter().enumerate().map(row).collect();
    let data = content("a.jsonl", jsonl).unwrap();
    assert_eq!(data.labels, ["0", "1"]);
    let ones = data.train.examples.iter().map(|e| e.target == Target::Class(1));
    assert!(ones.eq([true, true, true, true, false, false, false, false]));
    // Other forms in the data that an adapter is tried on.
    let train = read(source(case("04-label-1-and-1.0/train.csv"))).unwrap();
    let dev = source(case("04-label-1-and-1.0/dev.csv"));
    let dev = common::examples(&dev, train.task, &train.labels, Split::Dev, true).unwrap();
    assert_eq!(dev.examples[0].target, Target::Class(1));
    let truths =
        content("b.jsonl", "{\"text\":\"a\",\"label\":true}\n{\"text\":\"b\",\"label\":false}\n");
    assert_eq!(truths.unwrap().labels, ["false", "true"]);
    // One form throughout stays the name.
    assert_eq!(content("c.csv", "text,label\na,1.0\nb,0.0\n").unwrap().labels, ["0.0", "1.0"]);
    assert_eq!(content("d.csv", "text,label\na,007\nb,010\n").unwrap().labels, ["007", "010"]);
}

#[test]
fn names_that_differ_in_form_alone_are_said() {
    let data =
        content("a.csv", "text,label\na,Pos\nb,pos\nc,neg\nd,pos \ne,very_good\nf,very good\n");
    let data = data.unwrap();
    assert_eq!(data.labels.len(), 5);
    notes(
        &data,
        &[
            "'Pos' (1 rows) and 'pos' (2 rows)",
            "'very good' (1 rows) and 'very_good'",
            "1 labels have blanks",
        ],
    );
}

#[test]
fn lists_of_0_and_1_are_several_labels() {
    let data = read(source(case("05-multihot-text/train.csv"))).unwrap();
    assert_eq!((data.task.name, data.labels.len()), ("multilabel", 3));
    assert_eq!(data.train.examples[1].target, Target::Labels(vec![0.0, 1.0, 1.0]));
    let forms = [
        "[1 0 1]",
        "\"[1, 0, 1]\"",
        "\"(1, 0, 1)\"",
        "\"array([1, 0, 1])\"",
        "\"[1. 0. 1.]\"",
        "\"[True, False, True]\"",
    ];
    for form in forms {
        let data = content("a.csv", format!("text,labels\na,{form}\nb,\"[0, 1, 0]\"\n")).unwrap();
        assert_eq!(data.train.examples[0].target, Target::Labels(vec![1.0, 0.0, 1.0]), "{form}");
    }
    // Names, and numbers that name.
    let data = content("b.jsonl", "{\"text\":\"a\",\"labels\":[\"x\",\"y\"]}\n{\"text\":\"b\",\"labels\":[]}\n{\"text\":\"c\",\"labels\":[\"y\"]}\n").unwrap();
    assert_eq!(
        (data.task.name, &data.labels[..]),
        ("multilabel", &["x", "y"].map(String::from)[..])
    );
    assert_eq!(data.train.examples[1].target, Target::Labels(vec![0.0, 0.0]));
    let data = content("c.csv", "text,labels\na,\"['x', 'y']\"\nb,\"['y']\"\n").unwrap();
    assert_eq!((data.task.name, data.labels.len()), ("multilabel", 2));
    for (bad, reason) in [
        ("[1, 0 1]", "a comma"),
        ("[NSFW]", "no quotes"),
        ("{a}", "no quotes"),
        ("[0 1 ... 1]", "cut short"),
    ] {
        let file = format!("text,label\na,x\nb,\"{bad}\"\n");
        fails(content("d.csv", file), &["line 2", "What is read"]);
        let file = format!("text,label\nb,\"{bad}\"\na,\"[1, 0]\"\n");
        fails(content("e.csv", file), &["line 2", reason, "{'text': [..]", "several labels"]);
    }
}

#[test]
fn columns_of_0_and_1_are_several_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    fs::write(&path, "text,toxic,rude\na,1,0\nb,0,1\nc,1.0,True\n").unwrap();
    let choice =
        || ColumnChoice { labels: vec!["toxic".into(), "rude".into()], ..Default::default() };
    let data = read(with(source(&path), |s| s.choice = choice())).unwrap();
    assert_eq!(
        (data.task.name, &data.labels[..]),
        ("multilabel", &["toxic", "rude"].map(String::from)[..])
    );
    assert_eq!(data.train.examples[2].target, Target::Labels(vec![1.0, 1.0]));
    fs::write(&path, "text,toxic,rude\na,1,0\nb,2,1\n").unwrap();
    fails(read(with(source(&path), |s| s.choice = choice())), &["line 3", "'2'", "'toxic'"]);
}

#[test]
fn tags_are_names_or_numbers() {
    let names = read(source(case("07-ner-tag-ids/names.jsonl"))).unwrap();
    let ids = read(source(case("07-ner-tag-ids/ids.jsonl"))).unwrap();
    assert_eq!((names.task.name, ids.task.name), ("token-classification", "token-classification"));
    assert_eq!(names.labels, ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]);
    assert_eq!(ids.labels, ["0", "1", "2", "3", "4"]);
    notes(&ids, &["--label-names"]);
    let label_names: Vec<String> =
        ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"].map(String::from).to_vec();
    let named =
        with(source(case("07-ner-tag-ids/ids.jsonl")), |s| s.label_names = label_names.clone());
    let named = read(named).unwrap();
    assert_eq!(named.labels, label_names);
    assert_eq!(named.train.examples[0].target, Target::Tags(vec![1, 0, 0, 3, 0]));
    // Python's form in CSV.
    let csv = "tokens,ner_tags\n\"['Ada', 'ran']\",\"['B-PER', 'O']\"\n\"['We', \"\"didn't\"\"]\",\"['O', 'O']\"\n";
    let data = content("a.csv", csv).unwrap();
    assert_eq!(data.task.name, "token-classification");
    assert_eq!(data.train.examples[1].input, Input::Words(vec!["We".into(), "didn't".into()]));
    let short =
        "{\"tokens\":[\"a\",\"b\"],\"tags\":[\"O\"]}\n{\"tokens\":[\"a\"],\"tags\":[\"B\"]}\n";
    fails(content("b.jsonl", short), &["line 1", "2 words", "1 tags"]);
}

#[test]
fn answers_in_python_s_form_and_alone_are_read() {
    let right = |data: &Data| {
        assert_eq!(data.task.name, "question-answering");
        assert_eq!(data.train.examples.len(), 120);
        for (i, example) in data.train.examples.iter().enumerate() {
            let Target::Answers(answers) = &example.target else { panic!("answers") };
            assert_eq!(answers[0].text, (1700 + i).to_string());
            let Input::Question { context, .. } = &example.input else { panic!("question") };
            assert!(context[answers[0].start..].starts_with(&answers[0].text));
        }
    };
    right(&read(source(case("14-qa-python-answers/py.csv"))).unwrap());
    right(&read(source(case("14-qa-python-answers/answer.csv"))).unwrap());
    fails(
        content("a.csv", "question,context,answer\nWho?,Ada ran.,Bob\n"),
        &["line 2", "'Bob'", "does not stand"],
    );
}

#[test]
fn a_stray_quote_is_an_error_with_its_line() {
    fails(
        read(source(case("16-open-quote/train.csv"))),
        &["line 6", "quote opens in line 6", "--skip-bad"],
    );
    let data = read(with(source(case("16-open-quote/train.csv")), |s| s.skip_bad = true)).unwrap();
    assert_eq!(data.train.examples.len() as u64 + data.train.digest.skipped, 24);
    assert_eq!(data.train.digest.skipped, 1);
}

#[test]
fn files_are_known_by_their_first_bytes() {
    let table_of =
        |name: &str| table(&case(&format!("17-encodings/{name}")), ReadOptions::default());
    let expected = "a warm and funny evening \u{2013} it\u{2019}s \u{201c}caf\u{e9}\u{201d}";
    for (name, encoding, packed) in [
        ("cp1252.csv", "windows-1252", None),
        ("utf16.csv", "UTF-16LE", None),
        ("not-gz.csv.gz", "UTF-8", None),
        ("really-gz.csv", "UTF-8", Some("gzip")),
    ] {
        let t = table_of(name).unwrap();
        assert_eq!((t.form.encoding, t.form.packed), (Some(encoding), packed), "{name}");
        if name != "really-gz.csv" && name != "not-gz.csv.gz" {
            assert_eq!(t.cell(0, 0).text().replace("” ", "”"), expected, "{name}");
        }
        assert_eq!(t.len(), 24, "{name}");
    }
    let (a, b) = (table_of("dont1252.csv").unwrap(), table_of("dontutf8.csv").unwrap());
    assert_eq!(a.cell(0, 0), b.cell(0, 0));
    let latin =
        ReadOptions { encoding: Some(Encoding::named("latin-1").unwrap()), ..Default::default() };
    assert_eq!(table(&case("17-encodings/dont1252.csv"), latin).unwrap().cell(0, 0), b.cell(0, 0));
    fails(table_of("zip.csv"), &["zip", "unpack"]);
    for (name, bytes, words) in [
        (
            "a.csv",
            &b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"[..],
            "git lfs pull",
        ),
        ("a.jsonl", b"\n<!DOCTYPE html><html>", "HTML"),
        ("a.parquet", b"text,label\n", "PAR1"),
        ("a.csv", b"\x89PNG\r\n", "image"),
        ("a.csv", b"\x80\x04\x95\x10", "pickle of Python"),
        ("a.csv", b"<?xml version=\"1.0\"?>\n<a/>", "XML"),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "git lfs pull",
        ),
        ("a.parquet", b"<!DOCTYPE html>", "HTML"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00damaged", "damaged (gzip)"),
    ] {
        fails(content(name, bytes), &[words]);
    }
}

#[test]
fn a_file_of_any_packing_is_unpacked_up_to_a_limit() {
    use std::io::Write;
    let rows: String = (0..2000).map(|i| format!("row {i} of many,{}\n", i % 2)).collect();
    let csv = format!("text,label\n{rows}");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(csv.as_bytes()).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bz.write_all(csv.as_bytes()).unwrap();
    let mut xz = Vec::new();
    lzma_rs::xz_compress(&mut csv.as_bytes(), &mut xz).unwrap();
    let zst = zstd::encode_all(csv.as_bytes(), 3).unwrap();
    let all = [
        ("gzip", gz.finish().unwrap()),
        ("bzip2", bz.finish().unwrap()),
        ("xz", xz),
        ("zstd", zst),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in all {
        let path = dir.path().join(format!("a.csv.{name}").replace("gzip", "gz"));
        let path = if name == "bzip2" || name == "zstd" || name == "xz" {
            dir.path().join("a.csv")
        } else {
            path
        };
        fs::write(&path, bytes).unwrap();
        let t = table(&path, ReadOptions::default()).unwrap();
        assert_eq!((t.form.packed, t.len()), (Some(name), 2000));
        let small = ReadOptions { max_unpacked: Some(10_000), ..Default::default() };
        fails(table(&path, small), &["10.0 kB", "--max-unpacked"]);
    }
    // A hundred million zeros in a hundred kilobytes.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..100).for_each(|_| bomb.write_all(&[b'0'; 1_000_000]).unwrap());
    fails(content("bomb.csv", bomb.finish().unwrap()), &["32.0 MB", "--max-unpacked"]);
}

#[test]
fn columns_are_found_exactly_and_then_in_other_letters() {
    let two =
        fails(read(source(case("18-header-twice/two.csv"))), &["line 14", "equals the header"]);
    assert!(two.contains("--skip-bad"), "{two}");
    let data = read(with(source(case("18-header-twice/two.csv")), |s| s.skip_bad = true)).unwrap();
    assert_eq!((data.labels.len(), data.train.digest.skipped), (2, 1));
    fails(
        read(source(case("18-header-twice/dup.csv"))),
        &["several columns for 'label'", "label (2)", "label (3)"],
    );
    let data = read(source(case("18-header-twice/case.csv"))).unwrap();
    assert_eq!(data.columns.0, ["text"]);
    notes(&data, &["text 'text', label 'label' (not used: Text)"]);
    let named = |name: &str| {
        let choice = ColumnChoice { texts: vec![name.into()], ..Default::default() };
        read(with(source(case("18-header-twice/case.csv")), |s| s.choice = choice))
    };
    assert_eq!(named("text").unwrap().columns.0, ["text"]);
    assert_eq!(named("Text").unwrap().columns.0, ["Text"]);
    fails(named("TEXT"), &["Text (1)", "text (2)"]);
    // What is to be answered is a row all the same.
    let two = source(case("18-header-twice/two.csv"));
    let kind = task::find("classification").unwrap();
    assert_eq!(common::examples(&two, kind, &[], Split::Test, false).unwrap().examples.len(), 25);
    fails(content("a.csv", "a fine evening it was,1\nb,0\nc,1\n"), &["--no-header"]);
}

#[test]
fn whole_numbers_that_repeat_are_classes() {
    let data = read(source(case("20-many-int-classes/intents.csv"))).unwrap();
    assert_eq!((data.task.name, data.labels.len()), ("classification", 40));
    notes(&data, &["40 different whole numbers in 240 rows, and repeat"]);
    let once: String = (0..60).map(|i| format!("t{i},{}\n", 1000 + i * 7)).collect();
    let data = content("a.csv", format!("text,price\n{once}").replace("price", "score")).unwrap();
    assert_eq!(data.task.name, "regression");
    notes(&data, &["hardly repeat", "--task classification"]);
    let chosen = DataRequest {
        task: Some("regression".into()),
        ..request(source(case("20-many-int-classes/intents.csv")))
    };
    assert_eq!(chosen.read().unwrap().task.name, "regression");
}

#[test]
fn more_classes_than_anybody_has_are_an_error() {
    let rows: String = (0..20_000).map(|i| format!("t{i},name{i}\n")).collect();
    let begin = std::time::Instant::now();
    fails(
        content("a.csv", format!("text,label\n{rows}")),
        &["20000 different labels", "--max-classes"],
    );
    assert!(begin.elapsed().as_secs() < 5);
}

#[test]
fn each_row_to_be_answered_is_an_example() {
    let kind = task::find("classification").unwrap();
    let inputs = source(case("22-rows-kept/in.csv"));
    let data = common::examples(&inputs, kind, &[], Split::Test, false).unwrap();
    let texts: Vec<&str> = data.examples.iter().map(text).collect();
    let line = "line\u{2028}sep and \u{85} nel";
    assert_eq!(texts, ["good food", "", "bad food", "  ", line, "end"]);
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("in.txt");
    fs::copy(case("22-rows-kept/in.txt"), &lines).unwrap();
    let headless = ReadOptions { header: false, ..Default::default() };
    let inputs = with(source(&lines), |s| s.options = headless);
    let data = common::examples(&inputs, kind, &[], Split::Test, false).unwrap();
    assert_eq!(data.examples.len(), 5);
    // In training, empty texts are texts and are counted.
    let data = content("a.csv", "text,label\na,1\n,0\n\" \",1\n,\n").unwrap();
    assert_eq!((data.train.examples.len(), data.report.empty_texts), (3, 2));
    notes(&data, &["2 with an empty text", "1 rows without anything in them are left out"]);
}

#[test]
fn parquet_keeps_types_and_names() {
    let hf = read(source(case("33-parquet/hf.parquet"))).unwrap();
    let zstd = read(source(case("33-parquet/zstd.parquet"))).unwrap();
    for data in [&hf, &zstd] {
        assert_eq!((data.task.name, data.train.examples.len()), ("classification", 24));
        assert!(data.labels.iter().all(|l| l.parse::<i64>().is_err()), "{:?}", data.labels);
        assert_eq!(data.train.examples[0].target, Target::Class(1));
    }
    let squad = read(source(case("33-parquet/squad.parquet"))).unwrap();
    assert_eq!((squad.task.name, squad.train.examples.len()), ("question-answering", 30));
    let answer = Answer { text: "Bath".into(), start: 9 };
    assert_eq!(squad.train.examples[1].target, Target::Answers(vec![answer]));
}

#[test]
fn places_in_messages_are_lines_whatever_ends_them() {
    for name in ["lf.csv", "crlf.csv"] {
        let bytes = fs::read(case(&format!("34-crlf-row-numbers/{name}"))).unwrap();
        let end: &[u8] = if name == "lf.csv" { b"\n" } else { b"\r\n" };
        let lines = bytes.split(|b| *b == b'\n').count();
        let bytes = [&bytes, &b"one too few"[..], end].concat();
        fails(content("a.csv", bytes), &[&format!("line {lines}:"), "1 fields"]);
    }
}

#[test]
fn only_keys_that_are_used_must_be_there() {
    let data = read(source(case("36-sparse-json-keys/sparse.jsonl"))).unwrap();
    assert_eq!((data.train.examples.len(), data.labels.len()), (24, 2));
    let data = read(source(case("36-sparse-json-keys/pandas.json"))).unwrap();
    assert_eq!((data.train.examples.len(), data.labels.len()), (24, 2));
    assert_eq!(data.report.form.name, "JSON by columns");
    fails(
        content("a.jsonl", "{\"text\":\"a\",\"label\":\"x\"}\n{\"label\":\"y\"}\n"),
        &["line 2", "lacks 'text'"],
    );
    for json in [
        r#"[{"text":"a","label":"x"},{"text":"b","label":"y"}]"#,
        r#"{"data":[{"text":"a","label":"x"},{"text":"b","label":"y"}]}"#,
        r#"{"version":1,"data":[{"text":"a","label":"x"},{"text":"b","label":"y"}]}"#,
        r#"{"schema":{"fields":[]},"data":[{"index":0,"text":"a","label":"x"},{"index":1,"text":"b","label":"y"}]}"#,
        r#"{"text":["a","b"],"label":["x","y"]}"#,
        r#"{"text":["a","b"],"label":["x","y"],"more":[{"k":1},{"k":2}]}"#,
        r#"{"columns":["text","label"],"index":[0,1],"data":[["a","x"],["b","y"]]}"#,
        r#"{"0":{"text":"a","label":"x"},"1":{"text":"b","label":"y"}}"#,
        "{\"text\":\"a\",\"label\":\"x\"}\r{\"text\":\"b\",\"label\":\"y\"}\r",
    ] {
        let data = content("a.json", json).unwrap_or_else(|e| panic!("{json}: {e}"));
        let texts: Vec<&str> = data.train.examples.iter().map(text).collect();
        assert_eq!((texts, data.labels.len()), (vec!["a", "b"], 2), "{json}");
    }
    fails(
        content("f.json", r#"{"train":[{"text":"a"}],"test":[{"text":"b"},{"text":"c"}]}"#),
        &["train, test"],
    );
    fails(content("b.json", "{\"text\":[\"a\"],\"label\":[\"x\",\"y\"]}"), &["other rows"]);
    fails(content("c.json", "[{\"text\":\"a\",\n\"label\":}]"), &["line 2", "column"]);
    fails(
        content("d.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":NaN}\n"),
        &["line 2", "NaN", "null"],
    );
    fails(
        content("e.jsonl", "{\"text\":\"a\",\"text\":\"b\",\"label\":1}\n[1]\n"),
        &["stands twice"],
    );
}

#[test]
fn broken_rows_are_left_out_and_counted_with_a_switch() {
    let text = format!("glue:QQP={}", case("37-glue-own-files/qqp").display());
    let qqp = || DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default()).unwrap();
    fails(read(qqp()), &["fields, but 6 are expected", "1 more rows", "--skip-bad"]);
    let data = read(with(qqp(), |s| s.skip_bad = true)).unwrap();
    assert_eq!((data.train.examples.len(), data.train.digest.skipped), (24, 2));
    notes(&data, &["2 rows have too few fields, 0 too many"]);
    fails(read(source(case("37-glue-own-files/neg.csv"))), &["'-1'", "hide"]);
}

#[test]
fn few_rows_a_class_are_split() {
    let rows: String = (0..160).map(|i| format!("t{i},c{}\n", i / 4)).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    fs::write(&path, format!("text,label\n{rows}")).unwrap();
    let data = DataRequest { dev_share: 0.1, ..request(source(&path)) }.read().unwrap();
    let dev = data.dev.unwrap();
    assert_eq!((data.train.examples.len(), dev.examples.len()), (144, 16));
    let classes: std::collections::HashSet<String> =
        dev.examples.iter().map(|e| format!("{:?}", e.target)).collect();
    assert_eq!(classes.len(), 16, "a row a class");
    // Of three rows, one of the class that has another.
    fs::write(&path, "text,label\na,x\nb,y\nc,y\n").unwrap();
    let data = DataRequest { dev_share: 0.1, ..request(source(&path)) }.read().unwrap();
    assert_eq!(data.dev.unwrap().examples[0].target, Target::Class(1));
    let one = Dataset::from_examples(
        vec![Example { input: Input::Text("a".into()), target: Target::Class(0) }],
        "train",
        "",
    );
    fails(one.split(0.1, 0, "dev"), &["--dev-share", "--dev-data"]);
}

#[test]
fn conll_is_split_at_blanks_and_tabs_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.conll");
    fs::write(&path, "10\u{a0}000 O\nNew\u{3000}York B-LOC\n\u{a0} O\n\nx\u{2028}y O\r\n").unwrap();
    let data = read(source(&path)).unwrap();
    let words = |i: usize| match &data.train.examples[i].input {
        Input::Words(words) => words.join("|"),
        _ => String::new(),
    };
    assert_eq!(words(0), "10\u{a0}000|New\u{3000}York|\u{a0}");
    assert_eq!(words(1), "x\u{2028}y");
}

#[test]
fn tokenizer_files_that_are_none_are_named_and_capitals_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Tokenizer::open(dir.path(), Frame::BERT).map(|_| ());
    let json = dir.path().join("tokenizer.json");
    fs::write(&json, "version https://git-lfs.github.com/spec/v1\noid sha256:1\n").unwrap();
    fails(open(), &["tokenizer.json", "git lfs pull"]);
    fs::write(&json, "<!doctype html>").unwrap();
    fails(open(), &["HTML"]);
    fs::remove_file(&json).unwrap();
    fs::write(dir.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nApple\napple\nBath\n")
        .unwrap();
    let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap();
    let ids = |tokenizer: &Tokenizer| {
        tokenizer.encode(&Input::Text("Apple apple".into()), 9).unwrap().ids
    };
    assert_eq!(ids(&tokenizer), [2, 4, 5, 3]);
    fs::write(dir.path().join("tokenizer_config.json"), "{\"do_lower_case\": true}").unwrap();
    assert_eq!(ids(&Tokenizer::open(dir.path(), Frame::BERT).unwrap()), [2, 5, 5, 3]);
    fs::write(dir.path().join("vocab.txt"), "<html>").unwrap();
    fails(open(), &["vocab.txt", "HTML"]);
}

/// The frames of MPNet (RoBERTa's tokens and two separators over WordPiece) and of ModernBERT,
/// whose relatives have other special tokens.
#[test]
fn special_tokens_stand_as_a_family_has_them() {
    let frame = |tokens: &'static [[&'static str; 3]], doubled, types| Frame {
        tokens,
        doubled,
        types,
        spaced_words: false,
    };
    let ids = |vocabulary: &str, frame: Frame| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("vocab.txt"), vocabulary).unwrap();
        let pair = Input::Pair("a".into(), "b".into());
        let encoded = Tokenizer::open(dir.path(), frame)?.encode(&pair, 9)?;
        Ok::<_, budwood_tasks::Error>((encoded.ids, encoded.types))
    };
    let mpnet = frame(&[["<s>", "</s>", "[UNK]"]], true, false);
    let got = ids("<s>\n<pad>\n</s>\n[UNK]\na\nb\n", mpnet).unwrap();
    assert_eq!(got, (vec![0, 4, 2, 2, 5, 2], vec![0; 6]));
    let modern = frame(&[["[CLS]", "[SEP]", "[UNK]"], ["<bos>", "<eos>", "<unk>"]], false, false);
    let got = ids("<bos>\n<eos>\n<unk>\n[UNK]\na\nb\n", modern).unwrap();
    assert_eq!(got, (vec![0, 4, 1, 5, 1], vec![0; 5]));
    // Of several sets that are not there, the first is named.
    let error = ids("a\nb\n[UNK]\n", modern).unwrap_err().to_string();
    assert!(error.contains("[CLS]"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("spm.model"), [10, 14]).unwrap();
    let open = Tokenizer::open(dir.path(), modern).map(|_| ());
    fails(open, &["spm.model", "save_pretrained"]);
}

#[test]
fn the_report_counts_what_repeats_contradicts_and_leaks() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        source(dir.path().join(name))
    };
    let train = file("a.csv", "id,text,label\n1,a b,x\n2,a b,x\n3,a b,y\n4,c,y\n5,,x\n");
    let test = file("b.csv", "text,label\nc,y\nd,x\n");
    let data = DataRequest { test: Some(test), ..request(train) }.read().unwrap();
    let r = &data.report;
    assert_eq!((r.rows, r.repeated, r.contradictory, r.empty_texts), (5, 1, 1, 1));
    assert_eq!(r.contradictions, ["a b"]);
    assert_eq!(r.splits[1].in_training, 1);
    assert_eq!(r.classes[0].rows, 3);
    let holds: Vec<&str> = r.columns.iter().map(|c| c.holds.as_str()).collect();
    assert_eq!(holds, ["whole number", "text", "text"]);
    assert_eq!(r.columns[1].missing, 1);
    assert_eq!(r.words.unwrap().longest, 2);
    assert_eq!(r.examples[0]["label"], "x");
}
