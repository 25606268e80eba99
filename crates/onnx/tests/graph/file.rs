//! A reader of the protobuf messages in a file of ONNX, written from the wire format and the
//! numbers of `onnx.proto` alone.

use std::collections::BTreeMap;

/// Fields of a message in their order.
pub(crate) struct Fields<'a>(pub(crate) Vec<(u64, Field<'a>)>);

pub(crate) enum Field<'a> {
    Int(i64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(crate) fn read(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Int(varint(&mut bytes) as i64),
                5 => Field::Four(take(&mut bytes, 4).try_into().unwrap()),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(take(&mut bytes, length))
                }
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        Self(fields)
    }

    pub(crate) fn bytes(&self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |f| f.0 == number).map(move |f| match f.1 {
            Field::Bytes(bytes) => bytes,
            _ => panic!("field {number} holds no bytes"),
        })
    }

    pub(crate) fn texts(&self, number: u64) -> Vec<String> {
        self.bytes(number).map(|b| String::from_utf8(b.to_vec()).unwrap()).collect()
    }

    pub(crate) fn ints(&self, number: u64) -> Vec<i64> {
        let ints = self.0.iter().filter(|f| f.0 == number).map(move |f| match f.1 {
            Field::Int(i) => i,
            _ => panic!("field {number} holds no number"),
        });
        ints.collect()
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(length);
    *bytes = rest;
    first
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// An array of any type, its elements as 64-bit floats.
#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    pub(crate) dims: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

#[derive(Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

pub(crate) struct Node {
    pub(crate) kind: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
}

/// Name, type of elements, and each size: a number or a name.
pub(crate) type Info = (String, i64, Vec<String>);

pub(crate) struct Model {
    pub(crate) opset: i64,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: BTreeMap<String, Array>,
    pub(crate) constant_bytes: usize,
    pub(crate) inputs: Vec<Info>,
    pub(crate) outputs: Vec<Info>,
}

impl Model {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self::read_with(bytes, &[])
    }

    /// With what a file beside it holds.
    pub(crate) fn read_with(bytes: &[u8], beside: &[u8]) -> Self {
        let model = Fields::read(bytes);
        let opset = Fields::read(model.bytes(8).next().unwrap()).ints(2)[0];
        let graph = Fields::read(model.bytes(7).next().unwrap());
        let mut constants = BTreeMap::new();
        let mut constant_bytes = 0;
        for constant in graph.bytes(5) {
            let (name, array, bytes) = array(constant, beside);
            constant_bytes += bytes;
            assert!(constants.insert(name.clone(), array).is_none(), "{name} is there twice");
        }
        Self {
            opset,
            metadata: model.bytes(14).map(pair).collect(),
            nodes: graph.bytes(1).map(node).collect(),
            constants,
            constant_bytes,
            inputs: graph.bytes(11).map(info).collect(),
            outputs: graph.bytes(12).map(info).collect(),
        }
    }
}

fn array(bytes: &[u8], beside: &[u8]) -> (String, Array, usize) {
    let fields = Fields::read(bytes);
    let dims: Vec<usize> = fields.ints(1).iter().map(|&d| d as usize).collect();
    let pairs: BTreeMap<String, String> = fields.bytes(13).map(pair).collect();
    let number = |key: &str| pairs[key].parse::<usize>().unwrap();
    let raw = match fields.ints(14).first() {
        Some(1) => {
            assert_eq!(pairs["location"], "base.onnx_data");
            &beside[number("offset")..][..number("length")]
        }
        _ => fields.bytes(9).next().unwrap(),
    };
    let inside = if pairs.is_empty() { raw.len() } else { 0 };
    let data: Vec<f64> = match fields.ints(2)[0] {
        1 => {
            raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
        }
        3 => raw.iter().map(|&b| f64::from(b as i8)).collect(),
        7 => {
            raw.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
        }
        other => panic!("type {other}"),
    };
    assert_eq!(dims.iter().product::<usize>(), data.len());
    (fields.texts(8).remove(0), Array { dims, data }, inside)
}

fn pair(bytes: &[u8]) -> (String, String) {
    let pair = Fields::read(bytes);
    (pair.texts(1).remove(0), pair.texts(2).remove(0))
}

fn node(bytes: &[u8]) -> Node {
    let fields = Fields::read(bytes);
    let attribute = |b| {
        let fields = Fields::read(b);
        let value = match fields.ints(20)[0] {
            1 => match fields.0.iter().find(|f| f.0 == 2) {
                Some((_, Field::Four(b))) => Attribute::Float(f32::from_le_bytes(*b)),
                _ => panic!("no number"),
            },
            2 => Attribute::Int(fields.ints(3)[0]),
            7 => Attribute::Ints(fields.ints(8)),
            other => panic!("attribute of type {other}"),
        };
        (fields.texts(1).remove(0), value)
    };
    Node {
        kind: fields.texts(4).remove(0),
        inputs: fields.texts(1),
        outputs: fields.texts(2),
        attributes: fields.bytes(5).map(attribute).collect(),
    }
}

fn info(bytes: &[u8]) -> Info {
    let fields = Fields::read(bytes);
    let of = Fields::read(fields.bytes(2).next().unwrap());
    let tensor = Fields::read(of.bytes(1).next().unwrap());
    let shape = Fields::read(tensor.bytes(2).next().unwrap());
    let size = |b| {
        let dim = Fields::read(b);
        dim.texts(2).first().cloned().unwrap_or_else(|| dim.ints(1)[0].to_string())
    };
    (fields.texts(1).remove(0), tensor.ints(1)[0], shape.bytes(1).map(size).collect())
}
