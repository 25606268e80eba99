//! Plain loops in 64-bit floats for the operators that exported graphs use, after the operators'
//! definitions at opset 17.

use std::collections::BTreeMap;

use crate::file::{Array, Attribute, Model, Node};

/// The outputs of a graph by name.
pub(crate) fn run(model: &Model, inputs: &[(&str, Array)]) -> BTreeMap<String, Array> {
    let mut values = model.constants.clone();
    values.extend(inputs.iter().map(|(name, array)| (name.to_string(), array.clone())));
    for (name, _, _) in &model.inputs {
        assert!(values.contains_key(name), "the graph asks for {name}");
    }
    for node in &model.nodes {
        let given: Vec<&Array> = node.inputs.iter().map(|name| &values[name]).collect();
        let made = operate(node, &given);
        assert_eq!(made.len(), node.outputs.len());
        for (name, array) in node.outputs.iter().zip(made) {
            assert_eq!(array.dims.iter().product::<usize>(), array.data.len(), "{}", node.kind);
            assert!(values.insert(name.clone(), array).is_none(), "{name} is made twice");
        }
    }
    model.outputs.iter().map(|(name, _, _)| (name.clone(), values[name].clone())).collect()
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for i in (1..dims.len()).rev() {
        strides[i - 1] = strides[i] * dims[i];
    }
    strides
}

/// Every index into `dims`, in order.
fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let (dims, strides) = (dims.to_vec(), strides(dims));
    let all = dims.iter().product();
    (0..all).map(move |i| dims.iter().zip(&strides).map(|(d, s)| i / s % d).collect())
}

fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let n = a.len().max(b.len());
    let side = |dims: &[usize], i: usize| {
        if i + dims.len() < n { 1 } else { dims[i + dims.len() - n] }
    };
    let one = |i| match (side(a, i), side(b, i)) {
        (x, y) if x == y => x,
        (1, y) => y,
        (x, 1) => x,
        (x, y) => panic!("{x} and {y} do not fit: {a:?} {b:?}"),
    };
    (0..n).map(one).collect()
}

impl Array {
    fn made(dims: &[usize], of: impl FnMut(Vec<usize>) -> f64) -> Self {
        Self { dims: dims.into(), data: indices(dims).map(of).collect() }
    }

    /// The element at an index of a shape that this one is broadcast to.
    fn at(&self, index: &[usize]) -> f64 {
        let skip = index.len() - self.dims.len();
        let own = index[skip..].iter().zip(&self.dims).zip(strides(&self.dims));
        self.data[own.map(|((i, d), s)| if *d == 1 { 0 } else { i * s }).sum::<usize>()]
    }

