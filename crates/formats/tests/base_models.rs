//! Base models in every variation that exists in the wild, and damaged ones.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use budwood_base::head::Pooling;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_formats::Weights;
use budwood_formats::safetensors_file::to_bytes;
use budwood_formats::{BaseModel, model_folder, new_model, quantized};
use safetensors::tensor::{Dtype, TensorView};

fn golden(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base").join(family)
}

fn golden_tensors(family: &str) -> TensorMap {
    Weights::open(&golden(family).join("model.safetensors")).unwrap().tensors().unwrap()
}

/// A model's folder with these tensors and a changed configuration.
fn write(
    family: &str,
    tensors: &TensorMap,
    config: impl Fn(&mut serde_json::Value),
) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bytes = to_bytes(Path::new("model"), tensors).unwrap();
    fs::write(dir.path().join("model.safetensors"), bytes).unwrap();
    write_config(family, dir.path(), config);
    dir
}

fn write_config(family: &str, dir: &Path, change: impl Fn(&mut serde_json::Value)) {
    let text = fs::read_to_string(golden(family).join("config.json")).unwrap();
    let mut json = serde_json::from_str(&text).unwrap();
    change(&mut json);
    fs::write(dir.join("config.json"), json.to_string()).unwrap();
}

fn fault(dir: &Path) -> String {
    BaseModel::open(dir).expect_err("the model must be refused").to_string()
}

#[test]
fn every_spelling_of_the_names_gives_the_same_tensors() {
    for family in ["bert", "roberta", "distilbert"] {
        let expected = BaseModel::open(&golden(family)).unwrap();
        let prefix = format!("{family}.");
        let rename = |f: &dyn Fn(&str) -> String| -> TensorMap {
            golden_tensors(family).into_iter().map(|(n, t)| (f(&n), t)).collect()
        };
        let mut with_head = rename(&|n| n.to_string());
        with_head.insert("cls.predictions.bias".into(), Tensor::zeros([100]));
        with_head.insert("classifier.weight".into(), Tensor::zeros([3, 32]));
        with_head.insert(format!("{prefix}embeddings.position_ids"), Tensor::zeros([1, 40]));
        let variations = [
            rename(&|n| n.strip_prefix(&prefix).unwrap_or(n).to_string()),
            rename(&|n| {
                n.replace("LayerNorm.weight", "LayerNorm.gamma")
                    .replace("LayerNorm.bias", "LayerNorm.beta")
            }),
            with_head,
        ];
        for tensors in variations {
            let dir = write(family, &tensors, |_| {});
            let model = BaseModel::open(dir.path()).unwrap();
            assert_eq!(model.spec(), expected.spec());
            for name in ["embeddings.word", "layers.1.ffn_norm.bias", "layers.0.query.weight"] {
                assert_eq!(
                    model.tensor(name).unwrap(),
                    expected.tensor(name).unwrap(),
                    "{family} {name}"
                );
            }
        }
    }
}

#[test]
fn shards_give_the_same_tensors() {
    let dir = tempfile::tempdir().unwrap();
    write_config("bert", dir.path(), |_| {});
    let all: Vec<_> = golden_tensors("bert").into_iter().collect();
    let mut map = serde_json::Map::new();
    for (i, part) in all.chunks(all.len() / 3 + 1).enumerate() {
        let file = format!("model-{i}.safetensors");
        part.iter().for_each(|(name, _)| drop(map.insert(name.clone(), file.clone().into())));
        let tensors: TensorMap = part.iter().cloned().collect();
        fs::write(dir.path().join(&file), to_bytes(Path::new(&file), &tensors).unwrap()).unwrap();
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    fs::write(dir.path().join("model.safetensors.index.json"), index).unwrap();
    let (sharded, whole) =
        (BaseModel::open(dir.path()).unwrap(), BaseModel::open(&golden("bert")).unwrap());
    let name = "layers.1.ffn_out.weight";
    assert_eq!(sharded.tensor(name).unwrap(), whole.tensor(name).unwrap());
    assert_ne!(sharded.id("").weights_sha256, whole.id("").weights_sha256);
    fs::remove_file(dir.path().join("model-1.safetensors")).unwrap();
    assert!(fault(dir.path()).contains("model-1.safetensors"));
}

#[test]
fn halves_are_read_as_floats() {
    // Values, their bf16 and f16 bits (numpy 2, ml_dtypes): 1, -2.5, 65504, 2^-24, 0.1 rounded.
    let f16: [(u16, f32); 5] = [
        (0x3c00, 1.0),
        (0xc100, -2.5),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_5e-8),
        (0x2e66, 0.099_975_586),
    ];
    let bf16: [(u16, f32); 3] = [(0x3f80, 1.0), (0xc020, -2.5), (0x3dcd, 0.100_097_656)];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let bytes = |list: &[(u16, f32)]| -> Vec<u8> {
        list.iter().flat_map(|(b, _)| b.to_le_bytes()).collect()
    };
    let (h, b) = (bytes(&f16), bytes(&bf16));
    let views = [
        ("h", TensorView::new(Dtype::F16, vec![5], &h).unwrap()),
        ("b", TensorView::new(Dtype::BF16, vec![3], &b).unwrap()),
    ];
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let file = Weights::open(&path).unwrap();
    assert_eq!(file.tensor("h").unwrap().data, f16.map(|(_, x)| x));
    assert_eq!(file.tensor("b").unwrap().data, bf16.map(|(_, x)| x));
}

