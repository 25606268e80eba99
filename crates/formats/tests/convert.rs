//! Checkpoints in other forms than Hugging Face's: the same tensors, and faults that are named.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use budwood_base::encoder::EncoderSpec;
use budwood_formats::Weights;
use budwood_formats::{BaseModel, convert};

fn golden(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path)
}

fn fault(name: &str, bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    fs::write(&file, bytes).unwrap();
    let message = convert(&file, &dir.path().join("out")).expect_err("must be refused").to_string();
    assert!(message.contains(name), "{message}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something is left behind");
    message
}

#[test]
fn the_original_form_of_vit_gives_the_same_tensors() {
    let expected = BaseModel::open(&golden("base/vit")).unwrap();
    for (name, pooler) in [("vit.npz", false), ("vit_deflated.npz", true)] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("model");
        convert(&golden("convert").join(name), &out).unwrap();
        let model = BaseModel::open(&out).unwrap();
        // Flax's epsilon is another; the layer before the head is the pooler.
        let spec = EncoderSpec { norm_eps: 1e-6, pooler, ..expected.spec().clone() };
        assert_eq!(model.spec(), &spec);
        let read = |folder: &Path| {
            Weights::open(&folder.join("model.safetensors")).unwrap().tensors().unwrap()
        };
        let (theirs, ours) = (read(&golden("base/vit")), read(&out));
        for (name, tensor) in &ours {
            let same = theirs.get(&format!("vit.{name}")) == Some(tensor);
            assert!(same || name.starts_with("pooler"), "{name}");
        }
        // AdapterHub writes some tensors of the base twice.
        let of_encoder = |n: &&String| {
            n.starts_with("vit.") && !n.contains("pooler") && !n.contains("prompt_tuning")
        };
        let n = theirs.keys().filter(of_encoder).count();
        assert_eq!(ours.len(), n + if pooler { 2 } else { 0 });
        if pooler {
            // It was made from another model's product, whose weight is the kernel as it stands.
            let deit = Weights::open(&golden("peft/deit/base/model.safetensors")).unwrap();
            let kernel = deit.tensor("deit.encoder.layer.0.attention.output.dense.weight").unwrap();
            let weight = &ours["pooler.dense.weight"];
            assert_eq!((weight.data[1], weight.data[32]), (kernel.data[32], kernel.data[1]));
        }
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
        let hash = config["budwood_source"]["sha256"].as_str().unwrap();
        let file = fs::read(golden("convert").join(name)).unwrap();
        assert_eq!(hash, budwood_base::digest::of_bytes(&file));
    }
}

#[test]
fn a_network_in_onnx_gives_its_encoder() {
    let dir = tempfile::tempdir().unwrap();
    convert(&golden("convert/dinov2.onnx"), &dir.path().join("model")).unwrap();
    let model = BaseModel::open(&dir.path().join("model")).unwrap();
    let spec = model.spec();
    assert_eq!((spec.family.as_str(), spec.hidden, spec.heads, spec.layers), ("dinov2", 64, 1, 1));
    assert_eq!((spec.intermediate, spec.layer_scale, spec.norm_eps), (64, true, 1e-6));
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    for name in ["vit.npz", "vit_deflated.npz", "dinov2.onnx"] {
        let whole = fs::read(golden("convert").join(name)).unwrap();
        let end = name.rsplit('.').next().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (file, out) = (dir.path().join(format!("x.{end}")), dir.path().join("out"));
        let mut refused = 0;
        for i in (0..whole.len()).step_by(whole.len() / 150) {
            fs::write(&file, &whole[..i]).unwrap();
            assert!(convert(&file, &out).is_err(), "{name} cut at {i}");
            let mut bytes = whole.clone();
            bytes[i] ^= 0xff;
            fs::write(&file, &bytes).unwrap();
            // A zip file has a checksum of each array; ONNX has none, and is not written here,
            // which takes long.
            let place = if end == "npz" { out.clone() } else { file.join("no folder") };
            refused += usize::from(convert(&file, &place).is_err());
        }
        assert!(refused > 130, "{name}: {refused}");
    }
    // The structure at the beginning, byte by byte.
    let whole = fs::read(golden("convert/dinov2.onnx")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.onnx");
    for i in 0..300 {
        for bit in [0x01, 0x80, 0x7f] {
            let mut bytes = whole.clone();
            bytes[i] ^= bit;
            fs::write(&file, &bytes).unwrap();
            let _ = convert(&file, &file.join("no folder"));
        }
    }
}

/// An archive with one array that has this header.
fn archive(name: &str, header: &str, data: &[u8]) -> Vec<u8> {
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend(header.as_bytes());
    npy.extend(data);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&npy).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_no_such_checkpoint_is_refused_in_words() {
    let refused = |header: &str, data: &[u8]| fault("x.npz", &archive("a.npy", header, data));
    let header = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}")
    };
    let pickle = refused(&header("|O", "False", "(1,)"), b"pickle");
    assert!(pickle.contains("'a'") && pickle.contains("|O"), "{pickle}");
    assert!(refused(&header("<f4", "True", "(1,)"), &[0; 4]).contains("Fortran"));
    assert!(refused(&header("<f4", "False", "(2, 2)"), &[0; 15]).contains("16 bytes"));
    assert!(refused(&header("<f4", "False", "(2, 2)"), &[0; 17]).contains("16 bytes"));
    let huge = refused(&header("<f4", "False", "(9223372036854775807, 9)"), &[0; 4]);
    assert!(huge.contains("larger than memory"), "{huge}");
    // A claim of a terabyte must not be believed.
    assert!(refused(&header("<f4", "False", "(250000000000,)"), &[0; 4]).contains("bytes"));
    assert!(refused("{}", &[]).contains("type"));
    let other = refused(&header("<f4", "False", "(1,)"), &[0; 4]);
    assert!(other.contains("embedding/kernel") && other.contains("not ViT"), "{other}");

    assert!(fault("x.onnx", b"").contains("no 'embeddings.cls_token'"));
    assert!(fault("x.onnx", b"\x3a\xff\xff\xff\xff\x0f").contains("not a whole ONNX file"));
    assert!(fault("x.bin", b"").contains(".npz"));
}
