//! What PEFT's configurations may ask for: which modules are adapted, ranks that were taken away,
//! heads, and modules that hold several products, there and back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::head::{HeadKind, Pooling};
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_formats::foreign::adopt;
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;
use budwood_formats::{BaseModel, Error, Weights, peft};
use serde_json::{Value, json};

const FILE: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";
const LAYER: &str = "base_model.model.bert.encoder.layer.";

fn golden(of: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(of)
}

fn bert() -> BaseModel {
    BaseModel::open(&golden("peft/bert/base")).unwrap()
}

/// A golden adapter with other tensors and settings, adopted on a base.
fn changed(
    from: &Path,
    base: &BaseModel,
    change: impl FnOnce(&mut TensorMap, &mut Value),
) -> Result<AdapterFolder, Error> {
    let mut config: Value = serde_json::from_slice(&fs::read(from.join(CONFIG)).unwrap()).unwrap();
    let mut tensors = Weights::open(&from.join(FILE)).unwrap().tensors().unwrap();
    change(&mut tensors, &mut config);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CONFIG), config.to_string()).unwrap();
    fs::write(dir.path().join(FILE), to_bytes(Path::new(FILE), &tensors).unwrap()).unwrap();
    adopt(dir.path(), base, "base")
}

/// LoRA of rank 4 and alpha 8 at the queries and values of both layers of a BERT.
fn lora(change: impl FnOnce(&mut TensorMap, &mut Value)) -> Result<AdapterFolder, Error> {
    changed(&golden("peft/bert/lora/adapter"), &bert(), change)
}

fn refused(change: impl FnOnce(&mut TensorMap, &mut Value)) -> String {
    lora(change).expect_err("refused").to_string()
}

/// Numbers that are all others.
fn numbers(shape: &[usize], seed: f32) -> Tensor {
    let count = shape.iter().product();
    let data = (0..count).map(|i| ((i as f32 + seed) * 0.7).sin() / 4.0).collect();
    Tensor::new(shape.to_vec(), data)
}

/// The matrix that an adapter of LoRA adds to a product.
fn update(folder: &AdapterFolder, product: &str) -> Vec<f32> {
    let options = &folder.meta.method.parts[0].options;
    let number = |name: &str| options[name].as_f64().unwrap() as f32;
    let root = options.get("rslora") == Some(&json!(true));
    let scale = number("alpha") / if root { number("r").sqrt() } else { number("r") };
    let of = |role: &str| folder.tensors.get(&format!("{product}.lora.{role}"));
    let (Some(a), Some(b)) = (of("a"), of("b")) else { return Vec::new() };
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    let rows = b.data.chunks(rank).flat_map(|row| {
        let row = row.to_vec();
        (0..inputs).map(move |input| {
            scale * (0..rank).map(|r| row[r] * a.data[r * inputs + input]).sum::<f32>()
        })
    });
    rows.collect()
}

fn close(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let far = found.iter().zip(wanted).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    assert!(far < 1e-6, "{what}: {far}");
}

