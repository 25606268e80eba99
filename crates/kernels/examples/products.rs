//! Speed of the matrix products on one thread, as a share of the machine's peak would be read:
//! `cargo run --release -p budwood-kernels --example products`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use budwood_kernels::Isa;
use budwood_kernels::ops::gemm::{Beta, MatRef, PackedB, Scratch, Target, product};
use budwood_kernels::ops::int8;

/// The best of 40 runs, in seconds.
fn best(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

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
            let packed = PackedB::new(isa, MatRef::new(&b, k, n, n));
            let (mut c, mut scratch) = (vec![0.0; m * n], Scratch::default());
            let rows = MatRef::new(&a, m, k, k);
            let seconds = best(|| {
                let target = Target { b: &packed, c: &mut c, c_stride: n, beta: Beta::Zero };
                product(isa, &mut scratch, rows, &mut [target]);
            });
            let rate = |seconds: f64| 2.0 * (m * k * n) as f64 / seconds / 1e9;
            print!("{:7} {m:5} x {k:5} x {n:5}  {:7.1} GFLOP/s", isa.name(), rate(seconds));
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
