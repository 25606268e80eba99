//! Images as people keep them: folders, lists, tables, IDX files, and what is wrong with them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood_tasks::read::ReadOptions;
use budwood_tasks::task::{self, Task};
use budwood_tasks::{ColumnChoice, DataSource, Dataset, Error, Input, Split, Target};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const FILES: [&str; 4] = ["rgb.png", "420.jpg", "rgb.bmp", "rgb-lossless.webp"];

fn image(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images").join(name)
}

/// Puts images into a folder under names of their own.
fn put(folder: &Path, images: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (from, to) in images {
        fs::copy(image(from), folder.join(to)).unwrap();
    }
}

fn source(text: impl AsRef<Path>) -> DataSource {
    let text = text.as_ref().display().to_string();
    let mut source =
        DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default()).unwrap();
    source.images.threads = 2;
    source
}

fn kind() -> &'static Task {
    task::find("image-classification").unwrap()
}

fn read(source: &DataSource, split: Split) -> Result<(Vec<String>, Dataset), Error> {
    assert_eq!(common::kind(source)?.name, "image-classification");
    let labels = common::labels(source, kind(), split)?;
    let data = common::examples(source, kind(), &labels, split, true)?;
    Ok((labels, data))
}

fn fault(source: &DataSource) -> String {
    read(source, Split::Train).map(|_| ()).unwrap_err().to_string()
}

/// Names and classes.
fn classes(data: &Dataset) -> Vec<(String, u32)> {
    let one = |e: &budwood_tasks::Example| {
        let (Input::Image(image), Target::Class(class)) = (&e.input, &e.target) else {
            panic!("{e:?}")
        };
        image.decode().unwrap();
        (Path::new(&image.name).file_name().unwrap().to_string_lossy().into_owned(), *class)
    };
    data.examples.iter().map(one).collect()
}

#[test]
fn folders_are_classes() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("dog"), &[("rgb.png", "b.png"), ("420.jpg", "a.jpg")]);
    put(&dir.path().join("cat/more"), &[("rgb.bmp", "c.bmp")]);
    fs::write(dir.path().join("dog/.hidden"), "x").unwrap();
    fs::write(dir.path().join("dog/Thumbs.db"), "x").unwrap();
    fs::write(dir.path().join("README.txt"), "loose files beside the classes are not looked at")
        .unwrap();
    let one = source(dir.path());
    assert!(!one.has_splits());
    let (labels, data) = read(&one, Split::Train).unwrap();
    assert_eq!(labels, ["cat", "dog"]);
    let expected = [("c.bmp", 0), ("a.jpg", 1), ("b.png", 1)].map(|(n, c)| (n.to_string(), c));
    assert_eq!(classes(&data), expected);
    // Without labels too.
    let unlabelled = common::examples(&one, kind(), &[], Split::Test, false).unwrap();
    assert_eq!(unlabelled.examples.len(), 3);
    assert!(unlabelled.examples.iter().all(|e| e.target == Target::None));
}

#[test]
fn splits_are_folders_above_the_classes() {
    let dir = tempfile::tempdir().unwrap();
    for (split, n) in [("train", 3), ("val", 2), ("test", 1)] {
        for class in ["a", "b"] {
            let names: Vec<String> = (0..n).map(|i| format!("{i}.png")).collect();
            let files: Vec<_> = names.iter().map(|name| ("rgb.png", name.as_str())).collect();
            put(&dir.path().join(split).join(class), &files);
        }
    }
    let all = source(dir.path());
    assert!(all.has_splits() && all.has(Split::Dev) && all.has(Split::Test));
    let count = |split| read(&all, split).unwrap().1.examples.len();
    assert_eq!([Split::Train, Split::Dev, Split::Test].map(count), [6, 4, 2]);
    fs::remove_dir_all(dir.path().join("val")).unwrap();
    assert!(!all.has(Split::Dev));
    // A class that only the test split has.
    put(&dir.path().join("test/c"), &[("rgb.png", "1.png")]);
    let labels = common::labels(&all, kind(), Split::Train).unwrap();
    let fault = common::examples(&all, kind(), &labels, Split::Test, true).unwrap_err().to_string();
    assert!(fault.contains("'c'"), "{fault}");
}