#[test]
fn modules_are_chosen_as_python_does() {
    let only_layer_1 = |tensors: &mut TensorMap| {
        tensors.retain(|name, _| !name.contains("layer.0."));
    };
    // A list of layers that is empty means all of them.
    for all in [json!([]), json!([0, 1]), json!(null)] {
        lora(|_, config| config["layers_to_transform"] = all).unwrap();
    }
    for (layers, pattern) in [
        (json!(1), json!(null)),
        (json!([1]), json!("layer")),
        (json!([1]), json!(["blocks", "lay.r"])),
        (json!([1]), json!("")),
    ] {
        let ours = lora(|tensors, config| {
            only_layer_1(tensors);
            (config["layers_to_transform"], config["layers_pattern"]) = (layers, pattern);
        });
        assert_eq!(ours.unwrap().meta.method.parts[0].options["leave_out"], json!([0]));
    }
    // No layer has such a name: nothing would be adapted.
    let message = refused(|tensors, config| {
        only_layer_1(tensors);
        (config["layers_to_transform"], config["layers_pattern"]) = (json!([1]), json!("blocks"));
    });
    assert!(message.contains("does not name"), "{message}");
    for (layers, pattern) in [(json!("1"), json!(null)), (json!([1]), json!([2]))] {
        let message = refused(|_, config| {
            (config["layers_to_transform"], config["layers_pattern"]) = (layers, pattern);
        });
        assert!(message.contains("layers_"), "{message}");
    }
    // What looks around, and what refers to what it matched.
    for text in [r"(?!.*layer\.0\.).*(query|value)", r".*(e)ncoder.lay\1r.1.*\.(query|value)"] {
        let ours = lora(|tensors, config| {
            only_layer_1(tensors);
            config["target_modules"] = json!(text);
        });
        assert_eq!(ours.unwrap().meta.method.parts[0].options["leave_out"], json!([0]), "{text}");
    }
    for bad in ["(", r"(?<=a*)b"] {
        let message = refused(|_, config| config["target_modules"] = json!(bad));
        assert!(message.contains("target_modules"), "{message}");
    }
    // A pattern that would take for ever is left, with its name.
    let message = refused(|_, config| config["target_modules"] = json!(r"(?=((a|b|.)+)+\1$)z"));
    assert!(message.contains("target_modules"), "{message}");
}

/// An empty list of parameters adapts none; PEFT takes it for none.
#[test]
fn parameters_of_no_module_are_adapted_where_none_is_named() {
    for none in [json!([]), json!(null)] {
        lora(|_, config| config["target_parameters"] = none).unwrap();
    }
    let message = refused(|_, config| config["target_parameters"] = json!(["experts.up"]));
    assert!(message.contains("target_parameters"), "{message}");
}

/// PEFT warns of fields that a method's class does not have. These are all that `IA3Config` and
/// `LNTuningConfig` of PEFT 0.21.2 have together, those of (IA)³ alone first.
#[test]
fn configurations_have_the_fields_of_their_class() {
    const FIELDS: [&str; 13] = [
        "fan_in_fan_out",
        "feedforward_modules",
        "init_ia3_weights",
        "auto_mapping",
        "base_model_name_or_path",
        "exclude_modules",
        "inference_mode",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "revision",
        "target_modules",
        "task_type",
    ];
    let dir = tempfile::tempdir().unwrap();
    for (method, fields) in [("ia3", &FIELDS[..]), ("layer_norm", &FIELDS[3..])] {
        let mut ours = lora(|_, _| {}).unwrap();
        let part = &mut ours.meta.method.parts[0];
        part.name = method.into();
        part.options = [("targets".into(), json!(["key"])), ("inputs".into(), json!([]))].into();
        ours.tensors.retain(|name, _| name.starts_with("head."));
        let config = written(&ours, dir.path());
        for field in config.as_object().unwrap().keys() {
            assert!(fields.contains(&field.as_str()), "{method}: {field}");
        }
    }
}

/// No field of PEFT's says how outputs are read.
#[test]
fn that_several_labels_may_hold_is_said_to_be_lost() {
    let notes = |kind| {
        let mut ours = lora(|_, _| {}).unwrap();
        ours.meta.head.kind = kind;
        peft::export(&ours, false).unwrap().notes.join("\n")
    };
    assert!(notes(HeadKind::MultiLabel).contains("multi_label_classification"));
    assert!(!notes(HeadKind::Classification).contains("multi_label"));
}

/// Modules of a small rank are widened to the largest: one of a rank beyond all would take its
/// memory for each of them.
#[test]
fn one_rank_does_not_make_others_large_without_bound() {
    let hidden = bert().spec().hidden;
    let query = "layer.0.attention.self.query";
    let of_rank = |rank: usize, all: bool| {
        lora(|tensors, config| {
            for (name, tensor) in tensors.iter_mut().filter(|(name, _)| all || name.contains(query))
            {
                match name {
                    name if name.contains("lora_A") => *tensor = numbers(&[rank, hidden], 1.0),
                    name if name.contains("lora_B") => *tensor = numbers(&[hidden, rank], 2.0),
                    _ => {}
                }
            }
            match all {
                true => config["r"] = json!(rank),
                false => config["rank_pattern"] = json!({ query: rank }),
            }
        })
    };
    let most = 4 * hidden;
    assert_eq!(of_rank(most, false).unwrap().meta.method.parts[0].options["r"], json!(most));
    let message = of_rank(most + 1, false).unwrap_err().to_string();
    assert!(message.contains("smaller rank") && message.contains(CONFIG), "{message}");
    // A rank that all have is no larger than the file.
    of_rank(most + 1, true).unwrap();
}

