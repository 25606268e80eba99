use super::{assert_close, numbers, wide};
use crate::arch::int8::{K_BLOCK, Way};
use crate::ops::gemm::{Beta, MatRef};
use crate::ops::int8::{
    PackedInt8, QuantizedRows, Target, product, product_in, quantize_row, quantize_weight,
};
use crate::{Isa, reference};

const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1, 1), (3, 5, 7), (14, 256, 32), (29, 1025, 65), (15, 2050, 31), (16, 64, 100)];

/// The product of what the bytes stand for, exactly.
fn expected(isa: Isa, x: &[f32], w: &[f32], m: usize, k: usize, n: usize) -> Vec<f64> {
    let (bytes, scales) = quantize_weight(isa, w, k);
    let w: Vec<f64> = (0..n * k).map(|i| f64::from(bytes[i]) * f64::from(scales[i / k])).collect();
    let wt: Vec<f64> = (0..k * n).map(|i| w[i % n * k + i / n]).collect();
    let mut rounded = Vec::with_capacity(x.len());
    for row in x.chunks(k) {
        let mut q = vec![0; k];
        let (scale, zero) = quantize_row(isa, row, &mut q, K_BLOCK);
        rounded.extend(q.iter().map(|&q| f64::from(scale) * (f64::from(q) - f64::from(zero))));
    }
    reference::product(&rounded, &wt, m, k, n)
}

fn pack(isa: Isa, w: &[f32], k: usize) -> PackedInt8 {
    let (bytes, scales) = quantize_weight(isa, w, k);
    PackedInt8::new(k, &scales, |i, j| bytes[j * k + i])
}

#[test]
fn products_are_exact_in_what_the_bytes_stand_for() {
    for isa in Isa::available() {
        for (m, k, n) in SHAPES {
            let (x, w) = (numbers(m * k, 1), numbers(n * k, 2));
            let (c0, bias) = (numbers(m * n, 3), numbers(n, 4));
            let plain = expected(isa, &x, &w, m, k, n);
            let packed = pack(isa, &w, k);
            let mut rows = QuantizedRows::default();
            rows.set(isa, MatRef::new(&x, m, k, k), None);
            let both = c0.iter().zip(bias.iter().cycle()).map(|(c, b)| c + b).collect::<Vec<_>>();
            for (beta, start) in [
                (Beta::Zero, vec![0.0; m * n]),
                (Beta::Add, c0.clone()),
                (Beta::Bias(&bias), bias.repeat(m)),
                (Beta::AddWithBias(&bias), both.clone()),
            ] {
                let mut c = c0.clone();
                product(isa, &rows, &mut [Target { b: &packed, c: &mut c, c_stride: n, beta }]);
                let expected: Vec<f64> =
                    plain.iter().zip(&start).map(|(p, s)| p + f64::from(*s)).collect();
                assert_close(&c, &expected, 3e-6, &format!("{} {m}x{k}x{n} {beta:?}", isa.name()));
            }
        }
    }
}

/// Shapes with rows, columns and elements of K that fill no tile of any way, and some that do.
#[test]
fn every_way_to_multiply_bytes_gives_the_same_bits() {
    let shapes = [(1, 4, 1), (16, 64, 32), (17, 60, 33), (32, 128, 64), (47, 1152, 96)];
    for isa in Isa::available() {
        for (m, k, n) in shapes.into_iter().chain(SHAPES) {
            let (x, w) = (numbers(m * k, 1), numbers(n * k, 2));
            let (c0, bias) = (numbers(m * n, 3), numbers(n, 4));
            let packed = pack(isa, &w, k);
            let mut rows = QuantizedRows::default();
            // What was there before is larger, and must not be seen.
            rows.set(isa, MatRef::new(&[9.0; 80 * 70], 80, 70, 70), None);
            rows.set(isa, MatRef::new(&x, m, k, k), None);
            for beta in [Beta::Zero, Beta::Add, Beta::Bias(&bias), Beta::AddWithBias(&bias)] {
                let by = |way| {
                    let mut c = c0.clone();
                    let target = Target { b: &packed, c: &mut c, c_stride: n, beta };
                    product_in(isa, way, &rows, &mut [target]);
                    c.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
                };
                let ways: Vec<Way> = Way::of(isa).collect();
                let results: Vec<_> = ways.iter().map(|way| by(*way)).collect();
                for (way, result) in ways.iter().zip(&results) {
                    assert!(*result == results[0], "{} {way:?} {m}x{k}x{n}", isa.name());
                }
            }
        }
    }
}

#[test]
fn the_rounding_is_within_half_a_step() {
    for isa in Isa::available() {
        let x: Vec<f32> = numbers(200, 5).iter().map(|x| x * x * x * 3.0 - 0.2).collect();
        let low = x.iter().copied().fold(0.0f32, f32::min);
        let high = x.iter().copied().fold(0.0f32, f32::max);
        let mut q = vec![0; 200];
        let (scale, zero) = quantize_row(isa, &x, &mut q, K_BLOCK);
        assert_eq!(scale, (high - low) / 255.0);
        assert_eq!(zero, (-low / scale).round());
        for (q, x) in q.iter().zip(&x) {
            let back = scale * (f32::from(*q) - zero);
            assert!((back - x).abs() <= 0.51 * scale + 1e-6, "{x} became {back}");
        }
        // A whole product errs by little.
        let (m, k, n) = (5, 384, 40);
        let (x, w) = (numbers(m * k, 6), numbers(n * k, 7));
        let exact = expected(isa, &x, &w, m, k, n);
        let wt: Vec<f64> = (0..k * n).map(|i| f64::from(w[i % n * k + i / n])).collect();
        let truth = reference::product(&wide(&x), &wt, m, k, n);
        let largest = truth.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        let worst = exact.iter().zip(&truth).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst / largest < 0.02, "{}", worst / largest);
    }
}

