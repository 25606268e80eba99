//! Bases, adapters, examples and losses for the tests of this folder.

use std::path::PathBuf;

use budwood_base::encoder::{Activation, ImageInput, InputSpec};
use budwood_base::head::{HeadKind, HeadNorm, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::random::Key;
use budwood_base::site::WeightSite;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::BaseModel;
use budwood_formats::family::FAMILIES;
use budwood_model::method::{METHODS, UNIONS};
use budwood_model::{Adapter, Base, Batch, Loss, Segment, Targets, train_chunk};

/// Methods together at one base that none of them lists as an example of its own.
const TOGETHER: [&str; 2] = [
    "prompt_tuning[prompt_length=2,combine=prefix_after_bos]|lora[r=2]",
    "lora[r=2,targets=[query]]|seq_bn[reduction_factor=4,non_linearity=gelu]|layer_norm",
];

/// Examples of all methods and unions.
pub(crate) fn methods() -> Vec<&'static str> {
    let methods = METHODS.iter().flat_map(|m| m.examples);
    let unions = UNIONS.iter().flat_map(|u| u.examples);
    methods.chain(unions).chain(&TOGETHER).copied().collect()
}

/// Whether a method's example can act on a base; where not, it is refused by name (`refusing`).
fn acts_on(method: &str, base: &Base) -> bool {
    let spec = base.spec();
    let has_biases = WeightSite::ALL.into_iter().any(|site| spec.has_bias(site));
    (has_biases || method != "bitfit")
        && !(spec.axes.shared_layers && method.contains("leave_out=[0]"))
        && !(matches!(spec.input, InputSpec::Image(_)) && method.contains("as_words"))
}

/// Examples of all methods and unions that can act on a base.
pub(crate) fn methods_of(base: &Base) -> Vec<&'static str> {
    methods().into_iter().filter(|method| acts_on(method, base)).collect()
}

/// Names of all families; each has a small base among the golden cases.
pub(crate) fn families() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.name).collect()
}

#[test]
fn every_method_and_union_has_examples_of_itself() {
    let methods = METHODS.iter().map(|m| (m.name, m.examples));
    for (name, examples) in methods.chain(UNIONS.iter().map(|u| (u.name, u.examples))) {
        assert!(!examples.is_empty(), "{name} has no example, so that nothing tests it");
        for example in examples {
            let spec: MethodSpec = example.parse().unwrap();
            assert_eq!((spec.parts.len(), &spec.parts[0].name[..]), (1, name), "{example}");
        }
    }
}

pub(crate) fn open(family: &str) -> (BaseModel, Base) {
    open_as(family, Precision::F32)
}

pub(crate) fn open_as(family: &str, precision: Precision) -> (BaseModel, Base) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join(family)).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let base = Base::load(model.spec().clone(), Device::cpu(), precision, true, fetch).unwrap();
    (model, base)
}

pub(crate) fn head(outputs: usize, pooling: Pooling, dense: Option<Activation>) -> HeadSpec {
    let head = HeadSpec::linear(HeadKind::Classification, outputs, pooling);
    HeadSpec { dense, dropout: 0.1, ..head }
}

/// A head of another kind for each `i`, heads over tokens among them.
pub(crate) fn any_head(
    i: usize,
    outputs: usize,
    pooling: Pooling,
    dense: Option<Activation>,
) -> HeadSpec {
    let kind =
        [HeadKind::Classification, HeadKind::TokenClassification, HeadKind::QuestionAnswering]
            [i % 3];
    HeadSpec { kind, outputs: kind.outputs(outputs), ..head(outputs, pooling, dense) }
}

/// A head for masked words on a base of texts, with all that such heads have.
pub(crate) fn words_head(base: &Base) -> HeadSpec {
    let InputSpec::Text(text) = &base.spec().input else { panic!("images have no words") };
    let head = HeadSpec::linear(HeadKind::MaskedLm, text.vocab, Pooling::Cls);
    with_norm(HeadSpec { dense: Some(Activation::Gelu), ..head })
}

/// A head with a norm between its two layers.
pub(crate) fn with_norm(head: HeadSpec) -> HeadSpec {
    HeadSpec { norm: Some(HeadNorm { eps: 1e-5, bias: true }), ..head }
}

/// The places of each sequence that a masked language model is asked for: every third, and of some
/// sequences none.
pub(crate) fn places(inputs: &Batch) -> Vec<Vec<u32>> {
    let of = |(i, rows): (usize, std::ops::Range<usize>)| {
        (0..rows.len() as u32).filter(|place| (*place as usize + i).is_multiple_of(3)).collect()
    };
    inputs.spans.iter().enumerate().map(of).collect()
}

