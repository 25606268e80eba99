//! Labels and encodings of kinds that other tools misread: further members of those in `cases.rs`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use budwood_tasks::{Data, DataRequest, Dataset, Error, Input, Missing, Split, Target};
use common::{content, examples, fails, kind, notes, read, request, source, with};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Labels of rows `t0`, `t1`, ... in a CSV.
fn of_labels(labels: &[&str]) -> Result<Data, Error> {
    let row = |(i, label): (usize, &&str)| format!("t{i},\"{label}\"\n");
    let rows: String = labels.iter().enumerate().map(row).collect();
    content("a.csv", format!("text,label\n{rows}"))
}

#[test]
fn long_whole_numbers_are_told_apart() {
    let data = of_labels(&["9007199254740992", "9007199254740993", "9007199254740992.0"]).unwrap();
    assert_eq!(data.labels, ["9007199254740992", "9007199254740993"]);
    assert_eq!(data.train.examples[2].target, Target::Class(0));
    let data =
        of_labels(&["340282366920938463463374607431768", "340282366920938463463374607431769"]);
    assert_eq!(data.unwrap().labels.len(), 2);
    let rows = "{\"text\": \"a\", \"label\": 9007199254740993}\n\
                {\"text\": \"b\", \"label\": 9007199254740992}\n";
    let data = content("a.jsonl", rows).unwrap();
    assert_eq!(data.labels, ["9007199254740992", "9007199254740993"]);
    assert_eq!(data.train.examples[0].target, Target::Class(1));
}

#[test]
fn numbers_with_a_unit_are_no_classes() {
    for label in ["5%", "5 %", "$20", "20 \u{20ac}", "-1,5 %", "$1,200"] {
        fails(of_labels(&[label, "10%", "7 %"]), &["line 2", label, "without a unit"]);
    }
    // As spreadsheets write them: blanks and apostrophes between thousands, brackets for what is
    // below zero, and a minus that is no hyphen.
    for label in ["1\u{202f}234,5", "1 234 567", "1'234.50", "(8.60)", "($8)", "\u{2212}4.98"] {
        let beside = if label.starts_with('(') { "(10)" } else { "10" };
        fails(of_labels(&[label, beside, "7 %"]), &["line 2", label, "without a unit"]);
        fails(of_labels(&[label, "(3)"]), &["line 2", label]);
    }
    let data = of_labels(&["5%", "10%", "never"]).unwrap();
    assert_eq!(data.labels, ["10%", "5%", "never"]);
    for names in [["1 20", "1 30"], ["2024 05 12", "2024 06 12"], ["12.05.2024", "13.05.2024"]] {
        assert_eq!(of_labels(&names).unwrap().labels, names);
    }
    // Brackets with a comma are Python's lists, and what is to be names is names.
    let data = of_labels(&["(1, 2)", "(2,)"]).unwrap();
    assert!(
        matches!(data.train.examples[0].target, Target::Labels(_)),
        "{:?}",
        data.train.examples
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "text,label\na,(1)\nb,(2)\n").unwrap();
    let task = Some("classification".into());
    let data = DataRequest { task, ..request(source(dir.path().join("a.csv"))) }.read().unwrap();
    assert_eq!(data.labels, ["(1)", "(2)"]);
}

#[test]
fn formulas_that_failed_are_missing_numbers() {
    for failed in ["#DIV/0!", "#VALUE!", "#N/A", "#NAME?"] {
        fails(of_labels(&["1.5", "2", failed, "2.5"]), &["line 4", "is missing"]);
    }
    assert_eq!(of_labels(&["up", "down", "#NUM!"]).unwrap().labels, ["#NUM!", "down", "up"]);
}

#[test]
fn quotes_that_hide_the_columns_of_a_tsv_are_said() {
    let message = fails(content("a.tsv", "\"text\"\t\"label\"\n\"a\"\t\"x\"\n"), &["\"label\""]);
    assert!(message.contains("--tsv-quotes"), "{message}");
}

#[test]
fn lists_of_flags_of_several_lengths_are_an_error() {
    let message = fails(of_labels(&["[1, 0, 0]", "[0, 1]"]), &["line 3", "0 and 1", "length"]);
    assert!(message.contains("a place for each label"), "{message}");
    // Names may be 0 and 1.
    let data = of_labels(&["[0, 1]", "[1]", "[0]"]).unwrap();
    assert_eq!(data.labels, ["0", "1"]);
    assert_eq!(data.train.examples[1].target, Target::Labels(vec![0.0, 1.0]));
}