#[test]
fn what_changes_the_base_is_refused() {
    for how in ["pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga", "next"] {
        let message = refused(|_, config| config["init_lora_weights"] = json!(how));
        assert!(message.contains(how) && message.contains("changes the base"), "{message}");
    }
    for how in [json!(true), json!(false), json!(null), json!("gaussian"), json!("eva")] {
        lora(|_, config| config["init_lora_weights"] = how).unwrap();
    }
    for switch in ["kasa_config", "monteclora_config"] {
        let message = refused(|_, config| config[switch] = json!({}));
        assert!(message.contains(switch), "{message}");
    }
}

/// AdaLoRA divides by the rank of the beginning, whatever it took away.
#[test]
fn ranks_that_were_taken_away_keep_their_scale() {
    let hidden = bert().spec().hidden;
    let (a, e, b) = (numbers(&[2, hidden], 1.0), numbers(&[2, 1], 2.0), numbers(&[hidden, 2], 3.0));
    let ours = lora(|tensors, config| {
        tensors.retain(|name, _| !name.contains("lora_"));
        for layer in 0..2 {
            for module in ["query", "value"] {
                let name =
                    |role: &str| format!("{LAYER}{layer}.attention.self.{module}.lora_{role}");
                let all = module == "query";
                let (a, e, b) = match all {
                    true => (a.clone(), e.clone(), b.clone()),
                    false => (
                        Tensor::zeros([0, hidden]),
                        Tensor::zeros([0, 1]),
                        Tensor::zeros([hidden, 0]),
                    ),
                };
                tensors.insert(name("A"), a);
                tensors.insert(name("E"), e);
                tensors.insert(name("B"), b);
            }
        }
        (config["peft_type"], config["init_r"]) = (json!("ADALORA"), json!(6));
        let kept = json!([true, false, false, true, false, false]);
        config["rank_pattern"] =
            json!({ "bert.encoder.layer.0.attention.self.query.lora_E": kept });
    });
    let ours = ours.unwrap();
    let mut wanted = Vec::new();
    for output in 0..hidden {
        for input in 0..hidden {
            let sum: f32 = (0..2)
                .map(|r| b.data[output * 2 + r] * e.data[r] * a.data[r * hidden + input])
                .sum();
            wanted.push(8.0 / 6.00001 * sum);
        }
    }
    close(&update(&ours, "layers.1.query"), &wanted, "query");
    close(&update(&ours, "layers.1.value"), &vec![0.0; hidden * hidden], "value");
}

#[test]
fn a_pooler_that_was_trained_is_part_of_the_head() {
    let hidden = bert().spec().hidden;
    let (weight, bias) = (numbers(&[hidden, hidden], 1.0), numbers(&[hidden], 2.0));
    let ours = lora(|tensors, config| {
        let name = |role: &str| format!("base_model.model.bert.pooler.dense.{role}");
        tensors.insert(name("weight"), weight.clone());
        tensors.insert(name("bias"), bias.clone());
        config["modules_to_save"] = json!(["pooler", "classifier"]);
    });
    let ours = ours.unwrap();
    assert_eq!(ours.meta.head.pooling, Pooling::Cls);
    assert_eq!(ours.meta.head.dense.map(|a| a.name()), Some("tanh"));
    assert_eq!(ours.tensors["head.dense.weight"], weight);
    assert_eq!(ours.tensors["head.dense.bias"], bias);
    let dir = tempfile::tempdir().unwrap();
    let config = written(&ours, dir.path());
    assert_eq!(config["modules_to_save"], json!(["pooler", "classifier"]));
    let again = adopt(dir.path(), &bert(), "base").unwrap();
    assert!(again.tensors == ours.tensors && again.meta.head == ours.meta.head);
}

