//! Sequences that are much longer than a tile of attention.

use allocation_counter::measure;
use budwood_base::encoder::{EncoderSpec, InputSpec};
use budwood_base::head::Pooling;
use budwood_base::random::Key;
use budwood_base::tensor::Tensor;
use budwood_engine::{Context, Device, Precision, Workers};
use budwood_model::{Adapter, Base, Batch, predict, train_chunk};

use crate::support::*;

/// Rows of the table of positions.
const POSITIONS: usize = 8192;

/// The small base of BERT with more positions and so many layers: the table's rows and its own
/// layers again and again.
fn base(precision: Precision, layers: usize) -> Base {
    let (model, _) = open("bert");
    let mut spec: EncoderSpec = model.spec().clone();
    let own = std::mem::replace(&mut spec.layers, layers);
    let InputSpec::Text(text) = &mut spec.input else { panic!("BERT reads text") };
    let before = std::mem::replace(&mut text.positions, POSITIONS);
    let fetch = |name: &str| {
        let layer = |part: &str| part.parse().map_or(part.into(), |l: usize| (l % own).to_string());
        let name = name.split('.').map(layer).collect::<Vec<_>>().join(".");
        let Tensor { shape, data } = model.tensor(&name)?;
        let rows = if shape[0] == before { POSITIONS } else { shape[0] };
        let len = rows * shape[1..].iter().product::<usize>();
        let data = data.iter().copied().cycle().take(len).collect();
        let shape = [&[rows], &shape[1..]].concat();
        Ok::<_, budwood_train::Error>(Tensor::new(shape, data))
    };
    Base::load(spec, Device::cpu(), precision, true, fetch).unwrap()
}

fn sequence(length: usize) -> Batch {
    let ids: Vec<u32> = (0..length).map(|i| 5 + (i * i % 90) as u32).collect();
    let types = vec![0; length];
    Batch::from_sequences([(&ids[..], &types[..])])
}

fn step(cx: &mut Context, base: &Base, adapter: &Adapter, inputs: &Batch) -> Vec<f32> {
    loss(cx, base, adapter, inputs, Some(Key::new(3))).1
}

#[test]
fn memory_grows_with_the_length_and_not_with_its_square() {
    let base = base(Precision::F32, 2);
    let adapter =
        adapter(&base, "lora[r=2,targets=[query,value]]", head(3, Pooling::Mean, None), 11);
    let held = |length: usize| {
        let inputs = sequence(length);
        let forward = measure(|| {
            predict(&mut Context::new(Device::cpu()), &base, &inputs, &all(&adapter, 1));
        });
        let training = measure(|| {
            step(&mut Context::new(Device::cpu()), &base, &adapter, &inputs);
        });
        [forward.bytes_max, training.bytes_max]
    };
    let (half, whole) = (held(POSITIONS / 2), held(POSITIONS));
    for (half, whole) in half.into_iter().zip(whole) {
        assert!(
            whole as f64 <= 2.2 * half as f64,
            "{half} bytes, and {whole} for twice the length"
        );
    }
}

/// Operations share one long sequence among threads; nothing is added up in another order.
#[test]
fn one_long_sequence_gives_the_same_bits_on_any_number_of_threads() {
    let base = base(Precision::F32, 2);
    for method in ["lora[r=2,targets=[query,value]]", "prefix_tuning[prefix_length=3]", "full"] {
        let adapter = adapter(&base, method, head(3, Pooling::Mean, None), 11);
        let inputs = sequence(2500);
        let on = |threads: usize| {
            let mut workers = Workers::new(base.device(), threads);
            let outputs = workers.map(1, |cx, _| predict(cx, &base, &inputs, &all(&adapter, 1)));
            (outputs, workers.map(1, |cx, _| step(cx, &base, &adapter, &inputs)))
        };
        let one = on(1);
        assert!(one.1[0].iter().all(|x| x.is_finite()) && one.1[0].iter().any(|x| *x != 0.0));
        for threads in [2, 3, 6] {
            assert!(one == on(threads), "{method} on {threads} threads");
        }
    }
}