#[test]
fn the_digest_is_of_the_images_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let labels = ["x", "x", "y", "y"];
    let files: Vec<_> = FILES.iter().zip(["0", "1", "2", "3"]).map(|(f, n)| (*f, n)).collect();
    put(&dir.path().join("folder/x"), &files[..2]);
    put(&dir.path().join("folder/y"), &files[2..]);
    put(&dir.path().join("flat images"), &files);
    let mut csv = String::from("path,label\n");
    let (mut jsonl, mut list) = (String::new(), String::new());
    for (i, label) in labels.iter().enumerate() {
        let bytes = fs::read(image(FILES[i])).unwrap();
        let base64 = STANDARD.encode(&bytes);
        let data = if i % 2 == 0 { base64 } else { format!("data:image/png;base64,{base64}") };
        csv += &format!("flat images/{i},{label}\n");
        list += &format!("flat images/{i} {label}\n\n");
        jsonl += &format!("{}\n", serde_json::json!({ "image": data, "label": label }));
    }
    fs::write(dir.path().join("a.csv"), csv).unwrap();
    fs::write(dir.path().join("a.jsonl"), jsonl).unwrap();
    fs::write(dir.path().join("list.txt"), &list).unwrap();
    fs::create_dir(dir.path().join("lists")).unwrap();
    fs::write(dir.path().join("lists/list.txt"), &list).unwrap();
    parquet_file(&dir.path().join("flat.parquet"), false, &labels);
    parquet_file(&dir.path().join("hub.parquet"), true, &labels);
    let digest = |source: &DataSource| {
        let (names, data) = read(source, Split::Train).unwrap();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(classes(&data).iter().map(|c| c.1).collect::<Vec<_>>(), [0, 0, 1, 1]);
        data.digest.sha256
    };
    let expected = digest(&source(dir.path().join("folder")));
    for name in ["a.csv", "a.jsonl", "flat.parquet", "hub.parquet"] {
        assert_eq!(digest(&source(dir.path().join(name))), expected, "{name}");
    }
    let list = |name: &str| source(format!("list={}", dir.path().join(name).display()));
    assert_eq!(digest(&list("list.txt")), expected);
    let mut elsewhere = list("lists/list.txt");
    assert!(fault(&elsewhere).contains("row 1"), "{}", fault(&elsewhere));
    elsewhere.images.root = Some(dir.path().into());
    assert_eq!(digest(&elsewhere), expected);
}

