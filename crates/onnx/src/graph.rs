//! A graph of ONNX operators in memory, and its file. Numbers of fields are those of `onnx.proto`.
//!
//! Weights are not held: the graph knows their names and shapes, and they are asked for one by one
//! while the file is written. As a message's length stands before it, all lengths are computed
//! first.

use std::collections::BTreeMap;
use std::io::Write;

use budwood_base::tensor::Tensor;

use crate::Error;
use crate::elements::{put, put_floats, transposed_places};
use crate::proto::Message;
use crate::shared::SharedBase;

/// Version of the operators: the first one with `LayerNormalization`.
const OPSET: i64 = 17;
/// Version of the format that came with it.
const IR_VERSION: i64 = 8;
/// The largest message that readers of protobuf take, in bytes.
const MESSAGE_MOST: u64 = i32::MAX as u64;

/// Types of elements, by the numbers of `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Float = 1,
    Int8 = 3,
    Int64 = 7,
    Bool = 9,
}

impl Type {
    fn size(self) -> u64 {
        match self {
            Self::Float => 4,
            Self::Int64 => 8,
            Self::Int8 | Self::Bool => 1,
        }
    }
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

/// A size of an input or output that is known or bears a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dim {
    Fixed(usize),
    Named(&'static str),
}

/// Where the elements of a constant come from.
#[derive(Clone, Debug)]
enum Source {
    /// They are here, little-endian.
    Here(Vec<u8>),
    /// A tensor of the model in f32, as it is.
    Weight(String),
    /// A matrix of the model in f32 with rows and columns exchanged.
    Transposed(String),
    /// They stand in a file beside this one.
    Elsewhere { file: String, offset: u64, bytes: u64 },
}

#[derive(Clone, Debug)]
struct Constant {
    name: String,
    kind: Type,
    dims: Vec<usize>,
    source: Source,
}

impl Constant {
    fn bytes(&self) -> u64 {
        self.dims.iter().map(|&d| d as u64).product::<u64>() * self.kind.size()
    }

    /// Bytes of its elements in the file itself.
    fn inside(&self) -> u64 {
        if matches!(self.source, Source::Elsewhere { .. }) { 0 } else { self.bytes() }
    }

    /// The message without its elements, which are its last field where they are here.
    fn head(&self) -> Message {
        let mut message = Message::default();
        for &dim in &self.dims {
            message.int(1, dim as i64);
        }
        message.int(2, self.kind as i64).text(8, &self.name);
        match &self.source {
            Source::Elsewhere { file, offset, bytes } => {
                message.pair(13, "location", file);
                message.pair(13, "offset", &offset.to_string());
                message.pair(13, "length", &bytes.to_string());
                message.int(14, 1);
            }
            _ => _ = message.begin(9, self.bytes()),
        }
        message
    }
}

/// A graph that is being made.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Message>,
    constants: Vec<Constant>,
    /// The places of small constants by their bytes, and of weights by their names.
    known: BTreeMap<(u8, Vec<u8>), String>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
    next: usize,
}

impl Graph {
    /// A node with one output, whose name it gives.
    pub(crate) fn op(&mut self, kind: &str, inputs: &[&str]) -> String {
        self.op_with(kind, inputs, &[])
    }

    pub(crate) fn op_with(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let [output] = self.many(kind, inputs, attributes);
        output
    }

    /// A node with several outputs.
    pub(crate) fn many<const N: usize>(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> [String; N] {
        let name = format!("{kind}_{}", self.next);
        self.next += 1;
        let outputs: [String; N] = std::array::from_fn(|i| match i {
            0 => name.clone(),
            i => format!("{name}_{i}"),
        });
        self.node(kind, inputs, &outputs.each_ref().map(String::as_str), attributes);
        outputs
    }

    fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) {
        let mut node = Message::default();
        inputs.iter().for_each(|input| _ = node.text(1, input));
        outputs.iter().for_each(|output| _ = node.text(2, output));
        node.text(3, outputs[0]).text(4, kind);
        for (name, value) in attributes {
            let mut attribute = Message::default();
            attribute.text(1, name);
            match value {
                Attribute::Float(x) => _ = attribute.float(2, *x).int(20, 1),
                Attribute::Int(i) => _ = attribute.int(3, *i).int(20, 2),
                Attribute::Ints(list) => {
                    list.iter().for_each(|i| _ = attribute.int(8, *i));
                    attribute.int(20, 7);
                }
            }
            node.message(5, &attribute);
        }
        self.nodes.push(node);
    }

    /// An input of the graph.
    pub(crate) fn input(&mut self, name: &str, kind: Type, dims: &[Dim]) -> String {
        self.inputs.push(value_info(name, kind, dims));
        name.into()
    }

    /// Gives a value the name of an output of the graph.
    pub(crate) fn output(&mut self, name: &str, value: &str, dims: &[Dim]) {
        self.node("Identity", &[value], &[name], &[]);
        self.outputs.push(value_info(name, Type::Float, dims));
    }

    /// A constant whose elements are here.
    pub(crate) fn constant(&mut self, kind: Type, dims: &[usize], bytes: Vec<u8>) -> String {
        let shape = dims.iter().flat_map(|d| d.to_le_bytes());
        let key: Vec<u8> = shape.chain(bytes.iter().copied()).collect();
        if let Some(name) = self.known.get(&(kind as u8, key.clone())) {
            return name.clone();
        }
        let name = format!("constant_{}", self.constants.len());
        // Large ones are each of its own kind, and not looked for again.
        if key.len() < 256 {
            self.known.insert((kind as u8, key), name.clone());
        }
        let source = Source::Here(bytes);
        self.constants.push(Constant { name: name.clone(), kind, dims: dims.into(), source });
        name
    }

