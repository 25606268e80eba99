//! Configurations of all families with every field changed to what it should not be, one at a
//! time: each is refused with a message that names the file, or is harmless. Nothing panics, waits,
//! or takes memory that the files do not explain.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use budwood_base::encoder::InputSpec;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::family::FAMILIES;
use budwood_model::{Base, Batch, Segment, hidden_states};
use budwood_train::Error;
use serde_json::{Value, json};

/// Fields that a family reads and its golden configuration may lack.
const MORE: &[&str] = &[
    "rope_scaling",
    "rope_parameters",
    "rope_theta",
    "rope_type",
    "layer_types",
    "sliding_window",
    "position_buckets",
    "max_relative_positions",
    "relative_attention_num_buckets",
    "embedding_size",
    "num_register_tokens",
    "mlp_ratio",
    "tie_word_embeddings",
    "classifier_pooling",
    "classifier_activation",
    "vision_config",
    "vision_config_dict",
];

/// Families whose encoders have more of their own than sizes.
const WITH_MORE: [&str; 4] = ["modernbert", "deberta-v2", "dinov3_vit", "clip"];

/// Numbers that no encoder is without, by their names in all families.
const SIZES: &[&str] = &[
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "embedding_size",
    "dim",
    "n_layers",
    "n_heads",
    "hidden_dim",
    "n_embd",
    "n_layer",
    "n_head",
    "n_inner",
    "n_positions",
    "image_size",
    "patch_size",
    "num_channels",
    "local_attention",
    "global_attn_every_n_layers",
];

/// What a value becomes.
fn hostile() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1_000_000_000),
        json!("yarn"),
        json!(["x", 3]),
        json!({ "rope_type": "yarn", "factor": 2.0 }),
    ]
}

/// Opens a model and asks it for states; why it is refused.
fn ask(folder: &std::path::Path) -> Result<(), String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    let model = BaseModel::open(folder).map_err(|e| said(&e))?;
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let spec = model.spec().clone();
    let base =
        Base::load(spec, Device::cpu(), Precision::F32, false, fetch).map_err(|e| said(&e))?;
    let batch = match &base.spec().input {
        InputSpec::Text(text) => {
            let length = text.length_max().min(4);
            let (ids, types) = ([2, 5, 6, 3], [0; 4]);
            Batch::from_sequences([(&ids[..length], &types[..length])])
        }
        InputSpec::Image(image) => {
            let side = image.patch * image.side();
            if side > 64 {
                return Ok(());
            }
            let pixels = vec![0.1; image.channels * side * side];
            Batch::from_images(image, (side, side), [&pixels[..]])
        }
    };
    let alone = Segment { adapter: None, sequences: 0..1 };
    let _ = hidden_states(&mut Context::new(Device::cpu()), &base, &batch, &[alone]);
    let _ = model.masked_lm();
    Ok(())
}

#[test]
fn every_field_of_every_family_is_checked() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let dir = tempfile::tempdir().unwrap();
    let (mut tried, mut refused) = (0, 0);
    for family in FAMILIES {
        let from = golden.join(family.name);
        let text = fs::read_to_string(from.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let folder = dir.path().join(family.name);
        fs::create_dir(&folder).unwrap();
        fs::copy(from.join("model.safetensors"), folder.join("model.safetensors")).unwrap();
        let own = config.as_object().unwrap().keys().map(String::as_str);
        let more = MORE.iter().copied().filter(|_| WITH_MORE.contains(&family.name));
        let fields: Vec<&str> = own.chain(more).collect();
        for field in fields.iter().filter(|field| **field != "model_type") {
            for value in hostile() {
                let mut changed = config.clone();
                changed[*field] = value.clone();
                fs::write(folder.join("config.json"), changed.to_string()).unwrap();
                let what = format!("{} {field} {value}", family.name);
                let begin = Instant::now();
                let said = catch_unwind(AssertUnwindSafe(|| ask(&folder)));
                let said = said.unwrap_or_else(|_| panic!("{what}: panics"));
                assert!(begin.elapsed().as_secs() < 5, "{what}: takes {:?}", begin.elapsed());
                tried += 1;
                if let Err(message) = said {
                    refused += 1;
                    let at = ["config.json", "model.safetensors"];
                    assert!(at.iter().any(|at| message.contains(at)), "{what}: {message}");
                    // Sizes of tensors are those of the file, others are refused by name.
                    let told = [
                        "shape",
                        "the weights' file",
                        "heads do not divide",
                        "distances",
                        "exists here",
                    ];
                    let by_name = told.iter().chain([field]).any(|word| message.contains(word));
                    assert!(by_name || !SIZES.contains(field), "{what}: {message}");
                } else {
                    let is_size = SIZES.contains(field) && value != json!(1_000_000_000);
                    assert!(!is_size || !config[*field].is_number(), "{what} is not refused");
                }
            }
        }
    }
    assert!(refused * 5 > tried, "{refused} of {tried} are refused");
}
