//! Every method on every family: what must hold whatever a method does.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use budwood_base::encoder::{Activation, InputSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::method::MethodSpec;
use budwood_base::random::Key;
use budwood_base::record::BaseId;
use budwood_engine::{Context, Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_formats::native::{AdapterFolder, AdapterMeta, FORMAT, TaskMeta};
use budwood_model::{
    Adapter, Base, Batch, Loss, Segment, Targets, hidden_states, plan_chunks, predict, train_chunk,
};
use budwood_train::{Optimizer, OptimizerSpec};

const FAMILIES: [&str; 6] = ["bert", "roberta", "distilbert", "vit", "deit", "dinov2"];
const METHODS: [&str; 29] = [
    "adapter[width=8]",
    "adapter[width=4,placement=ffn,activation=quick_gelu,layer_norm=false,init=normal,dropout=0.1]",
    "adapter[width=4,placement=attention,activation=tanh,layer_norm=false,leave_out=[0]]",
    "double_seq_bn[reduction_factor=4]",
    "seq_bn[reduction_factor=4,non_linearity=gelu]",
    "par_bn[reduction_factor=4,non_linearity=gelu]",
    "scaled_par_bn[reduction_factor=4,non_linearity=gelu]",
    "adapter_plus[reduction_factor=8]",
    "compacter[reduction_factor=4]",
    "compacter++[reduction_factor=2,phm_dim=2,phm_rank=3]",
    "lora[r=4]",
    "lora[r=2,targets=[query,key,value,attention_out,ffn_in,ffn_out],rslora=true]",
    "lora[r=3,targets=[value,ffn_in],dora=true]",
    "ia3",
    "bitfit",
    "layer_norm",
    "linear",
    "prompt_tuning[prompt_length=3]",
    "prompt_tuning[prompt_length=2,combine=prefix_after_bos]|lora[r=2]",
    "prefix_tuning[prefix_length=3,bottleneck_size=6]",
    "prefix_tuning[prefix_length=2,flat=true,leave_out=[0]]",
    "mam[prefix_tuning.prefix_length=2,prefix_tuning.bottleneck_size=5,par_bn.reduction_factor=8]",
    "unipelt[lora.r=2,prefix_tuning.prefix_length=3,prefix_tuning.bottleneck_size=5,seq_bn.reduction_factor=4,seq_bn.non_linearity=gelu]",
    "prefix_tuning[prefix_length=2,flat=true,use_gating=true,shared_gating=false]",
    "lora[r=2,dropout=0.3,targets=[value,ffn_out]]",
    "par_bn[reduction_factor=8,non_linearity=gelu,scaling=learned,dropout=0.2,stochastic_depth=0.3,use_gating=true]",
    "top_k[layers=1]",
    "full",
    "lora[r=2,targets=[query]]|seq_bn[reduction_factor=4,non_linearity=gelu]|layer_norm",
];

fn open(family: &str) -> (BaseModel, Base) {
    open_as(family, Precision::F32)
}

fn open_as(family: &str, precision: Precision) -> (BaseModel, Base) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join(family)).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let base = Base::load(model.spec().clone(), Device::cpu(), precision, true, fetch).unwrap();
    (model, base)
}

fn head(outputs: usize, pooling: Pooling, dense: Option<Activation>) -> HeadSpec {
    HeadSpec { kind: HeadKind::Classification, outputs, pooling, dense, bias: true, dropout: 0.1 }
}

/// A head of another kind for each `i`, heads over tokens among them.
fn any_head(i: usize, outputs: usize, pooling: Pooling, dense: Option<Activation>) -> HeadSpec {
    let kind =
        [HeadKind::Classification, HeadKind::TokenClassification, HeadKind::QuestionAnswering]
            [i % 3];
    HeadSpec { kind, outputs: kind.outputs(outputs), ..head(outputs, pooling, dense) }
}

/// Targets of an adapter's kind, of three classes or tags, with equal weights.
fn targets(adapter: &Adapter, inputs: &Batch) -> (Targets, Loss) {
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
        _ => Targets::Classes(each(&|i, _| (i as u32 % 3, 0)).into_iter().map(|x| x.0).collect()),
    };
    let losses: usize = (0..lengths.len()).map(|i| targets.losses(i)).sum();
    (targets, Loss { weights: vec![1.0 / losses as f32; lengths.len()] })
}

