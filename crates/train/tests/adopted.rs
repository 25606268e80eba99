//! Adapters of PEFT that are read on a base (`tests/golden/make_peft.py`) answer as the library
//! did, and go out as they came in.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use budwood_base::tensor::{Tensor, TensorMap};
use budwood_engine::{Context, Device, Precision};
use budwood_formats::foreign::adopt;
use budwood_formats::native::AdapterFolder;
use budwood_formats::{BaseModel, Error, Weights, length_max, peft, safetensors_file};
use budwood_model::{Adapter, Base, Batch, Segment, method, predict};

/// Cases with the folders of their bases, and whether PEFT takes them back as they were.
const CASES: [(&str, &str, bool); 13] = [
    ("prompt-tuning", "bert", true),
    ("prompt-tuning-roberta", "roberta", true),
    ("p-tuning-mlp", "bert", true),
    ("p-tuning-lstm", "bert", true),
    ("prefix-tuning", "bert", true),
    ("prefix-tuning-projected", "bert", true),
    // A scaled input of attention's last product is a scaled value.
    ("ia3-usual", "bert", false),
    // The first layer of the head comes from the base.
    ("lora-without-pooler", "deberta-v2", false),
    ("lora-all-linear", "deberta-v2", false),
    ("lora-fused", "modernbert", false),
    ("dora-fused", "modernbert", false),
    ("ia3-fused", "modernbert", false),
    ("vit-since-5", "vit", false),
];

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/adopted")
}

fn open(family: &str) -> BaseModel {
    BaseModel::open(&golden().join(family).join("base")).unwrap()
}

fn read(case: &str, model: &BaseModel) -> AdapterFolder {
    let mut folder = adopt(&golden().join(case).join("adapter"), model, "base").unwrap();
    folder.meta.method = method::resolve(&folder.meta.method).unwrap();
    folder
}

/// The largest difference from what the library answered.
fn farthest(case: &str, model: &BaseModel, folder: &AdapterFolder) -> f32 {
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let base = Base::load(model.spec().clone(), Device::cpu(), Precision::F32, false, fetch);
    let base = base.unwrap();
    let io = Weights::open(&golden().join(case).join("io.safetensors")).unwrap();
    let expected = io.tensor("out.logits").unwrap();
    let batch = match &base.spec().input {
        budwood_base::encoder::InputSpec::Image(image) => {
            let pixels = io.tensor("input.pixel_values").unwrap();
            let size = (pixels.shape[2], pixels.shape[3]);
            let each = pixels.len() / pixels.shape[0];
            Batch::from_images(image, size, pixels.data.chunks(each))
        }
        budwood_base::encoder::InputSpec::Text(_) => {
            let length = io.shape("input.input_ids").unwrap()[1];
            let ids: Vec<u32> =
                io.integers("input.input_ids").unwrap().iter().map(|&i| i as u32).collect();
            let types = vec![0; length];
            Batch::from_sequences(ids.chunks(length).map(|ids| (ids, &types[..])))
        }
    };
    let AdapterFolder { meta, tensors } = folder;
    let adapter = Adapter::from_tensors(&base, &meta.method, meta.head.clone(), tensors).unwrap();
    let n = expected.shape[0];
    let segment = Segment { adapter: Some(&adapter), sequences: 0..n };
    let got = predict(&mut Context::new(Device::cpu()), &base, &batch, &[segment]).concat();
    assert_eq!(got.len(), expected.len());
    let pairs = got.iter().zip(&expected.data);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |m, x| if x <= m { m } else { x })
}

