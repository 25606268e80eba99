//! Families after BERT, RoBERTa, DistilBERT and ViT, against what `transformers` computes
//! (`tests/golden/make_families.py`, `make_image_families.py`): states, gradients and steps of all
//! weights, of LoRA at all products and of bottlenecks.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::tensor::{Tensor, TensorMap};
use budwood_engine::{Context, Device, Precision};
use budwood_formats::family::FAMILIES;
use budwood_formats::{BaseModel, MaskedLm, Weights};
use budwood_model::{
    Adapter, Base, Batch, Loss, Segment, Targets, hidden_states, predict, train_chunk,
};
use budwood_train::{Optimizer, OptimizerSpec};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// The base of a case: a variant has its own, a family's stands where nested tests find it.
fn base_of(name: &str) -> PathBuf {
    let own = golden().join("families").join(name).join("base");
    if own.exists() { own } else { golden().join("base").join(name) }
}

fn open(folder: &Path, device: Device) -> (BaseModel, Base) {
    let model = BaseModel::open(folder).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let spec = model.spec().clone();
    let base = Base::load(spec, device, Precision::F32, true, fetch).unwrap();
    (model, base)
}

/// The sequences of a case, without their padding, or its images.
fn batch(case: &Weights, input: &InputSpec) -> Batch {
    if let InputSpec::Image(spec) = input {
        let pixels = case.tensor("input.pixel_values").unwrap();
        let [_, channels, height, width] = pixels.shape[..] else { panic!("no images") };
        let images = pixels.data.chunks(channels * height * width);
        return Batch::from_images(spec, (height, width), images);
    }
    let integers = |name: &str| case.integers(&format!("input.{name}")).unwrap();
    let (ids, mask) = (integers("input_ids"), integers("attention_mask"));
    let types = match case.contains("input.token_type_ids") {
        true => integers("token_type_ids"),
        false => vec![0; ids.len()],
    };
    let length = case.shape("input.input_ids").unwrap()[1];
    let real = |row: &[i64], values: &[i64]| -> Vec<u32> {
        values.iter().zip(row).filter(|(_, m)| **m == 1).map(|(v, _)| *v as u32).collect()
    };
    let rows = mask.chunks(length).zip(ids.chunks(length).zip(types.chunks(length)));
    let rows: Vec<_> = rows.map(|(m, (a, b))| (real(m, a), real(m, b))).collect();
    Batch::from_sequences(rows.iter().map(|(a, b)| (&a[..], &b[..])))
}

/// The masked places of each sequence of a case, and the tokens that belong there.
fn masked(case: &Weights) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let labels = case.integers("input.labels").unwrap();
    let length = case.shape("input.labels").unwrap()[1];
    let of = |row: &[i64]| {
        let known = (0u32..).zip(row).filter(|(_, label)| **label >= 0);
        known.map(|(place, label)| (place, *label as u32)).unzip()
    };
    labels.chunks(length).map(of).unzip()
}

/// The largest difference, relative to the largest expected element, or to `floor`.
fn difference(got: &[f32], expected: &[f32], floor: f32) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(floor, |m, x| m.max(x.abs()));
    got.iter().zip(expected).fold(0.0, |m, (g, e)| {
        let d = f64::from((g - e).abs() / largest);
        if d.is_nan() { f64::INFINITY } else { d.max(m) }
    })
}

fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |m, x| m.max(x.abs()))
}

/// Tensors of a case that begin with `what`, by our names: where the case has the checkpoint's,
/// ours are cut out of them. Steps may hold the first rows alone: so do ours then.
fn expected(model: &BaseModel, case: &Weights, what: &str) -> TensorMap {
    let start = format!("{what}.");
    let layout = model.family().layout(model.spec());
    let mut ours = TensorMap::new();
    for name in case.names().filter_map(|name| name.strip_prefix(&start)) {
        if !layout.iter().any(|stored| stored.name == name) {
            ours.insert(name.into(), case.tensor(&format!("{start}{name}")).unwrap());
        }
    }
    for stored in layout {
        let Ok(tensor) = case.tensor(&format!("{start}{}", stored.name)) else { continue };
        let mut row = 0;
        for piece in stored.pieces {
            let columns: usize = piece.tensor.shape[1..].iter().product();
            let end = (row + piece.rows.len()).min(tensor.shape[0]);
            let data = &tensor.data[row.min(end) * columns..end * columns];
            row += piece.rows.len();
            let entry = ours.entry(piece.tensor.name).or_insert(Tensor::zeros([0]));
            // Rows of another of its tensors would not follow the first ones of this.
            if what != "step3" || piece.rows.start == 0 {
                entry.data.extend_from_slice(data);
            }
        }
    }
    ours
}

