use super::{assert_close, inner, numbers, wide};
use crate::ops::attention::{
    Attention, Bias, BiasGradient, Gradients, RowsMut, Shape, WHOLE_KEYS_MAX, tiled, whole,
};
use crate::ops::dropout::Dropout;
use crate::ops::gemm::MatRef;
use crate::{Isa, reference};

/// The bias of a case; tables are made of their seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Places {
    None,
    Distance { reach: usize },
    Disentangled { reach: usize, c2p: bool, p2c: bool },
}

#[derive(Clone, Copy, Debug)]
struct Case {
    heads: usize,
    dim: usize,
    queries: usize,
    prefix: usize,
    dropout: f32,
    window: Option<usize>,
    places: Places,
    /// Queries are multiplied by this.
    large: f32,
    /// At most so many elements of each gradient are compared with differences.
    differences: usize,
}

const CASE: Case = Case {
    heads: 2,
    dim: 3,
    queries: 5,
    prefix: 0,
    dropout: 0.0,
    window: None,
    places: Places::None,
    large: 1.0,
    differences: usize::MAX,
};

/// Where the mask starts: shortly before its places leave 32 bits.
const START: u64 = (1 << 32) - 77;

/// The two kernels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Whole,
    Tiled,
}

#[derive(Default)]
struct Scratch {
    whole: whole::Scratch,
    tiled: tiled::Scratch,
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Everything that a case computes with.
struct Made {
    case: Case,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    table: Vec<f32>,
    c2p: Vec<f32>,
    p2c: Vec<f32>,
    rows: Vec<u16>,
    d_out: Vec<f32>,
}

/// Rows wider than needed: queries, keys and values usually stand in one matrix.
const QUERY_GAP: usize = 2;
const KEY_GAP: usize = 5;
/// Rows of the tables of positions.
const ROWS: usize = 9;

impl Made {
    fn new(case: Case) -> Self {
        let Case { heads, dim, queries, prefix, .. } = case;
        let (width, keys) = (heads * dim, queries + prefix);
        let reach = match case.places {
            Places::None => 0,
            Places::Distance { reach } | Places::Disentangled { reach, .. } => reach,
        };
        let mut q = numbers(queries * (width + QUERY_GAP), 1);
        q.iter_mut().for_each(|q| *q *= case.large);
        Self {
            case,
            q,
            k: numbers(keys * (width + KEY_GAP), 2),
            v: numbers(keys * (width + KEY_GAP), 3),
            table: numbers(heads * (2 * reach + 1), 5),
            c2p: numbers(ROWS * width, 6),
            p2c: numbers(ROWS * width, 7),
            // Neither monotone nor each row once.
            rows: (0..2 * reach + 1).map(|d| (d * d % ROWS) as u16).collect(),
            d_out: numbers(queries * width, 4),
        }
    }

    fn shape(&self) -> Shape {
        let Case { heads, dim, queries, prefix, .. } = self.case;
        let width = heads * dim;
        Shape {
            queries,
            keys: queries + prefix,
            query_stride: width + QUERY_GAP,
            key_stride: width + KEY_GAP,
            out_stride: width,
        }
    }

    fn attention(&self) -> Attention<'_> {
        let Case { heads, dim, window, places, .. } = self.case;
        let table = |data| MatRef::new(data, ROWS, heads * dim, heads * dim);
        let bias = match places {
            Places::None => Bias::None,
            Places::Distance { .. } => Bias::Distance { table: &self.table },
            Places::Disentangled { c2p, p2c, .. } => Bias::Disentangled {
                c2p: c2p.then(|| table(&self.c2p)),
                p2c: p2c.then(|| table(&self.p2c)),
                rows: &self.rows,
            },
        };
        Attention { window, bias, ..Attention::plain(heads, dim) }
    }

    fn dropout(&self) -> Dropout {
        Dropout::new(self.case.dropout, 0x1234_5678_9abc_def0)
    }