/// DoRA gives the changed rows learned lengths: those of a module that has no update are its own.
#[test]
fn magnitudes_are_learned_or_the_bases() {
    let hidden = bert().spec().hidden;
    let magnitude = numbers(&[hidden], 3.0);
    let (a, b) = (numbers(&[4, hidden], 5.0), numbers(&[hidden, 4], 6.0));
    let ours = lora(|tensors, config| {
        tensors.retain(|name, _| !name.contains("layer.1.attention.self.value"));
        for (layer, module) in [(0, "query"), (0, "value"), (1, "query")] {
            let name = format!("{LAYER}{layer}.attention.self.{module}.lora_magnitude_vector");
            tensors.insert(name, magnitude.clone());
        }
        let name = |end: &str| format!("base_model.model.bert.pooler.dense.lora_{end}");
        tensors.insert(name("A.weight"), a.clone());
        tensors.insert(name("B.weight"), b.clone());
        tensors.insert(name("magnitude_vector"), magnitude.clone());
        config["use_dora"] = json!(true);
        config["target_modules"] = json!(r".*(layer\.0.*\.(query|value)|query|pooler.dense)");
    });
    let ours = ours.unwrap();
    let lengths = |weight: &[f32]| -> Vec<f32> {
        weight.chunks(hidden).map(|row| row.iter().map(|x| x * x).sum::<f32>().sqrt()).collect()
    };
    let found = &ours.tensors["layers.1.value.lora.magnitude"];
    let base = bert().tensor("layers.1.value.weight").unwrap();
    close(&found.data, &lengths(&base.data), "value");
    assert_eq!(ours.tensors["layers.0.value.lora.magnitude"], magnitude);
    // The pooler is changed itself: its rows have the learned lengths, in the changed directions.
    let wanted: Vec<f32> = magnitude.data.iter().map(|m| m.abs()).collect();
    let pooler = &ours.tensors["head.dense.weight"];
    close(&lengths(&pooler.data), &wanted, "lengths of the pooler");
    let own = bert().tensor("pooler.weight").unwrap();
    let direct = |row: usize, input: usize| {
        let sum: f32 = (0..4).map(|r| b.data[row * 4 + r] * a.data[r * hidden + input]).sum();
        own.data[row * hidden + input] + 2.0 * sum
    };
    for row in 0..hidden {
        let ratio = pooler.data[row * hidden] / direct(row, 0);
        for input in 0..hidden {
            let difference = pooler.data[row * hidden + input] - ratio * direct(row, input);
            assert!(difference.abs() < 1e-5, "{row} {input}: {difference}");
        }
    }
}

#[test]
fn an_adapter_without_a_head_has_that_of_a_tuned_base() {
    let base = BaseModel::open(&golden("tuned/modernbert")).unwrap();
    let head = adopt(base.folder(), &base, "tuned").unwrap();
    let without = |tensors: &mut TensorMap, config: &mut Value| {
        tensors.retain(|name, _| name.contains("lora_"));
        (config["task_type"], config["modules_to_save"]) = (json!(null), json!(null));
        // The tuned base has a third.
        config["layers_to_transform"] = json!([0, 1]);
    };
    let from = golden("adopted/lora-fused/adapter");
    let ours = changed(&from, &base, without).unwrap();
    assert_eq!((&ours.meta.head, &ours.meta.labels), (&head.meta.head, &head.meta.labels));
    for (name, tensor) in head.tensors.iter().filter(|(name, _)| name.starts_with("head.")) {
        assert_eq!(&ours.tensors[name], tensor, "{name}");
    }
    let plain = BaseModel::open(&golden("base/bert")).unwrap();
    let refused = changed(&golden("peft/bert/lora/adapter"), &plain, without).err();
    let message = refused.expect("a base without a head").to_string();
    assert!(message.contains("holds no head"), "{message}");
}

/// Writes an adapter in PEFT's form, with its configuration.
fn written(ours: &AdapterFolder, to: &Path) -> Value {
    for (name, bytes) in peft::export(ours, false).unwrap().files {
        fs::write(to.join(name), bytes).unwrap();
    }
    serde_json::from_slice(&fs::read(to.join(CONFIG)).unwrap()).unwrap()
}