/// Compares a case on a device.
fn check(name: &str, case: &str, method: &str, device: Device) {
    let (model, base) = open(&base_of(name), device);
    let path = golden().join("families").join(name).join(format!("{case}.safetensors"));
    let case = Weights::open(&path).unwrap();
    let spec: MethodSpec = method.parse().unwrap();
    let of_words = name.starts_with("masked-lm");
    // Of images what `transformers` calls `pooler_output`.
    let pooling = match &model.spec().input {
        InputSpec::Text(_) => Pooling::Cls,
        InputSpec::Image(_) => model.default_pooling().0,
    };
    let mut head = HeadSpec::linear(HeadKind::Classification, 3, pooling);
    let mut given = expected(&model, &case, "param");
    if of_words {
        let MaskedLm { head: own, values } = model.masked_lm().unwrap();
        let recorded = given.iter().filter(|(name, _)| name.starts_with("head."));
        assert!(values.iter().eq(recorded), "{name}: the checkpoint's head is read as another");
        head = own;
    }
    if spec.parts[0].name == "full" {
        // All weights but the head's begin as the base's.
        given = Adapter::new(&base, &spec, head.clone(), 0).unwrap().params.to_tensors();
        for (name, tensor) in expected(&model, &case, "param") {
            given.insert(name, tensor);
        }
    }
    let mut adapter = Adapter::from_tensors(&base, &spec, head, &given).unwrap();
    let (mut inputs, mut cx) = (batch(&case, &model.spec().input), Context::new(device));
    let what = format!("{name} {method} {}", device.name());

    let mut share = 1.0 / 3.0;
    let targets = if of_words {
        let (places, words) = masked(&case);
        inputs = inputs.asking(places.iter().map(|places| &places[..]));
        share = 1.0 / words.concat().len() as f32;
        Targets::Words(words)
    } else {
        let segment = Segment { adapter: Some(&adapter), sequences: 0..inputs.spans.len() };
        let states = hidden_states(&mut cx, &base, &inputs, &[segment]);
        let d = difference(&states, &case.tensor("out.last_hidden_state").unwrap().data, 0.0);
        assert!(d < 1e-5, "{what}: states differ by {d}");
        let labels = case.integers("input.labels").unwrap();
        Targets::Classes(labels.into_iter().map(|l| l as u32).collect())
    };
    let loss = Loss { weights: vec![share; 3], smoothing: 0.0 };
    let gradients = expected(&model, &case, "grad");
    let all = gradients.values().map(|t| largest(&t.data)).fold(0.0, f32::max);
    assert_eq!(gradients.len(), adapter.params.entries().len(), "{what}");
    let mut optimizer = Optimizer::new(OptimizerSpec::torch(), adapter.params.len());
    for step in 0..3 {
        let mut gradient = vec![0.0; adapter.params.len()];
        let given = (&targets, &loss, 0);
        let result = train_chunk(&mut cx, &base, &adapter, &inputs, given, None, &mut gradient);
        if step == 0 {
            let logits = case.tensor("out.logits").unwrap().data;
            let d = difference(&result.outputs.concat(), &logits, 0.0);
            assert!(d < 1e-5, "{what}: outputs differ by {d}");
            let expected = f64::from(case.tensor("loss").unwrap().data[0]);
            assert!((result.loss / expected - 1.0).abs() < 1e-5, "{what}: loss {}", result.loss);
            for entry in adapter.params.entries() {
                let expected = &gradients[&entry.name].data;
                // Softmax does not feel a bias of all keys: its gradient is rounding.
                let floor = if largest(expected) < 1e-6 * all { all } else { 0.0 };
                let d = difference(&gradient[entry.slot.clone()], expected, floor);
                assert!(d < 1e-4, "{what}: the gradient of {} differs by {d}", entry.name);
            }
        }
        optimizer.step((device, 1), &mut adapter.params, &gradient, 1e-3);
        adapter.refresh(device, 1);
    }
    for (name, tensor) in expected(&model, &case, "step3") {
        // Adam blows rounding up to whole steps.
        if largest(&gradients[&name].data) < 1e-6 * all || tensor.data.is_empty() {
            continue;
        }
        let slot = adapter.params.get(&name).unwrap().slot.clone();
        let got = &adapter.params.values[slot][..tensor.data.len()];
        let d = difference(got, &tensor.data, 0.0);
        assert!(d < 1e-4, "{what}: after three steps {name} differs by {d}");
    }
}

