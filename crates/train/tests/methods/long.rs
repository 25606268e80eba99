//! Sequences that are much longer than a tile of attention.

use allocation_counter::measure;
use budwood_base::encoder::{EncoderSpec, InputSpec};
use budwood_base::head::Pooling;
use budwood_base::random::Key;
use budwood_base::tensor::Tensor;
use budwood_engine::{Context, Device, Precision, Workers};
use budwood_model::{Adapter, Base, Batch, predict};

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