    /// What forward saved and gave.
    fn forward(&self, isa: Isa, scratch: &mut Scratch, way: Way) -> (Vec<f32>, Vec<f32>) {
        let (attention, shape) = (self.attention(), self.shape());
        let per_row = if way == Way::Tiled { 2 } else { shape.keys };
        let mut saved = vec![f32::NAN; attention.heads * shape.queries * per_row];
        let mut out = vec![f32::NAN; shape.queries * shape.out_stride];
        self.run_forward(isa, scratch, way, Some(&mut saved), &mut out);
        let mut again = vec![f32::NAN; out.len()];
        self.run_forward(isa, scratch, way, None, &mut again);
        assert_eq!(bits(&out), bits(&again), "{:?}: with and without saving", self.case);
        (saved, out)
    }

    fn run_forward(
        &self,
        isa: Isa,
        scratch: &mut Scratch,
        way: Way,
        mut saved: Option<&mut [f32]>,
        out: &mut [f32],
    ) {
        let (attention, shape) = (self.attention(), self.shape());
        let of = (&attention, shape);
        let qkv = (&self.q[..], &self.k[..], &self.v[..]);
        let dropout = (self.dropout(), START);
        match way {
            Way::Whole => whole::forward(isa, &mut scratch.whole, of, qkv, dropout, saved, out),
            Way::Tiled => {
                let of = (&attention, shape, &(0..shape.queries));
                for piece in 0..tiled::pieces(&attention, shape.queries) {
                    tiled::forward(isa, &mut scratch.tiled, of, qkv, dropout, piece);
                    let saved = saved.as_deref_mut();
                    tiled::store_forward(&mut scratch.tiled, of, piece, saved, out);
                }
            }
        }
    }

    /// Gradients of queries, keys, values, and of the tables.
    fn backward(
        &self,
        isa: Isa,
        scratch: &mut Scratch,
        way: Way,
        (saved, out): (&[f32], &[f32]),
        wanted: bool,
    ) -> [Vec<f32>; 6] {
        let (attention, shape) = (self.attention(), self.shape());
        // What is written is not read; what is added to is zero.
        let blank = |x: &[f32]| vec![f32::NAN; x.len()];
        let zeros = |x: &[f32]| vec![0.0f32; x.len()];
        let of_keys = if way == Way::Tiled { zeros } else { blank };
        let (mut q, mut k, mut v) = (blank(&self.q), of_keys(&self.k), of_keys(&self.v));
        let (mut table, mut c2p, mut p2c) =
            (zeros(&self.table), zeros(&self.c2p), zeros(&self.p2c));
        let stride = shape.out_stride;
        let rows = |data| RowsMut { data, stride };
        let bias = match self.case.places {
            _ if !wanted => BiasGradient::None,
            Places::None => BiasGradient::None,
            Places::Distance { .. } => BiasGradient::Distance(&mut table),
            Places::Disentangled { c2p: with_c2p, p2c: with_p2c, .. } => {
                BiasGradient::Disentangled {
                    c2p: with_c2p.then_some(rows(&mut c2p[..])),
                    p2c: with_p2c.then_some(rows(&mut p2c[..])),
                }
            }
        };
        let mut to = Gradients { q: &mut q, k: &mut k, v: &mut v, bias };
        let of = (&attention, shape);
        let qkv = (&self.q[..], &self.k[..], &self.v[..]);
        let (dropout, d_out) = ((self.dropout(), START), &self.d_out[..]);
        match way {
            Way::Whole => {
                whole::backward(isa, &mut scratch.whole, of, qkv, dropout, saved, d_out, to);
            }
            Way::Tiled => {
                for piece in 0..tiled::pieces(&attention, shape.queries) {
                    let (kept, wanted) = ((out, saved), (&to.bias).into());
                    let scratch = &mut scratch.tiled;
                    tiled::backward(isa, scratch, of, qkv, dropout, kept, d_out, wanted, piece);
                    tiled::store_backward(isa, scratch, of, piece, &mut to);
                }
            }
        }
        [q, k, v, table, c2p, p2c]
    }