/// Images as bytes in Parquet: a column of them, or as data-set hubs keep them, a group of bytes
/// and path.
fn parquet_file(path: &Path, group: bool, labels: &[&str]) {
    let schema = match group {
        false => "message m { required binary image; required binary label (UTF8); }",
        true => {
            "message m { optional group image { optional binary bytes; optional binary path (UTF8); } required binary label (UTF8); }"
        }
    };
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> =
        FILES.iter().map(|f| ByteArray::from(fs::read(image(f)).unwrap())).collect();
    let labels: Vec<ByteArray> = labels.iter().map(|l| ByteArray::from(*l)).collect();
    let columns = match group {
        false => vec![(images, None), (labels, None)],
        true => {
            let paths = FILES.iter().map(|f| ByteArray::from(*f)).collect();
            vec![(images, Some([2; 4])), (paths, Some([2; 4])), (labels, None)]
        }
    };
    for (values, levels) in columns {
        let mut column = rows.next_column().unwrap().unwrap();
        let levels = levels.as_ref().map(|l| &l[..]);
        column.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn what_is_wrong_is_named_or_left_out_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |class: &str| dir.path().join(class);
    put(&folder("a"), &[("rgb.png", "1.png"), ("420.jpg", "2.jpg")]);
    // The content decides, not the name.
    put(&folder("b"), &[("420.jpg", "really-a-jpeg.png"), ("rgb.png", "really-a-png.jpg")]);
    let mut all = source(dir.path());
    assert_eq!(read(&all, Split::Train).unwrap().1.examples.len(), 4);
    let bytes = fs::read(image("420.jpg")).unwrap();
    fs::write(folder("a").join("cut.jpg"), &bytes[..bytes.len() / 2]).unwrap();
    let message = fault(&all);
    assert!(message.contains("cut.jpg") && message.contains("cut off"), "{message}");
    fs::create_dir(folder("c")).unwrap();
    let message = fault(&all);
    assert!(message.contains('c') && message.contains("no image"), "{message}");
    fs::write(folder("b").join("empty.png"), "").unwrap();
    fs::write(folder("b").join("words.txt"), "not an image").unwrap();
    all.images.skip_bad = true;
    let (labels, data) = read(&all, Split::Train).unwrap();
    assert_eq!((labels.len(), data.examples.len()), (2, 4));
    let listed = |what: &str| data.skipped.iter().any(|s| s.contains(what));
    assert_eq!(data.skipped.len(), 4, "{:?}", data.skipped);
    assert!(listed("cut.jpg") && listed("empty.png") && listed("words.txt") && listed("no image"));
    fs::write(folder("b").join("empty.png"), "version https://git-lfs.github.com/spec/v1\noid")
        .unwrap();
    let (_, data) = read(&all, Split::Train).unwrap();
    assert!(data.skipped.iter().any(|s| s.contains("empty.png") && s.contains("git lfs pull")));
    // A list with a label and no file.
    fs::write(dir.path().join("list.txt"), "a/1.png 0\na/none.png 1\n").unwrap();
    let mut list = source(format!("list={}", dir.path().join("list.txt").display()));
    let message = fault(&list);
    assert!(message.contains("row 2") && message.contains("none.png"), "{message}");
    list.images.skip_bad = true;
    assert_eq!(read(&list, Split::Train).unwrap().1.examples.len(), 1);
    fs::write(dir.path().join("list.txt"), "a/1.png\n").unwrap();
    assert!(fault(&list).contains("path label"), "{}", fault(&list));
    fs::write(dir.path().join("list.txt"), "a/none.png 1\nb/none.png 0\n").unwrap();
    assert!(fault(&list).contains("none of its 2 images"), "{}", fault(&list));
    // Images without classes can be answered, not learned from.
    put(&dir.path().join("loose"), &[("rgb.png", "1.png")]);
    let loose = source(dir.path().join("loose"));
    assert!(fault(&loose).contains("no folder of images for each class"), "{}", fault(&loose));
    assert_eq!(
        common::examples(&loose, kind(), &[], Split::Test, false).unwrap().examples.len(),
        1
    );
}

#[test]
fn images_and_texts_are_not_mixed_up() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("images/a"), &[("rgb.png", "1.png")]);
    fs::write(dir.path().join("t.csv"), "text,label\na,0\nb,1\n").unwrap();
    let text = task::find("classification").unwrap();
    let images = source(dir.path().join("images"));
    let message =
        common::examples(&images, text, &["a".into()], Split::Train, true).unwrap_err().to_string();
    assert!(message.contains("images") && message.contains("image-classification"), "{message}");
    let texts = source(dir.path().join("t.csv"));
    let message = common::examples(&texts, kind(), &["0".into()], Split::Train, true)
        .unwrap_err()
        .to_string();
    assert!(message.contains("the data are texts"), "{message}");
    // A table of both is one of texts, unless the column of images is named.
    fs::write(dir.path().join("both.csv"), "path,text,label\nimages/a/1.png,a cat,0\n").unwrap();
    let mut both = source(dir.path().join("both.csv"));
    assert_eq!(common::kind(&both).unwrap().name, "classification");
    both.choice.image = Some("path".into());
    assert_eq!(common::kind(&both).unwrap().name, "image-classification");
    assert_eq!(
        both.open(Split::Train, true).unwrap().column_names(),
        (vec!["path".into()], vec!["label".into()])
    );
}

fn idx(sides: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    sides.iter().for_each(|s| bytes.extend(s.to_be_bytes()));
    bytes.extend(data);
    bytes
}

