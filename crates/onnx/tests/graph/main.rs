//! Exported graphs, read back by a reader of their own and run by plain loops, answer as the model
//! does: every method on every family, padded batches among them.

#![allow(clippy::unwrap_used)]

mod file;
mod run;

use std::path::PathBuf;

use budwood_base::encoder::{Activation, InputSpec};
use budwood_base::head::{HeadKind, HeadNorm, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::names;
use budwood_base::random::Key;
use budwood_base::site::WeightSite;
use budwood_base::tensor::TensorMap;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::family::FAMILIES;
use budwood_model::method::{METHODS, UNIONS};
use budwood_model::{Adapter, Base, Batch, Segment, predict};
use budwood_onnx::{Error, Model, Request, SharedBase};

use file::Array;

/// What the files' errors and ours become.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where a test fails")]
enum Fault {
    Onnx(Error),
    File(budwood_formats::Error),
    Model(budwood_model::ModelError),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Self::Onnx(e)
    }
}

impl From<budwood_formats::Error> for Fault {
    fn from(e: budwood_formats::Error) -> Self {
        Self::File(e)
    }
}

impl From<budwood_model::ModelError> for Fault {
    fn from(e: budwood_model::ModelError) -> Self {
        Self::Model(e)
    }
}

const TOGETHER: [&str; 3] = [
    "prompt_tuning[prompt_length=2,combine=prefix_after_bos]|lora[r=2]",
    "prompt_tuning[prompt_length=2]|prefix_tuning[prefix_length=3,flat=true,use_gating=true]",
    "lora[r=2,targets=[query]]|seq_bn[reduction_factor=4,non_linearity=gelu]|layer_norm",
];

/// Examples of all methods and unions that act on a base.
fn methods(base: &Base) -> Vec<&'static str> {
    let methods = METHODS.iter().flat_map(|m| m.examples);
    let all = methods.chain(UNIONS.iter().flat_map(|u| u.examples)).chain(&TOGETHER);
    let spec = base.spec();
    let has_biases = WeightSite::ALL.into_iter().any(|site| spec.has_bias(site));
    let acts = |method: &&str| {
        (has_biases || *method != "bitfit")
            && !(spec.axes.shared_layers && method.contains("leave_out=[0]"))
            && !(matches!(spec.input, InputSpec::Image(_)) && method.contains("as_words"))
    };
    all.copied().filter(acts).collect()
}

fn open(family: &str) -> (BaseModel, Base) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join(family)).unwrap();
    let fetch = |name: &str| Ok::<_, Fault>(model.tensor(name)?);
    let base = Base::load(model.spec().clone(), Device::cpu(), Precision::F32, true, fetch);
    let base = base.unwrap();
    (model, base)
}

/// A head of each kind and pooling, in turn.
fn head(i: usize, base: &Base) -> HeadSpec {
    use HeadKind::{
        Classification, MultiLabel, QuestionAnswering, Regression, TokenClassification,
    };
    let image = matches!(base.spec().input, InputSpec::Image(_));
    let poolings: &[Pooling] = match (base.spec().pooler, image) {
        (true, true) => &[Pooling::Pooler, Pooling::Mean, Pooling::ClsMean, Pooling::Cls],
        (true, false) => &[Pooling::Pooler, Pooling::Mean, Pooling::Cls],
        (false, true) => &[Pooling::Cls, Pooling::ClsMean, Pooling::Mean, Pooling::PatchMean],
        (false, false) => &[Pooling::Cls, Pooling::Mean],
    };
    let kinds: &[HeadKind] = match image {
        true => &[Classification, MultiLabel],
        false => &[Classification, TokenClassification, MultiLabel, QuestionAnswering, Regression],
    };
    let kind = kinds[i % kinds.len()];
    HeadSpec {
        kind,
        outputs: kind.outputs(3),
        pooling: poolings[i % poolings.len()],
        dense: [None, Some(Activation::Tanh), Some(Activation::Gelu)][i % 3],
        bias: !i.is_multiple_of(4),
        dropout: 0.0,
        dense_without_bias: i.is_multiple_of(5),
        norm: (i % 3 == 2).then_some(HeadNorm { eps: 1e-5, bias: i.is_multiple_of(2) }),
    }
}

