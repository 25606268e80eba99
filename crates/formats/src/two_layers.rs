//! A head of one layer as one of two, for models of other libraries whose heads have two.
//!
//! The logits are `x = W h`, the second layer's bias aside. ReLU, GELU and SiLU are `x g(x)` with
//! `g(x) + g(-x) = 1`, so that `f(x) - f(-x) = x`: the first layer gives `x` and `-x`, the second
//! takes their difference. tanh is the identity for small numbers: the first layer gives a small
//! share of `x`, the second takes it up again. Both are exact but for rounding.
//!
//! | activation | rows of the first layer | columns of the second |
//! |---|---|---|
//! | x g(x) | W, -W, 0 | 1, -1, 0 |
//! | tanh | s W, 0 | 1/s, 0 |

use budwood_base::encoder::Activation;
use budwood_base::tensor::{Tensor, TensorMap};

/// The share s of the logits that tanh sees. A power of two, which rounds nothing; at logits of
/// 100 the cubic term, x s² x² / 3, is 1e-6 of them.
const SMALL: f32 = 1.0 / 65536.0;

/// Two layers with `activation` between them that compute what `one` does, the tensors of a head of
/// one layer `[outputs, d]`. None if no such layers do, or `d` is too small for them.
pub(crate) fn of_one(one: &TensorMap, activation: Activation) -> Option<TensorMap> {
    let weight = one.get("head.out.weight")?;
    let [outputs, d] = weight.shape[..] else { return None };
    let signs: &[f32] = match activation {
        Activation::Identity => &[1.0],
        Activation::Relu
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::QuickGelu
        | Activation::Silu => &[1.0, -1.0],
        Activation::Tanh => &[SMALL],
        Activation::Sigmoid => return None,
    };
    if outputs.checked_mul(signs.len())? > d {
        return None;
    }
    let mut first = Tensor::zeros([d, d]);
    let mut second = Tensor::zeros([outputs, d]);
    for (block, sign) in signs.iter().enumerate() {
        for output in 0..outputs {
            let unit = block * outputs + output;
            let row = &weight.data[output * d..][..d];
            let scaled = first.data[unit * d..][..d].iter_mut().zip(row);
            scaled.for_each(|(to, from)| *to = sign * from);
            second.data[output * d + unit] = 1.0 / sign;
        }
    }
    let bias = one.get("head.out.bias").cloned().unwrap_or_else(|| Tensor::zeros([outputs]));
    Some(TensorMap::from([
        ("head.dense.weight".into(), first),
        ("head.dense.bias".into(), Tensor::zeros([d])),
        ("head.out.weight".into(), second),
        ("head.out.bias".into(), bias),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(activation: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            // Φ by its tanh form: that of GELU differs from it alike on both sides of zero.
            Activation::Gelu | Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Activation::QuickGelu => x * sigmoid(1.702 * x),
            Activation::Silu => x * sigmoid(x),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => sigmoid(x),
        }
    }

    fn layer(map: &TensorMap, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (&map[&format!("{name}.weight")], &map[&format!("{name}.bias")]);
        let rows = weight.data.chunks(x.len()).zip(&bias.data);
        rows.map(|(row, b)| {
            row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*b)
        })
        .collect()
    }

    #[test]
    fn two_layers_compute_what_one_does() {
        let (outputs, d) = (3, 7);
        let data: Vec<f32> = (0..outputs * d).map(|i| ((i * 37 % 19) as f32 - 9.0) / 4.0).collect();
        let one = TensorMap::from([
            ("head.out.weight".into(), Tensor { shape: vec![outputs, d], data }),
            ("head.out.bias".into(), Tensor { shape: vec![outputs], data: vec![0.5, -2.0, 0.0] }),
        ]);
        for &(activation, _) in Activation::NAMES {
            let two = of_one(&one, activation);
            assert_eq!(two.is_none(), activation == Activation::Sigmoid, "{activation:?}");
            let Some(two) = two else { continue };
            for scale in [0.01, 1.0, 8.0] {
                let hidden: Vec<f64> = (0..d).map(|i| scale * (i as f64 - 2.5)).collect();
                let expected = layer(&one, "head.out", &hidden);
                let inner: Vec<f64> = layer(&two, "head.dense", &hidden)
                    .into_iter()
                    .map(|x| plain(activation, x))
                    .collect();
                let found = layer(&two, "head.out", &inner);
                for (e, f) in expected.iter().zip(&found) {
                    assert!((e - f).abs() <= 2e-6 * (1.0 + e.abs()), "{activation:?}: {e} {f}");
                }
            }
        }
    }

    #[test]
    fn too_many_outputs_are_not_written() {
        let one = TensorMap::from([("head.out.weight".into(), Tensor::zeros([5, 8]))]);
        assert!(of_one(&one, Activation::Relu).is_none());
        assert!(of_one(&one, Activation::Tanh).is_some());
    }
}
