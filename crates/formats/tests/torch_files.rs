//! PyTorch's `.bin` files: those that PyTorch 2.15 wrote (`torch/make.py`) with the values that it
//! read, and hostile ones.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use budwood_formats::{BaseModel, Weights};
use serde_json::Value;
use zip::write::{SimpleFileOptions, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torch").join(name)
}

fn golden(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base").join(family)
}

fn fault_of(path: &Path) -> String {
    Weights::open(path).expect_err("must be refused").to_string()
}

#[test]
fn tensors_are_those_that_pytorch_wrote() {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("tensors.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    for name in ["tensors.zip", "tensors.old", "plain_dict.zip", "protocol4.zip"] {
        let file = Weights::open(&fixture(&format!("{name}.bin"))).unwrap();
        assert_eq!(file.names().count(), expected.len(), "{name}");
        for (tensor, expected) in expected {
            let what = format!("{name}: {tensor}");
            let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
            let values: Vec<f32> = serde_json::from_value(expected["values"].clone()).unwrap();
            assert_eq!(file.shape(tensor).unwrap(), shape, "{what}");
            match tensor.as_str() {
                "long" | "int" => {
                    let integers: Vec<i64> = values.iter().map(|v| *v as i64).collect();
                    assert_eq!(file.integers(tensor).unwrap(), integers, "{what}");
                }
                "byte" | "bool" => {
                    let message = file.tensor(tensor).unwrap_err().to_string();
                    assert!(message.contains("not a float"), "{message}");
                }
                _ => assert_eq!(file.tensor(tensor).unwrap().data, values, "{what}"),
            }
        }
    }
    // With the attributes of a model's map, which are no tensors.
    for name in ["module.zip.bin", "module.old.bin"] {
        let file = Weights::open(&fixture(name)).unwrap();
        assert_eq!(file.names().count(), 7);
        assert_eq!(file.tensor("1.running_var").unwrap().data, [1.0, 1.0]);
    }
}

#[test]
fn bytes_have_the_scales_of_their_rows_wherever_they_lie() {
    let file = Weights::open(&fixture("bytes.zip.bin")).unwrap();
    let scale = |row: usize| (row + 1) as f32 / 4.0;
    let turned = (0..48).map(|i| ((i % 6) * 8 + i / 6) as f32 * scale(i / 6));
    assert_eq!(file.tensor("turned").unwrap().data, turned.collect::<Vec<_>>());
    let gaps = (0..18).map(|i| (i / 3 * 8 + 1 + i % 3) as f32 * scale(i / 3));
    assert_eq!(file.tensor("gaps").unwrap().data, gaps.collect::<Vec<_>>());
}

#[test]
fn what_is_no_map_of_tensors_is_refused_by_name() {
    for (name, said) in [
        ("evil", "asks for posix.system"),
        ("checkpoint", "holds 'state_dict', which is not a tensor"),
        ("model", "asks for torch.nn.modules.container.Sequential"),
        ("sparse", "asks for torch._utils._rebuild_sparse_tensor"),
        ("expanded", "behind the"),
        ("list", "does not hold a map of tensors"),
        ("complex", "asks for torch.ComplexFloatStorage"),
    ] {
        for layout in ["zip", "old"] {
            let message = fault_of(&fixture(&format!("{name}.{layout}.bin")));
            let said = match name {
                "expanded" => "lie upon each other",
                _ => said,
            };
            assert!(message.contains(said), "{name}.{layout}: {message}");
        }
    }
    assert!(!Path::new("budwood-was-here").exists());
}

#[test]
fn files_that_are_cut_or_changed_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bin");
    for name in ["tensors.zip.bin", "tensors.old.bin"] {
        let whole = fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(23) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Weights::open(&path).is_err(), "{name} cut at {length}");
        }
        for i in (0..whole.len()).step_by(3) {
            let mut bytes = whole.clone();
            bytes[i] ^= 0x41;
            fs::write(&path, &bytes).unwrap();
            if let Ok(file) = Weights::open(&path) {
                let _ = file.tensors();
            }
        }
    }
}