/// Activations of long chunks rest in bf16 where weights are bytes. `Int8Forward` has the same
/// bytes, and keeps all bits.
#[test]
fn a_long_tape_rests_in_half_the_memory_and_gives_nearly_the_same_gradient() {
    let [narrow, wide] = [Precision::Int8, Precision::Int8Forward].map(|p| base(p, 16));
    let of = |base: &Base, length: usize| {
        let adapter = adapter(base, "adapter[width=8]", head(3, Pooling::Mean, None), 11);
        let mut cx = Context::new(Device::cpu());
        let gradient = loss(&mut cx, base, &adapter, &sequence(length), None).1;
        (gradient, cx.arena().bytes())
    };
    let ((a, bytes), (b, bytes_wide)) = (of(&narrow, 2500), of(&wide, 2500));
    assert!(2 * bytes < bytes_wide + bytes_wide / 2, "{bytes} and {bytes_wide} bytes");
    let square = |x: &[f32]| x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
    let apart: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let apart = (square(&apart) / square(&b)).sqrt();
    assert!(apart < 0.05, "{apart}");
    // A short one rests as it is.
    assert_eq!(of(&narrow, 300).1, of(&wide, 300).1);
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let apart: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(a - b))).sum();
    (apart / b.iter().map(|b| square(f64::from(*b))).sum::<f64>()).sqrt()
}

/// Layers of long chunks in f32 keep their input alone and go forward again. Two sequences that are
/// a long chunk together are short ones apart, whose layers keep all: the gradients must be those
/// of the parts.
#[test]
fn the_gradient_of_a_long_chunk_is_that_of_its_parts() {
    let texts: Vec<Vec<u32>> =
        [700, 600].map(|n| (0..n).map(|i| 5 + (i * i % 90) as u32).collect()).into();
    let types = vec![0; 700];
    let batch = |texts: &[Vec<u32>]| {
        Batch::from_sequences(texts.iter().map(|ids| (&ids[..], &types[..ids.len()])))
    };
    let bert = base(Precision::F32, 6);
    for family in ["bert", "modernbert", "deberta-v2"] {
        let other = (family != "bert").then(|| open(family).1);
        let base = other.as_ref().unwrap_or(&bert);
        for method in ["adapter[width=8]", "lora[r=2]", "prefix_tuning[prefix_length=3]", "full"] {
            let adapter = adapter(base, method, head(3, Pooling::Mean, None), 11);
            let whole = batch(&texts);
            let (targets, weights) = targets(&adapter, &whole);
            let mut cx = Context::new(Device::cpu());
            let mut of = |first: usize, inputs: &Batch| {
                let mut gradient = vec![0.0; adapter.params.len()];
                let learned = (&targets, &weights, first);
                train_chunk(&mut cx, base, &adapter, inputs, learned, None, &mut gradient);
                gradient
            };
            let parts = [0, 1].map(|i| of(i, &batch(&texts[i..=i])));
            let sum: Vec<f32> = parts[0].iter().zip(&parts[1]).map(|(a, b)| a + b).collect();
            let apart = distance(&of(0, &whole), &sum);
            assert!(apart < 1e-4, "{method} on {family}: {apart}");
        }
    }
}

/// A layer that goes forward again meets the same dropout: else the gradient is of another loss.
#[test]
fn layers_that_are_made_again_have_the_same_dropout() {
    let base = base(Precision::F32, 6);
    let mut adapter = adapter(&base, "adapter[width=8]", head(3, Pooling::Mean, None), 11);
    let inputs = sequence(1100);
    let mut cx = Context::new(Device::cpu());
    let (_, gradient) = loss(&mut cx, &base, &adapter, &inputs, Some(Key::new(3)));
    let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    let start = adapter.params.values.clone();
    let mut moved = |step: f64| {
        for (x, (start, g)) in adapter.params.values.iter_mut().zip(start.iter().zip(&gradient)) {
            *x = start + (step * f64::from(*g) / norm) as f32;
        }
        adapter.refresh(base.device(), 1);
        loss(&mut cx, &base, &adapter, &inputs, Some(Key::new(3))).0
    };
    let slope = (moved(2e-3) - moved(-2e-3)) / 4e-3;
    assert!((slope - norm).abs() < 0.02 * norm, "{slope} along a gradient of {norm}");
}

/// Beyond a third of the weights' memory a layer costs its input and no more.
#[test]
fn the_tape_of_a_long_chunk_is_an_input_a_layer() {
    let of = |layers: usize| {
        let base = base(Precision::F32, layers);
        let adapter = adapter(&base, "adapter[width=8]", head(3, Pooling::Mean, None), 11);
        let mut cx = Context::new(Device::cpu());
        loss(&mut cx, &base, &adapter, &sequence(2500), None);
        cx.arena().bytes()
    };
    let (few, many) = (of(4), of(12));
    let input = 2500 * open("bert").1.spec().hidden * size_of::<f32>();
    assert!(
        many - few <= 8 * input + input / 2,
        "{} bytes a layer, an input has {input}",
        (many - few) / 8
    );
}

