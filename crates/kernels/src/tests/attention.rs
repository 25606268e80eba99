use super::{assert_close, inner, numbers, numeric_gradient, wide};
use crate::ops::attention::{Scratch, Shape, backward, forward};
use crate::ops::dropout::Dropout;
use crate::{Isa, reference};

#[test]
fn forward_and_backward_match_the_reference() {
    for isa in Isa::available() {
        for (heads, dim, queries, keys, p) in
            [(1, 4, 1, 1, 0.0), (2, 3, 5, 5, 0.0), (3, 8, 4, 7, 0.3), (2, 5, 17, 18, 0.1)]
        {
            check(isa, heads, dim, queries, keys, p);
        }
    }
}

fn check(isa: Isa, heads: usize, dim: usize, queries: usize, keys: usize, p: f32) {
    let what = format!("{} heads {heads} dim {dim} {queries}x{keys} p {p}", isa.name());
    let width = heads * dim;
    // Rows wider than needed: queries, keys and values usually stand in one matrix.
    let (query_stride, key_stride) = (width + 2, width + 5);
    let shape =
        Shape { heads, head_dim: dim, queries, keys, query_stride, key_stride, out_stride: width };
    let q = numbers(queries * query_stride, 1);
    let (k, v) = (numbers(keys * key_stride, 2), numbers(keys * key_stride, 3));
    let dropout = Dropout::new(p, 0x1234_5678_9abc_def0);
    let start = 77;
    let mask: Vec<f64> = (0..shape.probabilities())
        .map(|i| if p == 0.0 { 1.0 } else { f64::from(dropout.factor(start + i as u32)) })
        .collect();
    let mut scratch = Scratch::default();
    let mut probabilities = vec![0.0; shape.probabilities()];
    let mut out = vec![0.0; queries * width];
    forward(isa, &mut scratch, shape, (&q, &k, &v), (dropout, start), &mut probabilities, &mut out);
    let dense = |x: &[f32], stride: usize| -> Vec<f64> {
        x.chunks(stride).flat_map(|row| wide(&row[..width])).collect()
    };
    let (q64, k64, v64) = (dense(&q, query_stride), dense(&k, key_stride), dense(&v, key_stride));
    let expected = reference::attention(&q64, &k64, &v64, &mask, heads, dim);
    assert_close(&out, &expected, 2e-6, &what);

    let d_out = numbers(queries * width, 4);
    let w = wide(&d_out);
    let (mut d_q, mut d_k, mut d_v) = (q.clone(), k.clone(), v.clone());
    backward(
        isa,
        &mut scratch,
        shape,
        (&q, &k, &v),
        (dropout, start),
        &probabilities,
        &d_out,
        (&mut d_q, &mut d_k, &mut d_v),
    );
    let loss = |q: &[f64], k: &[f64], v: &[f64]| {
        inner(&reference::attention(q, k, v, &mask, heads, dim), &w)
    };
    let close = |got: &[f32], stride: usize, expected: Vec<f64>, name: &str| {
        let got: Vec<f32> = got.chunks(stride).flat_map(|row| row[..width].to_vec()).collect();
        if expected.iter().any(|x| x.abs() > 1e-6) {
            assert_close(&got, &expected, 5e-5, &format!("{what} {name}"));
        } else {
            assert!(got.iter().all(|x| x.abs() < 1e-6), "{what} {name}");
        }
    };
    close(&d_q, query_stride, numeric_gradient(&q64, |q| loss(q, &k64, &v64)), "dq");
    close(&d_k, key_stride, numeric_gradient(&k64, |k| loss(&q64, k, &v64)), "dk");
    close(&d_v, key_stride, numeric_gradient(&v64, |v| loss(&q64, &k64, v)), "dv");
}