/// A zip archive of PyTorch around a pickle, with one storage of so many bytes.
fn archive(pickle: &[u8], storage: usize, packed: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let method = match packed {
        true => zip::CompressionMethod::Deflated,
        false => zip::CompressionMethod::Stored,
    };
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [("data.pkl", pickle), ("data/0", &vec![0; storage])] {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn number(n: i64) -> Vec<u8> {
    [&[0x8a, 8], &n.to_le_bytes()[..]].concat()
}

fn numbers(list: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), list.iter().flat_map(|n| number(*n)).collect(), b"t".to_vec()].concat()
}

fn word(text: &str) -> Vec<u8> {
    [&[0x8c, text.len() as u8], text.as_bytes()].concat()
}

/// `{"w": tensor}` over storage 0 of so many f32.
fn one_tensor(length: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    [
        b"\x80\x02}".to_vec(),
        word("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        word("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        word("0"),
        word("cpu"),
        number(length),
        b"tQ".to_vec(),
        number(offset),
        numbers(shape),
        numbers(strides),
        b"\x89NtRs.".to_vec(),
    ]
    .concat()
}

#[test]
fn hostile_places_are_refused_before_memory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bin");
    let try_ = |pickle: &[u8], packed: bool| {
        fs::write(&path, archive(pickle, 64, packed)).unwrap();
        Weights::open(&path).map_err(|e| e.to_string())
    };
    let good = one_tensor(16, 2, &[2, 3], &[3, 1]);
    assert_eq!(try_(&good, false).unwrap().tensor("w").unwrap().shape, [2, 3]);
    let huge = 1 << 40;
    for (pickle, said) in [
        (one_tensor(16, 0, &[huge, huge], &[huge, 1]), "larger than any memory"),
        (one_tensor(16, 0, &[1 << 20, 1 << 20], &[1 << 20, 1]), "reaches behind"),
        (one_tensor(16, 14, &[3], &[1]), "reaches behind"),
        (one_tensor(16, i64::MAX, &[3], &[1]), "reaches behind"),
        (one_tensor(16, 0, &[3], &[i64::MAX]), "reaches behind"),
        (one_tensor(16, -1, &[3], &[1]), "below zero"),
        (one_tensor(16, 0, &[-3], &[1]), "below zero"),
        (one_tensor(16, 0, &[4, 1 << 40], &[0, 0]), "lie upon each other"),
        (one_tensor(16, 0, &[3, 3], &[2, 1]), "lie upon each other"),
        (one_tensor(17, 0, &[3], &[1]), "64 bytes"),
        (one_tensor(i64::MAX, 0, &[3], &[1]), "64 bytes"),
        (one_tensor(16, 0, &[3, 2], &[1]), "makes no sense"),
        (one_tensor(16, 0, &[1; 9], &[1; 9]), "9 dimensions"),
    ] {
        let message = try_(&pickle, false).expect_err(said);
        assert!(message.contains(said), "{said}: {message}");
    }
    let message = try_(&good, true).unwrap_err();
    assert!(message.contains("packed"), "{message}");

    // Ten thousand tensors over the same data.
    let mut many = good[..3].to_vec();
    for i in 0..10_000 {
        let one = one_tensor(16, 0, &[16], &[1]);
        many.extend(word(&i.to_string()));
        many.extend(&one[6..one.len() - 1]);
    }
    many.push(b'.');
    // The pickle itself is most of the file, so that its data are made larger.
    fs::write(&path, archive(&many, 64, false)).unwrap();
    assert!(Weights::open(&path).is_ok());
    let wide = |length: i64| {
        let mut many = good[..3].to_vec();
        for i in 0..100 {
            let one = one_tensor(length, 0, &[length], &[1]);
            many.extend(word(&i.to_string()));
            many.extend(&one[6..one.len() - 1]);
        }
        many.push(b'.');
        many
    };
    fs::write(&path, archive(&wide(1 << 18), 1 << 20, false)).unwrap();
    let message = fault_of(&path);
    assert!(message.contains("8 times"), "{message}");
}