#[test]
fn damaged_files_are_refused_by_name() {
    let dir = write("bert", &golden_tensors("bert"), |_| {});
    let path = dir.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let message = fault(dir.path());
    assert!(message.contains("model.safetensors") && message.contains("not a whole"), "{message}");
    // A header that claims terabytes must not be believed.
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&(1u64 << 42).to_le_bytes());
    fs::write(&path, &huge).unwrap();
    assert!(fault(dir.path()).contains("not a whole"));
    fs::write(&path, b"").unwrap();
    assert!(fault(dir.path()).contains("not a whole"));
    fs::remove_file(&path).unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), b"pickle").unwrap();
    let message = fault(dir.path());
    assert!(message.contains("pytorch_model.bin: is not a file of PyTorch"), "{message}");
}

#[test]
fn what_stands_in_the_place_of_a_file_is_named() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    for name in ["model.safetensors", "config.json"] {
        for (other, word) in [(lfs, "git lfs pull"), ("\n<!doctype HTML>", "HTML")] {
            let dir = write("bert", &golden_tensors("bert"), |_| {});
            fs::write(dir.path().join(name), other).unwrap();
            let message = fault(dir.path());
            assert!(message.contains(name) && message.contains(word), "{message}");
        }
    }
}

/// A configuration of any size would be held in memory as a whole; a device is read without end.
#[test]
fn configurations_have_a_bound() {
    let dir = write("bert", &golden_tensors("bert"), |_| {});
    let path = dir.path().join("config.json");
    fs::File::options().write(true).open(&path).unwrap().set_len((16 << 20) + 1).unwrap();
    let message = fault(dir.path());
    assert!(message.contains("config.json") && message.contains("16777217 bytes"), "{message}");
    #[cfg(unix)]
    {
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(fault(dir.path()).contains("not a plain file"));
    }
}