#[test]
fn they_answer_as_the_library_did_and_go_out_again() {
    for (case, family, whole) in CASES {
        let model = open(family);
        let folder = read(case, &model);
        let far = farthest(case, &model, &folder);
        assert!(far < 1e-5, "{case}: {far}");
        let exported = match peft::export(&folder, family == "vit") {
            Ok(exported) => exported,
            Err(e) => {
                let known = family == "modernbert" && e.to_string().contains("attn.Wqkv")
                    || case == "lora-all-linear";
                assert!(known, "{case}: {e}");
                continue;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &exported.files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let again = adopt(dir.path(), &model, "base").unwrap();
        let far = farthest(case, &model, &again);
        assert!(far < 1e-5, "{case} out: {far}");
        if whole {
            let file = "adapter_model.safetensors";
            let ours = Weights::open(&dir.path().join(file)).unwrap();
            let theirs = Weights::open(&golden().join(case).join("adapter").join(file)).unwrap();
            assert!(ours.tensors().unwrap() == theirs.tensors().unwrap(), "{case}");
        }
    }
}

/// A text's positions follow those of the vectors, of which the base has 24.
#[test]
fn vectors_take_positions_of_texts() {
    for (case, family) in [("prompt-tuning", "bert"), ("prefix-tuning", "bert")] {
        let (model, mut folder) = (open(family), read(case, &open(family)));
        let budwood_base::encoder::InputSpec::Text(text) = &model.spec().input else { panic!() };
        assert_eq!((text.length_max(), length_max(text, &folder.meta.method)), (24, 21), "{case}");
        assert_eq!(folder.meta.task.max_length, 21, "{case}");
        folder.meta.task.max_length = 22;
        let message = folder.meta.check_base(&model).unwrap_err().to_string();
        assert!(message.contains("22, more than the 21 positions"), "{message}");
    }
}

#[test]
fn what_is_of_another_base_or_not_whole_is_refused_by_name() {
    let refused = |case: &str, base: &str, change: &dyn Fn(&mut serde_json::Value)| -> Error {
        let dir = tempfile::tempdir().unwrap();
        let from = golden().join(case).join("adapter");
        let file = "adapter_model.safetensors";
        std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
        let text = std::fs::read_to_string(from.join("adapter_config.json")).unwrap();
        let mut config = serde_json::from_str(&text).unwrap();
        change(&mut config);
        std::fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
        adopt(dir.path(), &open(base), "base").unwrap_err()
    };
    for (field, value) in [
        ("num_layers", 12),
        ("token_dim", 768),
        ("num_attention_heads", 12),
        ("num_virtual_tokens", 4),
    ] {
        let change = |config: &mut serde_json::Value| config[field] = value.into();
        for case in ["prompt-tuning", "prefix-tuning"] {
            let message = refused(case, "bert", &change).to_string();
            let named = match field {
                "num_virtual_tokens" => "prompt_embeddings",
                field => field,
            };
            assert!(message.contains(named), "{case} {field}: {message}");
        }
    }
    // A head of two layers for a base whose models have one.
    let other = refused("prompt-tuning-roberta", "bert", &|_| {}).to_string();
    assert!(other.contains("classifier.dense"), "{other}");
    let unknown = refused("prompt-tuning", "bert", &|c| c["peft_type"] = "CPT".into());
    assert!(unknown.to_string().contains("'CPT' is not read"), "{unknown}");
}

/// A case's folder with other tensors.
fn changed(case: &str, change: &dyn Fn(TensorMap) -> TensorMap) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = golden().join(case).join("adapter");
    let file = "adapter_model.safetensors";
    let tensors = change(Weights::open(&from.join(file)).unwrap().tensors().unwrap());
    let path = dir.path().join(file);
    std::fs::write(&path, safetensors_file::to_bytes(&path, &tensors).unwrap()).unwrap();
    let config = "adapter_config.json";
    std::fs::copy(from.join(config), dir.path().join(config)).unwrap();
    dir
}

/// What PyTorch puts into names where a model is compiled or trained on several devices.
#[test]
fn names_of_wrappers_are_taken_out() {
    let model = open("bert");
    let plain = read("ia3-usual", &model).tensors;
    for (from, to) in [
        ("base_model.", "module.base_model."),
        ("base_model.", "_orig_mod.base_model."),
        ("base_model.model.bert", "base_model.model._orig_mod.bert"),
        ("bert.encoder", "bert.encoder._orig_mod"),
    ] {
        let renamed = |tensors: TensorMap| {
            tensors.into_iter().map(|(name, tensor)| (name.replace(from, to), tensor)).collect()
        };
        let dir = changed("ia3-usual", &renamed);
        let read = adopt(dir.path(), &model, "base").unwrap();
        assert!(read.tensors == plain, "{to}");
    }
    let both = |mut tensors: TensorMap| {
        let (name, tensor) = tensors.iter().next().map(|(n, t)| (n.clone(), t.clone())).unwrap();
        tensors.insert(format!("module.{name}"), tensor);
        tensors
    };
    let dir = changed("ia3-usual", &both);
    let message = adopt(dir.path(), &model, "base").unwrap_err().to_string();
    assert!(message.contains("twice"), "{message}");
}

#[test]
fn what_the_folder_lacks_or_holds_in_another_shape_is_refused_by_name() {
    let refused = |case: &str, base: &str, change: &dyn Fn(&mut TensorMap)| {
        let dir = changed(case, &|mut tensors| {
            change(&mut tensors);
            tensors
        });
        adopt(dir.path(), &open(base), "base").unwrap_err().to_string()
    };
    let without = |part: &'static str| {
        move |tensors: &mut TensorMap| tensors.retain(|name, _| !name.contains(part))
    };
    let bias = refused("ia3-usual", "bert", &without("classifier.bias"));
    assert!(bias.contains("'classifier.bias'"), "{bias}");
    let head = refused("ia3-usual", "bert", &without("classifier"));
    assert!(head.contains("holds no head"), "{head}");
    let layer = refused("ia3-usual", "bert", &without("layer.1."));
    assert!(layer.contains("tensors are missing"), "{layer}");
    let vectors = refused("prompt-tuning", "bert", &without("prompt_embeddings"));
    assert!(vectors.contains("prompt_embeddings"), "{vectors}");
    // The base of a head whose first layer is nowhere: PEFT would make it by chance.
    let (base, own) = (tempfile::tempdir().unwrap(), golden().join("deberta-v2/base"));
    std::fs::copy(own.join("config.json"), base.path().join("config.json")).unwrap();
    let file = "model.safetensors";
    let mut tensors = Weights::open(&own.join(file)).unwrap().tensors().unwrap();
    tensors.retain(|name, _| !name.starts_with("pooler."));
    let path = base.path().join(file);
    std::fs::write(&path, safetensors_file::to_bytes(&path, &tensors).unwrap()).unwrap();
    let bare = BaseModel::open(base.path()).unwrap();
    let folder = golden().join("lora-without-pooler").join("adapter");
    let message = adopt(&folder, &bare, "base").unwrap_err().to_string();
    assert!(message.contains("'head.dense', and the base has none"), "{message}");
    for (rows, said) in [(95, "95 rows for 3 products"), (0, "0 rows for 3 products")] {
        let cut = refused("lora-fused", "modernbert", &|tensors| {
            let name = tensors.keys().find(|name| name.contains("Wqkv.lora_B")).unwrap().clone();
            tensors.insert(name, Tensor::zeros([rows, 2]));
        });
        assert!(cut.contains(said), "{cut}");
    }
}