#[test]
fn labels_that_look_like_several_are_said() {
    let data = of_labels(&["a;b", "a", "b;c", "c"]).unwrap();
    notes(&data, &["2 labels hold ';', such as 'a;b'"]);
    notes(&data, &["--task multilabel"]);
    let data = of_labels(&["Smith, John", "Doe, Jane", "nobody"]).unwrap();
    assert!(data.report.notes.iter().all(|n| !n.contains("multilabel")), "{:?}", data.report.notes);
}

#[test]
fn tags_in_a_text_are_an_error() {
    let rows = "text,tags\nAda is here,B-PER O O\nOslo,B-LOC\n";
    fails(content("a.csv", rows), &["line 2", "tags", "lists", "--task classification"]);
    let data = content("a.csv", "text,tags\na,B-PER\nb,O\n").unwrap();
    assert_eq!(data.labels, ["B-PER", "O"]);
}

#[test]
fn names_that_look_alike_are_said() {
    for (a, b) in
        [("caf\u{e9}", "cafe\u{301}"), ("x", "x\u{200b}"), ("\u{ff38}", "x"), ("a\u{ad}b", "ab")]
    {
        let data = of_labels(&[a, b, "other"]).unwrap();
        notes(&data, &["differ in case, blanks or form alone"]);
        assert_eq!(data.labels.len(), 3, "{a} {b}");
        // In data of their own, where two names that look the same would only be puzzling.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev.csv");
        fs::write(&path, format!("text,label\nt,{b}\n")).unwrap();
        let (task, names) = (kind(&source(&path)).unwrap(), [a.to_string(), "other".into()]);
        let read = examples(&source(&path), task, &names, Split::Dev, true);
        fails(read, &["line 2", &format!("'{a}' differs in case, blanks or form alone")]);
    }
}

#[test]
fn labels_that_never_repeat_are_said() {
    let data = of_labels(&["a", "b", "c", "d", "e", "f"]).unwrap();
    notes(&data, &["is 'label' the column of the label?"]);
    let data = of_labels(&["a", "b", "c", "d", "e", "e"]).unwrap();
    assert!(data.report.notes.iter().all(|n| !n.contains("the column of")));
}

/// Mac OS, DOS and Central Europe in bytes that Windows-1252 knows all.
#[test]
fn other_encodings_are_not_taken_for_windows_1252() {
    let other: [&[u8]; 3] = [
        b"it\xd5s a caf\x8e, she said \xd2no\xd3,x\n",
        b"ma\x84ana in the caf\x82, \x82t\x82 and no\x89l,x\n",
        b"\xbf\xf3\xb3w i ci\xb9gn\xb9\xe6 si\xea przez pi\xb9tek,x\n",
    ];
    for bytes in other {
        let file = [b"text,label\n", bytes, b"plain,y\n"].concat();
        fails(content("a.csv", file), &["line 2", "--encoding"]);
    }
    let own = b"text,label\n\"it\x92s a caf\xe9 \x97 \x84so\x93 20 m\xb2, \xc9cole, it\xb4s\x85 1\xbd\",x\nb,y\n";
    let data = content("a.csv", own).unwrap();
    let text = "it\u{2019}s a caf\u{e9} \u{2014} \u{201e}so\u{201c} 20 m\u{b2}, \u{c9}cole, it\u{b4}s\u{2026} 1\u{bd}";
    assert_eq!(data.train.examples[0].input, Input::Text(text.into()));
}

#[test]
fn a_rare_class_does_not_keep_data_from_being_divided_by_class() {
    let labels: Vec<String> =
        (0..2500)
            .map(|i| {
                if i == 5 || i == 1500 { "rare".into() } else { ["x", "y", "y", "y"][i % 4].into() }
            })
            .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows: String = labels.iter().enumerate().map(|(i, l)| format!("t{i},{l}\n")).collect();
    fs::write(&path, format!("text,label\n{rows}")).unwrap();
    let data = DataRequest { dev_share: 0.1, dev_share_from: 2000, ..request(source(&path)) };
    let data = data.read().unwrap();
    assert_eq!(data.labels, ["rare", "x", "y"]);
    let count = |data: &Dataset, class: u32| {
        data.examples.iter().filter(|e| e.target == Target::Class(class)).count()
    };
    // 2, 624 and 1,874 rows; a tenth of each.
    let dev = data.dev.as_ref().unwrap();
    assert_eq!([0, 1, 2].map(|c| count(dev, c)), [0, 62, 187]);
    assert_eq!([0, 1, 2].map(|c| count(&data.train, c)), [2, 562, 1687]);
}

