//! Files of tensors are read piece by piece, and only as long as they are what was opened.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use budwood_base::digest;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_formats::{Weights, safetensors_file};

/// Writes numbers in f32: `a` of more pieces than one, `b` of a few bytes.
fn written(path: &Path) -> TensorMap {
    let numbers = |n: usize| (0..n).map(|i| i as f32 * 0.25 - 3.0).collect();
    let tensors = TensorMap::from([
        ("a".to_string(), Tensor::new(vec![333, 777], numbers(333 * 777))),
        ("b".to_string(), Tensor::new(vec![3], numbers(3))),
    ]);
    fs::write(path, safetensors_file::to_bytes(path, &tensors).unwrap()).unwrap();
    tensors
}

#[test]
fn tensors_and_hashes_are_those_of_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["model-1.safetensors", "model-2.safetensors"].map(|n| folder.path().join(n));
    let tensors = written(&one);
    let file = Weights::open(&one).unwrap();
    assert_eq!(file.tensors().unwrap(), tensors);
    assert_eq!(file.sha256().unwrap(), digest::of_bytes(&fs::read(&one).unwrap()));
    assert_eq!(file.tensor("b").unwrap(), tensors["b"], "in any order, more than once");

    let other = TensorMap::from([("c".to_string(), tensors["b"].clone())]);
    fs::write(&two, safetensors_file::to_bytes(&two, &other).unwrap()).unwrap();
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}"#;
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let shards = Weights::open_in(folder.path(), &["model.safetensors"]).unwrap();
    let bytes = [&one, &two].map(|path| fs::read(path).unwrap());
    let parts = [("model-1.safetensors", &bytes[0][..]), ("model-2.safetensors", &bytes[1][..])];
    assert_eq!(shards.sha256().unwrap(), digest::of_parts(parts));
}

#[test]
fn a_file_that_is_changed_in_place_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensors = written(&path);
    let file = Weights::open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    let mut other = OpenOptions::new().write(true).open(&path).unwrap();
    other.seek(SeekFrom::Start(length - 4)).unwrap();
    other.write_all(&7.0f32.to_le_bytes()).unwrap();
    // Two writes within one tick of the system's clock would bear the same time.
    other.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
    for message in
        [file.tensor("b").unwrap_err().to_string(), file.sha256().unwrap_err().to_string()]
    {
        assert!(
            message.contains("model.safetensors: has changed since it was opened"),
            "{message}"
        );
    }
    // Cut off, it says the same, and not how the system names the end of a file.
    other.set_len(length - 8).unwrap();
    let message = file.tensor("b").unwrap_err().to_string();
    assert!(message.contains("has changed since it was opened"), "{message}");
    // A file that takes its place is another one: what was opened is still there.
    written(&path);
    let file = Weights::open(&path).unwrap();
    let new = folder.path().join("new");
    fs::write(&new, "something else").unwrap();
    if fs::rename(&new, &path).is_ok() {
        assert_eq!(file.tensor("b").unwrap(), tensors["b"]);
    }
}

#[test]
fn a_file_of_any_length_is_opened_by_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let large: u64 = 64 << 30;
    let header = format!(
        r#"{{"large":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{large}]}},"small":{{"dtype":"F32","shape":[2],"data_offsets":[{large},{}]}}}}"#,
        large / 4,
        large + 8
    );
    let mut file = File::create(&path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    // A file with a hole, where the file system has them.
    if file.set_len(8 + header.len() as u64 + large + 8).is_err() {
        return;
    }
    file.seek(SeekFrom::End(-8)).unwrap();
    file.write_all(&[1.5f32, -2.0].map(f32::to_le_bytes).concat()).unwrap();
    drop(file);
    let file = Weights::open(&path).unwrap();
    assert_eq!(file.tensor("small").unwrap().data, [1.5, -2.0]);
}