/// An adapter whose every parameter is moved away from its start, with its tensors.
fn adapter(base: &Base, method: &str, head: HeadSpec) -> (Adapter, TensorMap) {
    let spec: MethodSpec = method.parse().unwrap();
    let mut adapter = Adapter::new(base, &spec, head, 3).unwrap();
    let key = Key::new(3).named("test");
    for (i, x) in adapter.params.values.iter_mut().enumerate() {
        *x += 0.1 * key.normal(i as u64) as f32;
    }
    adapter.refresh(base.device(), 1);
    let tensors = adapter.params.to_tensors();
    (adapter, tensors)
}

/// Sequences of several lengths with their types, or images.
struct Inputs {
    texts: Vec<(Vec<u32>, Vec<u32>)>,
    images: Vec<Vec<f32>>,
    size: (usize, usize),
}

fn inputs(base: &Base) -> Inputs {
    let key = Key::new(11);
    let mut made = Inputs { texts: Vec::new(), images: Vec::new(), size: (0, 0) };
    match &base.spec().input {
        InputSpec::Text(text) => {
            for (i, length) in [5usize, 9, 2].into_iter().enumerate() {
                let key = key.child(i as u64);
                let ids = (0..length as u64).map(|t| 1 + key.below(t, 94) as u32).collect();
                let types = (0..length).map(|t| u32::from(text.token_types > 1 && t > 2));
                made.texts.push((ids, types.collect()));
            }
        }
        InputSpec::Image(image) => {
            // Not square, and of another size than the positions were made for.
            made.size = (3 * image.patch, 5 * image.patch);
            let elements = (image.channels * made.size.0 * made.size.1) as u64;
            for i in 0..2 {
                let key = key.child(i);
                made.images.push((0..elements).map(|t| key.normal(t) as f32).collect());
            }
        }
    }
    made
}

impl Inputs {
    fn batch(&self, base: &Base) -> Batch {
        match &base.spec().input {
            InputSpec::Text(_) => {
                Batch::from_sequences(self.texts.iter().map(|(ids, types)| (&ids[..], &types[..])))
            }
            InputSpec::Image(image) => {
                Batch::from_images(image, self.size, self.images.iter().map(|x| &x[..]))
            }
        }
    }

    fn len(&self) -> usize {
        self.texts.len().max(self.images.len())
    }

    /// As the graph takes them; padding holds ids of words, which must not matter.
    fn arrays(&self, base: &Base) -> Vec<(&'static str, Array)> {
        if let InputSpec::Image(image) = &base.spec().input {
            let dims = vec![self.len(), image.channels, self.size.0, self.size.1];
            let data = self.images.concat().iter().map(|&x| x.into()).collect();
            return vec![("pixel_values", Array { dims, data })];
        }
        let longest = self.texts.iter().map(|(ids, _)| ids.len()).max().unwrap();
        let padded = |of: &dyn Fn(usize, usize) -> Option<u32>, padding: u32| Array {
            dims: vec![self.len(), longest],
            data: (0..self.len() * longest)
                .map(|i| of(i / longest, i % longest).unwrap_or(padding).into())
                .collect(),
        };
        let ids = padded(&|i, t| self.texts[i].0.get(t).copied(), 17);
        let types = padded(&|i, t| self.texts[i].1.get(t).copied(), 0);
        let mask = padded(&|i, t| self.texts[i].0.get(t).map(|_| 1), 0);
        vec![("input_ids", ids), ("token_type_ids", types), ("attention_mask", mask)]
    }
}

/// The bytes of the file.
fn exported(
    model: &BaseModel,
    (adapter, tensors): (&Adapter, &TensorMap),
    image: (usize, usize),
    precision: budwood_onnx::Precision,
) -> Result<Vec<u8>, Fault> {
    exported_beside(model, (adapter, tensors), image, precision, None)
}

/// The bytes of the file, beside that of a shared base where there is one.
fn exported_beside(
    model: &BaseModel,
    (adapter, tensors): (&Adapter, &TensorMap),
    image: (usize, usize),
    precision: budwood_onnx::Precision,
    shared: Option<&SharedBase>,
) -> Result<Vec<u8>, Fault> {
    let request = Request {
        shared,
        encoder: model.spec(),
        method: adapter.spec(),
        head: adapter.head_spec(),
        tensors,
        precision,
        token_types: true,
        image,
    };
    let mut fetch = |name: &str| Ok::<_, Fault>(model.tensor(name)?);
    let mut bytes = Vec::new();
    Model::new(&request, &mut fetch)?.write(&mut bytes, &[("made by", "a test".into())], fetch)?;
    Ok(bytes)
}

