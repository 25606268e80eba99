//! Time of attention on one thread, forward with what backward needs and backward, by length:
//! `cargo run --release -p budwood-kernels --example attention`. A head's scores and contexts are
//! 4 x length² x width operations forward; with a window, length² is length x (2 x window + 1).

#![allow(clippy::print_stdout)]

use std::time::Instant;

use budwood_kernels::Isa;
use budwood_kernels::ops::attention::{Attention, BiasGradient, Gradients, Shape, tiled, whole};
use budwood_kernels::ops::dropout::Dropout;

/// The median of some runs, in seconds.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// Forward and backward of one sequence.
fn times(isa: Isa, attention: &Attention<'_>, length: usize, p: f32) -> [f64; 2] {
    let width = attention.heads * attention.head_dim;
    let numbers = |step: usize| -> Vec<f32> {
        (0..length * width).map(|i| (i * step % 1999) as f32 / 1000.0 - 1.0).collect()
    };
    let (q, k, v, d_out) = (numbers(7), numbers(11), numbers(13), numbers(17));
    let stride = width;
    let (queries, keys) = (length, length);
    let shape =
        Shape { queries, keys, query_stride: stride, key_stride: stride, out_stride: stride };
    let (of, qkv, dropout) =
        ((attention, shape), (&q[..], &k[..], &v[..]), (Dropout::new(p, 1), 0));
    let mut saved = vec![0.0; attention.saved(length, length)];
    let mut out = vec![0.0; length * width];
    let [mut d_q, mut d_k, mut d_v] = [0; 3].map(|_| vec![0.0; length * width]);
    let runs = (400_000_000 / (length * length * width)).clamp(3, 200);
    if !attention.is_tiled(length) {
        let mut scratch = whole::Scratch::default();
        let forward = median(runs, || {
            whole::forward(isa, &mut scratch, of, qkv, dropout, Some(&mut saved), &mut out);
        });
        let backward = median(runs, || {
            let bias = BiasGradient::None;
            let to = Gradients { q: &mut d_q, k: &mut d_k, v: &mut d_v, bias };
            whole::backward(isa, &mut scratch, of, qkv, dropout, &saved, &d_out, to);
        });
        return [forward, backward];
    }
    let mut scratch = tiled::Scratch::default();
    let pieces = 0..tiled::pieces(attention, queries);
    let forward = median(runs, || {
        for piece in pieces.clone() {
            let of = (attention, shape, &(0..queries));
            tiled::forward(isa, &mut scratch, of, qkv, dropout, piece);
            tiled::store_forward(&mut scratch, of, piece, Some(&mut saved), &mut out);
        }
    });
    let backward = median(runs, || {
        [&mut d_k, &mut d_v].into_iter().for_each(|d| d.fill(0.0));
        let bias = BiasGradient::None;
        let mut to = Gradients { q: &mut d_q, k: &mut d_k, v: &mut d_v, bias };
        for piece in pieces.clone() {
            let (kept, wanted) = ((&out[..], &saved[..]), (&to.bias).into());
            tiled::backward(isa, &mut scratch, of, qkv, dropout, kept, &d_out, wanted, piece);
            tiled::store_backward(isa, &mut scratch, of, piece, &mut to);
        }
    });
    [forward, backward]
}

fn main() {
    let isa = Isa::detect();
    println!("{}; milliseconds forward and backward", isa.name());
    for (heads, head_dim) in [(12, 32), (12, 64)] {
        for length in [16, 128, 256, 512, 2048, 8192] {
            print!("{heads} x {head_dim} {length:5} tokens");
            for (window, p) in [(None, 0.0), (None, 0.1), (Some(64), 0.0)] {
                let attention = Attention { window, ..Attention::plain(heads, head_dim) };
                let [forward, backward] = times(isa, &attention, length, p);
                let what = window.map_or(format!("dropout {p}"), |w| format!("window {w}"));
                print!("   {what}: {:9.3} {:9.3}", forward * 1e3, backward * 1e3);
            }
            println!();
        }
    }
}