/// An adapter whose every parameter is moved away from its start: methods that begin as the identity would
/// hide faults.
fn adapter(base: &Base, method: &str, head: HeadSpec, seed: u64) -> Adapter {
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
enum Example {
    Text(Vec<u32>),
    Image(Vec<f32>),
}

/// Height and width of images: not square, and of another size than the positions were made for.
const SIZE: (usize, usize) = (24, 40);

fn examples(base: &Base, n: usize, seed: u64) -> Vec<Example> {
    let key = Key::new(seed);
    let example = |i: u64| {
        let stream = key.child(i);
        match &base.spec().input {
            InputSpec::Text(_) => {
                let length = 2 + stream.below(0, 12) as u64;
                Example::Text((0..length).map(|t| 5 + stream.below(1 + t, 90) as u32).collect())
            }
            InputSpec::Image(image) => {
                let elements = (image.channels * SIZE.0 * SIZE.1) as u64;
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

fn batch(base: &Base, examples: &[Example]) -> Batch {
    const TYPES: [u32; 16] = [0; 16];
    match &base.spec().input {
        InputSpec::Text(_) => {
            let ids = examples.iter().map(Example::ids);
            Batch::from_sequences(ids.map(|ids| (ids, &TYPES[..ids.len()])))
        }
        InputSpec::Image(image) => {
            Batch::from_images(image, SIZE, examples.iter().map(Example::pixels))
        }
    }
}

fn all(adapter: &Adapter, n: usize) -> Vec<Segment<'_>> {
    vec![Segment { adapter: Some(adapter), sequences: 0..n }]
}

#[test]
fn outputs_survive_saving_and_loading() {
    let dir = tempfile::tempdir().unwrap();
    let mut cx = Context::new(Device::cpu());
    for family in FAMILIES {
        let (model, base) = open(family);
        let inputs = examples(&base, 5, 1);
        for (i, method) in METHODS.iter().enumerate() {
            let dense = (i % 2 == 0).then_some(Activation::Tanh);
            let before = adapter(&base, method, any_head(i, 3, Pooling::Mean, dense), 7);
            let path = dir.path().join(format!("{family}-{i}"));
            let meta = meta(&model, &before);
            let mut folder = AdapterFolder { meta, tensors: before.params.to_tensors() };
            folder.save(&path).unwrap();
            let loaded = AdapterFolder::load(&path).unwrap();
            assert_eq!(loaded.meta, folder.meta, "{family} {method}");
            loaded.meta.check_base(&model).unwrap();
            let head = loaded.meta.head.clone();
            let after =
                Adapter::from_tensors(&base, &loaded.meta.method, head, &loaded.tensors).unwrap();
            let b = batch(&base, &inputs);
            let expected = predict(&mut cx, &base, &b, &all(&before, 5));
            let got = predict(&mut cx, &base, &b, &all(&after, 5));
            assert_eq!(got, expected, "{family} {method}");
            let plain = adapter(&base, "linear", before.head_spec().clone(), 7);
            let without = predict(&mut cx, &base, &b, &all(&plain, 5));
            assert!(*method == "linear" || expected != without, "{family} {method} does nothing");
        }
    }
}

fn meta(model: &BaseModel, adapter: &Adapter) -> AdapterMeta {
    let base: BaseId = model.id("golden");
    AdapterMeta {
        budwood_adapter: FORMAT,
        method: adapter.spec().clone(),
        base,
        encoder: model.spec().clone(),
        head: adapter.head_spec().clone(),
        labels: ["a", "b", "c"].map(String::from).to_vec(),
        task: TaskMeta {
            name: "test".into(),
            kind: "classification".into(),
            text_columns: vec!["text".into()],
            label_column: "label".into(),
            max_length: 32,
            doc_stride: None,
            positive: None,
            none_threshold: None,
            metric: "accuracy".into(),
            images: None,
        },
        precision: "f32".into(),
        training: Default::default(),
        seed: 7,
        data: Vec::new(),
        metrics: Vec::new(),
        parameters_trained: adapter.params.len() as u64,
        parameters_base: model.spec().parameters() as u64,
        weights_sha256: String::new(),
        versions: Default::default(),
    }
}

#[test]
fn a_row_of_a_mixed_batch_equals_the_row_alone() {
    let mut cx = Context::new(Device::cpu());
    for family in FAMILIES {
        let (_, base) = open(family);
        // Heads of different sizes side by side, too.
        let adapters: Vec<Adapter> = METHODS
            .iter()
            .enumerate()
            .map(|(i, m)| {
                adapter(&base, m, any_head(i / 3, 2 + i % 3, Pooling::Cls, None), i as u64)
            })
            .collect();
        let inputs = examples(&base, 2 * adapters.len(), 3);
        let segments: Vec<Segment<'_>> = adapters
            .iter()
            .enumerate()
            .map(|(i, a)| Segment { adapter: Some(a), sequences: 2 * i..2 * i + 2 })
            .collect();
        let together = predict(&mut cx, &base, &batch(&base, &inputs), &segments);
        for (i, input) in inputs.iter().enumerate() {
            let one = std::slice::from_ref(input);
            let alone = predict(&mut cx, &base, &batch(&base, one), &all(&adapters[i / 2], 1));
            assert_eq!(alone[0], together[i], "{family} {} row {i}", METHODS[i / 2]);
        }
    }
}

/// The loss of an adapter and its gradient; without dropout, or with that of a key.
fn loss(
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

#[test]
fn gradients_match_finite_differences() {
    let mut cx = Context::new(Device::cpu());
    for family in FAMILIES {
        let (_, base) = open(family);
        let inputs = batch(&base, &examples(&base, 4, 5));
        for method in METHODS {
            let poolings = [Pooling::Mean, Pooling::Cls, Pooling::Pooler, Pooling::ClsMean];
            let pooled = poolings.map(|pooling| head(3, pooling, Some(Activation::Tanh)));
            // Heads do not know families: one will do for those over tokens.
            let over_tokens = [1, 2].map(|i| any_head(i, 3, Pooling::Cls, None));
            let over_tokens = over_tokens.into_iter().filter(|_| family == "bert");
            for head in pooled.into_iter().chain(over_tokens) {
                let (kind, pooling) = (head.kind, head.pooling);
                if pooling == Pooling::Pooler && !base.spec().pooler {
                    continue;
                }
                let mut adapter = adapter(&base, method, head, 3);
                // Masks depend on their key alone, so that the loss is a function of the parameters with them too.
                let dropout = (pooling == Pooling::Mean && method.contains("dropout"))
                    .then(|| Key::new(8).named("masks"));
                let (_, gradient) = loss(&mut cx, &base, &adapter, &inputs, dropout);
                for entry in adapter.params.entries().to_vec() {
                    // DoRA's norms depend on these too but count as constants: the peer's case judges them.
                    if method.contains("dora=true")
                        && !entry.name.ends_with("magnitude")
                        && entry.name.contains(".lora.")
                    {
                        continue;
                    }
                    let g = &gradient[entry.slot.clone()];
                    let length = g.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                    if length < 1e-4 {
                        continue; // Below what differences of f32 losses can see.
                    }
                    // Along the gradient the loss must change by its length.
                    let start = adapter.params.values.clone();
                    let h = 2e-3;
                    let mut moved = |sign: f64| {
                        for (i, x) in entry.slot.clone().zip(g) {
                            let step = sign * h * f64::from(*x) / length;
                            adapter.params.values[i] = start[i] + step as f32;
                        }
                        adapter.refresh(base.device(), 1);
                        loss(&mut cx, &base, &adapter, &inputs, dropout).0
                    };
                    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
                    adapter.params.values.clone_from(&start);
                    adapter.refresh(base.device(), 1);
                    // Losses over positions are larger, and so is their rounding.
                    let rounding = if kind.over_tokens() { 4e-3 } else { 2e-3 };
                    let error = (slope - length).abs() / (length + rounding);
                    assert!(
                        error < 0.03,
                        "{family} {method} {kind:?} {pooling:?} {}: {slope} {length}",
                        entry.name
                    );
                }
            }
        }
    }
}

/// A layer that nearly all sequences pass by is as good as none: neither the loss nor a gradient knows it.
#[test]
fn what_passes_a_layer_by_does_not_see_it() {
    let mut cx = Context::new(Device::cpu());
    for family in ["vit", "dinov2"] {
        let (model, mut deep) = open(family);
        deep.set_dropout(0.0);
        deep.set_drop_path(0.999_999);
        let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
        let mut spec = model.spec().clone();
        assert_eq!(spec.layers, 2);
        spec.layers = 1;
        (spec.hidden_dropout, spec.attention_dropout) = (0.0, 0.0);
        let shallow = Base::load(spec, Device::cpu(), Precision::F32, true, fetch).unwrap();
        let inputs = batch(&deep, &examples(&deep, 4, 5));
        let key = Some(Key::new(8).named("masks"));
        let head = HeadSpec { dropout: 0.0, ..head(3, Pooling::Cls, None) };
        let mut one =
            adapter(&deep, "double_seq_bn[reduction_factor=4,leave_out=[1]]", head.clone(), 3);
        let mut other = adapter(&shallow, "double_seq_bn[reduction_factor=4]", head, 3);
        let names =
            |a: &Adapter| a.params.entries().iter().map(|e| e.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other));
        other.params.values.clone_from(&one.params.values);
        other.refresh(shallow.device(), 1);
        let (passed, none) = (
            loss(&mut cx, &deep, &one, &inputs, key),
            loss(&mut cx, &shallow, &other, &inputs, None),
        );
        assert_eq!(passed, none, "{family}");
        // At evaluation every layer is there.
        assert_ne!(loss(&mut cx, &deep, &one, &inputs, None).0, none.0, "{family}");
        // A part of the sequences: along the gradient the loss changes by its length.
        deep.set_drop_path(0.5);
        let (_, gradient) = loss(&mut cx, &deep, &one, &inputs, key);
        let length = gradient.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let (start, h) = (one.params.values.clone(), 2e-3);
        let mut moved = |sign: f64| {
            for ((x, start), g) in one.params.values.iter_mut().zip(&start).zip(&gradient) {
                *x = start + (sign * h * f64::from(*g) / length) as f32;
            }
            one.refresh(deep.device(), 1);
            loss(&mut cx, &deep, &one, &inputs, key).0
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * h);
        assert!((slope - length).abs() / length < 0.03, "{family}: {slope} {length}");
    }
}

/// Three steps with dropout on so many threads: the parameters, and how often memory was asked for in the
/// last step.
fn three_steps(base: &Base, adapter: &mut Adapter, threads: usize) -> usize {
    let inputs = examples(base, 64, 9);
    let all = batch(base, &inputs);
    let lengths: Vec<usize> = all.spans.iter().map(|rows| rows.len()).collect();
    let chunks = plan_chunks(&lengths);
    assert!(chunks.len() > 1, "the test needs several chunks");
    let (targets, weights) = targets(adapter, &all);
    let mut workers = Workers::new(Device::cpu(), threads);
    let mut optimizer = Optimizer::new(OptimizerSpec::bert(), adapter.params.len());
    let mut before = 0;
    for step in 0..3 {
        let allocations =
            |w: &Workers| w.contexts().iter().map(|c| c.arena().allocations()).sum::<usize>();
        before = allocations(&workers);
        let mut gradient = vec![0.0; adapter.params.len()];
        let key = Key::new(1).child(step);
        workers.accumulate(chunks.len(), &mut gradient, |cx, i, gradient| {
            let batch = batch(base, &inputs[chunks[i].clone()]);
            let given = (&targets, &weights, chunks[i].start);
            train_chunk(cx, base, adapter, &batch, given, Some(key.child(i as u64)), gradient)
        });
        optimizer.step((base.device(), 1), &mut adapter.params, &gradient, 1e-2);
        adapter.refresh(base.device(), 1);
        before = allocations(&workers) - before;
    }
    before
}

#[test]
fn training_is_the_same_to_the_bit_on_any_number_of_threads() {
    for family in FAMILIES {
        let (_, base) = open(family);
        for (i, method) in METHODS.iter().enumerate() {
            let run = |threads: usize| {
                let mut a = adapter(&base, method, any_head(i, 3, Pooling::Mean, None), 11);
                let start = a.params.values.clone();
                let asked = three_steps(&base, &mut a, threads);
                assert_ne!(a.params.values, start, "{family} {method}: nothing was trained");
                assert!(a.params.values.iter().all(|x| x.is_finite()), "{family} {method}");
                if threads == 1 {
                    assert_eq!(asked, 0, "{family} {method}: a warm step asked for memory");
                }
                a.params.values
            };
            let one = run(1);
            assert_eq!(one, run(2), "{family} {method}: two threads");
            assert_eq!(one, run(3), "{family} {method}: three threads");
        }
    }
}

#[test]
fn training_leaves_the_base_and_other_adapters_alone() {
    let mut cx = Context::new(Device::cpu());
    for family in FAMILIES {
        let (_, base) = open(family);
        let inputs = batch(&base, &examples(&base, 6, 2));
        let plain = |cx: &mut Context| {
            hidden_states(cx, &base, &inputs, &[Segment { adapter: None, sequences: 0..6 }])
        };
        let other = adapter(&base, "adapter[width=8]", head(3, Pooling::Mean, None), 1);
        let states = plain(&mut cx);
        let answers = predict(&mut cx, &base, &inputs, &all(&other, 6));
        for method in METHODS {
            let mut trained = adapter(&base, method, head(3, Pooling::Mean, None), 5);
            three_steps(&base, &mut trained, 2);
            assert_eq!(plain(&mut cx), states, "{family} {method} changed the base");
            let now = predict(&mut cx, &base, &inputs, &all(&other, 6));
            assert_eq!(now, answers, "{family} {method} changed another adapter");
        }
    }
}

/// The cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn int8_weights_change_answers_and_gradients_by_little() {
    let mut cx = Context::new(Device::cpu());
    for family in FAMILIES {
        let (_, exact) = open(family);
        let inputs = batch(&exact, &examples(&exact, 6, 4));
        for precision in [Precision::Int8, Precision::Int8Forward] {
            let (_, rounded) = open_as(family, precision);
            assert!(rounded.bytes() < exact.bytes());
            for method in ["adapter[width=8]", "lora[r=4]", "seq_bn[reduction_factor=4]"] {
                let a = adapter(&exact, method, head(3, Pooling::Mean, None), 2);
                let b = adapter(&rounded, method, head(3, Pooling::Mean, None), 2);
                assert_eq!(a.params.values, b.params.values);
                let outputs = |cx: &mut Context, base: &Base, a: &Adapter| {
                    predict(cx, base, &inputs, &all(a, 6)).concat()
                };
                let (x, y) = (outputs(&mut cx, &exact, &a), outputs(&mut cx, &rounded, &b));
                assert_ne!(x, y, "int8 must have been used");
                let largest = x.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                let worst = x.iter().zip(&y).fold(0.0f32, |m, (x, y)| m.max((x - y).abs()));
                assert!(
                    worst / largest < 0.05,
                    "{family} {method} {precision:?}: {}",
                    worst / largest
                );
                let (g, h) = (
                    loss(&mut cx, &exact, &a, &inputs, None).1,
                    loss(&mut cx, &rounded, &b, &inputs, None).1,
                );
                let cosine = cosine(&g, &h);
                assert!(cosine > 0.99, "{family} {method} {precision:?}: {cosine}");
            }
        }
    }
}

#[test]
fn faults_of_specifications_are_named() {
    let (_, base) = open("bert");
    let fault = |method: &str| {
        let spec: MethodSpec = method.parse().unwrap();
        Adapter::new(&base, &spec, head(2, Pooling::Cls, None), 0).err().unwrap().to_string()
    };
    assert!(fault("adaptor").contains("did you mean 'adapter'"));
    assert!(fault("adapter[widht=8]").contains("did you mean 'width'"));
    assert!(fault("adapter[width=0]").contains("whole number above 0"));
    assert!(fault("seq_bn[leave_out=[7]]").contains("layers of 0..2"));
    assert!(fault("lora[targets=[qeury]]").contains("query, key"));
    let clash = fault("seq_bn|par_bn");
    assert!(
        clash.contains("seq_bn") && clash.contains("par_bn") && clash.contains("layer 0"),
        "{clash}"
    );
    let (_, distilbert) = open("distilbert");
    let spec = MethodSpec::named("linear");
    let error = Adapter::new(&distilbert, &spec, head(2, Pooling::Pooler, None), 0).err().unwrap();
    assert!(error.to_string().contains("--pooling"));
}

#[test]
fn tensors_of_another_shape_or_number_are_refused() {
    let (_, base) = open("bert");
    let trained = adapter(&base, "adapter[width=8]", head(3, Pooling::Cls, None), 0);
    let load = |change: &dyn Fn(&mut budwood_base::tensor::TensorMap)| {
        let mut tensors = trained.params.to_tensors();
        change(&mut tensors);
        let head = trained.head_spec().clone();
        Adapter::from_tensors(&base, trained.spec(), head, &tensors).err().map(|e| e.to_string())
    };
    assert_eq!(load(&|_| {}), None);
    let missing = load(&|t| drop(t.remove("head.out.weight"))).unwrap();
    assert!(missing.contains("head.out.weight"), "{missing}");
    let extra =
        load(&|t| drop(t.insert("layers.9.x".into(), budwood_base::tensor::Tensor::zeros([1]))));
    assert!(extra.unwrap().contains("layers.9.x"));
    let shape =
        load(&|t| drop(t.insert("head.out.bias".into(), budwood_base::tensor::Tensor::zeros([4]))));
    assert!(shape.unwrap().contains("head.out.bias"));
}