/// Outputs of each sequence, those of its tokens alone where the head is over tokens.
fn graph_answers(
    model: &file::Model,
    base: &Base,
    inputs: &Inputs,
    head: &HeadSpec,
) -> Vec<Vec<f64>> {
    let arrays = inputs.arrays(base);
    let arrays: Vec<_> = arrays
        .into_iter()
        .filter(|(name, _)| model.inputs.iter().any(|(asked, _, _)| asked == name))
        .collect();
    let outputs = run::run(model, &arrays);
    let rows = |i: usize, array: &Array| {
        let each = array.data.len() / inputs.len();
        array.data[i * each..(i + 1) * each].to_vec()
    };
    let lengths = |i: usize| inputs.texts.get(i).map_or(usize::MAX, |(ids, _)| ids.len());
    (0..inputs.len())
        .map(|i| match head.kind {
            HeadKind::QuestionAnswering => {
                let (start, end) =
                    (rows(i, &outputs["start_logits"]), rows(i, &outputs["end_logits"]));
                let both = start.into_iter().zip(end).take(lengths(i));
                both.flat_map(|(a, b)| [a, b]).collect()
            }
            HeadKind::TokenClassification | HeadKind::MaskedLm => {
                let all = rows(i, &outputs["logits"]);
                all.into_iter().take(lengths(i) * head.outputs).collect()
            }
            _ => rows(i, &outputs["logits"]),
        })
        .collect()
}

/// The largest difference between the graph's answers and ours.
fn difference(
    model: &BaseModel,
    base: &Base,
    method: &str,
    head: HeadSpec,
    precision: budwood_onnx::Precision,
) -> f64 {
    let (adapter, tensors) = adapter(base, method, head.clone());
    let inputs = inputs(base);
    let bytes = exported(model, (&adapter, &tensors), inputs.size, precision).unwrap();
    farthest(&file::Model::read(&bytes), base, &adapter, &inputs)
}

/// The largest difference between a graph's answers and an adapter's.
fn farthest(graph: &file::Model, base: &Base, adapter: &Adapter, inputs: &Inputs) -> f64 {
    let got = graph_answers(graph, base, inputs, adapter.head_spec());
    let mut cx = Context::new(Device::cpu());
    let segment = Segment { adapter: Some(adapter), sequences: 0..inputs.len() };
    let expected = predict(&mut cx, base, &inputs.batch(base), &[segment]);
    let mut far = 0f64;
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(got.len(), expected.len());
        let pairs = got.iter().zip(expected);
        // NaN must not be lost in a maximum.
        far = pairs
            .map(|(a, b)| (a - f64::from(*b)).abs())
            .fold(far, |m, x| if x <= m { m } else { x });
    }
    far
}

#[test]
fn every_method_on_every_family_answers_as_the_model_does() {
    for (f, family) in FAMILIES.iter().enumerate() {
        let (model, base) = open(family.name);
        for (i, method) in methods(&base).into_iter().enumerate() {
            let head = head(f + i, &base);
            let far = difference(&model, &base, method, head.clone(), budwood_onnx::Precision::F32);
            assert!(far < 1e-4, "{} {method} {head:?}: {far}", family.name);
        }
    }
}

#[test]
fn every_head_and_pooling_answers_as_the_model_does() {
    for family in ["bert", "modernbert", "siglip", "dinov2_with_registers"] {
        let (model, base) = open(family);
        for i in 0..60 {
            let head = head(i, &base);
            let method = ["linear", "prompt_tuning[prompt_length=3]"][i % 2];
            let far = difference(&model, &base, method, head.clone(), budwood_onnx::Precision::F32);
            assert!(far < 1e-4, "{family} {method} {head:?}: {far}");
        }
    }
}

