//! Speed of the matrix products on one thread, as a share of the machine's peak would be read:
//! `cargo run --release -p budwood-kernels --example products`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use budwood_kernels::Isa;
use budwood_kernels::ops::gemm::{Beta, MatRef, PackedB, Scratch, Target, product};

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
            let mut best = f64::INFINITY;
            for _ in 0..40 {
                let start = Instant::now();
                let target = Target { b: &packed, c: &mut c, c_stride: n, beta: Beta::Zero };
                product(isa, &mut scratch, MatRef::new(&a, m, k, k), &mut [target]);
                best = best.min(start.elapsed().as_secs_f64());
            }
            let rate = 2.0 * (m * k * n) as f64 / best / 1e9;
            println!("{:7} {m:5} x {k:5} x {n:5}  {rate:7.1} GFLOP/s", isa.name());
        }
    }
}