#[test]
fn hostile_programs_end_in_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bin");
    let deep = |n: usize| [b"\x80\x02)".to_vec(), vec![0x85; n], b".".to_vec()].concat();
    // A list that holds itself.
    let circle = b"\x80\x02]q\x00h\x00a.".to_vec();
    // Calls that copy a long list again and again.
    let mut copies = b"\x80\x02](".to_vec();
    copies.extend(b"))\x86".repeat(20_000));
    copies.extend(b"eq\x00");
    copies.extend(b"ccollections\nOrderedDict\nh\x00\x85R".repeat(1000));
    copies.push(b'.');
    for (pickle, said) in [
        (deep(200_000), "map of tensors"),
        (deep(1_000_001), "instructions"),
        (circle, "map of tensors"),
        (copies, "copies more than"),
        (b"\x80\x02cbuiltins\neval\n".to_vec(), "asks for builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93".to_vec(), "asks for os.system"),
        (b"\x80\x02(S'id'\nios\nsystem\n.".to_vec(), "instruction 'S'"),
        (b"\x80\x02\x82\x01.".to_vec(), "instruction"),
        (b"\x80\x09.".to_vec(), "protocol 9"),
        (b"\x80\x02(.".to_vec(), "makes no sense"),
        (b"\x80\x02N)R.".to_vec(), "calls what is not a known name"),
        (b"\x80\x02X\xff\xff\xff\x7fabc".to_vec(), "not whole"),
    ] {
        fs::write(&path, archive(&pickle, 0, false)).unwrap();
        let message = fault_of(&path);
        assert!(message.contains(said), "{said}: {message}");
    }
    for (bytes, said) in [
        (&b"hello"[..], "not a file of PyTorch"),
        (b"", "not a file of PyTorch"),
        (b"\x80\x02}.", "none of PyTorch's weights"),
        (b"PK\x03\x04", "not a whole zip"),
    ] {
        fs::write(&path, bytes).unwrap();
        let message = fault_of(&path);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn a_base_in_one_bin_file_or_in_shards_is_the_same_model() {
    let whole = BaseModel::open(&golden("distilbert")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::copy(golden("distilbert").join("config.json"), folder.join("config.json")).unwrap();
    let fault = BaseModel::open(folder).unwrap_err().to_string();
    assert!(fault.contains("no model.safetensors or pytorch_model.bin"), "{fault}");
    fs::copy(fixture("distilbert.bin"), folder.join("pytorch_model.bin")).unwrap();
    let same = |opened: &BaseModel| {
        for described in whole.spec().tensors() {
            let name = described.name;
            assert_eq!(opened.tensor(&name).unwrap(), whole.tensor(&name).unwrap(), "{name}");
        }
    };
    same(&BaseModel::open(folder).unwrap());

    // As shards: one of them holds all, the other what no model needs.
    let one = "pytorch_model-00001-of-00002.bin";
    let two = "pytorch_model-00002-of-00002.bin";
    fs::rename(folder.join("pytorch_model.bin"), folder.join(one)).unwrap();
    fs::copy(fixture("tensors.old.bin"), folder.join(two)).unwrap();
    let index = format!(r#"{{"weight_map": {{"a": "{one}", "b": "{two}"}}}}"#);
    fs::write(folder.join("pytorch_model.bin.index.json"), index).unwrap();
    same(&BaseModel::open(folder).unwrap());
    fs::remove_file(folder.join(two)).unwrap();
    assert!(BaseModel::open(folder).unwrap_err().to_string().contains(two));
}