/// The head of a masked language model: its last layer is the encoder's table of words.
fn words_head(base: &Base, bias: bool) -> HeadSpec {
    let InputSpec::Text(text) = &base.spec().input else { panic!("images have no words") };
    HeadSpec {
        dense: Some(Activation::Gelu),
        norm: Some(HeadNorm { eps: 1e-12, bias: true }),
        bias,
        dropout: 0.0,
        ..HeadSpec::linear(HeadKind::MaskedLm, text.vocab, Pooling::Cls)
    }
}

/// Families with narrower embeddings and without norms among them; `full` trains the table itself.
#[test]
fn masked_language_models_answer_as_the_model_does_and_hold_their_words_once() {
    let of_texts = |f: &&&budwood_formats::family::Family| {
        matches!(open(f.name).1.spec().input, InputSpec::Text(_))
    };
    let precisions = [budwood_onnx::Precision::F32, budwood_onnx::Precision::Int8];
    for family in FAMILIES.iter().filter(of_texts) {
        let (model, base) = open(family.name);
        for (i, method) in
            ["lora[r=2]", "full", "prompt_tuning[prompt_length=2]"].iter().enumerate()
        {
            let head = words_head(&base, i != 2);
            let far = difference(&model, &base, method, head.clone(), precisions[0]);
            assert!(far < 1e-4, "{} {method}: {far}", family.name);
            let far = difference(&model, &base, method, head, precisions[1]);
            assert!(far > 1e-5 && far < 0.5, "{} {method} int8: {far}", family.name);
        }
        let table: usize = base.spec().tensors()[0].shape.iter().product();
        assert_eq!(base.spec().tensors()[0].name, names::WORD);
        let size = |head: HeadSpec, precision| {
            let (adapter, tensors) = adapter(&base, "linear", head);
            let bytes = exported(&model, (&adapter, &tensors), (0, 0), precision).unwrap();
            let own: usize = tensors.values().map(|tensor| 4 * tensor.len()).sum();
            file::Model::read(&bytes).constant_bytes as i64 - own as i64
        };
        let plain = HeadSpec::linear(HeadKind::Classification, 3, Pooling::Cls);
        for precision in precisions {
            let more = size(words_head(&base, false), precision) - size(plain.clone(), precision);
            assert!(more < table as i64 / 4, "{}: {more}, the table {table}", family.name);
        }
    }
}

/// What products read is quantised with one scale for a whole batch, so that answers are near, not
/// equal; here within 0.1 where logits are of the size of 1.
#[test]
fn int8_is_near_and_holds_a_byte_for_each_weight_of_products_and_words() {
    let precisions = [budwood_onnx::Precision::F32, budwood_onnx::Precision::Int8];
    for family in FAMILIES {
        let (model, base) = open(family.name);
        for method in ["lora[r=4]", "seq_bn[reduction_factor=4]"] {
            let head = HeadSpec { dense: None, ..head(0, &base) };
            let far = difference(&model, &base, method, head, precisions[1]);
            assert!(far > 1e-5 && far < 0.15, "{} {method}: {far}", family.name);
        }
        let (adapter, tensors) = adapter(&base, "linear", head(0, &base));
        let size = inputs(&base).size;
        let [large, small] = precisions.map(|precision| {
            let bytes = exported(&model, (&adapter, &tensors), size, precision).unwrap();
            file::Model::read(&bytes).constant_bytes
        });
        let in_bytes = |name: &str| {
            name == names::WORD
                || names::split_layer(name)
                    .and_then(|(_, rest)| rest.strip_suffix(".weight"))
                    .is_some_and(|site| names::WEIGHT_SITES.contains(&site))
        };
        let tensors = model.spec().tensors();
        let held = tensors.iter().filter(|tensor| in_bytes(&tensor.name));
        let (mut saved, mut scales) = (0, 0);
        for tensor in held {
            saved += 3 * tensor.shape.iter().product::<usize>();
            scales += 4 * tensor.shape[0];
        }
        // Beside these there is one zero point.
        assert!((large - saved..=large - saved + scales + 1).contains(&small), "{}", family.name);
    }
}

