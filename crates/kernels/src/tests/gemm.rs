use super::{assert_close, numbers, wide};
use crate::ops::gemm::{Beta, MatRef, PackedB, Scratch, Target, bias_backward, product};
use crate::{Isa, reference};

const SHAPES: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (3, 5, 7),
    (14, 256, 32),
    (15, 257, 33),
    (13, 300, 31),
    (29, 64, 100),
    (2, 513, 65),
    (30, 17, 16),
    (5, 1000, 3),
    (43, 31, 129),
];

fn run(isa: Isa, a: MatRef<'_>, b: MatRef<'_>, c: &mut [f32], beta: Beta<'_>) {
    let packed = PackedB::new(isa, b);
    let (mut scratch, c_stride) = (Scratch::default(), b.columns);
    product(isa, &mut scratch, a, &mut [Target { b: &packed, c, c_stride, beta }]);
}

#[test]
fn products_of_odd_sizes_match_the_reference() {
    for isa in Isa::available() {
        for (m, k, n) in SHAPES {
            let (a, b, c0) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
            let bias = numbers(n, 4);
            let plain = reference::product(&wide(&a), &wide(&b), m, k, n);
            let (a, b) = (MatRef::new(&a, m, k, k), MatRef::new(&b, k, n, n));
            let both = c0.iter().zip(bias.iter().cycle()).map(|(c, b)| c + b).collect::<Vec<_>>();
            for (beta, start) in [
                (Beta::Zero, vec![0.0; m * n]),
                (Beta::Add, c0.clone()),
                (Beta::Bias(&bias), bias.repeat(m)),
                (Beta::AddWithBias(&bias), both.clone()),
            ] {
                let mut c = c0.clone();
                run(isa, a, b, &mut c, beta);
                let expected: Vec<f64> =
                    plain.iter().zip(&start).map(|(p, s)| p + f64::from(*s)).collect();
                let what = format!("{} {m}x{k}x{n} {beta:?}", isa.name());
                assert_close(&c, &expected, 2e-6, &what);
            }
        }
    }
}

#[test]
fn transposed_operands_match_the_reference() {
    for isa in Isa::available() {
        for (m, k, n) in SHAPES {
            let (at, bt) = (numbers(k * m, 5), numbers(n * k, 6));
            let (a, b) = (transpose(&at, k, m), transpose(&bt, n, k));
            let expected = reference::product(&wide(&a), &wide(&b), m, k, n);
            let mut c = vec![0.0; m * n];
            let a = MatRef::new(&at, k, m, m).transposed();
            run(isa, a, MatRef::new(&bt, n, k, k).transposed(), &mut c, Beta::Zero);
            assert_close(&c, &expected, 2e-6, &format!("{} {m}x{k}x{n}", isa.name()));
        }
    }
}

fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| x[i * columns + j])).collect()
}

