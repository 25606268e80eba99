//! Frozen weights in int8.

use budwood_base::head::Pooling;
use budwood_engine::{Context, Device, Precision};
use budwood_model::method::METHODS;
use budwood_model::{Adapter, Base, predict};

use crate::support::*;

/// The cosine of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn int8_weights_change_answers_and_gradients_by_little() {
    let mut cx = Context::new(Device::cpu());
    for family in families() {
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

/// What a method's table says is what building it asks for.
#[test]
fn the_methods_that_need_f32_are_refused_in_int8_and_no_others() {
    for family in families() {
        let (_, base) = open_as(family, Precision::Int8);
        for method in METHODS {
            for example in method.examples {
                let head = head(3, Pooling::Mean, None);
                let built = Adapter::new(&base, &example.parse().unwrap(), head, 0);
                // Some families refuse some options for other reasons.
                let in_bytes = built.is_err_and(|e| e.to_string().contains("held in int8"));
                assert_eq!(in_bytes, method.needs_f32, "{family} {example}");
            }
        }
    }
}