#[test]
fn files_name_their_inputs_outputs_and_versions() {
    let (model, base) = open("bert");
    for (kind, outputs) in [
        (HeadKind::Classification, vec![("logits", vec!["batch_size", "3"])]),
        (
            HeadKind::TokenClassification,
            vec![("logits", vec!["batch_size", "sequence_length", "3"])],
        ),
        (
            HeadKind::QuestionAnswering,
            vec![
                ("start_logits", vec!["batch_size", "sequence_length"]),
                ("end_logits", vec!["batch_size", "sequence_length"]),
            ],
        ),
    ] {
        let head = HeadSpec { kind, outputs: kind.outputs(3), ..head(1, &base) };
        let (adapter, tensors) = adapter(&base, "lora[r=2]", head);
        let bytes =
            exported(&model, (&adapter, &tensors), (0, 0), budwood_onnx::Precision::F32).unwrap();
        let file = file::Model::read(&bytes);
        assert!(file.opset >= 17);
        assert_eq!(file.metadata, [("made by".to_string(), "a test".to_string())]);
        let inputs: Vec<_> =
            file.inputs.iter().map(|(n, t, d)| (&n[..], *t, d.join(" "))).collect();
        let free = || "batch_size sequence_length".to_string();
        let names = ["input_ids", "attention_mask", "token_type_ids"];
        assert_eq!(inputs, names.map(|name| (name, 7, free())));
        let made: Vec<_> = file.outputs.iter().map(|(n, _, d)| (&n[..], d.clone())).collect();
        let expected: Vec<_> = outputs
            .into_iter()
            .map(|(n, d)| (n, d.into_iter().map(String::from).collect::<Vec<_>>()))
            .collect();
        assert_eq!(made, expected);
        // Every weight of the encoder once, and little else.
        let encoder = 4 * model.spec().parameters();
        assert!((encoder * 9 / 10..encoder * 11 / 10).contains(&file.constant_bytes));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (model, base) = open("vit");
    let (adapter, mut tensors) = adapter(&base, "lora[r=2]", head(0, &base));
    let precision = budwood_onnx::Precision::F32;
    let message = |tensors: &TensorMap, size| {
        format!("{:?}", exported(&model, (&adapter, tensors), size, precision).err().unwrap())
    };
    assert!(message(&tensors, (7, 7)).contains("must be multiples of"));
    let InputSpec::Image(image) = &model.spec().input else { panic!() };
    let size = (image.image_size, image.image_size);
    let stray = tensors["head.out.weight"].clone();
    tensors.insert("layers.0.key.lora.a".into(), stray);
    assert!(message(&tensors, size).contains("layers.0.key.lora.a"));
    tensors.remove("layers.0.key.lora.a");
    tensors.remove("head.out.weight");
    assert!(message(&tensors, size).contains("head.out.weight"));
}

#[test]
fn graphs_that_share_a_base_answer_as_the_model_does_and_are_small() {
    let precision = budwood_onnx::Precision::F32;
    for family in FAMILIES {
        let (model, base) = open(family.name);
        let shared = SharedBase::new(model.spec(), "base.onnx_data");
        let mut beside = Vec::new();
        let fetch = |name: &str| Ok::<_, Fault>(model.tensor(name)?);
        shared.write(model.spec(), &mut beside, fetch).unwrap();
        assert_eq!(beside.len(), 4 * model.spec().parameters());
        let inputs = inputs(&base);
        for (i, method) in methods(&base).into_iter().enumerate() {
            let (adapter, tensors) = adapter(&base, method, head(i, &base));
            let ours = (&adapter, &tensors);
            let bytes =
                exported_beside(&model, ours, inputs.size, precision, Some(&shared)).unwrap();
            let graph = file::Model::read_with(&bytes, &beside);
            let far = farthest(&graph, &base, &adapter, &inputs);
            assert!(far < 1e-4, "{} {method}: {far}", family.name);
            // Methods that are merged as wholes, or make dense matrices of small factors, are not.
            let large = ["dora", "vera", "compacter", "full", "top_k", "prefix", "mam", "unipelt"];
            let is_text = matches!(base.spec().input, InputSpec::Text(_));
            if is_text && !large.iter().any(|name| method.contains(name)) {
                let own = 4 * tensors.values().map(|t| t.len()).sum::<usize>();
                let constants = graph.constant_bytes;
                // Places, steps and bounds of the graph itself.
                assert!(constants < own + 20_000, "{} {method}: {constants} {own}", family.name);
            }
        }
    }
}
