//! What all parts of the graph are made of: products, norms, non-linearities, gates.

use std::collections::BTreeMap;

use budwood_base::encoder::{Activation, EncoderSpec};
use budwood_base::head::Pooling;
use budwood_base::names;
use budwood_base::site::WeightSite;
use budwood_base::tensor::Tensor;
use budwood_model::modules::{Affine, Modules, UpdateModule};

use crate::elements::transposed_places;
use crate::graph::{Attribute, Graph, Type};
use crate::int8::{PRODUCT_MOST, quantize, transposed};
use crate::{Error, Precision, Request};

/// Makes the graph of a request. Its values are names, as in ONNX.
pub(crate) struct Builder<'a, E> {
    pub(crate) graph: Graph,
    pub(crate) request: &'a Request<'a>,
    pub(crate) spec: &'a EncoderSpec,
    pub(crate) modules: &'a Modules,
    /// A tensor of the base as the adapter changes it, once.
    pub(crate) fetch: &'a mut dyn FnMut(&str) -> Result<Tensor, E>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// Bytes, scale and zero point of values that products in int8 read.
    quantized: BTreeMap<String, [String; 3]>,
    /// Bytes and scales of weights.
    pub(crate) weights: BTreeMap<String, [String; 2]>,
}

/// Sequences of hidden states `[batch, rows, width]`.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) x: String,
    /// `[batch, rows]` in f32, 1 for rows and 0 for padding; none where there is no padding.
    pub(crate) mask: Option<String>,
}

