use super::{assert_close, numbers, numeric_gradient, wide};
use crate::ops::activation::{self, Activation};
use crate::ops::dropout::{self, Dropout};
use crate::ops::optimizer::{AdamW, adamw};
use crate::ops::{attention, elementwise, loss, transpose};
use crate::{Isa, reference};

const ACTIVATIONS: [Activation; 8] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::QuickGelu,
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

#[test]
fn activations_match_their_definitions() {
    let x: Vec<f32> = (-4000..4000).map(|i| i as f32 * 0.0031 + 0.000_7).collect();
    let x64 = wide(&x);
    for isa in Isa::available() {
        for f in ACTIVATIONS {
            let what = format!("{} {f:?}", isa.name());
            let mut y = vec![0.0; x.len()];
            activation::forward(isa, f, &x, &mut y);
            for (i, (&y, &x)) in y.iter().zip(&x64).enumerate() {
                let expected = reference::activation(f, x);
                let error = (f64::from(y) - expected).abs();
                assert!(
                    error < 3e-7 * (1.0 + x.abs()),
                    "{what}: f({x}) = {y}, not {expected} ({i})"
                );
            }
            let mut dx = vec![1.0; x.len()];
            activation::backward(isa, f, &x, &mut dx);
            for (&dx, &x) in dx.iter().zip(&x64) {
                let h = 1e-6;
                let expected =
                    (reference::activation(f, x + h) - reference::activation(f, x - h)) / (2.0 * h);
                assert!(
                    (f64::from(dx) - expected).abs() < 2e-6 * (1.0 + x.abs()),
                    "{what}: f'({x}) = {dx}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn extreme_inputs_stay_finite() {
    let x = [-1e30f32, -200.0, -88.0, 88.0, 200.0, 1e30];
    for isa in Isa::available() {
        for f in ACTIVATIONS {
            if f == Activation::GeluTanh {
                continue; // x³ overflows in every implementation.
            }
            let (mut y, mut dx) = (vec![0.0; 6], vec![1.0; 6]);
            activation::forward(isa, f, &x, &mut y);
            activation::backward(isa, f, &x, &mut dx);
            assert!(y.iter().chain(&dx).all(|x| x.is_finite()), "{f:?} {y:?} {dx:?}");
        }
        let mut row = [[-1e30, 0.0, 500.0].as_slice(), &[0.0; 13]].concat();
        attention::softmax_rows(isa, &mut row, 3, 16, 1.0);
        assert_close(&row[..3], &[0.0, 0.0, 1.0], 1e-6, "softmax");
    }
}

#[test]
fn what_stands_after_a_row_does_not_enter_its_softmax() {
    for isa in Isa::available() {
        for columns in (1..40).chain([64, 65, 200]) {
            let stride = columns + 16;
            let x = numbers(2 * columns, columns as u64);
            let mut rows = vec![f32::NAN; 2 * stride];
            for (row, x) in rows.chunks_exact_mut(stride).zip(x.chunks_exact(columns)) {
                row[..columns].copy_from_slice(x);
            }
            attention::softmax_rows(isa, &mut rows, columns, stride, 1.0);
            let got: Vec<f32> =
                rows.chunks_exact(stride).flat_map(|r| &r[..columns]).copied().collect();
            let what = format!("{} {columns}", isa.name());
            assert_close(&got, &reference::softmax(&wide(&x), columns), 1e-6, &what);
        }
    }
}

#[test]
fn dropout_keeps_the_mean_and_depends_on_the_place_only() {
    for isa in Isa::available() {
        let dropout = Dropout::new(0.1, 42);
        let mut x = vec![1.0f32; 200_000];
        dropout::apply(isa, dropout, 5, &mut x);
        let kept = x.iter().filter(|&&x| x > 0.0).count() as f64 / x.len() as f64;
        assert!((kept - 0.9).abs() < 0.003, "{kept}");
        assert!(x.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.9).abs() < 1e-6));
        let mut part = vec![1.0f32; 1000];
        dropout::apply(isa, dropout, 5 + 777, &mut part);
        assert_eq!(part, x[777..1777]);
        let mut other = vec![1.0f32; 1000];
        dropout::apply(isa, Dropout::new(0.1, 43), 5, &mut other);
        assert_ne!(other, x[..1000]);
        // Neighbouring places are independent: both dropped once in a hundred.
        let pairs = x.windows(2).filter(|w| w[0] == 0.0 && w[1] == 0.0).count() as f64;
        assert!((pairs / x.len() as f64 - 0.01).abs() < 0.001, "{pairs}");
    }
}

/// Masks do not repeat after 2^32 places, and pieces of one that crosses that place fit together.
#[test]
fn dropout_has_more_than_four_thousand_million_places() {
    for isa in Isa::available() {
        let dropout = Dropout::new(0.5, 42);
        let mask = |start: u64, n: usize| {
            let mut x = vec![1.0f32; n];
            dropout::apply(isa, dropout, start, &mut x);
            x
        };
        for high in [1, 2, 1 << 20] {
            let (first, other) = (mask(0, 2000), mask(high << 32, 2000));
            let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((900..1100).contains(&same), "{same} of 2000 places agree");
        }
        let across = mask((3 << 32) - 700, 1500);
        assert_eq!(across[..700], mask((3 << 32) - 700, 700));
        assert_eq!(across[700..], mask(3 << 32, 800));
        assert!((0..1500).all(|i| across[i] == dropout.factor((3 << 32) - 700 + i as u64)));
    }
}

#[test]
fn vector_operations_match_plain_loops() {
    for isa in Isa::available() {
        for n in [1, 15, 16, 33, 100] {
            let (x, y, z) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
            let expected: f64 = wide(&x).iter().zip(wide(&y)).map(|(a, b)| a * b).sum();
            assert!((f64::from(elementwise::dot(isa, &x, &y)) - expected).abs() < 1e-5);
            let expected: f64 = wide(&x).iter().map(|a| a * a).sum();
            assert!((elementwise::sum_of_squares(isa, &x) - expected).abs() < 1e-9);
            let check = |got: &[f32], f: &dyn Fn(usize) -> f64| {
                let expected: Vec<f64> = (0..n).map(f).collect();
                assert_close(got, &expected, 1e-6, isa.name());
            };
            let (x64, y64, z64) = (wide(&x), wide(&y), wide(&z));
            let mut got = y.clone();
            elementwise::add(isa, &mut got, &x);
            check(&got, &|i| y64[i] + x64[i]);
            let mut got = y.clone();
            elementwise::add_scaled(isa, &mut got, 0.5, &x);
            check(&got, &|i| y64[i] + 0.5 * x64[i]);
            let mut got = y.clone();
            elementwise::multiply(isa, &mut got, &x);
            check(&got, &|i| y64[i] * x64[i]);
            let mut got = y.clone();
            elementwise::add_product(isa, &mut got, &x, &z);
            check(&got, &|i| y64[i] + x64[i] * z64[i]);
            let mut got = y.clone();
            elementwise::scale(isa, &mut got, -2.0);
            check(&got, &|i| -2.0 * y64[i]);
        }
    }
}

#[test]
fn losses_match_their_gradients() {
    let x = numbers(5, 1);
    let x64 = wide(&x);
    let mut d = vec![0.0; 5];
    let value = loss::cross_entropy(&x, 3, 0.5, &mut d);
    let expected = |x: &[f64]| -reference::softmax(x, 5)[3].ln();
    assert!((f64::from(value) - expected(&x64)).abs() < 1e-6);
    assert_close(&d, &numeric_gradient(&x64, |x| 0.5 * expected(x)), 1e-5, "cross-entropy");

    let targets = [1.0f32, 0.0, 0.0, 1.0, 1.0];
    let value = loss::binary_cross_entropy(&x, &targets, 0.5, &mut d);
    let expected = |x: &[f64]| {
        let p = |x: f64| 1.0 / (1.0 + (-x).exp());
        let term = |(x, t): (&f64, &f32)| if *t > 0.5 { -p(*x).ln() } else { -(1.0 - p(*x)).ln() };
        x.iter().zip(&targets).map(term).sum::<f64>() / 5.0
    };
    assert!((f64::from(value) - expected(&x64)).abs() < 1e-6);
    assert_close(&d, &numeric_gradient(&x64, |x| 0.5 * expected(x)), 1e-5, "binary cross-entropy");

    let mut d = 0.0;
    assert_eq!(loss::squared_error(3.0, 1.0, 0.5, &mut d), 4.0);
    assert_eq!(d, 2.0);
}

#[test]
fn adamw_matches_the_published_update() {
    for isa in Isa::available() {
        let (mut w, g) = (numbers(37, 1), numbers(37, 2));
        let (mut m, mut v) = (vec![0.0; 37], vec![0.0; 37]);
        let (mut w64, mut m64, mut v64) = (wide(&w), vec![0.0; 37], vec![0.0; 37]);
        for t in 1..=5i32 {
            let step = AdamW {
                learning_rate: 0.01,
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: 0.1,
                correction1: 1.0 - 0.9f32.powi(t),
                correction2: 1.0 - 0.999f32.powi(t),
            };
            adamw(isa, step, 0.5, &mut w, &g, &mut m, &mut v);
            for i in 0..37 {
                let g = 0.5 * f64::from(g[i]);
                m64[i] = 0.9 * m64[i] + 0.1 * g;
                v64[i] = 0.999 * v64[i] + 0.001 * g * g;
                let (mh, vh) = (m64[i] / (1.0 - 0.9f64.powi(t)), v64[i] / (1.0 - 0.999f64.powi(t)));
                w64[i] -= 0.01 * (0.1 * w64[i] + mh / (vh.sqrt() + 1e-8));
            }
        }
        assert_close(&w, &w64, 2e-5, isa.name());
    }
}

#[test]
fn matrices_are_turned_and_nothing_beside_them_is_touched() {
    for isa in Isa::available() {
        for (rows, columns) in [(1, 1), (1, 17), (16, 16), (3, 40), (40, 3), (33, 31), (128, 25)] {
            let (stride, to_stride) = (columns + 3, rows + 2);
            let x = numbers(rows * stride, rows as u64);
            let mut to = vec![9.0; columns * to_stride];
            transpose::transpose(isa, &x, rows, columns, stride, &mut to, to_stride);
            for (at, y) in to.iter().enumerate() {
                let (j, i) = (at / to_stride, at % to_stride);
                let expected = if i < rows { x[i * stride + j] } else { 9.0 };
                assert_eq!(*y, expected, "{} {rows}x{columns} [{i}, {j}]", isa.name());
            }
            let dense = numbers(rows * columns, 7);
            let mut sum = vec![2.0; rows * columns];
            transpose::add_transposed(isa, &dense, rows, columns, &mut sum);
            for (at, y) in sum.iter().enumerate() {
                assert_eq!(*y, 2.0 + dense[at % rows * columns + at / rows]);
            }
        }
    }
}