    fn ints(&self) -> Vec<i64> {
        self.data.iter().map(|&x| x as i64).collect()
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { dims: self.dims.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let dims = broadcast(&self.dims, &other.dims);
        let (a, b) = (self.spread(&dims), other.spread(&dims));
        let data = a.into_iter().zip(b).map(|(i, j)| f(self.data[i], other.data[j])).collect();
        Self { dims, data }
    }

    /// The place of its element for each index of a shape that it is broadcast to.
    fn spread(&self, dims: &[usize]) -> Vec<usize> {
        let mut steps = vec![0; dims.len() - self.dims.len()];
        let own = self.dims.iter().zip(strides(&self.dims));
        steps.extend(own.map(|(&d, s)| if d == 1 { 0 } else { s }));
        places(dims, &steps)
    }

    /// What lies at these places, as an array of this shape.
    fn at_places(&self, dims: Vec<usize>, places: &[usize]) -> Self {
        Self { dims, data: places.iter().map(|&i| self.data[i]).collect() }
    }
}

/// For each index of a shape, in order, the sum of its numbers times their steps.
fn places(dims: &[usize], steps: &[usize]) -> Vec<usize> {
    dims.iter().zip(steps).fold(vec![0], |outer, (&dim, step)| {
        outer.iter().flat_map(|place| (0..dim).map(move |i| place + i * step)).collect()
    })
}

fn axis(node: &Node, rank: usize) -> usize {
    match node.attributes.get("axis") {
        Some(Attribute::Int(i)) if *i < 0 => (*i + rank as i64) as usize,
        Some(Attribute::Int(i)) => *i as usize,
        _ => 0,
    }
}

fn whole(node: &Node, name: &str) -> i64 {
    match node.attributes.get(name) {
        Some(Attribute::Int(i)) => *i,
        _ => 0,
    }
}

fn ints(node: &Node, name: &str) -> Vec<i64> {
    match &node.attributes[name] {
        Attribute::Ints(list) => list.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

/// The error function by its series and, far out, its continued fraction.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..200 {
            term *= -a * a / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..100).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    x.signum() * (1.0 - (-a * a).exp() / (a + fraction) / std::f64::consts::PI.sqrt())
}

fn operate(node: &Node, x: &[&Array]) -> Vec<Array> {
    let one = |array| vec![array];
    match &node.kind[..] {
        "Identity" => one(x[0].clone()),
        "Cast" => one(match node.attributes["to"] {
            Attribute::Int(9) => x[0].map(|v| f64::from(u8::from(v != 0.0))),
            _ => x[0].clone(),
        }),
        "Relu" => one(x[0].map(|v| v.max(0.0))),
        "Tanh" => one(x[0].map(f64::tanh)),
        "Sigmoid" => one(x[0].map(|v| 1.0 / (1.0 + (-v).exp()))),
        "Erf" => one(x[0].map(erf)),
        "Cos" => one(x[0].map(f64::cos)),
        "Sin" => one(x[0].map(f64::sin)),
        "Abs" => one(x[0].map(f64::abs)),
        "Add" => one(x[0].with(x[1], |a, b| a + b)),
        "Sub" => one(x[0].with(x[1], |a, b| a - b)),
        "Mul" => one(x[0].with(x[1], |a, b| a * b)),
        "Div" => one(x[0].with(x[1], |a, b| a / b)),
        "Max" => one(x[0].with(x[1], f64::max)),
        "And" => one(x[0].with(x[1], |a, b| a * b)),
        "Equal" => one(x[0].with(x[1], |a, b| f64::from(u8::from(a == b)))),
        "Not" => one(x[0].map(|a| 1.0 - a)),
        "CumSum" => {
            let (axis, mut sum) = (x[1].data[0] as usize, x[0].clone());
            let step = strides(&sum.dims)[axis];
            for i in 0..sum.data.len() {
                if !(i / step).is_multiple_of(sum.dims[axis]) {
                    sum.data[i] += sum.data[i - step];
                }
            }
            one(sum)
        }
        "LessOrEqual" => one(x[0].with(x[1], |a, b| f64::from(u8::from(a <= b)))),
        "Clip" => one(x[0].map(|v| v.max(x[1].data[0]).min(x[2].data[0]))),
        "Where" => {
            let dims = broadcast(&broadcast(&x[0].dims, &x[1].dims), &x[2].dims);
            let [c, a, b] = [0, 1, 2].map(|i| x[i].spread(&dims));
            let pick = |i| if x[0].data[c[i]] != 0.0 { x[1].data[a[i]] } else { x[2].data[b[i]] };
            let data = (0..c.len()).map(pick).collect();
            one(Array { dims, data })
        }
        "Shape" => {
            let data: Vec<f64> = x[0].dims.iter().map(|&d| d as f64).collect();
            one(Array { dims: vec![data.len()], data })
        }
        "Range" => {
            let (start, end) = (x[0].data[0], x[1].data[0]);
            let data: Vec<f64> = (start as i64..end as i64).map(|i| i as f64).collect();
            one(Array { dims: vec![data.len()], data })
        }
        "Expand" => {
            let asked: Vec<usize> = x[1].ints().iter().map(|&d| d as usize).collect();
            let dims = broadcast(&x[0].dims, &asked);
            let places = x[0].spread(&dims);
            one(x[0].at_places(dims, &places))
        }
        "Reshape" => {
            let mut dims: Vec<i64> = x[1].ints();
            for (i, dim) in dims.iter_mut().enumerate().filter(|(_, d)| **d == 0) {
                *dim = x[0].dims[i] as i64;
            }
            let known: i64 = dims.iter().filter(|d| **d > 0).product();
            let rest = x[0].data.len() as i64 / known;
            let dims = dims.iter().map(|&d| if d < 0 { rest } else { d } as usize).collect();
            one(Array { dims, data: x[0].data.clone() })
        }
        "Gemm" => {
            assert_eq!(whole(node, "transB"), 1);
            let dims = [x[0].dims[0], x[1].dims[0]];
            let inner = x[0].dims[1];
            let row = |a: &Array, i: usize| a.data[i * inner..(i + 1) * inner].to_vec();
            let dot = |at: Vec<usize>| {
                row(x[0], at[0]).iter().zip(row(x[1], at[1])).map(|(a, b)| a * b).sum()
            };
            one(Array::made(&dims, dot))
        }
        "Unsqueeze" => {
            let mut dims = x[0].dims.clone();
            x[1].ints().iter().for_each(|&axis| dims.insert(axis as usize, 1));
            one(Array { dims, data: x[0].data.clone() })
        }
        "Squeeze" => {
            let mut dims = x[0].dims.clone();
            assert_eq!(dims.remove(x[1].ints()[0] as usize), 1);
            one(Array { dims, data: x[0].data.clone() })
        }
        "Transpose" => {
            let order: Vec<usize> = ints(node, "perm").iter().map(|&i| i as usize).collect();
            let dims: Vec<usize> = order.iter().map(|&i| x[0].dims[i]).collect();
            let strides = strides(&x[0].dims);
            let steps: Vec<usize> = order.iter().map(|&i| strides[i]).collect();
            let places = places(&dims, &steps);
            one(x[0].at_places(dims, &places))
        }
        "Concat" => {
            let axis = axis(node, x[0].dims.len());
            let mut dims = x[0].dims.clone();
            dims[axis] = x.iter().map(|a| a.dims[axis]).sum();
            one(Array::made(&dims, |mut i| {
                for part in x {
                    if i[axis] < part.dims[axis] {
                        return part.at(&i);
                    }
                    i[axis] -= part.dims[axis];
                }
                unreachable!()
            }))
        }
        "Slice" => {
            let axis = x[3].ints()[0] as usize;
            let length = x[0].dims[axis];
            let start = x[1].ints()[0] as usize;
            let end = (x[2].data[0].min(length as f64)) as usize;
            let mut dims = x[0].dims.clone();
            dims[axis] = end - start;
            let strides = strides(&x[0].dims);
            let places: Vec<usize> =
                places(&dims, &strides).iter().map(|p| p + start * strides[axis]).collect();
            one(x[0].at_places(dims, &places))
        }
        "Gather" => {
            let axis = axis(node, x[0].dims.len());
            let mut dims = x[0].dims[..axis].to_vec();
            dims.extend(&x[1].dims);
            dims.extend(&x[0].dims[axis + 1..]);
            let rank = x[1].dims.len();
            one(Array::made(&dims, |i| {
                let place = x[1].at(&i[axis..axis + rank]) as usize;
                assert!(place < x[0].dims[axis], "{place} of {:?}", x[0].dims);
                x[0].at(&[&i[..axis], &[place], &i[axis + rank..]].concat())
            }))
        }
        "GatherElements" => {
            let axis = axis(node, x[0].dims.len());
            one(Array::made(&x[1].dims, |mut i| {
                i[axis] = x[1].at(&i) as usize;
                x[0].at(&i)
            }))
        }
        "MatMul" => one(product(x[0], x[1])),
        "MatMulInteger" => {
            let [a, b] = [0, 1].map(|i| x[i].with(x[i + 2], |v, zero| v - zero));
            one(product(&a, &b))
        }
        "DynamicQuantizeLinear" => {
            let ends = x[0].data.iter().fold((0f64, 0f64), |(a, b), &v| (a.min(v), b.max(v)));
            let scale = (ends.1 - ends.0) / 255.0;
            let zero = (-ends.0 / scale).round_ties_even().clamp(0.0, 255.0);
            let scalar = |v| Array { dims: vec![], data: vec![v] };
            let y = x[0].map(|v| ((v / scale).round_ties_even() + zero).clamp(0.0, 255.0));
            vec![y, scalar(scale), scalar(zero)]
        }
        "ReduceSum" | "ReduceMean" => {
            let axis = match x.get(1) {
                Some(axes) => axes.ints()[0] as usize,
                None => ints(node, "axes")[0] as usize,
            };
            let mut dims = x[0].dims.clone();
            let n = std::mem::replace(&mut dims[axis], 1);
            let by = if node.kind == "ReduceMean" { n as f64 } else { 1.0 };
            one(Array::made(&dims, |mut i| {
                let mut at = |place| {
                    i[axis] = place;
                    x[0].at(&i)
                };
                (0..n).map(&mut at).sum::<f64>() / by
            }))
        }
        "Softmax" => {
            let width = *x[0].dims.last().unwrap();
            let mut data = x[0].data.clone();
            for row in data.chunks_mut(width) {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|v| *v = (*v - most).exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|v| *v /= sum);
            }
            one(Array { dims: x[0].dims.clone(), data })
        }
        "LayerNormalization" => {
            let Attribute::Float(epsilon) = node.attributes["epsilon"] else { panic!() };
            let width = *x[0].dims.last().unwrap();
            let mut data = x[0].data.clone();
            for row in data.chunks_mut(width) {
                let mean = row.iter().sum::<f64>() / width as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
                let deviation = (variance + f64::from(epsilon)).sqrt();
                for (i, v) in row.iter_mut().enumerate() {
                    let bias = x.get(2).map_or(0.0, |b| b.data[i]);
                    *v = (*v - mean) / deviation * x[1].data[i] + bias;
                }
            }
            one(Array { dims: x[0].dims.clone(), data })
        }
        "Conv" => {
            let sides: Vec<usize> = ints(node, "strides").iter().map(|&s| s as usize).collect();
            assert_eq!(sides, x[1].dims[2..], "windows that stand side by side");
            let size = |i: usize| (x[0].dims[i] - sides[i - 2]) / sides[i - 2] + 1;
            let dims = [x[0].dims[0], x[1].dims[0], size(2), size(3)];
            one(Array::made(&dims, |i| {
                let window = indices(&x[1].dims[1..]).map(|w| {
                    let pixel = [i[0], w[0], i[2] * sides[0] + w[1], i[3] * sides[1] + w[2]];
                    x[0].at(&pixel) * x[1].at(&[i[1], w[0], w[1], w[2]])
                });
                window.sum::<f64>() + x.get(2).map_or(0.0, |bias| bias.data[i[1]])
            }))
        }
        other => panic!("the operator {other} is not among those of exported graphs"),
    }
}

/// Products of matrices in the last two dimensions.
fn product(a: &Array, b: &Array) -> Array {
    let (ra, rb) = (a.dims.len(), b.dims.len());
    let (n, k, m) = (a.dims[ra - 2], a.dims[ra - 1], b.dims[rb - 1]);
    assert_eq!(k, b.dims[rb - 2]);
    let outer = broadcast(&a.dims[..ra - 2], &b.dims[..rb - 2]);
    let place = |array: &Array, index: &[usize]| {
        let dims = &array.dims[..array.dims.len() - 2];
        let skip = index.len() - dims.len();
        let own = index[skip..].iter().zip(dims).zip(strides(dims));
        own.map(|((i, d), s)| if *d == 1 { 0 } else { i * s }).sum::<usize>()
    };
    let mut data = Vec::new();
    for index in indices(&outer) {
        let x = &a.data[place(a, &index) * n * k..][..n * k];
        let y = &b.data[place(b, &index) * k * m..][..k * m];
        for row in x.chunks(k) {
            for column in 0..m {
                data.push(row.iter().enumerate().map(|(i, v)| v * y[i * m + column]).sum());
            }
        }
    }
    Array { dims: [&outer[..], &[n, m]].concat(), data }
}
