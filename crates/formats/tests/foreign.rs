//! Folders of AdapterHub and PEFT: taken over on their base, and written again with the same names,
//! shapes and bytes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::encoder::Activation;
use budwood_base::head::HeadKind;
use budwood_formats::foreign::{Library, adopt, library, warning};
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;
use budwood_formats::{BaseModel, Weights, adapterhub, import, model_folder, peft};
use serde_json::{Value, json};

const PLAIN: adapterhub::Options<'static> =
    adapterhub::Options { name: "task", norms: false, headless: false };

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

fn adopted(folder: &Path, base: &Path) -> AdapterFolder {
    adopt(folder, &BaseModel::open(base).unwrap(), "base").unwrap()
}

fn fault(folder: &Path, base: &Path) -> String {
    adopt(folder, &BaseModel::open(base).unwrap(), "base").expect_err("refused").to_string()
}

/// Names, shapes and bytes of a file.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
    let file = Weights::open(path).unwrap();
    let all = file.tensors().unwrap();
    all.into_iter()
        .map(|(name, t)| (name, (t.shape, t.data.iter().map(|x| x.to_bits()).collect())))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn adapterhub_folders_written_again_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut cases = 0;
    for family in ["bert", "roberta", "distilbert", "vit"] {
        let base = golden().join("base").join(family);
        for entry in fs::read_dir(golden().join("adapters").join(family)).unwrap().flatten() {
            let folder = entry.path().join("adapter");
            if !folder.join("adapter_config.json").exists() {
                continue;
            }
            let what = folder.display().to_string();
            let ours = adopted(&folder, &base);
            let out = dir.path().join(family).join(entry.file_name());
            fs::create_dir_all(&out).unwrap();
            for (name, bytes) in adapterhub::export(&ours, PLAIN, None).unwrap().files {
                fs::write(out.join(name), bytes).unwrap();
            }
            for file in ["adapter.safetensors", "model_head.safetensors"] {
                assert!(tensors(&out.join(file)) == tensors(&folder.join(file)), "{what}: {file}");
            }
            let (mut again, mut first) = (import(&out).unwrap(), import(&folder).unwrap());
            again.names.sort();
            first.names.sort();
            assert_eq!((again.head, again.labels), (first.head, first.labels), "{what}");
            assert!(again.tensors == first.tensors && again.names == first.names, "{what}");
            // What the configuration leaves out has the library's default in both.
            let read = |folder: &Path| -> Value {
                let text = fs::read(folder.join("adapter_config.json")).unwrap();
                serde_json::from_slice(&text).unwrap()
            };
            let (wrote, given) = (read(&out)["config"].clone(), read(&folder)["config"].clone());
            for (key, value) in wrote.as_object().unwrap() {
                let same = match (value.as_f64(), given[key].as_f64()) {
                    (Some(wrote), Some(given)) => wrote == given,
                    _ => value.is_null() || *value == given[key],
                };
                assert!(same || key == "configs", "{what}: {key} is {value}, not {}", given[key]);
            }
            cases += 1;
        }
    }
    assert!(cases >= 40, "{cases}");
}

/// What (IA)³ has in another form concerns its own tensors, not those of the union's others.
#[test]
fn a_union_with_ia3_is_written_and_read_again() {
    let base = golden().join("base/bert");
    let of =
        |case: &str| adopted(&golden().join("adapters/bert").join(case).join("adapter"), &base);
    let (mut union, ia3) = (of("seq_bn"), of("ia3"));
    union.meta.method.parts.extend(ia3.meta.method.parts);
    let own = ia3.tensors.into_iter().filter(|(name, _)| !name.starts_with("head."));
    union.tensors.extend(own);
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in adapterhub::export(&union, PLAIN, None).unwrap().files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert!(adopted(dir.path(), &base).tensors == union.tensors);
}