impl<'a, E: From<Error>> Builder<'a, E> {
    pub(crate) fn new(
        request: &'a Request<'a>,
        modules: &'a Modules,
        fetch: &'a mut dyn FnMut(&str) -> Result<Tensor, E>,
    ) -> Self {
        let tensors = request.encoder.tensors().into_iter();
        Self {
            graph: Graph::default(),
            request,
            spec: request.encoder,
            modules,
            fetch,
            shapes: tensors.map(|tensor| (tensor.name, tensor.shape)).collect(),
            quantized: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }

    /// The whole graph.
    pub(crate) fn model(mut self) -> Result<Graph, E> {
        let mut rows = self.embedded()?;
        let scores = self.scores(&rows)?;
        for layer in 0..self.spec.layers {
            rows.x = self.layer(layer, &rows, &scores)?;
        }
        let patches = self.request.head.pooling == Pooling::PatchMean;
        if !patches && self.has(&format!("{}.weight", names::FINAL_NORM)) {
            rows.x = self.norm(names::FINAL_NORM, &rows.x);
        }
        self.head(&rows)?;
        Ok(self.graph)
    }

    /// Whether the encoder has a tensor.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// A tensor of the encoder in its own shape.
    pub(crate) fn tensor(&mut self, name: &str) -> String {
        self.graph.weight(name, &self.shapes[name])
    }

    /// An affine product of the encoder, in f32.
    pub(crate) fn product(&mut self, name: &str, x: &str) -> String {
        let weight = format!("{name}.weight");
        let shape = &self.shapes[&weight];
        let weight = self.graph.transposed(&weight, [shape[0], shape[1]]);
        let y = self.graph.op("MatMul", &[x, &weight]);
        self.with_bias(name, y)
    }

    fn with_bias(&mut self, name: &str, y: String) -> String {
        let bias = format!("{name}.bias");
        if !self.has(&bias) {
            return y;
        }
        let bias = self.tensor(&bias);
        self.graph.op("Add", &[&y, &bias])
    }

    /// A product of a layer, in the request's precision.
    fn layer_product(&mut self, name: &str, x: &str) -> Result<String, E> {
        match self.request.precision {
            Precision::F32 => Ok(self.product(name, x)),
            Precision::Int8 => {
                let y = self.int8_product(&format!("{name}.weight"), x)?;
                Ok(self.with_bias(name, y))
            }
        }
    }

    /// The form that ONNX Runtime makes one operator of.
    fn int8_product(&mut self, weight: &str, x: &str) -> Result<String, E> {
        let [bytes, scales] = match self.weights.get(weight) {
            Some(known) => known.clone(),
            None => {
                let [outputs, inputs] = [0, 1].map(|i| self.shapes[weight][i]);
                let quantized = quantize(&(self.fetch)(weight)?.data, inputs, PRODUCT_MOST);
                let bytes = transposed(&quantized.bytes, inputs);
                let made = [
                    self.graph.constant(Type::Int8, &[inputs, outputs], bytes),
                    self.graph.floats(&[outputs], &quantized.scales),
                ];
                self.weights.insert(weight.into(), made.clone());
                made
            }
        };
        Ok(self.int8_sums(&bytes, &scales, x))
    }

    /// The product of a value with bytes `[inputs, outputs]`, each column of its own scale.
    pub(crate) fn int8_sums(&mut self, bytes: &str, scales: &str, x: &str) -> String {
        let [input, scale, zero] = match self.quantized.get(x) {
            Some(known) => known.clone(),
            None => {
                let made = self.graph.many("DynamicQuantizeLinear", &[x], &[]);
                self.quantized.insert(x.into(), made.clone());
                made
            }
        };
        let none = self.graph.constant(Type::Int8, &[], vec![0]);
        let sums = self.graph.op("MatMulInteger", &[&input, bytes, &zero, &none]);
        let sums = self.cast(&sums, Type::Float);
        let scale = self.graph.op("Mul", &[&scale, scales]);
        self.graph.op("Mul", &[&sums, &scale])
    }

    /// A layer's product at a site, with the adapter's update where it has one.
    pub(crate) fn site(
        &mut self,
        layer: usize,
        site: WeightSite,
        rows: &Rows,
    ) -> Result<String, E> {
        let (modules, name) = (self.modules, names::in_layer(layer, site.name()));
        let update = modules.updates.get(&(layer, site));
        if let Some(UpdateModule::ScaleInput(scale)) = update {
            let scale = self.graph.floats(&scale.shape, &scale.data);
            let x = self.graph.op("Mul", &[&rows.x, &scale]);
            return self.layer_product(&name, &x);
        }
        let y = self.layer_product(&name, &rows.x)?;
        let Some(update) = update else { return Ok(y) };
        match update {
            UpdateModule::ScaleInput(_) => Ok(y),
            UpdateModule::Scale(scale) => {
                let scale = self.graph.floats(&scale.shape, &scale.data);
                Ok(self.graph.op("Mul", &[&y, &scale]))
            }
            UpdateModule::LowRank { a, b, gate } => {
                let inner = self.matrix(a, &rows.x);
                let mut more = self.matrix(b, &inner);
                if let Some(gate) = gate {
                    let gate = self.gate(gate, rows);
                    more = self.graph.op("Mul", &[&more, &gate]);
                }
                Ok(self.graph.op("Add", &[&y, &more]))
            }
        }
    }

    /// `x Wᵀ` for a matrix `[outputs, inputs]` of the adapter.
    fn matrix(&mut self, weight: &Tensor, x: &str) -> String {
        let [outputs, inputs] = [weight.shape[0], weight.shape[1]];
        let places = transposed_places(outputs, inputs);
        let values: Vec<f32> = places.map(|at| weight.data[at]).collect();
        let weight = self.graph.floats(&[inputs, outputs], &values);
        self.graph.op("MatMul", &[x, &weight])
    }

    /// An affine product of the adapter.
    pub(crate) fn affine(&mut self, affine: &Affine, x: &str) -> String {
        let y = self.matrix(&affine.weight, x);
        let bias = self.graph.floats(&affine.bias.shape, &affine.bias.data);
        self.graph.op("Add", &[&y, &bias])
    }

    /// `[batch, 1, gates]`: the mean of σ(w x + b) over the rows of each sequence.
    pub(crate) fn gate(&mut self, gate: &Affine, rows: &Rows) -> String {
        let x = self.affine(gate, &rows.x);
        let x = self.graph.op("Sigmoid", &[&x]);
        self.mean(&Rows { x, mask: rows.mask.clone() })
    }

    /// `[batch, 1, width]`: the mean over the rows of each sequence.
    pub(crate) fn mean(&mut self, rows: &Rows) -> String {
        let Some(mask) = &rows.mask else {
            let axes = ("axes", Attribute::Ints(vec![1]));
            return self.graph.op_with("ReduceMean", &[&rows.x], &[axes]);
        };
        let mask = self.unsqueeze(mask, &[2]);
        let kept = self.graph.op("Mul", &[&rows.x, &mask]);
        let axes = self.graph.ints(&[1]);
        let sum = self.graph.op("ReduceSum", &[&kept, &axes]);
        let count = self.graph.op("ReduceSum", &[&mask, &axes]);
        let one = self.graph.float(1.0);
        // A sequence of padding alone has no rows.
        let count = self.graph.op("Max", &[&count, &one]);
        self.graph.op("Div", &[&sum, &count])
    }

    /// A layer norm of the encoder.
    pub(crate) fn norm(&mut self, name: &str, x: &str) -> String {
        let gain = self.tensor(&format!("{name}.weight"));
        let bias = format!("{name}.bias");
        let bias = self.has(&bias).then(|| self.tensor(&bias));
        self.normed(x, &gain, bias.as_deref(), self.spec.norm_eps)
    }

    /// A layer norm with the values of gain and bias.
    pub(crate) fn normed(&mut self, x: &str, gain: &str, bias: Option<&str>, eps: f32) -> String {
        let inputs: Vec<&str> = [x, gain].into_iter().chain(bias).collect();
        self.graph.op_with("LayerNormalization", &inputs, &[("epsilon", Attribute::Float(eps))])
    }

    pub(crate) fn activation(&mut self, activation: Activation, x: &str) -> String {
        let g = &mut self.graph;
        match activation {
            Activation::Identity => x.into(),
            Activation::Relu => g.op("Relu", &[x]),
            Activation::Tanh => g.op("Tanh", &[x]),
            Activation::Sigmoid => g.op("Sigmoid", &[x]),
            Activation::Gelu => {
                let (root, one, half) =
                    (g.float(std::f32::consts::SQRT_2), g.float(1.0), g.float(0.5));
                let inner = g.op("Div", &[x, &root]);
                let inner = g.op("Erf", &[&inner]);
                let inner = g.op("Add", &[&inner, &one]);
                let y = g.op("Mul", &[x, &inner]);
                g.op("Mul", &[&y, &half])
            }
            Activation::GeluTanh => {
                let (factor, root) =
                    (g.float(0.044_715), g.float((2.0 / std::f32::consts::PI).sqrt()));
                let (one, half) = (g.float(1.0), g.float(0.5));
                let square = g.op("Mul", &[x, x]);
                let cube = g.op("Mul", &[&square, x]);
                let cube = g.op("Mul", &[&cube, &factor]);
                let inner = g.op("Add", &[x, &cube]);
                let inner = g.op("Mul", &[&inner, &root]);
                let inner = g.op("Tanh", &[&inner]);
                let inner = g.op("Add", &[&inner, &one]);
                let y = g.op("Mul", &[x, &inner]);
                g.op("Mul", &[&y, &half])
            }
            Activation::QuickGelu => {
                let factor = g.float(1.702);
                let inner = g.op("Mul", &[x, &factor]);
                let inner = g.op("Sigmoid", &[&inner]);
                g.op("Mul", &[x, &inner])
            }
            Activation::Silu => {
                let inner = g.op("Sigmoid", &[x]);
                g.op("Mul", &[x, &inner])
            }
        }
    }

    pub(crate) fn cast(&mut self, x: &str, kind: Type) -> String {
        self.graph.op_with("Cast", &[x], &[("to", Attribute::Int(kind as i64))])
    }

    pub(crate) fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> String {
        let axes = self.graph.ints(axes);
        self.graph.op("Unsqueeze", &[x, &axes])
    }

    pub(crate) fn reshape(&mut self, x: &str, dims: &[i64]) -> String {
        let dims = self.graph.ints(dims);
        self.graph.op("Reshape", &[x, &dims])
    }

    pub(crate) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.graph.op_with("Transpose", &[x], &[("perm", Attribute::Ints(order.into()))])
    }

    pub(crate) fn concat(&mut self, values: &[&str], axis: i64) -> String {
        self.graph.op_with("Concat", values, &[("axis", Attribute::Int(axis))])
    }

    /// From `start` to `end` along an axis; an `end` of `None` is the axis's own.
    pub(crate) fn slice(&mut self, x: &str, axis: i64, start: usize, end: Option<usize>) -> String {
        let end = self.graph.ints(&[end.map_or(i64::MAX, |end| end as i64)]);
        let (start, axis) = (self.graph.ints(&[start as i64]), self.graph.ints(&[axis]));
        self.graph.op("Slice", &[x, &start, &end, &axis])
    }

    /// One place along an axis, which goes.
    pub(crate) fn pick(&mut self, x: &str, axis: i64, place: i64) -> String {
        let place = self.graph.int(place);
        self.graph.op_with("Gather", &[x, &place], &[("axis", Attribute::Int(axis))])
    }
}