    /// The expected output, of inputs in f64.
    fn expected(&self, [q, k, v, table, c2p, p2c]: [&[f64]; 6]) -> Vec<f64> {
        let Case { heads, dim, queries, prefix, window, places, .. } = self.case;
        let (width, keys) = (heads * dim, queries + prefix);
        let mask: Vec<f64> = (0..heads * queries * keys)
            .map(|i| match self.case.dropout {
                0.0 => 1.0,
                _ => f64::from(self.dropout().factor(START + i as u64)),
            })
            .collect();
        let scale = 1.0 / (dim as f64).sqrt();
        let score = |h: usize, i: usize, j: usize| {
            let dot = |a: &[f64], r: usize, b: &[f64], s: usize| -> f64 {
                let at = |x: &[f64], r: usize, c: usize| x[r * width + h * dim + c];
                (0..dim).map(|c| at(a, r, c) * at(b, s, c)).sum()
            };
            let own = scale * dot(q, i, k, j);
            let Some(place) = j.checked_sub(prefix) else { return Some(own) };
            if window.is_some_and(|w| place.abs_diff(i) > w) {
                return None;
            }
            let of_distance = |reach: usize| {
                let reach = reach as isize;
                ((place as isize - i as isize).clamp(-reach, reach) + reach) as usize
            };
            Some(match places {
                Places::None => own,
                Places::Distance { reach } => own + table[h * (2 * reach + 1) + of_distance(reach)],
                Places::Disentangled { reach, c2p: with_c2p, p2c: with_p2c } => {
                    let row = usize::from(self.rows[of_distance(reach)]);
                    let content = if with_c2p { dot(q, i, c2p, row) } else { 0.0 };
                    let position = if with_p2c { dot(k, j, p2c, row) } else { 0.0 };
                    own + scale * (content + position)
                }
            })
        };
        reference::attention(score, v, &mask, (heads, dim, queries))
    }

    /// Rows without their gaps.
    fn dense(&self) -> [Vec<f64>; 6] {
        let shape = self.shape();
        let dense = |x: &[f32], stride: usize| without_gaps(x, stride, shape.out_stride);
        [
            dense(&self.q, shape.query_stride),
            dense(&self.k, shape.key_stride),
            dense(&self.v, shape.key_stride),
            wide(&self.table),
            wide(&self.c2p),
            wide(&self.p2c),
        ]
    }
}

fn without_gaps(x: &[f32], stride: usize, width: usize) -> Vec<f64> {
    x.chunks(stride).flat_map(|row| wide(&row[..width])).collect()
}

/// At most `n` of the places below `len`, evenly spread.
fn some_of(len: usize, n: usize) -> Vec<usize> {
    let n = n.min(len);
    (0..n).map(|i| i * len / n).collect()
}

/// Central differences at some elements.
fn gradient_at(x: &[f64], at: &[usize], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let (h, mut moved) = (1e-5, x.to_vec());
    at.iter()
        .map(|&i| {
            moved[i] = x[i] + h;
            let up = loss(&moved);
            moved[i] = x[i] - h;
            let down = loss(&moved);
            moved[i] = x[i];
            (up - down) / (2.0 * h)
        })
        .collect()
}

/// The places of the elements of each gradient that are looked at, and what they should be.
type Expected = [(Vec<usize>, Vec<f64>); 6];

/// Forward and all gradients of a case against f64 loops and their differences, on every
/// instruction set and every way that it can go.
#[track_caller]
fn check(case: Case) {
    let made = Made::new(case);
    let dense = made.dense();
    let all = || dense.each_ref().map(|x| &x[..]);
    let (out, weights) = (made.expected(all()), wide(&made.d_out));
    let gradients: Expected = std::array::from_fn(|i| {
        let loss = |x: &[f64]| {
            let mut inputs = all();
            inputs[i] = x;
            inner(&made.expected(inputs), &weights)
        };
        let at = some_of(dense[i].len(), case.differences);
        let expected = gradient_at(&dense[i], &at, loss);
        (at, expected)
    });
    for isa in Isa::available() {
        if made.shape().keys <= WHOLE_KEYS_MAX {
            check_way(isa, &made, Way::Whole, (&out, &gradients));
        }
        check_way(isa, &made, Way::Tiled, (&out, &gradients));
    }
}