/// A forward pass takes some rows at a time through the feed-forward network, where no method acts
/// within; a step keeps all of them. Answers are the same to the bit, and memory is saved.
#[test]
fn a_long_forward_pass_goes_through_the_network_in_blocks() {
    let [bert, gated, relative] =
        [base(Precision::F32, 2), open("modernbert").1, open("deberta-v2").1];
    for base in [bert, gated, relative] {
        let texts: Vec<Vec<u32>> =
            [300, 277].map(|n| (0..n).map(|i| 5 + (i * i % 90) as u32).collect()).into();
        let types = vec![0; 300];
        let inputs = Batch::from_sequences(texts.iter().map(|ids| (&ids[..], &types[..ids.len()])));
        let held = ["adapter[width=8]", "lora[r=2,targets=[query]]", "lora[r=2,targets=[ffn_in]]"]
            .map(|method| {
                let adapter = adapter(&base, method, head(3, Pooling::Mean, None), 11);
                let (targets, weights) = targets(&adapter, &inputs);
                let given = (&targets, &weights, 0);
                let mut gradient = vec![0.0; adapter.params.len()];
                let mut cx = Context::new(Device::cpu());
                let kept =
                    train_chunk(&mut cx, &base, &adapter, &inputs, given, None, &mut gradient);
                let mut cx = Context::new(Device::cpu());
                let answers = predict(&mut cx, &base, &inputs, &all(&adapter, 2));
                assert!(answers == kept.outputs, "{method}");
                cx.arena().bytes()
            });
        let saved = (577 - 2 * 256) * base.spec().intermediate * size_of::<f32>();
        assert!(held[1] + saved < held[2], "{held:?}, {saved} wanted");
    }
}

/// Alone, a long sequence goes through the layers in blocks of rows; beside another one it does
/// not. Its answers are the same to the bit, whatever the method reads.
#[test]
fn a_long_sequence_has_the_same_bits_in_blocks() {
    let texts: Vec<Vec<u32>> =
        [1100, 5].map(|n| (0..n).map(|i| 5 + (i * i % 90) as u32).collect()).into();
    let types = vec![0; 1100];
    let batch = |texts: &[Vec<u32>]| {
        Batch::from_sequences(texts.iter().map(|ids| (&ids[..], &types[..ids.len()])))
    };
    let (alone, beside) = (batch(&texts[..1]), batch(&texts));
    for base in [base(Precision::F32, 2), open("modernbert").1, open("deberta-v2").1] {
        let methods = methods_of(&base);
        // Of a head over the first token few methods say enough.
        let poolings = [(Pooling::Mean, 1), (Pooling::Cls, 8)].into_iter();
        let each = poolings.flat_map(|(p, n)| methods.iter().step_by(n).map(move |m| (p, m)));
        for (pooling, method) in each {
            let adapter = adapter(&base, method, head(3, pooling, None), 11);
            let answers = |inputs: &Batch, threads: usize| {
                let mut workers = Workers::new(base.device(), threads);
                let segments = all(&adapter, inputs.spans.len());
                let run = |cx: &mut Context, _| predict(cx, &base, inputs, &segments).remove(0);
                workers.map(1, run).remove(0)
            };
            let whole = answers(&beside, 1);
            assert!(whole.iter().all(|x| x.is_finite()), "{method}");
            // Blocks are longer where there are more threads than heads.
            for threads in [1, 20] {
                assert_eq!(answers(&alone, threads), whole, "{method} on {threads} threads");
            }
        }
    }
}

/// The layer's input, its keys and its values are all that a forward pass holds of all rows.
#[test]
fn a_long_forward_pass_holds_three_matrices() {
    let long = 8000;
    for base in [base(Precision::F32, 2), open("modernbert").1] {
        let matrix = long * base.spec().hidden * size_of::<f32>();
        for method in ["adapter[width=8]", "lora[r=2]"] {
            let adapter = adapter(&base, method, head(3, Pooling::Mean, None), 11);
            let mut cx = Context::new(Device::cpu());
            predict(&mut cx, &base, &sequence(long), &all(&adapter, 1));
            let held = cx.arena().bytes();
            assert!(2 * held < 9 * matrix, "{method}: {held} bytes, a matrix has {matrix}");
        }
    }
}
