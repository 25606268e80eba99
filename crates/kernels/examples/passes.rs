//! Speed of the passes over rows that stand between products, on one thread, in nanoseconds an
//! element: `cargo run --release -p budwood-kernels --example passes`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use budwood_kernels::Isa;
use budwood_kernels::ops::activation::{self, Activation};
use budwood_kernels::ops::attention::softmax_rows;
use budwood_kernels::ops::dropout::{self, Dropout};
use budwood_kernels::ops::gemm::{MatRef, PackedB};
use budwood_kernels::ops::int8::QuantizedRows;
use budwood_kernels::ops::transpose::transpose;
use budwood_kernels::ops::{elementwise, norm};

/// Rows of a chunk.
const ROWS: usize = 256;

/// The best of 200 runs over so many elements, in nanoseconds an element.
fn best(elements: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / elements as f64
}

fn main() {
    for isa in Isa::available() {
        for columns in [384, 768, 1536, 3072] {
            of_width(isa, columns);
        }
        for scores in [10, 25, 64, 128] {
            // Rows need room for whole blocks of scores.
            let stride = scores + 64;
            let mut x = noise(ROWS * stride);
            let time = best(ROWS, || softmax_rows(isa, &mut x, scores, stride, 0.125));
            println!("{:7} softmax of {scores} scores: {time:.0} ns a row", isa.name());
        }
    }
}

/// Numbers between -2 and 2.
fn noise(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 1009) as f32 / 252.25 - 2.0).collect()
}

fn of_width(isa: Isa, columns: usize) {
    let n = ROWS * columns;
    let (x, mut y, mut z) = (noise(n), noise(n), noise(n));
    let (gamma, beta) = (vec![1.0; columns], vec![0.1; columns]);
    let (mut rstd, mut sums) = (vec![0.0; ROWS], [vec![0.0; columns], vec![0.0; columns]]);
    let say = |what: &str, time: f64| {
        println!("{:7} {columns:5} columns  {what:28} {time:.3}", isa.name());
    };
    let time = best(n, || norm::forward(isa, &mut y, &gamma, &beta, 1e-5, &mut z, &mut rstd));
    say("norm, kept", time);
    say("norm, in place", best(n, || norm::forward_in_place(isa, &mut y, &gamma, &beta, 1e-5)));
    say("norm, to its input", best(n, || norm::backward_input(isa, &gamma, &z, &rstd, &mut y)));
    let [a, b] = &mut sums;
    say("norm, to gain and bias", best(n, || norm::backward_parameters(isa, &z, &x, a, b)));
    let gelu = Activation::Gelu;
    say("GELU", best(n, || activation::forward(isa, gelu, &x, &mut y)));
    say("GELU, back", best(n, || activation::backward(isa, gelu, &x, &mut y)));
    say("sum", best(n, || elementwise::add(isa, &mut y, &x)));
    let dropped = Dropout::new(0.1, 7);
    say("dropout", best(n, || dropout::apply(isa, dropped, 0, &mut y)));
    let (rows, mut bytes) = (MatRef::new(&x, ROWS, columns, columns), QuantizedRows::default());
    say("to bytes", best(n, || bytes.set(isa, rows, None)));
    say("turned", best(n, || transpose(isa, &x, ROWS, columns, columns, &mut y, ROWS)));
    let mut packed = PackedB::default();
    say("packed", best(n, || packed.pack(isa, rows)));
    say("packed from its transposed", best(n, || packed.pack(isa, rows.transposed())));
}
