//! Configurations of the families of texts: what would change answers and does not exist here is
//! refused by name, before memory is taken.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::encoder::{EncoderSpec, Ffn, InputSpec, Positions};
use budwood_base::head::Pooling;
use budwood_base::site::WeightSite;
use budwood_formats::family::FAMILIES;
use budwood_formats::{BaseModel, Weights, model_folder, new_model, quantized};
use serde_json::{Value, json};

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base").join(family)
}

fn config(family: &str) -> Value {
    let text = fs::read_to_string(golden(family).join("config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A model's folder with another configuration.
fn with(family: &str, change: &dyn Fn(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(family);
    change(&mut config);
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let weights = golden(family).join("model.safetensors");
    fs::copy(weights, dir.path().join("model.safetensors")).unwrap();
    dir
}

/// Why the model is not read with this field; `null` takes the field away.
fn fault(family: &str, field: &str, value: Value) -> String {
    let dir = with(family, &|config| config[field] = value.clone());
    let error = BaseModel::open(dir.path()).map(|_| ()).expect_err(&format!("{family} {field}"));
    // A new model of this configuration must not be made either, and takes no memory.
    let mut asked = config(family);
    asked[field] = value;
    let new = new_model::create(&dir.path().join("new"), &asked, &[], 0);
    assert!(new.is_err() || error.to_string().contains("shape"), "{family} {field}");
    error.to_string()
}

#[test]
fn what_would_change_answers_is_refused_by_name() {
    let all: &[(&str, &str, Value)] = &[
        ("bert", "is_decoder", json!(true)),
        ("roberta", "add_cross_attention", json!(true)),
        ("bert", "pruned_heads", json!({ "0": [1] })),
        ("electra", "position_embedding_type", json!("relative_key")),
        ("electra", "position_embedding_type", json!(3)),
        ("electra", "hidden_act", json!("softsign")),
        ("electra", "embedding_size", json!(0)),
        ("electra", "num_attention_heads", json!(5)),
        ("albert", "position_embedding_type", json!("relative_key_query")),
        ("albert", "num_hidden_groups", json!(2)),
        ("albert", "inner_group_num", json!(2)),
        ("albert", "num_hidden_layers", json!(1_000_000_000)),
        ("mpnet", "relative_attention_num_buckets", json!(64)),
        ("mpnet", "relative_attention_num_buckets", json!(0)),
        ("mpnet", "max_position_embeddings", json!(2)),
        ("modernbert", "rope_scaling", json!({ "rope_type": "yarn", "factor": 2.0 })),
        ("modernbert", "rope_parameters", json!({ "rope_type": "yarn", "rope_theta": 1e4 })),
        ("modernbert", "rope_parameters", json!({ "rope_theta": 1e4, "factor": 2.0 })),
        ("modernbert", "rope_parameters", json!({ "full_attention": {}, "other": {} })),
        ("modernbert", "rope_parameters", json!("default")),
        ("dinov3_vit", "rope_parameters", json!({ "rope_type": "linear" })),
        ("dinov3_vit", "rope_parameters", json!([])),
        ("dinov3_vit", "rope_scaling", json!({ "rope_type": "linear", "factor": 2.0 })),
        ("dinov3_vit", "rope_theta", json!(0)),
        ("vit", "pooler_act", json!("relu")),
        ("deit", "pooler_output_size", json!(7)),
        ("nomic_bert", "rotary_scaling_factor", json!(-1)),
        ("modernbert", "global_attn_every_n_layers", json!(0)),
        ("modernbert", "local_attention", json!(0)),
        ("modernbert", "local_attention", json!(-1)),
        ("modernbert", "global_rope_theta", json!(0)),
        ("modernbert", "local_rope_theta", json!(-5.0)),
        ("modernbert", "hidden_activation", json!("reglu")),
        ("modernbert", "classifier_pooling", json!("max")),
        ("modernbert", "num_attention_heads", json!(5)),
        ("nomic_bert", "prenorm", json!(true)),
        ("nomic_bert", "causal", json!(true)),
        ("nomic_bert", "rotary_emb_interleaved", json!(true)),
        ("nomic_bert", "rotary_emb_fraction", json!(0.0)),
        ("nomic_bert", "norm_mlp", json!(true)),
        ("nomic_bert", "num_heads_kv", json!(2)),
        ("nomic_bert", "use_rms_norm", json!(true)),
        ("nomic_bert", "num_experts", json!(8)),
        ("nomic_bert", "activation_function", json!("gelu")),
        ("deberta-v2", "relative_attention", json!(false)),
        ("deberta-v2", "relative_attention", json!(null)),
        ("deberta-v2", "pooler_hidden_act", json!("tanh")),
        ("deberta-v2", "conv_kernel_size", json!(3)),
        ("deberta-v2", "embedding_size", json!(16)),
        ("deberta-v2", "attention_head_size", json!(16)),
        ("deberta-v2", "position_buckets", json!(0)),
        ("deberta-v2", "position_buckets", json!(1)),
        ("deberta-v2", "position_buckets", json!(-2)),
        ("deberta-v2", "position_buckets", json!(2_000_000_000)),
        ("deberta-v2", "max_relative_positions", json!(2_000_000_000)),
        ("deberta-v2", "max_relative_positions", json!(0)),
        ("deberta-v2", "pos_att_type", json!(["p2p"])),
        ("deberta-v2", "pos_att_type", json!(null)),
        ("deberta-v2", "norm_rel_ebd", json!("batch_norm")),
        ("deberta-v2", "norm_rel_ebd", json!(3)),
    ];
    for (family, field, value) in all {
        let message = fault(family, field, value.clone());
        let named = match *field {
            "num_attention_heads" => "heads do not divide",
            "rope_parameters" => "rope_",
            other => other,
        };
        assert!(message.contains(named), "{family} {field}: {message}");
    }
    for family in FAMILIES {
        let own = config(family.name);
        let mut fields = ["num_hidden_layers", "n_layers", "n_layer"].into_iter();
        let field = fields.find(|field| own.get(field).is_some()).unwrap();
        for layers in [json!(0), json!(-1), json!(1.5), json!("2"), json!(1_000_000_000)] {
            let message = fault(family.name, field, layers.clone());
            let named = message.contains(field) || message.contains("1000000000 layers");
            assert!(named, "{} {layers}: {message}", family.name);
        }
    }
    let many = fault("xlm-roberta-xl", "num_hidden_layers", json!(1_000_000_000));
    assert!(many.contains("1000000000 layers") && many.contains("holds"), "{many}");
    // Tables of another size than the file has.
    assert!(fault("albert", "embedding_size", json!(24)).contains("shape"));
    assert!(fault("deberta-v2", "position_buckets", json!(16)).contains("shape"));
}

/// `transformers` 4 and 5 say the same in two ways; what only one of them has is refused.
#[test]
fn modernbert_is_read_in_both_forms() {
    let read = |change: &dyn Fn(&mut Value)| {
        let dir = with("modernbert", change);
        let spec = BaseModel::open(dir.path()).map(|model| model.spec().clone());
        spec.map(|spec| (spec.axes.window, spec.axes.positions)).map_err(|e| e.to_string())
    };
    let turned = |base, window_base| Positions::Rotary { base, window_base, width: 8 };
    let without = |config: &mut Value| {
        for field in ["global_rope_theta", "local_rope_theta", "global_attn_every_n_layers"] {
            config.as_object_mut().unwrap().remove(field);
        }
    };
    // The defaults of `transformers`: null is not the same as nothing.
    assert_eq!(read(&without).unwrap().1, turned(160_000.0, 10_000.0));
    let null = read(&|config| {
        without(config);
        config["local_rope_theta"] = Value::Null;
    });
    assert_eq!(null.unwrap().1, turned(160_000.0, 160_000.0));
    let layers = config("modernbert")["num_hidden_layers"].as_u64().unwrap() as usize;
    let kinds = |every: usize| {
        let kind = |i| if i % every == 0 { "full_attention" } else { "sliding_attention" };
        json!((0..layers).map(kind).collect::<Vec<_>>())
    };
    let new = |every: usize, rope_type: &str| {
        let parameters = json!({
            "full_attention": { "rope_theta": 500.0, "rope_type": rope_type },
            "sliding_attention": { "rope_theta": 70.0, "rope_type": "default" },
        });
        read(&|config| {
            without(config);
            config["layer_types"] = kinds(every);
            config["rope_parameters"] = parameters.clone();
        })
    };
    let (window, positions) = new(2, "default").unwrap();
    assert_eq!((window.unwrap().every, positions), (2, turned(500.0, 70.0)));
    assert_eq!(new(1, "default").unwrap().0, None);
    assert!(new(2, "yarn").unwrap_err().contains("rope_type"));
    for bad in [json!(["sliding_attention", "x", "x"]), json!(["full_attention"]), json!("x")] {
        let refused = read(&|config| config["layer_types"] = bad.clone());
        assert!(refused.unwrap_err().contains("layer_types"), "{bad}");
    }
}

/// Odd widths of heads cannot be turned.
#[test]
fn rotary_positions_need_pairs() {
    let dir = with("modernbert", &|config| {
        config["hidden_size"] = json!(35);
        config["num_attention_heads"] = json!(5);
    });
    assert!(BaseModel::open(dir.path()).unwrap_err().to_string().contains("pairs"));
}

#[test]
fn axes_follow_the_configuration() {
    let spec =
        |family: &str| -> EncoderSpec { BaseModel::open(&golden(family)).unwrap().spec().clone() };
    let modern = spec("modernbert");
    assert_eq!((modern.window(0), modern.window(1), modern.window(2)), (None, Some(5), None));
    assert!(matches!(modern.axes.positions, Positions::Rotary { width: 8, .. }));
    assert!(!WeightSite::ALL.into_iter().any(|site| modern.has_bias(site)));
    assert_eq!(modern.site_shape(WeightSite::FfnIn), [72, 32]);
    assert_eq!(spec("nomic_bert").axes.ffn, Ffn::Gated);
    // Beyond the lengths of training, Nomic's code changes the base of its positions.
    let scaled = with("nomic_bert", &|config| {
        config["rotary_scaling_factor"] = json!(2);
        config["max_trained_positions"] = json!(100);
    });
    let scaled = BaseModel::open(scaled.path()).unwrap();
    let InputSpec::Text(text) = &scaled.spec().input else { panic!("no text") };
    assert_eq!(text.length_max(), 100);
    let albert = spec("albert");
    assert_eq!((albert.layers, albert.own_layers(), albert.embedding_width()), (3, 1, 20));
    // What is as in BERT is not written: descriptions and hashes of older bases stay.
    let text = serde_json::to_string(&spec("bert")).unwrap();
    assert!(!text.contains("axes"), "{text}");
    for family in FAMILIES {
        let spec = spec(family.name);
        let text = serde_json::to_string(&spec).unwrap();
        let back: EncoderSpec = serde_json::from_str(&text).unwrap();
        assert_eq!(back, spec, "{}", family.name);
    }
}

/// A head of a form that heads here have not is refused by the family's name.
#[test]
fn a_tuned_dinov3_is_refused_by_name() {
    let dir = with("dinov3_vit", &|config| {
        config["architectures"] = json!(["DINOv3ViTForImageClassification"]);
    });
    let base = BaseModel::open(dir.path()).unwrap();
    let error = budwood_formats::foreign::adopt(dir.path(), &base, "tuned").unwrap_err();
    assert!(error.to_string().contains("tuned dinov3_vit"), "{error}");
}

#[test]
fn pooling_follows_the_configuration_of_modernbert() {
    let dir = with("modernbert", &|config| config["classifier_pooling"] = json!("mean"));
    let (pooling, why) = BaseModel::open(dir.path()).unwrap().default_pooling();
    assert_eq!(pooling, Pooling::Mean);
    assert!(why.contains("classifier_pooling"));
    assert_eq!(BaseModel::open(&golden("modernbert")).unwrap().default_pooling().0, Pooling::Cls);
}

/// A folder that is written holds the checkpoint's own tensors, fused ones too, and reads as the
/// same model.
#[test]
fn every_family_is_written_as_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    for family in FAMILIES {
        let model = BaseModel::open(&golden(family.name)).unwrap();
        let folder = dir.path().join(family.name);
        let mut changed = budwood_base::tensor::TensorMap::new();
        let mut value = model.tensor("layers.0.value.weight").unwrap();
        value.data.iter_mut().for_each(|x| *x += 1.0);
        changed.insert("layers.0.value.weight".into(), value);
        model_folder::write(&model, &changed, &folder).unwrap();
        let written = BaseModel::open(&folder).unwrap();
        for tensor in model.spec().tensors() {
            let expected = changed.get(&tensor.name).cloned();
            let expected = expected.unwrap_or_else(|| model.tensor(&tensor.name).unwrap());
            assert_eq!(
                written.tensor(&tensor.name).unwrap(),
                expected,
                "{} {}",
                family.name,
                tensor.name
            );
        }
        let int8 = dir.path().join(format!("{}-int8", family.name));
        let quantize = |data: &[f32], columns: usize| {
            let scale = |row: &[f32]| row.iter().fold(1e-9f32, |m, x| m.max(x.abs())) / 127.0;
            let scales: Vec<f32> = data.chunks(columns).map(scale).collect();
            let rows = data.chunks(columns).zip(&scales);
            (
                rows.flat_map(|(row, s)| row.iter().map(move |x| (x / s).round() as i8)).collect(),
                scales,
            )
        };
        quantized::write(&model, model.id("x"), &int8, quantize).unwrap();
        let int8 = BaseModel::open(&int8).unwrap();
        for tensor in model.spec().tensors() {
            let (a, b) = (int8.tensor(&tensor.name).unwrap(), model.tensor(&tensor.name).unwrap());
            let far = a.data.iter().zip(&b.data).any(|(a, b)| (a - b).abs() > 0.02);
            assert!(a.shape == b.shape && !far, "{} {}", family.name, tensor.name);
        }
        let new = new_model::create(
            &dir.path().join(format!("{}-new", family.name)),
            &config(family.name),
            &[],
            1,
        )
        .unwrap();
        for tensor in new.spec().tensors() {
            assert_eq!(new.tensor(&tensor.name).unwrap().shape, tensor.shape);
        }
        let names = |folder: &Path| -> Vec<String> {
            let file = Weights::open(&folder.join("model.safetensors")).unwrap();
            file.names().map(String::from).collect()
        };
        let stored: Vec<String> =
            new.family().layout(new.spec()).into_iter().map(|stored| stored.name).collect();
        let mut found = names(new.folder());
        found.sort();
        let mut expected = stored;
        expected.sort();
        assert_eq!(found, expected, "{}", family.name);
    }
}