#[test]
fn rows_of_zeros_and_constants_are_harmless() {
    for isa in Isa::available() {
        let x = [vec![0.0; 8], vec![-3.0; 8], vec![5.0; 8]].concat();
        let w = numbers(4 * 8, 1);
        let packed = pack(isa, &w, 8);
        let mut rows = QuantizedRows::default();
        rows.set(isa, MatRef::new(&x, 3, 8, 8), None);
        let mut c = vec![1.0; 12];
        product(isa, &rows, &mut [Target { b: &packed, c: &mut c, c_stride: 4, beta: Beta::Zero }]);
        assert_close(&c, &expected(isa, &x, &w, 3, 8, 4), 1e-6, isa.name());
        assert_eq!(c[..4], [0.0; 4]);
    }
}

#[test]
fn factors_of_columns_are_applied_before_rounding() {
    for isa in Isa::available() {
        let (x, w, f) = (numbers(6 * 40, 1), numbers(9 * 40, 2), numbers(40, 3));
        let scaled: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * f[i % 40]).collect();
        let packed = pack(isa, &w, 40);
        let mut rows = QuantizedRows::default();
        rows.set(isa, MatRef::new(&x, 6, 40, 40), Some(&f));
        let mut c = vec![0.0; 54];
        product(isa, &rows, &mut [Target { b: &packed, c: &mut c, c_stride: 9, beta: Beta::Zero }]);
        assert_close(&c, &expected(isa, &scaled, &w, 6, 40, 9), 3e-6, isa.name());
    }
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    for isa in Isa::available() {
        let (m, k, n) = (3, 1028, 33);
        let (x, w) = (vec![2.0; m * k], vec![-127.0; n * k]);
        let packed = pack(isa, &w, k);
        let mut rows = QuantizedRows::default();
        rows.set(isa, MatRef::new(&x, m, k, k), None);
        let mut c = vec![0.0; m * n];
        product(isa, &rows, &mut [Target { b: &packed, c: &mut c, c_stride: n, beta: Beta::Zero }]);
        assert_close(&c, &vec![-254.0 * k as f64; m * n], 1e-6, isa.name());
    }
}

#[test]
fn a_row_that_is_not_finite_gives_no_finite_result() {
    for isa in Isa::available() {
        for (at, wrong) in
            [(0, f32::NAN), (70, f32::NAN), (99, f32::INFINITY), (3, f32::NEG_INFINITY)]
        {
            let mut x = numbers(2 * 100, 1);
            x[100 + at] = wrong;
            let packed = pack(isa, &numbers(5 * 100, 2), 100);
            let mut rows = QuantizedRows::default();
            rows.set(isa, MatRef::new(&x, 2, 100, 100), None);
            let mut c = vec![0.0; 10];
            product(
                isa,
                &rows,
                &mut [Target { b: &packed, c: &mut c, c_stride: 5, beta: Beta::Zero }],
            );
            assert!(c[..5].iter().all(|x| x.is_finite()), "the row beside it is untouched");
            assert!(c[5..].iter().all(|x| !x.is_finite()), "{wrong} became {:?}", &c[5..]);
        }
    }
}

#[test]
fn weights_are_rounded_as_one_by_one() {
    let mut w = numbers(7 * 45, 9);
    // Halves, whose rounding is away from zero, and a row of zeros.
    w[..45].iter_mut().enumerate().for_each(|(i, w)| *w = (i as f32 - 22.0) / 2.0);
    w[0] = 127.0;
    w[45..90].fill(0.0);
    for isa in Isa::available() {
        let (bytes, scales) = quantize_weight(isa, &w, 45);
        for ((row, bytes), scale) in w.chunks(45).zip(bytes.chunks(45)).zip(&scales) {
            let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(largest <= 127.0 * scale && (largest == 0.0 || largest > 126.9 * scale));
            for (x, byte) in row.iter().zip(bytes) {
                assert_eq!(f32::from(*byte), (x / scale).round(), "{} {x}", isa.name());
            }
        }
    }
}

#[test]
fn what_the_bytes_stand_for_is_quantised_to_the_same_bytes() {
    for isa in Isa::available() {
        let mut w = numbers(300 * 40, 3);
        w.iter_mut().enumerate().for_each(|(i, w)| *w *= 1.7f32.powi((i / 40 % 90) as i32 - 60));
        w[..40].fill(0.0);
        let (bytes, scales) = quantize_weight(isa, &w, 40);
        let back: Vec<f32> =
            bytes.iter().enumerate().map(|(i, &b)| f32::from(b) * scales[i / 40]).collect();
        assert!(bytes[40..].chunks(40).all(|row| row.iter().any(|b| b.abs() == 127)));
        assert_eq!(quantize_weight(isa, &back, 40), (bytes, scales));
    }
}