#[track_caller]
fn check_way(isa: Isa, made: &Made, way: Way, (expected, gradients): (&[f64], &Expected)) {
    let mut scratch = Scratch::default();
    let what = format!("{} {way:?} {:?}", isa.name(), made.case);
    let large = f64::from(made.case.large.max(1.0));
    let (saved, out) = made.forward(isa, &mut scratch, way);
    assert_close(&out, expected, 2e-6 * large, &what);
    let got = made.backward(isa, &mut scratch, way, (&saved, &out), true);
    let Shape { query_stride, key_stride, out_stride: width, .. } = made.shape();
    let strides = [query_stride, key_stride, key_stride];
    let names = ["dq", "dk", "dv", "table", "c2p", "p2c"];
    for (i, (got, (at, expected))) in got.iter().zip(gradients).enumerate() {
        let got: Vec<f32> = match strides.get(i) {
            Some(&stride) => got.chunks(stride).flat_map(|row| row[..width].to_vec()).collect(),
            None => got.clone(),
        };
        let got: Vec<f32> = at.iter().map(|&i| got[i]).collect();
        let what = format!("{what} {}", names[i]);
        if expected.iter().any(|x| x.abs() > 1e-6) {
            assert_close(&got, expected, 5e-5 * large, &what);
        } else {
            assert!(got.iter().all(|x| f64::from(x.abs()) < 1e-6 * large), "{what}");
        }
    }
    // What is not wanted changes nothing else.
    let alone = made.backward(isa, &mut scratch, way, (&saved, &out), false);
    for i in 0..3 {
        assert_eq!(bits(&alone[i]), bits(&got[i]), "{what} {}", names[i]);
    }
}

#[test]
fn plain_attention_matches_the_reference() {
    for (heads, dim, queries, prefix, dropout) in
        [(1, 4, 1, 0, 0.0), (2, 3, 5, 0, 0.0), (3, 8, 4, 3, 0.3), (2, 5, 17, 1, 0.1)]
    {
        check(Case { heads, dim, queries, prefix, dropout, ..CASE });
    }
}

#[test]
fn windows_and_biases_match_the_reference() {
    let all = [
        Places::None,
        Places::Distance { reach: 0 },
        Places::Distance { reach: 3 },
        Places::Distance { reach: 40 },
        Places::Disentangled { reach: 2, c2p: true, p2c: false },
        Places::Disentangled { reach: 6, c2p: false, p2c: true },
        Places::Disentangled { reach: 30, c2p: true, p2c: true },
    ];
    for places in all {
        for window in [None, Some(0), Some(2), Some(100)] {
            for prefix in [0, 2] {
                let dropout = if window == Some(2) { 0.2 } else { 0.0 };
                check(Case { queries: 9, prefix, window, places, dropout, ..CASE });
            }
        }
        check(Case { queries: 1, places, ..CASE });
    }
}

/// Lengths at and around the bounds of tiles: 84 queries, 64 or 256 keys, segments of 1008.
#[test]
fn odd_lengths_cross_tiles() {
    let places = [
        Places::None,
        Places::Distance { reach: 200 },
        Places::Disentangled { reach: 100, c2p: true, p2c: true },
    ];
    for (i, queries) in [84, 85, 169, 257, 330].into_iter().enumerate() {
        for (j, window) in [None, Some(1), Some(64), Some(300)].into_iter().enumerate() {
            check(Case {
                heads: 1,
                dim: 2,
                queries,
                window,
                places: places[(i + j) % places.len()],
                prefix: [0, 3, 260][(i + 2 * j) % 3],
                dropout: if (i + j) % 2 == 0 { 0.2 } else { 0.0 },
                differences: 4,
                ..CASE
            });
        }
    }
    let places = Places::Disentangled { reach: 600, c2p: true, p2c: true };
    let window = Some(500);
    check(Case { heads: 1, dim: 2, queries: 1100, differences: 2, places, window, ..CASE });
}

