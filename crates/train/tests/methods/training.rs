//! Training: the same on any number of threads, and nothing else is touched.

use budwood_base::head::{HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_engine::{Context, Device, Precision, Workers};
use budwood_model::{Adapter, Base, Segment, hidden_states, plan_chunks, predict, train_chunk};
use budwood_train::{Optimizer, OptimizerSpec};

use crate::support::*;

/// Neither the loss nor a gradient knows a layer that nearly all sequences skip.
#[test]
fn a_layer_that_is_skipped_is_as_good_as_none() {
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

/// Three steps with dropout on so many threads.
fn three_steps(base: &Base, adapter: &mut Adapter, threads: usize) {
    let inputs = examples(base, 64, 9);
    let all = batch(base, &inputs);
    let lengths: Vec<usize> = all.spans.iter().map(|rows| rows.len()).collect();
    let chunks = plan_chunks(&lengths);
    assert!(chunks.len() > 1, "the test needs several chunks");
    let (targets, weights) = targets(adapter, &all);
    let mut workers = Workers::new(Device::cpu(), threads);
    let mut optimizer = Optimizer::new(OptimizerSpec::bert(), adapter.params.len());
    for step in 0..3 {
        let mut gradient = vec![0.0; adapter.params.len()];
        let key = Key::new(1).child(step);
        let loss = workers.accumulate(chunks.len(), &mut gradient, |cx, i, gradient| {
            let batch = batch(base, &inputs[chunks[i].clone()]);
            let (given, key) = ((&targets, &weights, chunks[i].start), key.child(i as u64));
            let chunk = train_chunk(cx, base, adapter, &batch, given, Some(key), gradient);
            Ok::<_, budwood_train::Error>(chunk.loss)
        });
        assert!(loss.unwrap().is_finite());
        optimizer.step((base.device(), 1), &mut adapter.params, &gradient, 1e-2);
        adapter.refresh(base.device(), 1);
    }
}

#[test]
fn training_is_the_same_to_the_bit_on_any_number_of_threads() {
    for family in families() {
        let (_, base) = open(family);
        for (i, method) in methods_of(&base).iter().enumerate() {
            let run = |threads: usize| {
                let mut a = adapter(&base, method, any_head(i, 3, Pooling::Mean, None), 11);
                let start = a.params.values.clone();
                three_steps(&base, &mut a, threads);
                assert_ne!(a.params.values, start, "{family} {method}: nothing was trained");
                assert!(a.params.values.iter().all(|x| x.is_finite()), "{family} {method}");
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
    for family in families() {
        let (_, base) = open(family);
        let inputs = batch(&base, &examples(&base, 6, 2));
        let plain = |cx: &mut Context| {
            hidden_states(cx, &base, &inputs, &[Segment { adapter: None, sequences: 0..6 }])
        };
        let other = adapter(&base, "adapter[width=8]", head(3, Pooling::Mean, None), 1);
        let states = plain(&mut cx);
        let answers = predict(&mut cx, &base, &inputs, &all(&other, 6));
        for method in methods_of(&base) {
            let mut trained = adapter(&base, method, head(3, Pooling::Mean, None), 5);
            three_steps(&base, &mut trained, 2);
            assert_eq!(plain(&mut cx), states, "{family} {method} changed the base");
            let now = predict(&mut cx, &base, &inputs, &all(&other, 6));
            assert_eq!(now, answers, "{family} {method} changed another adapter");
        }
    }
}