#[test]
fn a_header_whose_sizes_leave_64_bits_is_refused() {
    // Nine tensors one behind the other that end at 2^64 - 1.
    let step = u64::MAX / 9;
    let mut header = serde_json::Map::new();
    for i in 0..9u64 {
        let (from, to) = (i * step, if i == 8 { u64::MAX } else { (i + 1) * step });
        let entry =
            serde_json::json!({ "dtype": "U8", "shape": [to - from], "data_offsets": [from, to] });
        header.insert(format!("t{i}"), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat();
    fs::write(&path, bytes).unwrap();
    let message = Weights::open(&path).unwrap_err().to_string();
    assert!(message.contains("ends behind"), "{message}");
}

#[test]
fn a_padding_id_that_is_no_id_is_refused() {
    for family in ["bert", "roberta", "distilbert"] {
        for id in [serde_json::json!(u64::MAX), (-1).into(), 0.5.into()] {
            let dir = write(family, &golden_tensors(family), |c| c["pad_token_id"] = id.clone());
            assert!(fault(dir.path()).contains("pad_token_id"), "{family} {id}");
        }
    }
}

#[test]
fn any_truncation_or_flipped_byte_is_an_error_or_harmless_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let tensors: TensorMap =
        [("a".to_string(), Tensor::zeros([3, 4])), ("b".into(), Tensor::zeros([5]))].into();
    let whole = to_bytes(&path, &tensors).unwrap();
    let mut refused = 0;
    for i in 0..whole.len() {
        fs::write(&path, &whole[..i]).unwrap();
        assert!(Weights::open(&path).is_err(), "cut at {i}");
        for bit in [0x01, 0x80, 0x7f] {
            let mut bytes = whole.clone();
            bytes[i] ^= bit;
            fs::write(&path, &bytes).unwrap();
            refused += usize::from(Weights::open(&path).and_then(|f| f.tensors()).is_err());
        }
    }
    assert!(refused > 100);
}

#[test]
fn wrong_contents_are_refused_with_the_tensor() {
    let mut tensors = golden_tensors("bert");
    tensors.remove("bert.encoder.layer.1.output.dense.weight");
    let message = fault(write("bert", &tensors, |_| {}).path());
    assert!(message.contains("bert.encoder.layer.1.output.dense.weight"), "{message}");

    let dir = write("bert", &golden_tensors("bert"), |c| c["intermediate_size"] = 128.into());
    let message = fault(dir.path());
    assert!(message.contains("intermediate.dense.weight") && message.contains("128"), "{message}");

    // NaN cannot be written by our writer, so the bytes are changed.
    let dir = write("bert", &golden_tensors("bert"), |_| {});
    let path = dir.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let file = Weights::open(&path).unwrap();
    let message = file.tensors().err().unwrap().to_string();
    assert!(message.contains("NaN") && message.contains("element"), "{message}");
}

#[test]
fn wrong_configurations_are_refused_with_the_field() {
    let open = |change: &dyn Fn(&mut serde_json::Value)| {
        fault(write("bert", &golden_tensors("bert"), change).path())
    };
    let remove = |field: &'static str| {
        open(&move |c: &mut serde_json::Value| drop(c.as_object_mut().unwrap().remove(field)))
    };
    for field in ["hidden_size", "num_hidden_layers", "vocab_size", "model_type"] {
        let message = remove(field);
        assert!(message.contains(field) && message.contains("config.json"), "{message}");
    }
    assert!(open(&|c| c["model_type"] = "bort".into()).contains("'bort'"));
    assert!(open(&|c| c["num_attention_heads"] = 5.into()).contains("5 heads"));
    assert!(open(&|c| c["hidden_size"] = (-3).into()).contains("hidden_size"));
    assert!(open(&|c| c["hidden_act"] = "wobble".into()).contains("wobble"));
    assert!(open(&|c| c["hidden_dropout_prob"] = 1.5.into()).contains("hidden_dropout_prob"));
    assert!(
        open(&|c| c["position_embedding_type"] = "relative_key".into()).contains("relative_key")
    );
    let dir = write("bert", &golden_tensors("bert"), |_| {});
    fs::write(dir.path().join("config.json"), "{").unwrap();
    assert!(fault(dir.path()).contains("not JSON"));
    assert!(fault(&dir.path().join("nothing")).contains("config.json"));
}

#[test]
fn encoders_of_images_are_read_with_and_without_prefix_pooler_and_head() {
    for family in ["vit", "deit", "dinov2"] {
        let expected = BaseModel::open(&golden(family)).unwrap();
        let prefix = format!("{family}.");
        let mut bare: TensorMap = golden_tensors(family)
            .into_iter()
            .filter(|(n, _)| !n.contains("pooler") && !n.contains("mask_token"))
            .map(|(n, t)| (n.strip_prefix(&prefix).unwrap_or(&n).to_string(), t))
            .collect();
        let dir = write(family, &bare, |_| {});
        let model = BaseModel::open(dir.path()).unwrap();
        assert!(!model.spec().pooler);
        assert_eq!(model.spec().input, expected.spec().input, "{family}");
        for name in ["embeddings.patch.weight", "embeddings.cls", "layers.1.ffn_norm.bias"] {
            assert_eq!(model.tensor(name).unwrap(), expected.tensor(name).unwrap(), "{family}");
        }
        assert_eq!(model.tensor("embeddings.patch.weight").unwrap().shape, [32, 3 * 8 * 8]);
        assert_eq!(model.default_pooling().0, Pooling::Cls);
        // A head, and two poolers: with and without a pooler's tensors.
        bare.insert("classifier.weight".into(), Tensor::zeros([3, 32]));
        if family != "dinov2" {
            bare.insert("pooler.dense.weight".into(), Tensor::zeros([32, 32]));
            bare.insert("pooler.dense.bias".into(), Tensor::zeros([32]));
        }
        let dir = write(family, &bare, |_| {});
        assert_eq!(BaseModel::open(dir.path()).unwrap().spec().pooler, family != "dinov2");
    }
}