    pub(crate) fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(Type::Float, dims, bytes)
    }

    pub(crate) fn float(&mut self, value: f32) -> String {
        self.floats(&[], &[value])
    }

    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant(Type::Int64, &[values.len()], bytes)
    }

    pub(crate) fn int(&mut self, value: i64) -> String {
        self.constant(Type::Int64, &[], value.to_le_bytes().into())
    }

    /// A tensor of the model, in these dimensions, once for all who use it.
    pub(crate) fn weight(&mut self, name: &str, dims: &[usize]) -> String {
        self.of_model(name.into(), dims.into(), Source::Weight(name.into()))
    }

    /// A matrix `[rows, columns]` of the model as `[columns, rows]`.
    pub(crate) fn transposed(&mut self, name: &str, [rows, columns]: [usize; 2]) -> String {
        let source = Source::Transposed(name.into());
        self.of_model(format!("{name}.transposed"), vec![columns, rows], source)
    }

    fn of_model(&mut self, name: String, dims: Vec<usize>, source: Source) -> String {
        let key = (0, name.clone().into_bytes());
        if self.known.insert(key, name.clone()).is_none() {
            self.constants.push(Constant { name: name.clone(), kind: Type::Float, dims, source });
        }
        name
    }

    /// Lets weights of these names stand in a file that others share.
    pub(crate) fn share(&mut self, shared: &SharedBase, is_shared: impl Fn(&str) -> bool) {
        for constant in &mut self.constants {
            if let Source::Weight(name) | Source::Transposed(name) = &constant.source
                && is_shared(name)
                && let Some(place) = shared.place(name)
            {
                let file = shared.file().to_string();
                constant.source =
                    Source::Elsewhere { file, offset: place.offset, bytes: place.bytes };
            }
        }
    }

    /// Bytes of the file, nearly.
    fn size(&self) -> u64 {
        let constants = self.constants.iter().map(|c| c.inside() + c.head().0.len() as u64 + 20);
        constants.sum::<u64>() + self.nodes.iter().map(|n| n.0.len() as u64 + 10).sum::<u64>()
    }

    /// Whether the file is larger than readers take.
    pub(crate) fn is_too_large(&self) -> bool {
        self.size() > MESSAGE_MOST
    }

    /// Writes the file. `fetch` gives the model's tensors, each of them once.
    ///
    /// # Errors
    /// What `fetch` and the file give.
    pub(crate) fn write<E: From<Error>>(
        &self,
        file: &mut impl Write,
        metadata: &[(&str, String)],
        mut fetch: impl FnMut(&str) -> Result<Tensor, E>,
    ) -> Result<(), E> {
        let mut begin = Message::default();
        for node in &self.nodes {
            begin.message(1, node);
        }
        begin.text(2, "budwood");
        let mut end = Message::default();
        self.inputs.iter().for_each(|input| _ = end.message(11, input));
        self.outputs.iter().for_each(|output| _ = end.message(12, output));
        // Each constant: its head, and the beginning of its elements.
        let heads: Vec<(Message, Message)> = self
            .constants
            .iter()
            .map(|constant| {
                let inside = constant.head();
                let mut outside = Message::default();
                outside.begin(5, inside.0.len() as u64 + constant.inside());
                (outside, inside)
            })
            .collect();
        let constants = self.constants.iter().zip(&heads);
        let constants = constants.map(|(c, (a, b))| (a.0.len() + b.0.len()) as u64 + c.inside());
        let length = (begin.0.len() + end.0.len()) as u64 + constants.sum::<u64>();
        let mut model = Message::default();
        model.int(1, IR_VERSION).text(2, "budwood").text(3, env!("CARGO_PKG_VERSION"));
        let mut opset = Message::default();
        opset.text(1, "").int(2, OPSET);
        model.message(8, &opset);
        metadata.iter().for_each(|(key, value)| _ = model.pair(14, key, value));
        model.begin(7, length);
        put(file, &model.0)?;
        put(file, &begin.0)?;
        for (constant, (outside, inside)) in self.constants.iter().zip(&heads) {
            put(file, &outside.0)?;
            put(file, &inside.0)?;
            match &constant.source {
                Source::Elsewhere { .. } => {}
                Source::Here(bytes) => put(file, bytes)?,
                Source::Weight(name) => put_floats(file, fetch(name)?.data.into_iter())?,
                Source::Transposed(name) => {
                    let tensor = fetch(name)?;
                    let places = transposed_places(constant.dims[1], constant.dims[0]);
                    put_floats(file, places.map(|at| tensor.data[at]))?;
                }
            }
        }
        put(file, &end.0)?;
        Ok(())
    }
}

fn value_info(name: &str, kind: Type, dims: &[Dim]) -> Message {
    let mut shape = Message::default();
    for dim in dims {
        let mut one = Message::default();
        match dim {
            Dim::Fixed(size) => one.int(1, *size as i64),
            Dim::Named(name) => one.text(2, name),
        };
        shape.message(1, &one);
    }
    let (mut tensor, mut of, mut info) = <(Message, Message, Message)>::default();
    tensor.int(1, kind as i64).message(2, &shape);
    of.message(1, &tensor);
    info.text(1, name).message(2, &of);
    info
}
