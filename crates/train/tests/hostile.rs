//! Descriptions of adapters with every field changed to what it should not be, one at a time, from
//! a generator with a fixed seed: each is refused with a message, or works. Nothing panics, waits,
//! or takes memory that the files do not explain.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use budwood_base::digest;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::masking::Masking;
use budwood_base::method::MethodSpec;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::Weights;
use budwood_formats::native::AdapterFolder;
use budwood_formats::safetensors_file::to_bytes;
use budwood_model::{Adapter, Base, Batch, Segment, predict};
use budwood_train::Error;
use serde_json::{Value, json};

#[path = "../../formats/tests/common/description.rs"]
mod description;
use description::description;

const METHODS: &[&str] = &[
    "adapter[width=4]",
    "seq_bn[reduction_factor={\"0\":4,\"default\":8}]|lora[r=2,dora=true]",
    "compacter[phm_dim=2,reduction_factor=8]",
    "prefix_tuning[prefix_length=3,bottleneck_size=8]|ia3",
    "prompt_tuning[prompt_length=2]",
    "unipelt",
    "top_k",
    "vera[r=3]",
    "linear",
    WORDS,
];

/// A method whose adapter gets a head for masked words.
const WORDS: &str = "lora[r=3]";

struct World {
    model: BaseModel,
    base: Base,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/bert");
        let model = BaseModel::open(&golden).unwrap();
        let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
        let base = Base::load(model.spec().clone(), Device::cpu(), Precision::F32, false, fetch);
        Self { base: base.unwrap(), model, dir: tempfile::tempdir().unwrap() }
    }

    fn save(&self, method: &str) -> PathBuf {
        let classes = HeadSpec {
            dropout: 0.1,
            ..HeadSpec::linear(HeadKind::Classification, 3, Pooling::Mean)
        };
        let of_words = method == WORDS;
        let head = if of_words { self.model.masked_lm().unwrap().head } else { classes };
        let spec: MethodSpec = method.parse().unwrap();
        let adapter = Adapter::new(&self.base, &spec, head, 1).unwrap();
        let (method, head) = (adapter.spec().clone(), adapter.head_spec().clone());
        let labels: &[&str] = if of_words { &[] } else { &["a", "b", "c"] };
        let mut meta = description(&self.model, method, head, labels, adapter.params.len());
        meta.task.doc_stride = Some(4);
        meta.task.masking = of_words.then(Masking::default);
        let path = self.dir.path().join("adapter");
        AdapterFolder { meta, tensors: adapter.params.to_tensors() }.save(&path).unwrap();
        path
    }

    /// What an adapter says of one input, or why it is refused.
    fn answer(&self, path: &Path) -> Result<Vec<f32>, String> {
        let said = |e: &dyn std::fmt::Display| e.to_string();
        let folder = AdapterFolder::load(path).map_err(|e| said(&e))?;
        folder.meta.check_base(&self.model).map_err(|e| said(&e))?;
        let (meta, tensors) = (&folder.meta, &folder.tensors);
        let adapter = Adapter::from_tensors(&self.base, &meta.method, meta.head.clone(), tensors)
            .map_err(|e| said(&e))?;
        let (ids, types) = ([2, 5, 6, 7, 3], [0; 5]);
        let batch = Batch::from_sequences([(&ids[..], &types[..])]);
        let segment = Segment { adapter: Some(&adapter), sequences: 0..1 };
        Ok(predict(&mut Context::new(Device::cpu()), &self.base, &batch, &[segment]).remove(0))
    }
}

/// Places of all values in a description, the inner ones too.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.into());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| places(v, &format!("{at}/{k}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| places(v, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

/// What a value becomes.
fn hostile(random: u64) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(2),
        json!(1_000_000_000),
        json!(4_294_967_295u64),
        json!(1u64 << 63),
        json!(u64::MAX),
        json!(1e300),
        json!(-1e300),
        json!(1e-300),
        json!(""),
        json!("tanh"),
        json!("\u{1b}[31m"),
        json!("x".repeat(100_000)),
        json!([]),
        json!(vec![7; 10_000]),
        json!({}),
        json!({ "default": 1e-9 }),
        json!([["a"]]),
    ];
    all[random as usize % all.len()].clone()
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Puts a value at a place, takes it away, or doubles an entry of a list.
fn mutate(json: &mut Value, place: &str, random: u64) {
    let (parent, name) = place.rsplit_once('/').unwrap_or(("", ""));
    match (random % 8, json.pointer_mut(parent)) {
        (0, Some(Value::Object(map))) => drop(map.remove(name)),
        (1, Some(Value::Array(list))) => {
            if let Some(first) = list.first().cloned() {
                list.push(first);
            }
        }
        _ => {
            if let Some(value) = json.pointer_mut(place) {
                *value = hostile(random / 8);
            }
        }
    }
}

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

#[test]
fn no_description_does_more_than_be_refused() {
    let world = World::new();
    let before = peak();
    let mut state = 20_261_125;
    let (mut refused, mut answered) = (0, 0);
    for method in METHODS {
        let path = world.save(method);
        let whole = world.answer(&path).unwrap();
        let json_path = path.join("adapter.json");
        let text = fs::read_to_string(&json_path).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        places(&json, "", &mut all);
        // With the digest, an edit is refused or changes nothing.
        for place in &all {
            let mut edited = json.clone();
            mutate(&mut edited, place, next(&mut state));
            fs::write(&json_path, edited.to_string()).unwrap();
            match world.answer(&path) {
                Ok(answer) => assert_eq!(answer, whole, "{method} {place}"),
                Err(e) => assert!(!e.is_empty()),
            }
        }
        // Without it, whatever is left is for the checks.
        let file = Weights::open(&path.join("adapter.safetensors")).unwrap();
        let bytes = to_bytes(&path, &file.tensors().unwrap()).unwrap();
        fs::write(path.join("adapter.safetensors"), &bytes).unwrap();
        json["weights_sha256"] = digest::of_bytes(&bytes).into();
        json["base"].as_object_mut().unwrap().remove("encoder_sha256");
        for place in all.iter().cycle().take(3 * all.len()) {
            let mut edited = json.clone();
            mutate(&mut edited, place, next(&mut state));
            fs::write(&json_path, edited.to_string()).unwrap();
            let begin = Instant::now();
            let answer = catch_unwind(AssertUnwindSafe(|| world.answer(&path)));
            let shown = || {
                edited.pointer(place).map(|v| v.to_string().chars().take(80).collect::<String>())
            };
            let Ok(answer) = answer else { panic!("{method}: {place} as {:?} panics", shown()) };
            assert!(begin.elapsed().as_secs() < 5, "{method}: {place} as {:?} takes long", shown());
            match answer {
                Ok(_) => answered += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 500 && answered > 100, "{refused} refused, {answered} answered");
    let more = peak() - before;
    assert!(more < 200_000, "{more} kB were taken");
}