#[test]
fn idx_files_are_read_packed_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..5 * 4 * 3).map(|i| i * 4).collect();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("train-images-idx3-ubyte", &idx(&[5, 4, 3], &pixels));
    write("train-labels-idx1-ubyte", &idx(&[5], &[3, 1, 3, 1, 9]));
    let all = source(format!("idx={}", dir.path().display()));
    assert!(all.has_splits() && !all.has(Split::Dev) && !all.has(Split::Test));
    let (labels, data) = read(&all, Split::Train).unwrap();
    assert_eq!(labels, ["1", "3", "9"]);
    assert_eq!(classes(&data).iter().map(|c| c.1).collect::<Vec<_>>(), [1, 0, 1, 0, 2]);
    let Input::Image(second) = &data.examples[1].input else { panic!() };
    let decoded = second.decode().unwrap();
    assert_eq!((decoded.width, decoded.height), (3, 4));
    assert_eq!(decoded.pixels[..6], [48, 48, 48, 52, 52, 52]);
    let gz = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    write("t10k-images-idx3-ubyte.gz", &gz(&idx(&[5, 4, 3], &pixels)));
    write("t10k-labels-idx1-ubyte.gz", &gz(&idx(&[5], &[3, 1, 3, 1, 9])));
    assert_eq!(read(&all, Split::Test).unwrap().1.digest.sha256, data.digest.sha256);
    for (images, labels, expected) in [
        (idx(&[5, 4, 3], &pixels[1..]), idx(&[5], &[0; 5]), "promised"),
        (idx(&[4, 4, 3], &pixels[..48]), idx(&[5], &[0; 5]), "5 labels"),
        (idx(&[5, 0, 3], &[]), idx(&[5], &[0; 5]), "0 pixels"),
        (idx(&[u32::MAX; 3], &pixels), idx(&[5], &[0; 5]), "promised"),
        (idx(&[5], &[0; 5]), idx(&[5], &[0; 5]), "3 dimensions"),
        (vec![0, 0], idx(&[5], &[0; 5]), "IDX"),
    ] {
        write("train-images-idx3-ubyte", &images);
        write("train-labels-idx1-ubyte", &labels);
        let message = fault(&all);
        assert!(message.contains(expected), "{message}");
    }
    fs::remove_file(dir.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(fault(&all).contains("train-labels-idx1-ubyte"), "{}", fault(&all));
}

#[test]
fn tables_of_grey_levels_are_images() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let all = source(format!("pixels={}", path.display()));
    let first = |text: &str| {
        fs::write(&path, text).unwrap();
        let (labels, data) = read(&all, Split::Train).unwrap();
        assert_eq!(labels, ["3", "7"]);
        let Input::Image(image) = &data.examples[0].input else { panic!() };
        let decoded = image.decode().unwrap();
        assert_eq!((decoded.width, decoded.height), (2, 2));
        decoded.pixels.chunks(3).map(|p| p[0]).collect::<Vec<_>>()
    };
    assert_eq!(first("0,1,200,255,7\n0,0,0,0,3\n"), [0, 1, 200, 255]);
    assert_eq!(first("0.0,8.0,16.0,1.0,7\n0,0,0,0,3\n"), [0, 128, 255, 16]);
    assert_eq!(first("0,0.5,1,0,7\n0,0,0,0,3\n"), [0, 128, 255, 0]);
    for (text, expected) in [
        ("0,1,2,7\n", "3 columns"),
        ("0,1,2,x,7\n", "'x' is not a grey level"),
        ("0,1,2,256,7\n", "'256'"),
        ("7\n", "0 columns"),
        ("", "no row"),
    ] {
        fs::write(&path, text).unwrap();
        assert!(fault(&all).contains(expected), "{}", fault(&all));
    }
}

/// A Parquet file with two columns of bytes.
fn parquet(path: &Path, schema: &str, columns: [Vec<Vec<u8>>; 2]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut rows = writer.next_row_group().unwrap();
    for values in columns {
        let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
        let mut column = rows.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    rows.close().unwrap();
    writer.close().unwrap();
}

fn bytes(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.to_vec()).collect()
}

/// Bytes that are neither a text nor an image are not turned into some text.
#[test]
fn binary_cells_are_no_texts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let schema = "message m { required binary text; required binary label (UTF8); }";
    parquet(&path, schema, [bytes(&[b"a text", b"\xff\xfe\x00"]), bytes(&[b"x", b"y"])]);
    let source = source(&path);
    let task = common::kind(&source).unwrap();
    let labels = common::labels(&source, task, Split::Train).unwrap();
    let read = common::examples(&source, task, &labels, Split::Train, true);
    let message = read.unwrap_err().to_string();
    assert!(message.contains("row 2") && message.contains("bytes that are not UTF-8"), "{message}");
    assert!(message.contains("'text'") && message.contains("--image-column"), "{message}");
}