#[test]
fn peft_folders_written_again_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for family in ["bert", "roberta", "distilbert", "vit", "deit", "dinov2"] {
        for case in ["lora", "rslora_dora"] {
            let folder = golden().join("peft").join(family).join(case).join("adapter");
            if !folder.exists() {
                continue;
            }
            let what = folder.display().to_string();
            let ours = adopted(&folder, &golden().join("peft").join(family).join("base"));
            for (name, bytes) in peft::export(&ours, false).unwrap().files {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            let file = "adapter_model.safetensors";
            assert!(tensors(&dir.path().join(file)) == tensors(&folder.join(file)), "{what}");
            assert_eq!(import(dir.path()).unwrap().tensors, import(&folder).unwrap().tensors);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, lora) = (dir.path().join("hub"), dir.path().join("lora"));
    let bert = golden().join("base/bert");
    let base = golden().join("peft/bert/base");
    copy(&golden().join("adapters/bert/seq_bn/adapter"), &hub);
    copy(&golden().join("peft/bert/lora/adapter"), &lora);
    assert_eq!(library(&hub).unwrap(), Some(Library::AdapterHub));
    assert_eq!(library(&lora).unwrap(), Some(Library::Peft));
    let said = warning(&adopted(&lora, &base).meta).unwrap();
    assert!(said.contains("cannot be checked"), "{said}");

    assert!(fault(&hub, &golden().join("base/distilbert")).contains("distilbert"));
    let config = lora.join("adapter_config.json");
    let keep = fs::read(&config).unwrap();
    for (key, value, said) in [
        ("target_modules", json!(["query", "key", "value"]), "attention.self.key"),
        ("target_modules", json!(["query"]), "does not name"),
        ("target_modules", json!(".*(query|key|value)"), "missing"),
        ("target_modules", json!("(query"), "not read"),
        ("target_modules", json!("all-linear"), "8 tensors are missing"),
        ("layers_to_transform", json!([0]), "does not name"),
        ("r", json!(5), "its rank is 5"),
        ("rank_pattern", json!({"query": 3}), "its rank is 3"),
        ("use_dora", json!(true), "use_dora"),
        ("peft_type", json!("BOFT"), "peft_type 'BOFT'"),
        ("peft_type", json!("PREFIX_TUNING"), "'prompt_embeddings'"),
        ("bias", json!("all"), "'bias'"),
        ("use_rslora", json!("true"), "'use_rslora' is \"true\", neither true nor false"),
        ("use_rslora", json!(1), "'use_rslora' is 1"),
        ("alpha_pattern", json!(["query"]), "'alpha_pattern' holds [\"query\"]"),
        ("alpha_pattern", json!({"query": "16"}), "'alpha_pattern' holds \"16\""),
        ("rank_pattern", json!({"query": null}), "'rank_pattern' holds null"),
        ("task_type", json!("CAUSAL_LM"), "CAUSAL_LM"),
    ] {
        edit(&config, |json| json[key] = value.clone());
        let message = fault(&lora, &base);
        assert!(message.contains(said), "{key} {value}: {message}");
        fs::write(&config, &keep).unwrap();
    }
    for (key, value) in [
        ("target_modules", json!(r".*\.(query|value)")),
        ("layers_to_transform", json!([0, 1])),
        ("rank_pattern", json!({"query": 4, "layer.1.attention.self.value": 4})),
        ("exclude_modules", json!(["key"])),
    ] {
        edit(&config, |json| json[key] = value);
        assert_eq!(adopted(&lora, &base).tensors, import(&lora).unwrap().tensors);
        fs::write(&config, &keep).unwrap();
    }
    // Another scale of some modules is folded into their tensors.
    edit(&config, |json| json["alpha_pattern"] = json!({ "query": 16 }));
    let (doubled, plain) = (adopted(&lora, &base).tensors, {
        fs::write(&config, &keep).unwrap();
        adopted(&lora, &base).tensors
    });
    for (name, tensor) in &plain {
        let factor = if name.ends_with("query.lora.b") { 2.0 } else { 1.0 };
        let expected: Vec<f32> = tensor.data.iter().map(|x| x * factor).collect();
        assert_eq!(doubled[name].data, expected, "{name}");
    }
    // A head alone, of an older library, and none at all.
    fs::remove_file(hub.join("model_head.safetensors")).unwrap();
    assert!(fault(&hub, &bert).contains("model_head.safetensors or pytorch_model_head.bin"));
    fs::remove_file(hub.join("head_config.json")).unwrap();
    assert!(fault(&hub, &bert).contains("no head"));
}

#[test]
fn older_configurations_mean_what_they_meant() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hub");
    copy(&golden().join("adapters/bert/lora/adapter"), &folder);
    let bert = golden().join("base/bert");
    let alpha = || adopted(&folder, &bert).meta.method.parts[0].options["alpha"].clone();
    assert_eq!(alpha(), json!(8.0));
    edit(&folder.join("adapter_config.json"), |json| json["version"] = json!("adapters.1.0.1"));
    assert_eq!(alpha(), json!(4.0));
    copy(&golden().join("adapters/bert/seq_bn/adapter"), &folder);
    edit(&folder.join("adapter_config.json"), |json| {
        json.as_object_mut().unwrap().remove("version");
        json["config"]["non_linearity"] = json!("gelu");
    });
    let options = adopted(&folder, &bert).meta.method.parts[0].options.clone();
    assert_eq!(options["non_linearity"], json!("gelu_new"));
    edit(&folder.join("adapter_config.json"), |json| json["config"] = json!("pfeiffer"));
    let options = adopted(&folder, &bert).meta.method.parts[0].options.clone();
    assert_eq!(options["original_ln_before"], json!(true));
}