#[test]
fn damaged_characters_are_said() {
    let rows =
        "text,label\nit\u{e2}\u{20ac}\u{2122}s,x\ncaf\u{c3}\u{a9},y\nlo\u{fffd}t,x\nfine,y\n";
    let data = content("a.csv", rows).unwrap();
    notes(&data, &["1 texts have the sign", "2 look like UTF-8", "'it\u{e2}"]);
    let good =
        "text,label\nN\u{c3}O, caf\u{e9} \u{c2} p\u{e2}t\u{e9},x\nb,y\n".replace("O, ", "O ");
    let data = content("a.csv", good).unwrap();
    assert!(data.report.notes.iter().all(|n| !n.contains("UTF-8")), "{:?}", data.report.notes);
}

#[test]
fn a_table_of_markdown_is_named() {
    let table = "| text | label |\n|:---|---|\n| a | x |\n| b | y |\n";
    fails(content("a.csv", table), &["line 2", "Markdown"]);
    assert_eq!(content("a.csv", "text|label\n--|x\n-|y\n").unwrap().labels, ["x", "y"]);
}

#[test]
fn numbers_that_stand_for_nothing_are_said() {
    let data = of_labels(&["-1", "0", "1", "2", "-1"]).unwrap();
    notes(&data, &["2 rows have the label -1"]);
    let data = of_labels(&["-1", "1"]).unwrap();
    assert!(data.report.notes.iter().all(|n| !n.contains("-1")), "{:?}", data.report.notes);
    let row = "{\"tokens\": [\"Ada\", \"is\"], \"ner_tags\": [1, -100]}\n";
    fails(content("a.jsonl", row.repeat(3)), &["line 1", "-100", "below 0"]);
    fails(content("a.csv", "text,score\na,2.5\nb,2.50\n"), &["all rows have the number 2.5"]);
}

#[test]
fn questions_on_one_text_are_divided() {
    let row = |i: usize| {
        format!(
            "{{\"question\": \"Where {i}?\", \"context\": \"Ada in Oslo\", \"answer\": \"Oslo\"}}\n"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    fs::write(&path, (0..10).map(row).collect::<String>()).unwrap();
    let data = DataRequest { dev_share: 0.1, ..request(source(&path)) }.read().unwrap();
    assert_eq!((data.train.examples.len(), data.dev.unwrap().examples.len()), (9, 1));
}

#[test]
fn a_file_without_an_ending_is_told_so() {
    let message = fails(content("noend", "text,label\na,x\nb,y\n"), &["has no ending", ".csv"]);
    assert!(!message.contains("'.'"), "{message}");
}

/// A file of the hub with texts and numbers of the classes `no` and `yes`.
fn of_the_hub(path: &Path, labels: &[i64]) {
    let schema = "message m { required binary text (UTF8); required int64 label; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let info =
        r#"{"info": {"features": {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}}}"#;
    let info = vec![KeyValue::new("huggingface".to_owned(), info.to_owned())];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(info)).build();
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let texts: Vec<_> = (0..labels.len()).map(|i| ByteArray::from(&*format!("t{i}"))).collect();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = rows.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(labels, None, None).unwrap();
    column.close().unwrap();
    rows.close().unwrap();
    writer.close().unwrap();
}

/// As in SNLI, where the annotators of a row did not agree.
#[test]
fn a_row_without_a_class_of_the_hub_has_no_label() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    of_the_hub(&path, &[0, 1, -1, 1]);
    let data = read(with(source(&path), |s| s.missing = Missing::Drop)).unwrap();
    assert_eq!((data.labels, data.train.examples.len()), (vec!["no".into(), "yes".into()], 3));
    fails(read(source(&path)), &["row 3", "--missing drop"]);
    of_the_hub(&path, &[0, 1, 2, 1]);
    fails(read(source(&path)), &["row 3", "2"]);
}