/// Targets of an adapter's kind, of three classes or tags, with equal weights.
pub(crate) fn targets(adapter: &Adapter, inputs: &Batch) -> (Targets, Loss) {
    let lengths: Vec<usize> = inputs.spans.iter().map(|rows| rows.len()).collect();
    let each = |of: &dyn Fn(usize, usize) -> (u32, u32)| -> Vec<(u32, u32)> {
        lengths.iter().enumerate().map(|(i, &n)| of(i, n)).collect()
    };
    let targets = match adapter.head_spec().kind {
        HeadKind::TokenClassification => {
            // One of four tokens does not count.
            let tag = |i: usize| (i % 4 < 3).then_some((i % 4) as u32);
            let tags = |(i, &n): (usize, &usize)| (0..n).map(|t| tag(i + t)).collect();
            Targets::Tags(lengths.iter().enumerate().map(tags).collect())
        }
        HeadKind::QuestionAnswering => {
            Targets::Spans(each(&|i, n| ((i % n) as u32, ((i + 1) % n) as u32)))
        }
        HeadKind::MaskedLm => {
            let words = |places: Vec<u32>| places.iter().map(|place| 7 + 5 * place).collect();
            Targets::Words(places(inputs).into_iter().map(words).collect())
        }
        _ => Targets::Classes(each(&|i, _| (i as u32 % 3, 0)).into_iter().map(|x| x.0).collect()),
    };
    let losses: usize = (0..lengths.len()).map(|i| targets.losses(i)).sum();
    (targets, Loss { weights: vec![1.0 / losses as f32; lengths.len()], smoothing: 0.0 })
}

/// An adapter whose every parameter is moved away from its start: methods that begin as the
/// identity would hide faults.
pub(crate) fn adapter(base: &Base, method: &str, head: HeadSpec, seed: u64) -> Adapter {
    let spec: MethodSpec = method.parse().unwrap();
    let mut adapter = Adapter::new(base, &spec, head, seed).unwrap();
    let key = Key::new(seed).named("test");
    for (i, x) in adapter.params.values.iter_mut().enumerate() {
        *x += 0.1 * key.normal(i as u64) as f32;
    }
    adapter.refresh(base.device(), 1);
    adapter
}

/// What a base reads: the tokens of a text, or the pixels of an image.
#[derive(Clone)]
pub(crate) enum Example {
    Text(Vec<u32>),
    Image(Vec<f32>),
}

/// Height and width of images, 3 x 5 patches: not square, and of another size than the positions
/// were made for.
pub(crate) fn size(image: &ImageInput) -> (usize, usize) {
    (3 * image.patch, 5 * image.patch)
}

pub(crate) fn examples(base: &Base, n: usize, seed: u64) -> Vec<Example> {
    let key = Key::new(seed);
    let example = |i: u64| {
        let stream = key.child(i);
        match &base.spec().input {
            InputSpec::Text(_) => {
                let length = 2 + stream.below(0, 12) as u64;
                Example::Text((0..length).map(|t| 5 + stream.below(1 + t, 90) as u32).collect())
            }
            InputSpec::Image(image) => {
                let (height, width) = size(image);
                let elements = (image.channels * height * width) as u64;
                Example::Image((0..elements).map(|t| stream.normal(t) as f32).collect())
            }
        }
    };
    (0..n as u64).map(example).collect()
}

impl Example {
    fn ids(&self) -> &[u32] {
        if let Self::Text(ids) = self { ids } else { panic!("an image for an encoder of texts") }
    }

    fn pixels(&self) -> &[f32] {
        if let Self::Image(pixels) = self { pixels } else { panic!("a text for images") }
    }
}

pub(crate) fn batch(base: &Base, examples: &[Example]) -> Batch {
    const TYPES: [u32; 16] = [0; 16];
    match &base.spec().input {
        InputSpec::Text(_) => {
            let ids = examples.iter().map(Example::ids);
            Batch::from_sequences(ids.map(|ids| (ids, &TYPES[..ids.len()])))
        }
        InputSpec::Image(image) => {
            Batch::from_images(image, size(image), examples.iter().map(Example::pixels))
        }
    }
}

pub(crate) fn all(adapter: &Adapter, n: usize) -> Vec<Segment<'_>> {
    vec![Segment { adapter: Some(adapter), sequences: 0..n }]
}

/// The loss of an adapter and its gradient; without dropout, or with that of a key.
pub(crate) fn loss(
    cx: &mut Context,
    base: &Base,
    adapter: &Adapter,
    inputs: &Batch,
    dropout: Option<Key>,
) -> (f64, Vec<f32>) {
    let mut gradient = vec![0.0; adapter.params.len()];
    let (targets, weights) = targets(adapter, inputs);
    let result =
        train_chunk(cx, base, adapter, inputs, (&targets, &weights, 0), dropout, &mut gradient);
    (result.loss, gradient)
}