/// As texts, both would be the same class.
#[test]
fn binary_cells_are_no_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let schema = "message m { required binary text (UTF8); required binary label; }";
    let labels: [&[u8]; 4] = [b"x", b"\xff\xfe", b"\xff\xfd", b"y"];
    parquet(&path, schema, [bytes(&[b"a", b"b", b"c", b"d"]), bytes(&labels)]);
    let mut source = source(&path);
    let message = source.open(Split::Train, true).map(drop).unwrap_err().to_string();
    assert!(message.contains("row 2: the label (column 'label') is bytes"), "{message}");
    assert!(message.contains("1 more row") && message.contains("--skip-bad"), "{message}");
    source.skip_bad = true;
    let task = common::kind(&source).unwrap();
    assert_eq!(common::labels(&source, task, Split::Train).unwrap(), ["x", "y"]);
}

/// Its name was that of its digits with a point: "1.".
#[test]
fn whole_decimals_are_named_as_whole_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let schema =
        "message m { required binary text (UTF8); required binary label (DECIMAL(20, 0)); }";
    parquet(&path, schema, [bytes(&[b"a", b"b"]), bytes(&[b"\x0a", b"\x01"])]);
    let source = source(&path);
    let task = common::kind(&source).unwrap();
    assert_eq!(common::labels(&source, task, Split::Train).unwrap(), ["1", "10"]);
}

/// A device would be read without end, and a pipe waited for.
#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("images");
    put(&folder.join("a"), &[(FILES[0], "1.png")]);
    put(&folder.join("b"), &[(FILES[1], "1.jpg")]);
    let (pipe, link) = (dir.path().join("pipe.csv"), folder.join("b/2.png"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for from in [Path::new("/dev/zero"), &pipe] {
        let table = dir.path().join("link.csv");
        std::os::unix::fs::symlink(from, &table).unwrap();
        std::os::unix::fs::symlink(from, &link).unwrap();
        let message = source(&table).open(Split::Train, true).map(drop).unwrap_err().to_string();
        assert!(message.contains("link.csv: is not a plain file"), "{message}");
        let message = fault(&source(&folder));
        assert!(message.contains("2.png: is not a plain file"), "{message}");
        fs::remove_file(&table).unwrap();
        fs::remove_file(&link).unwrap();
    }
}

/// Links to a folder above would give images again and again, without end where there are two.
#[cfg(unix)]
#[test]
fn a_class_has_each_of_its_folders_once() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["a/inner", "b"] {
        put(&dir.path().join(class), &[(FILES[0], "1.png")]);
    }
    let link = dir.path().join("a/inner/link");
    for to in [".", "..", "../../a"] {
        std::os::unix::fs::symlink(to, &link).unwrap();
        let message = fault(&source(dir.path()));
        assert!(message.contains("link: is a link to a folder that this class has"), "{message}");
        fs::remove_file(&link).unwrap();
    }
    std::os::unix::fs::symlink("../../b", &link).unwrap();
    assert_eq!(read(&source(dir.path()), Split::Train).unwrap().1.examples.len(), 3);
}

/// As texts, both would be the same class.
#[cfg(target_os = "linux")]
#[test]
fn names_of_classes_are_texts() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    for class in [b"\xff", b"\xfe"] {
        put(&dir.path().join(std::ffi::OsStr::from_bytes(class)), &[(FILES[0], "1.png")]);
    }
    assert!(fault(&source(dir.path())).contains("the name of a class is not UTF-8"));
}