#[test]
fn strided_results_leave_the_gaps_alone() {
    for isa in Isa::available() {
        let (m, k, n, stride) = (17, 40, 33, 50);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = reference::product(&wide(&a), &wide(&b), m, k, n);
        let packed = PackedB::new(isa, MatRef::new(&b, k, n, n));
        let mut c = vec![9.0; m * stride];
        let target = Target { b: &packed, c: &mut c, c_stride: stride, beta: Beta::Zero };
        product(isa, &mut Scratch::default(), MatRef::new(&a, m, k, k), &mut [target]);
        for (i, row) in c.chunks(stride).enumerate() {
            assert_close(&row[..n], &expected[i * n..][..n], 2e-6, isa.name());
            assert!(row[n..].iter().all(|&x| x == 9.0), "row {i}: a gap was written");
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    for isa in Isa::available() {
        let (m, k, n) = (31, 600, 70);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let b = MatRef::new(&b, k, n, n);
        let mut together = vec![0.0; m * n];
        run(isa, MatRef::new(&a, m, k, k), b, &mut together, Beta::Zero);
        for i in 0..m {
            let mut alone = vec![0.0; n];
            run(isa, MatRef::new(&a[i * k..], 1, k, k), b, &mut alone, Beta::Zero);
            assert_eq!(alone, together[i * n..][..n], "{} row {i}", isa.name());
        }
    }
}

/// A matrix that is read where it stands goes by panels, one that is copied by blocks of K.
#[test]
fn the_order_of_panels_and_blocks_changes_no_bit() {
    for isa in Isa::available() {
        let (m, k, n, stride) = (31, 600, 70, 1024);
        let (a, b, c) = (numbers(m * stride, 1), numbers(k * n, 2), numbers(m * n, 3));
        let dense: Vec<f32> = a.chunks(stride).flat_map(|row| row[..k].to_vec()).collect();
        let b = MatRef::new(&b, k, n, n);
        let (mut by_panels, mut by_blocks) = (c.clone(), c);
        run(isa, MatRef::new(&dense, m, k, k), b, &mut by_panels, Beta::Add);
        run(isa, MatRef::new(&a, m, k, stride), b, &mut by_blocks, Beta::Add);
        assert_eq!(by_panels, by_blocks, "{}", isa.name());
    }
}

/// Linux asks the processor by itself.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn the_sizes_of_caches_are_those_that_the_system_knows() {
    let mut compared = 0;
    for index in 0..4 {
        let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}"));
        let (Ok(level), Ok(kind), Ok(size)) = (read("level"), read("type"), read("size")) else {
            continue;
        };
        let size = size.trim().strip_suffix('K').and_then(|k| k.parse::<usize>().ok());
        if let (Some(size), "Data" | "Unified") = (size, kind.trim()) {
            let level = level.trim().parse().unwrap();
            assert_eq!(crate::arch::caches::said(level), Some(size << 10), "level {level}");
            compared += 1;
        }
    }
    println!("{compared} caches compared");
}

#[test]
fn bias_gradient_is_the_sum_of_rows() {
    for isa in Isa::available() {
        let dy = numbers(5 * 40, 1);
        let mut d_bias = numbers(37, 2);
        let expected: Vec<f64> = (0..37)
            .map(|j| f64::from(d_bias[j]) + (0..5).map(|i| f64::from(dy[i * 40 + j])).sum::<f64>())
            .collect();
        bias_backward(isa, &dy, 5, 40, &mut d_bias);
        assert_close(&d_bias, &expected, 1e-6, isa.name());
    }
}

#[test]
fn operands_with_gaps_in_both_directions_match_the_reference() {
    let every_third = |x: &[f32], rows: usize, columns: usize| -> Vec<f32> {
        let at = |i: usize| (0..columns).map(move |j| i * 3 * columns + 3 * j);
        (0..rows).flat_map(at).map(|place| x[place]).collect()
    };
    for isa in Isa::available() {
        for (m, k, n) in SHAPES {
            let (a, b) = (numbers(m * k * 3, 1), numbers(k * n * 3, 2));
            let spaced = |data, rows, columns: usize| MatRef {
                data,
                rows,
                columns,
                row_stride: 3 * columns,
                column_stride: 3,
            };
            let (plain_a, plain_b) = (every_third(&a, m, k), every_third(&b, k, n));
            let expected = reference::product(&wide(&plain_a), &wide(&plain_b), m, k, n);
            let mut c = vec![0.0; m * n];
            run(isa, spaced(&a, m, k), spaced(&b, k, n), &mut c, Beta::Zero);
            assert_close(&c, &expected, 2e-6, &format!("{} {m}x{k}x{n}", isa.name()));
        }
    }
}

#[test]
fn what_is_packed_can_be_read_again() {
    for isa in Isa::available() {
        for (_, k, n) in SHAPES {
            let b = numbers(k * n, 1);
            let packed = PackedB::new(isa, MatRef::new(&b, k, n, n));
            assert_eq!((packed.k(), packed.n()), (k, n));
            assert_eq!(packed.unpack_transposed(), transpose(&b, k, n), "{k}x{n}");
            let column = |j: usize| (0..k).map(|i| f64::from(b[i * n + j]).powi(2)).sum();
            let squares: Vec<f64> = (0..n).map(column).collect();
            assert_close(&packed.column_squares(), &squares, 1e-6, "squares of columns");
        }
    }
}