#[test]
fn fused_modules_written_again_are_the_same() {
    let base = BaseModel::open(&golden("adopted/modernbert/base")).unwrap();
    for case in ["lora-fused", "dora-fused", "ia3-fused"] {
        let from = golden("adopted").join(case).join("adapter");
        let ours = adopt(&from, &base, "base").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = written(&ours, dir.path());
        assert!(config["rank_pattern"].is_null(), "{case}: {config}");
        let tensors = |folder: &Path| Weights::open(&folder.join(FILE)).unwrap().tensors().unwrap();
        let (wrote, given) = (tensors(dir.path()), tensors(&from));
        // A first layer of the head that is the base's is written, too.
        let adapted = |name: &&String| !name.contains(".head.");
        let names =
            |all: &TensorMap| -> Vec<String> { all.keys().filter(adapted).cloned().collect() };
        assert_eq!(names(&wrote), names(&given), "{case}");
        for (name, tensor) in wrote.iter().filter(|(name, _)| adapted(name)) {
            assert!(*tensor == given[name], "{case}: {name}");
        }
        let again = adopt(dir.path(), &base, "base").unwrap();
        assert!(again.tensors == ours.tensors && again.meta.method == ours.meta.method, "{case}");
    }
}

/// Products with their own inputs side by side: the module has the rank of all of them.
#[test]
fn products_that_share_nothing_go_into_one_module() {
    let base = BaseModel::open(&golden("adopted/modernbert/base")).unwrap();
    let from = golden("adopted/lora-fused/adapter");
    for (rslora, left_out) in [(false, ""), (true, ""), (false, "key"), (true, "value")] {
        let mut ours = adopt(&from, &base, "base").unwrap();
        let part = &mut ours.meta.method.parts[0];
        part.options.insert("rslora".into(), json!(rslora));
        let mut targets: Vec<String> =
            serde_json::from_value(part.options["targets"].clone()).unwrap();
        targets.retain(|target| target != left_out);
        part.options.insert("targets".into(), json!(targets));
        ours.tensors.retain(|name, _| left_out.is_empty() || !name.contains(left_out));
        for (i, (name, tensor)) in ours.tensors.iter_mut().enumerate() {
            if name.contains(".lora.") {
                *tensor = numbers(&tensor.shape.clone(), 11.0 * i as f32);
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let config = written(&ours, dir.path());
        let rank = config["r"].as_u64().unwrap();
        let products = if left_out.is_empty() { 3 } else { 2 };
        assert_eq!(config["rank_pattern"]["attn.Wqkv"], json!(products * rank));
        let again = adopt(dir.path(), &base, "base").unwrap();
        let size = base.spec().hidden * base.spec().hidden;
        for layer in 0..base.spec().layers {
            for product in ["query", "key", "value"] {
                let place = format!("layers.{layer}.{product}");
                let found = update(&again, &place);
                match product == left_out {
                    true => close(&found, &vec![0.0; size], &place),
                    false => close(&found, &update(&ours, &place), &place),
                }
            }
        }
    }
}

#[test]
fn what_a_fused_module_cannot_hold_is_refused() {
    let base = BaseModel::open(&golden("adopted/modernbert/base")).unwrap();
    let mut dora = adopt(&golden("adopted/dora-fused/adapter"), &base, "base").unwrap();
    dora.tensors.retain(|name, _| !name.contains(".key."));
    let message = peft::export(&dora, false).expect_err("refused").to_string();
    assert!(message.contains("2 of its 3 products"), "{message}");
    // What all products read is one vector there.
    let mut ia3 = adopt(&golden("adopted/ia3-fused/adapter"), &base, "base").unwrap();
    let scale = ia3.tensors.keys().find(|name| name.ends_with("query.ia3.scale")).cloned().unwrap();
    let tensor = ia3.tensors[&scale].clone();
    ia3.tensors.insert(scale.replace(".scale", ".input"), tensor);
    let message = peft::export(&ia3, false).expect_err("refused").to_string();
    assert!(message.contains("scales differently"), "{message}");
}