#[test]
fn large_and_equal_scores_are_exact_enough() {
    for large in [0.0, 30.0, 1000.0] {
        for queries in [7, 90] {
            check(Case { queries, large, differences: 20, ..CASE });
        }
    }
    // Equal scores that are so large that the logarithm of a sum is below their last bit.
    let mut made = Made::new(Case { heads: 1, dim: 4, queries: 600, ..CASE });
    made.q.fill(1000.0);
    made.k.fill(3000.0);
    let column = |x: &[f32], stride: usize, c: usize| -> f64 {
        x.chunks(stride).map(|row| f64::from(row[c])).sum::<f64>() / 600.0
    };
    let everywhere =
        |mean: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..600 * 4).map(|i| mean(i % 4)).collect() };
    for isa in Isa::available() {
        let mut scratch = Scratch::default();
        let (saved, out) = made.forward(isa, &mut scratch, Way::Tiled);
        let expected = everywhere(&|c| column(&made.v, 4 + KEY_GAP, c));
        assert_close(&out, &expected, 1e-5, "equal scores");
        let [_, _, d_v, ..] = made.backward(isa, &mut scratch, Way::Tiled, (&saved, &out), false);
        let d_v: Vec<f32> = d_v.chunks(4 + KEY_GAP).flat_map(|row| row[..4].to_vec()).collect();
        let expected = everywhere(&|c| column(&made.d_out, 4, c));
        assert_close(&d_v, &expected, 1e-5, "the gradient of values under equal scores");
    }
}

/// Both kernels, one sequence, the same elements dropped.
#[test]
fn tiles_and_the_whole_agree() {
    for isa in Isa::available() {
        for (queries, prefix) in [(2, 0), (84, 0), (130, 7), (256, 0)] {
            for places in [Places::None, Places::Disentangled { reach: 50, c2p: true, p2c: true }] {
                let made = Made::new(Case { queries, prefix, places, dropout: 0.3, ..CASE });
                let mut scratch = Scratch::default();
                let one = made.forward(isa, &mut scratch, Way::Whole);
                let other = made.forward(isa, &mut scratch, Way::Tiled);
                let what = format!("{} {queries} {places:?}", isa.name());
                assert_close(&other.1, &wide(&one.1), 1e-6, &what);
                let d_one = made.backward(isa, &mut scratch, Way::Whole, (&one.0, &one.1), true);
                let d_other =
                    made.backward(isa, &mut scratch, Way::Tiled, (&other.0, &other.1), true);
                let gap = [QUERY_GAP, KEY_GAP, KEY_GAP, 0, 0, 0];
                for ((one, other), gap) in d_one.iter().zip(&d_other).zip(gap) {
                    let width = if gap == 0 { one.len().max(1) } else { 6 };
                    let rows = |x: &[f32]| -> Vec<f32> {
                        x.chunks(width + gap).flat_map(|row| row[..width].to_vec()).collect()
                    };
                    assert_close(&rows(other), &wide(&rows(one)), 4e-6, &what);
                }
            }
        }
    }
}

/// A row that sees a number that is not finite is not finite; no other row notices.
#[test]
fn what_is_not_finite_stays_where_it_is_seen() {
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for (queries, window, ways) in
                [(20, None, vec![Way::Whole, Way::Tiled]), (600, Some(70), vec![Way::Tiled])]
            {
                let mut made =
                    Made::new(Case { heads: 1, dim: 3, queries, window, prefix: 0, ..CASE });
                let sees = |i: usize, j: usize| window.is_none_or(|w| i.abs_diff(j) <= w);
                for way in ways {
                    let (_, clean) = made.forward(isa, &mut Scratch::default(), way);
                    let at = 13;
                    let kept = std::mem::replace(&mut made.q[at * (3 + QUERY_GAP)], bad);
                    let (_, out) = made.forward(isa, &mut Scratch::default(), way);
                    made.q[at * (3 + QUERY_GAP)] = kept;
                    for (i, (row, clean)) in out.chunks(3).zip(clean.chunks(3)).enumerate() {
                        if i == at {
                            assert!(row.iter().all(|x| x.is_nan()), "{way:?} {bad} {row:?}");
                        } else {
                            assert_eq!(bits(row), bits(clean), "{way:?} {bad} row {i}");
                        }
                    }
                    let kept = std::mem::replace(&mut made.v[at * (3 + KEY_GAP)], bad);
                    let (_, out) = made.forward(isa, &mut Scratch::default(), way);
                    made.v[at * (3 + KEY_GAP)] = kept;
                    for (i, row) in out.chunks(3).enumerate() {
                        if sees(i, at) {
                            assert!(!row[0].is_finite(), "{way:?} {bad} row {i}");
                        }
                    }
                }
            }
        }
    }
}
