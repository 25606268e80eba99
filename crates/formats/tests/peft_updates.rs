//! What PEFT's folders do to a module, held against its definition in plain loops: VeRA, and an
//! adapted pooler.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::tensor::{Tensor, TensorMap};
use budwood_formats::foreign::adopt;
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;
use budwood_formats::{BaseModel, Error, Weights};
use serde_json::{Value, json};

const FILE: &str = "adapter_model.safetensors";
const LAYER: &str = "base_model.model.bert.encoder.layer.";

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peft/bert")
}

fn base() -> BaseModel {
    BaseModel::open(&golden().join("base")).unwrap()
}

/// Numbers that are all others.
fn numbers(shape: &[usize], seed: f32) -> Tensor {
    let count = shape.iter().product();
    let data = (0..count).map(|i| ((i as f32 + seed) * 0.7).sin() / 4.0).collect();
    Tensor::new(shape.to_vec(), data)
}

/// The golden LoRA with other tensors and settings, adopted on its base.
fn adopted(change: impl FnOnce(&mut TensorMap, &mut Value)) -> Result<AdapterFolder, Error> {
    let from = golden().join("lora/adapter");
    let mut config =
        serde_json::from_slice(&fs::read(from.join("adapter_config.json")).unwrap()).unwrap();
    let mut tensors = Weights::open(&from.join(FILE)).unwrap().tensors().unwrap();
    change(&mut tensors, &mut config);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
    fs::write(dir.path().join(FILE), to_bytes(Path::new(FILE), &tensors).unwrap()).unwrap();
    adopt(dir.path(), &base(), "bert")
}

/// VeRA's vectors at the queries and values of both layers; B has `rows`.
fn vera(tensors: &mut TensorMap, config: &mut Value, rows: usize) {
    let hidden = base().spec().hidden;
    tensors.retain(|name, _| !name.contains("lora_"));
    tensors.insert("base_model.vera_A".into(), numbers(&[3, hidden], 1.0));
    tensors.insert("base_model.vera_B".into(), numbers(&[rows, 3], 2.0));
    for layer in 0..2 {
        for module in ["query", "value"] {
            let name =
                |end: &str| format!("{LAYER}{layer}.attention.self.{module}.vera_lambda_{end}");
            tensors.insert(name("b"), numbers(&[hidden], 3.0 + layer as f32));
            tensors.insert(name("d"), numbers(&[3], 4.0 + layer as f32));
        }
    }
    (config["peft_type"], config["r"]) = (json!("VERA"), json!(3));
}

#[test]
fn vera_changes_weights_by_its_definition() {
    let hidden = base().spec().hidden;
    // The library's B has the rows of the widest module, here as many as each has, or more.
    for rows in [hidden, 2 * hidden] {
        let ours = adopted(|tensors, config| vera(tensors, config, rows)).unwrap();
        let options = &ours.meta.method.parts[0].options;
        let number = |name: &str| options[name].as_f64().unwrap() as f32;
        let scale = number("alpha") / number("r");
        let (a, b) = (numbers(&[3, hidden], 1.0), numbers(&[rows, 3], 2.0));
        for layer in 0..2 {
            let of = |role: &str| &ours.tensors[&format!("layers.{layer}.query.lora.{role}")];
            let (lora_a, lora_b) = (of("a"), of("b"));
            let rank = lora_a.shape[0];
            let (of_b, of_d) =
                (numbers(&[hidden], 3.0 + layer as f32), numbers(&[3], 4.0 + layer as f32));
            for output in 0..hidden {
                for input in 0..hidden {
                    let wanted: f32 = (0..3)
                        .map(|r| b.data[output * 3 + r] * of_d.data[r] * a.data[r * hidden + input])
                        .sum();
                    let found: f32 = (0..rank)
                        .map(|r| lora_b.data[output * rank + r] * lora_a.data[r * hidden + input])
                        .sum();
                    let difference = of_b.data[output] * wanted - scale * found;
                    assert!(difference.abs() < 1e-6, "{layer} {output} {input}: {difference}");
                }
            }
        }
    }
    let message = adopted(|tensors, config| vera(tensors, config, hidden - 1)).unwrap_err();
    assert!(message.to_string().contains("do not fit"), "{message}");
    // All modules share the projections, and each takes memory of their rank.
    let large = adopted(|tensors, config| {
        vera(tensors, config, hidden);
        let rank = 4 * hidden + 1;
        tensors.insert("base_model.vera_A".into(), numbers(&[rank, hidden], 1.0));
        tensors.insert("base_model.vera_B".into(), numbers(&[hidden, rank], 2.0));
        let shared = tensors.iter_mut().filter(|(name, _)| name.ends_with("vera_lambda_d"));
        shared.for_each(|(_, d)| *d = numbers(&[rank], 3.0));
    });
    let message = large.unwrap_err().to_string();
    assert!(message.contains("smaller rank"), "{message}");
}

#[test]
fn an_adapted_pooler_becomes_the_first_layer_of_the_head() {
    let hidden = base().spec().hidden;
    let (a, b) = (numbers(&[4, hidden], 5.0), numbers(&[hidden, 4], 6.0));
    for rslora in [false, true] {
        let ours = adopted(|tensors, config| {
            let name =
                |role: &str| format!("base_model.model.bert.pooler.dense.lora_{role}.weight");
            tensors.insert(name("A"), a.clone());
            tensors.insert(name("B"), b.clone());
            config["target_modules"] = json!(["query", "value", "pooler.dense"]);
            config["use_rslora"] = json!(rslora);
        });
        let ours = ours.unwrap();
        // `lora_alpha` is 8 and `r` 4; rsLoRA divides by the root.
        let scale = if rslora { 4.0 } else { 2.0 };
        let weight = base().tensor("pooler.weight").unwrap();
        let found = &ours.tensors["head.dense.weight"];
        assert_eq!(found.shape, [hidden, hidden]);
        for output in 0..hidden {
            for input in 0..hidden {
                let update: f32 =
                    (0..4).map(|r| b.data[output * 4 + r] * a.data[r * hidden + input]).sum();
                let place = output * hidden + input;
                let difference = weight.data[place] + scale * update - found.data[place];
                assert!(difference.abs() < 1e-6, "{output} {input}: {difference}");
            }
        }
        assert_eq!(ours.tensors["head.dense.bias"], base().tensor("pooler.bias").unwrap());
    }
}
