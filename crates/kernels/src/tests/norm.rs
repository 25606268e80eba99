use super::{assert_close, inner, numbers, numeric_gradient, wide};
use crate::ops::norm;
use crate::{Isa, reference};

const EPS: f64 = 1e-5;

#[test]
fn forward_and_backward_match_the_reference() {
    for isa in Isa::available() {
        for (rows, d) in [(1, 3), (4, 16), (3, 37), (2, 384)] {
            let what = format!("{} {rows}x{d}", isa.name());
            let (x, gamma, beta) = (numbers(rows * d, 1), numbers(d, 2), numbers(d, 3));
            let (mut normal, mut rstd) = (vec![0.0; rows * d], vec![0.0; rows]);
            let mut y = x.clone();
            norm::forward(isa, &mut y, &gamma, &beta, EPS as f32, &mut normal, &mut rstd);
            let (x64, g64, b64) = (wide(&x), wide(&gamma), wide(&beta));
            assert_close(&y, &reference::norm(&x64, &g64, &b64, EPS), 2e-6, &what);
            let mut in_place = x.clone();
            norm::forward_in_place(isa, &mut in_place, &gamma, &beta, EPS as f32);
            assert_eq!(in_place, y, "{what}: in place differs");

            if rows * d > 200 {
                continue;
            }
            let dy = numbers(rows * d, 4);
            let w = wide(&dy);
            let loss = |x: &[f64], g: &[f64], b: &[f64]| inner(&reference::norm(x, g, b, EPS), &w);
            let (mut d_gamma, mut d_beta) = (vec![0.0; d], vec![0.0; d]);
            norm::backward_parameters(isa, &normal, &dy, &mut d_gamma, &mut d_beta);
            let mut dx = dy.clone();
            norm::backward_input(isa, &gamma, &normal, &rstd, &mut dx);
            assert_close(&dx, &numeric_gradient(&x64, |x| loss(x, &g64, &b64)), 2e-5, &what);
            assert_close(&d_gamma, &numeric_gradient(&g64, |g| loss(&x64, g, &b64)), 2e-5, &what);
            assert_close(&d_beta, &numeric_gradient(&b64, |b| loss(&x64, &g64, b)), 2e-5, &what);
        }
    }
}
