//! Speed of the matrix products on one thread, as a share of the machine's peak would be read:
//! `cargo run --release -p budwood-kernels --example products`. In `f32` also with weights that
//! come from memory, as those of a step do.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use budwood_kernels::Isa;
use budwood_kernels::ops::gemm::{Beta, MatRef, PackedB, Scratch, Target, product};
use budwood_kernels::ops::int8;

/// A run, in seconds.
fn timed(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// The best of 40 runs, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    (0..40).map(|_| timed(&mut run)).fold(f64::INFINITY, f64::min)
}

/// Weights of this size, as many as no cache holds.
const ELEMENTS: usize = 48 << 20;

fn main() {
    for isa in Isa::available() {
        for (m, k, n) in [
            (256, 768, 768),
            (256, 768, 3072),
            (256, 3072, 768),
            (512, 768, 3072),
            (256, 384, 384),
            (256, 384, 1536),
            (256, 1536, 384),
            (256, 768, 64),
            (256, 64, 768),
            (64, 256, 768),
            (16, 384, 1536),
            (128, 64, 128),
        ] {
            let (a, b) = (vec![0.5; m * k], vec![0.25; k * n]);
            let copies = (ELEMENTS / (k * n)).min(400);
            let packed = vec![PackedB::new(isa, MatRef::new(&b, k, n, n)); copies];
            let (mut c, mut scratch) = (vec![0.0; m * n], Scratch::default());
            let rows = MatRef::new(&a, m, k, k);
            let mut multiply = |b: &PackedB| {
                let target = Target { b, c: &mut c, c_stride: n, beta: Beta::Zero };
                product(isa, &mut scratch, rows, &mut [target]);
            };
            let seconds = best(|| multiply(&packed[0]));
            let mut from_memory: Vec<f64> = packed.iter().map(|b| timed(|| multiply(b))).collect();
            from_memory.sort_by(f64::total_cmp);
            let rate = |seconds: f64| 2.0 * (m * k * n) as f64 / seconds / 1e9;
            print!(
                "{:7} {m:5} x {k:5} x {n:5}  {:7.1} GFLOP/s, {:7.1} from memory",
                isa.name(),
                rate(seconds),
                rate(from_memory[copies / 2])
            );
            let bytes = int8::PackedInt8::new(k, &vec![1.0; n], |i, j| (i * 7 + j) as i8);
            let mut quantized = int8::QuantizedRows::default();
            let quantize = best(|| quantized.set(isa, rows, None));
            let bias = vec![0.0; n];
            let seconds = best(|| {
                let beta = Beta::Bias(&bias);
                let target = int8::Target { b: &bytes, c: &mut c, c_stride: n, beta };
                int8::product(isa, &quantized, &mut [target]);
            });
            println!(
                "  int8 {:7.1} Gop/s, with quantising the rows {:7.1} ({:.2} ns an element)",
                rate(seconds),
                rate(seconds + quantize),
                quantize * 1e9 / (m * k) as f64
            );
        }
    }
}