#[test]
fn folders_that_are_written_have_the_shapes_that_were_read() {
    for family in
        ["bert", "vit", "deit", "dinov2", "clip", "siglip", "dinov2_with_registers", "dinov3_vit"]
    {
        let model = BaseModel::open(&golden(family)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let changed = model_folder::write(&model, &TensorMap::new(), &dir.path().join("a"));
        changed.unwrap();
        let bytes = |x: &[f32], columns: usize| (vec![1; x.len()], vec![1.0; x.len() / columns]);
        quantized::write(&model, model.id("x"), &dir.path().join("b"), bytes).unwrap();
        let read = |folder: &Path| Weights::open(&folder.join("model.safetensors")).unwrap();
        let original = read(&golden(family));
        for folder in ["a", "b"] {
            let written = read(&dir.path().join(folder));
            for name in original.names().filter(|n| written.contains(n)) {
                assert_eq!(written.shape(name), original.shape(name), "{family} {name}");
            }
            assert!(BaseModel::open(&dir.path().join(folder)).is_ok());
        }
    }
}

#[test]
fn wrong_encoders_of_images_are_refused() {
    let open = |family: &str, change: &dyn Fn(&mut serde_json::Value)| {
        fault(write(family, &golden_tensors(family), change).path())
    };
    // The plain network's modules have other names.
    let giant = open("dinov2", &|c| c["use_swiglu_ffn"] = true.into());
    assert!(giant.contains("mlp.weights_in.weight"), "{giant}");
    assert!(open("dinov2", &|c| c["mlp_ratio"] = (-1.0).into()).contains("mlp_ratio"));
    assert!(open("vit", &|c| c["qkv_bias"] = false.into()).contains("qkv_bias"));
    assert!(open("vit", &|c| c["patch_size"] = 64.into()).contains("patch_size"));
    assert!(open("vit", &|c| c["image_size"] = 1_000_000_000.into()).contains("image_size"));
    // The largest side that is followed, and the next.
    for (side, beyond) in [(1 << 14, false), ((1 << 14) + 1, true)] {
        let message = open("vit", &|c| c["image_size"] = side.into());
        assert_eq!(message.contains("above 16384"), beyond, "{message}");
    }
    let oblong = open("vit", &|c| c["image_size"] = serde_json::json!([32, 64]));
    assert!(oblong.contains("32 x 64") && oblong.contains("squares"), "{oblong}");
    // Other sizes than the tensors have.
    let message = open("vit", &|c| c["image_size"] = 64.into());
    assert!(message.contains("position_embeddings") && message.contains("65"), "{message}");
    assert!(open("deit", &|c| c["patch_size"] = 4.into()).contains("patch_embeddings"));
    let mut tensors = golden_tensors("dinov2");
    tensors.remove("dinov2.encoder.layer.0.layer_scale2.lambda1");
    let message = fault(write("dinov2", &tensors, |_| {}).path());
    assert!(message.contains("layer_scale2.lambda1"), "{message}");
    // The same square written as two sides.
    let tensors = golden_tensors("vit");
    let dir = write("vit", &tensors, |c| c["image_size"] = serde_json::json!([32, 32]));
    assert_eq!(
        BaseModel::open(dir.path()).unwrap().spec(),
        BaseModel::open(&golden("vit")).unwrap().spec()
    );
}

/// A new model has the tensors that transformers writes for the same configuration, weights as it
/// draws them, and is another for each seed.
#[test]
fn new_models_are_those_of_the_family() {
    for family in ["bert", "roberta", "distilbert", "vit", "deit", "dinov2"] {
        let config = fs::read(golden(family).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let create = |name: &str, seed| {
            new_model::create(&dir.path().join(name), &config, &[("x.json", 1.into())], seed)
                .unwrap()
        };
        let (model, other, again) = (create("a", 1), create("b", 2), create("c", 1));
        assert_eq!(model.id("").weights_sha256, again.id("").weights_sha256);
        assert_ne!(model.id("").weights_sha256, other.id("").weights_sha256);
        assert!(dir.path().join("a/x.json").exists());
        let reference = golden_tensors(family);
        let path = dir.path().join("a/model.safetensors");
        let file = Weights::open(&path).unwrap();
        for name in file.names() {
            assert_eq!(file.shape(name).unwrap(), reference[name].shape, "{family} {name}");
        }
        let query = model.tensor("layers.0.query.weight").unwrap();
        let variance = query.data.iter().map(|x| x * x).sum::<f32>() / query.len() as f32;
        // 0.02 squared, times the variance of a normal cut at two deviations.
        assert!((variance / (0.0004 * 0.774) - 1.0).abs() < 0.15, "{variance}");
        assert!(model.tensor("layers.0.ffn_norm.weight").unwrap().data.iter().all(|&x| x == 1.0));
        assert!(model.tensor("layers.1.query.bias").unwrap().data.iter().all(|&x| x == 0.0));
    }
    let dir = tempfile::tempdir().unwrap();
    let config = serde_json::json!({ "model_type": "gpt2" });
    let fault = new_model::create(&dir.path().join("a"), &config, &[], 0).unwrap_err().to_string();
    assert!(fault.contains("gpt2"), "{fault}");
    assert!(!dir.path().join("a").exists());
}

#[test]
fn pooling_follows_the_checkpoint() {
    let dir = write("bert", &golden_tensors("bert"), |_| {});
    let pooling = |dir: &Path| BaseModel::open(dir).unwrap().default_pooling().0;
    assert_eq!(pooling(dir.path()), Pooling::Pooler);
    fs::write(dir.path().join("modules.json"), "[]").unwrap();
    assert_eq!(pooling(dir.path()), Pooling::Mean);
    fs::create_dir(dir.path().join("1_Pooling")).unwrap();
    let cls = r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
    fs::write(dir.path().join("1_Pooling/config.json"), cls).unwrap();
    assert_eq!(pooling(dir.path()), Pooling::Cls);
    assert_eq!(pooling(&golden("distilbert")), Pooling::Cls);
    assert_eq!(pooling(&golden("roberta")), Pooling::Cls);
}

/// Nothing of a size is taken, and nothing that would change answers is passed over.
#[test]
fn configurations_of_image_families_that_cannot_be_followed_are_refused() {
    let refused = |family: &str, field: &str, value: serde_json::Value| {
        let message =
            fault(write(family, &golden_tensors(family), |c| c[field] = value.clone()).path());
        let is_named = message.contains(field) || message.contains(&format!("{value} layers"));
        assert!(is_named, "{family} {field} {value}: {message}");
    };
    for family in ["clip", "siglip", "dinov2_with_registers", "dinov2_swiglu", "dinov3_vit"] {
        refused(family, "patch_size", 0.into());
        refused(family, "patch_size", 10.into());
        refused(family, "image_size", 0.into());
        refused(family, "image_size", (1 << 20).into());
        refused(family, "image_size", serde_json::json!([9, 12]));
        refused(family, "num_hidden_layers", 1_000_000_000.into());
        refused(family, "hidden_act", "softplus".into());
        refused(family, "layer_norm_eps", (-1.0).into());
    }
    for family in ["clip", "siglip", "dinov2_with_registers", "dinov3_vit"] {
        refused(family, "num_channels", 4.into());
    }
    for family in ["clip", "siglip", "dinov3_vit"] {
        refused(family, "intermediate_size", 0.into());
        refused(family, "attention_dropout", 1.5.into());
    }
    refused("siglip", "vision_use_head", "yes".into());
    refused("dinov2_with_registers", "num_register_tokens", 2_000_000_000.into());
    refused("dinov2_with_registers", "num_register_tokens", (-1).into());
    refused("dinov2_with_registers", "qkv_bias", false.into());
    refused("dinov2_with_registers", "mlp_ratio", 1e30.into());
    refused("dinov3_vit", "rope_theta", 0.into());
    refused("dinov3_vit", "use_gated_mlp", 3.into());
    let message = fault(
        write("dinov3_vit", &golden_tensors("dinov3_vit"), |c| {
            c["num_attention_heads"] = 16.into();
        })
        .path(),
    );
    assert!(message.contains("multiple of 4"), "{message}");
}

/// A model that reads texts too has its image encoder's configuration in a field.
#[test]
fn the_image_half_of_models_of_two_halves_is_read() {
    for (family, both) in [("clip", "clip"), ("siglip", "siglip")] {
        let alone = BaseModel::open(&golden(family)).unwrap();
        let mut tensors = golden_tensors(family);
        for name in ["text_model.embeddings.token_embedding.weight", "logit_scale"] {
            tensors.insert(name.into(), Tensor::zeros([1]));
        }
        let within = |c: &mut serde_json::Value, field: &str| {
            *c = serde_json::json!({ "model_type": both, field: c.clone() });
        };
        for field in ["vision_config", "vision_config_dict"] {
            let dir = write(family, &tensors, |c| within(c, field));
            assert_eq!(BaseModel::open(dir.path()).unwrap().spec(), alone.spec());
        }
        let dir = write(family, &tensors, |c| within(c, "other_config"));
        assert!(fault(dir.path()).contains("vision_config"));
        let dir = write(family, &tensors, |c| within(c, "vision_config"));
        // What stands beside it is not read.
        let path = dir.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["vision_config"] = 7.into();
        std::fs::write(&path, config.to_string()).unwrap();
        assert!(fault(dir.path()).contains("vision_config"));
    }
    for (model_type, remedy) in
        [("siglip2", "of type siglip"), ("clip_text_model", "clip_vision_model"), ("beit", "ViT")]
    {
        let change = |c: &mut serde_json::Value| c["model_type"] = model_type.into();
        let message = fault(write("siglip", &golden_tensors("siglip"), change).path());
        assert!(message.contains(remedy), "{message}");
    }
}

/// A part of a pooler is damage, not a model without one.
#[test]
fn pooling_by_attention_is_whole_or_absent() {
    let mut tensors = golden_tensors("siglip");
    let whole = BaseModel::open(&golden("siglip")).unwrap();
    assert!(whole.spec().pooler);
    assert_eq!(whole.default_pooling().0, Pooling::Pooler);
    tensors.remove("vision_model.head.mlp.fc2.bias");
    let message = fault(write("siglip", &tensors, |_| {}).path());
    assert!(message.contains("head.mlp.fc2.bias"), "{message}");
    tensors.retain(|name, _| !name.contains(".head."));
    let dir = write("siglip", &tensors, |c| c["vision_use_head"] = false.into());
    let without = BaseModel::open(dir.path()).unwrap();
    assert!(!without.spec().pooler);
    assert_eq!(without.default_pooling().0, Pooling::Mean);
}

/// The library reads what is made here: every tensor has the shape that its own files have.
#[test]
fn new_models_of_images_have_the_shapes_of_the_library() {
    for family in [
        "vit",
        "deit",
        "dinov2",
        "clip",
        "siglip",
        "dinov2_with_registers",
        "dinov2_swiglu",
        "dinov3_vit",
        "dinov3_vit_gated",
    ] {
        let config = fs::read_to_string(golden(family).join("config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let model = new_model::create(&folder, &config, &[], 0).unwrap();
        assert_eq!(model.spec().family, family);
        let new = Weights::open(&folder.join("model.safetensors")).unwrap();
        let theirs = Weights::open(&golden(family).join("model.safetensors")).unwrap();
        let prefix = format!("{}.", model.family().prefix);
        assert!(new.names().count() > 30, "{family}");
        for name in new.names() {
            let short = name.strip_prefix(&prefix).unwrap();
            let found = theirs.shape(name).or_else(|| theirs.shape(short));
            assert_eq!(new.shape(name), found, "{family} {name}");
        }
    }
}

/// Lists in lists take a hundred times their length in memory: they are weighed before.
#[test]
fn dense_json_is_refused_before_it_is_read() {
    let dense = "[[null],[null]],".repeat(200_000);
    let model = write("bert", &golden_tensors("bert"), |_| {});
    fs::write(model.path().join("config.json"), format!("[{dense}null]")).unwrap();
    let message = BaseModel::open(model.path()).expect_err("dense").to_string();
    assert!(message.contains("config.json") && message.contains("lists, objects"), "{message}");
    let file = model.path().join("model.safetensors");
    let header = format!("{{\"a\":[{dense}null]}}");
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(&file, bytes).unwrap();
    let message = Weights::open(&file).expect_err("dense").to_string();
    assert!(message.contains("lists, objects"), "{message}");
}