/// Of texts, such labels make tasks that images do not have; as names they would mean nothing.
#[test]
fn labels_of_images_are_names_of_classes() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("i"), &[("rgb.png", "1.png"), ("rgb.bmp", "2.png")]);
    let path = dir.path().join("t.csv");
    let with = |labels: [&str; 2]| {
        let [a, b] = labels.map(|l| l.replace('"', "\"\""));
        fs::write(&path, format!("image,label\ni/1.png,\"{a}\"\ni/2.png,\"{b}\"\n")).unwrap();
        source(&path)
    };
    for (labels, why) in [
        (["1.5", "2"], "line 2: the label '1.5' has a fraction"),
        (["1,5", "2,5"], "say --task image-classification"),
        ([r#"["a", "b"]"#, r#"["b"]"#], "is a list"),
    ] {
        let message = fault(&with(labels));
        assert!(message.contains(why), "{message}");
    }
    for labels in [["1", "20"], ["1.5", "large"], ["(b", "[a"]] {
        assert_eq!(read(&with(labels), Split::Train).unwrap().0, labels);
    }
    // As names they are taken where they are said to be.
    let names = common::labels(&with(["1.5", "2"]), kind(), Split::Train).unwrap();
    assert_eq!(names, ["1.5", "2"]);
    put(&dir.path().join("folders/0.5"), &[("rgb.png", "1.png")]);
    put(&dir.path().join("folders/1.5"), &[("rgb.bmp", "2.png")]);
    let folders = read(&source(dir.path().join("folders")), Split::Train).unwrap();
    assert_eq!(folders.0, ["0.5", "1.5"]);
}

#[test]
fn cells_without_an_image_are_named_and_blank_rows_are_none() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), &[("rgb.png", "1.png"), ("rgb.bmp", "2.png")]);
    let path = dir.path().join("t.csv");
    fs::write(&path, "image,label\n1.png,a\n,\n2.png,b\n,\n").unwrap();
    assert_eq!(read(&source(&path), Split::Train).unwrap().1.examples.len(), 2);
    fs::write(&path, "image,label\n1.png,a\n,b\n2.png,b\n").unwrap();
    let mut table = source(&path);
    let message = fault(&table);
    assert!(message.contains("line 3: has no image in its column 'image'"), "{message}");
    table.skip_bad = true;
    assert_eq!(read(&table, Split::Train).unwrap().1.examples.len(), 2);
}

/// Python's `base64.encodebytes` and the command `base64` break lines.
#[test]
fn images_in_base64_may_have_lines() {
    use base64::Engine as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    let with = |line: usize, damage: &str| {
        let mut text = String::new();
        for (i, file) in FILES.iter().take(2).enumerate() {
            let bytes = fs::read(image(file)).unwrap();
            let coded = base64::engine::general_purpose::STANDARD.encode(bytes);
            let lines: Vec<_> = coded.as_bytes().chunks(line).map(<[u8]>::to_vec).collect();
            let lines = String::from_utf8(lines.join(&b'\n')).unwrap() + damage;
            text += &serde_json::json!({"image": lines, "label": i.to_string()}).to_string();
            text.push('\n');
        }
        fs::write(&path, text).unwrap();
        read(&source(&path), Split::Train).map(|(_, data)| data)
    };
    let whole = with(1 << 30, "").unwrap();
    assert_eq!(whole.digest.sha256, with(76, "\n").unwrap().digest.sha256);
    // What is neither base64 nor a path is not repeated in the message.
    let message = with(76, &"*".repeat(4096)).unwrap_err().to_string();
    assert!(message.contains("line 1") && message.len() < 300, "{message}");
}

#[test]
fn what_repeats_among_images_is_said() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("train/a"), &[("rgb.png", "1.png"), ("420.jpg", "2.jpg")]);
    put(&dir.path().join("train/b"), &[("rgb.png", "3.png"), ("rgb.bmp", "4.bmp")]);
    put(&dir.path().join("val/a"), &[("420.jpg", "5.jpg")]);
    put(&dir.path().join("val/b"), &[("grey.bmp", "6.bmp")]);
    let data = common::read(source(dir.path())).unwrap();
    common::notes(&data, &["1 with the image of another and another label"]);
    common::notes(&data, &["1 of the 2 dev rows have the image of a training row"]);
}

/// Folders with files of tables or texts are given in the place of these files.
#[test]
fn a_folder_of_tables_or_texts_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, file) in [("a", "train.csv"), ("b", "data/train.parquet"), ("c", "pos/1.txt")] {
        let path = dir.path().join(folder).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "text,label\na,x\n").unwrap();
        let message = fault(&source(dir.path().join(folder)));
        assert!(message.contains(file) && message.contains("is read as images"), "{message}");
    }
    // Beside images of classes they are what cannot be read.
    put(&dir.path().join("d/x"), &[("rgb.png", "1.png")]);
    put(&dir.path().join("d/y"), &[("rgb.bmp", "2.bmp")]);
    fs::write(dir.path().join("d/y/notes.txt"), "a").unwrap();
    let mut mixed = source(dir.path().join("d"));
    mixed.images.skip_bad = true;
    assert_eq!(read(&mixed, Split::Train).unwrap().1.examples.len(), 2);
    mixed.images.skip_bad = false;
    assert!(fault(&mixed).contains("notes.txt"));
}