const LORA: &str = "lora[r=2,alpha=4,targets=[query,key,value,attention_out,ffn_in,ffn_out]]";
const BOTTLENECK: &str = "double_seq_bn[reduction_factor=4]";

fn check_all(name: &str) {
    for device in Device::all() {
        check(name, "lora", LORA, device);
        check(name, "bottleneck", BOTTLENECK, device);
    }
    if golden().join("families").join(name).join("full.safetensors").exists() {
        check(name, "full", "full", Device::cpu());
    }
}

/// A tuned model of `transformers` is a base with a head: its answers are the same.
#[test]
fn tuned_models_answer_as_in_transformers() {
    let texts = ["electra", "albert", "mpnet", "deberta-v2"];
    let plain = texts.into_iter().chain(["siglip", "dinov2_with_registers"]);
    let plain = plain.map(|family| golden().join("peft").join(family).join("base"));
    // Heads with a norm, over tokens too, before the final norm, and over a pooler of their own.
    let own = ["modernbert", "modernbert-mean", "modernbert-tokens", "modernbert-answers"];
    let own = own.into_iter().chain(["clip", "nomic_bert"]);
    for folder in plain.chain(own.map(|name| golden().join("tuned").join(name))) {
        let family = folder.display();
        let (model, base) = open(&folder, Device::cpu());
        let tuned = budwood_formats::foreign::adopt(&folder, &model, "tuned").unwrap();
        let (meta, tensors) = (&tuned.meta, &tuned.tensors);
        let adapter =
            Adapter::from_tensors(&base, &meta.method, meta.head.clone(), tensors).unwrap();
        let case = Weights::open(&folder.join("tuned.safetensors")).unwrap();
        let inputs = batch(&case, &model.spec().input);
        let segment = Segment { adapter: Some(&adapter), sequences: 0..inputs.spans.len() };
        let got = predict(&mut Context::new(Device::cpu()), &base, &inputs, &[segment]).concat();
        let d = difference(&got, &case.tensor("out.logits").unwrap().data, 0.0);
        assert!(d < 1e-5, "{family}: answers differ by {d}");
    }
}

/// Padding written in a text has the padding's position and is not counted, as in `transformers`
/// 4.57.6, whose logits these are.
#[test]
fn padding_in_a_text_is_not_counted() {
    let cases = [
        ("roberta", [0.276_332_97, -0.260_335_74, 0.757_486_7]),
        ("mpnet", [-0.308_896_93, -0.639_355_36, 0.244_183_06]),
    ];
    for (family, expected) in cases {
        let folder = golden().join("peft").join(family).join("base");
        let (model, base) = open(&folder, Device::cpu());
        let tuned = budwood_formats::foreign::adopt(&folder, &model, "tuned").unwrap();
        let (meta, tensors) = (&tuned.meta, &tuned.tensors);
        let adapter =
            Adapter::from_tensors(&base, &meta.method, meta.head.clone(), tensors).unwrap();
        let inputs = Batch::from_sequences([(&[0, 5, 1, 1, 7, 2][..], &[0; 6][..])]);
        let segment = Segment { adapter: Some(&adapter), sequences: 0..1 };
        let got = predict(&mut Context::new(Device::cpu()), &base, &inputs, &[segment]).concat();
        let d = difference(&got, &expected, 0.0);
        assert!(d < 1e-5, "{family}: answers differ by {d}");
    }
}

#[test]
fn heads_for_masked_words_match() {
    for family in ["bert", "roberta", "modernbert"] {
        check_all(&format!("masked-lm-{family}"));
    }
    for family in ["distilbert", "electra", "albert", "mpnet", "deberta-v2"] {
        check(&format!("masked-lm-{family}"), "full", "full", Device::cpu());
    }
}

/// Families whose cases are those of `adapters` and PEFT (`golden.rs`).
const FIRST: [&str; 6] = ["bert", "roberta", "distilbert", "vit", "deit", "dinov2"];

/// All cases of all families and their variants. A family without one is a fault.
#[test]
fn every_family_is_that_of_transformers() {
    let folders = std::fs::read_dir(golden().join("families")).unwrap();
    let names: BTreeSet<String> = folders
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("masked-lm-"))
        .collect();
    for family in FAMILIES.iter().map(|family| family.name) {
        assert!(names.contains(family) || FIRST.contains(&family), "{family} has no case");
    }
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| check_all(name));
        }
    });
}