/// What acts in training alone is no fault, and what means nothing is not read as "off".
#[test]
fn adapterhub_configurations_are_taken_as_they_are_meant() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("hub");
    copy(&golden().join("adapters/bert/prefix_tuning/adapter"), &folder);
    let bert = golden().join("base/bert");
    let (config, head) = (folder.join("adapter_config.json"), folder.join("head_config.json"));
    edit(&config, |json| json["config"]["dropout"] = json!(0.2));
    let labels = |given: Value| {
        edit(&head, |json| json["config"]["label2id"] = given);
        adopt(&folder, &BaseModel::open(&bert).unwrap(), "base")
            .map(|read| read.meta.labels)
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        labels(json!({"no": "0", "maybe": "1", "yes": "2"})).unwrap(),
        ["no", "maybe", "yes"]
    );
    assert_eq!(labels(json!({"yes": 2})).unwrap(), ["0", "1", "yes"]);
    assert_eq!(labels(Value::Null).unwrap(), ["0", "1", "2"]);
    for (given, said) in [
        (json!({"maybe": 0, "no": 0, "yes": 2}), "\"no\" the number 0"),
        (json!({"no": 0, "maybe": 1, "yes": 5}), "\"yes\" the number 5"),
        (json!({"no": "first"}), "\"no\" the number \"first\""),
    ] {
        let message = labels(given).unwrap_err();
        assert!(message.contains(said) && message.contains("head_config.json"), "{message}");
    }
    edit(&head, |json| {
        json["config"]["label2id"] = Value::Null;
        json["config"]["use_pooler"] = json!(1);
    });
    assert!(fault(&folder, &bert).contains("'use_pooler' is 1, neither true nor false"));
    // Without a function between them the library numbers the head's layers 1 and 3.
    edit(&head, |json| {
        json["config"]["use_pooler"] = json!(false);
        json["config"]["activation_function"] = Value::Null;
    });
    let file = folder.join("model_head.safetensors");
    let tensors = Weights::open(&file).unwrap().tensors().unwrap();
    let renamed = tensors.into_iter().map(|(name, t)| (name.replace(".4.", ".3."), t)).collect();
    fs::write(&file, to_bytes(&file, &renamed).unwrap()).unwrap();
    let read = adopted(&folder, &bert);
    assert_eq!(read.meta.head.dense, Some(Activation::Identity));
    assert_eq!(read.tensors["head.out.weight"].shape, [3, 32]);
}

#[test]
fn tuned_models_are_bases_with_a_head() {
    let base = golden().join("peft/bert/base");
    let found = library(&base).unwrap();
    assert_eq!(found, Some(Library::Transformers));
    let read = adopted(&base, &base);
    assert_eq!(read.meta.head.kind, HeadKind::Classification);
    assert_eq!(read.meta.labels.len(), read.meta.head.outputs);
    assert!(warning(&read.meta).is_none());
}

/// Heads of a form of their own, with the model that they end: read, and written again as they
/// were.
/// The library gives several numbers then, which are no classes.
#[test]
fn a_regression_of_several_numbers_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(golden().join("tuned/modernbert")).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = dir.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["problem_type"] = json!("regression");
    fs::write(&path, config.to_string()).unwrap();
    let base = BaseModel::open(dir.path()).unwrap();
    let message = adopt(dir.path(), &base, "tuned").unwrap_err().to_string();
    assert!(message.contains("'problem_type' is \"regression\""), "{message}");
}

#[test]
fn tuned_models_written_again_are_the_same() {
    for entry in fs::read_dir(golden().join("tuned")).unwrap().flatten() {
        let folder = entry.path();
        let what = folder.display().to_string();
        let model = BaseModel::open(&folder).unwrap();
        let tuned = adopt(&folder, &model, "tuned").unwrap();
        let exported = model_folder::tuned(&model, &Default::default(), &tuned).unwrap();
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in &exported.files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let written = tensors(&dir.path().join("model.safetensors"));
        let own = tensors(&folder.join("model.safetensors"));
        // The half of CLIP that reads texts is not read.
        let read = own.into_iter().filter(|(name, _)| !name.starts_with("text_model."));
        assert_eq!(written, read.collect(), "{what}");
        let class = |at: &Path| {
            let config: Value =
                serde_json::from_slice(&fs::read(at.join("config.json")).unwrap()).unwrap();
            config["architectures"].clone()
        };
        assert_eq!(class(dir.path()), class(&folder), "{what}");
    }
}
