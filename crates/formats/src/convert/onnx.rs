//! As much of ONNX as weights need: the initialisers of a network and which nodes read them. The
//! fields are those of `onnx.proto3`; everything else in the file is passed over, and nothing is
//! run.

use std::collections::BTreeMap;
use std::path::Path;

use budwood_base::tensor::Tensor;

use crate::Error;

/// A network's weights.
pub(super) struct Network {
    /// Tensors of f32 by name. Others are left out.
    pub(super) initializers: BTreeMap<String, Tensor>,
    pub(super) nodes: Vec<Node>,
}

/// One operation.
#[derive(Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) operation: String,
    pub(super) inputs: Vec<String>,
}

const MODEL_GRAPH: u64 = 7;
const GRAPH_NODE: u64 = 1;
const GRAPH_INITIALIZER: u64 = 5;
const NODE_INPUT: u64 = 1;
const NODE_NAME: u64 = 3;
const NODE_OPERATION: u64 = 4;
const TENSOR_DIMENSIONS: u64 = 1;
const TENSOR_TYPE: u64 = 2;
const TENSOR_FLOATS: u64 = 4;
const TENSOR_NAME: u64 = 8;
const TENSOR_BYTES: u64 = 9;
const TENSOR_PLACE: u64 = 14;
/// `TensorProto.DataType.FLOAT`
const FLOAT: u64 = 1;

/// Reads a file.
///
/// # Errors
/// If it is damaged, or its weights are in another file.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Network, Error> {
    let fault =
        |message: String| Error::content(path, format!("is not a whole ONNX file ({message})"));
    let mut network = Network { initializers: BTreeMap::new(), nodes: Vec::new() };
    for field in Fields(bytes) {
        let (MODEL_GRAPH, Value::Bytes(graph)) = field.map_err(fault)? else { continue };
        for field in Fields(graph) {
            match field.map_err(fault)? {
                (GRAPH_NODE, Value::Bytes(bytes)) => {
                    network.nodes.push(node(bytes).map_err(fault)?)
                }
                (GRAPH_INITIALIZER, Value::Bytes(bytes)) => {
                    if let Some((name, tensor)) = tensor(bytes).map_err(fault)? {
                        network.initializers.insert(name, tensor);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(network)
}

fn node(bytes: &[u8]) -> Result<Node, String> {
    let mut node = Node::default();
    for field in Fields(bytes) {
        match field? {
            (NODE_INPUT, Value::Bytes(name)) => node.inputs.push(text(name)),
            (NODE_NAME, Value::Bytes(name)) => node.name = text(name),
            (NODE_OPERATION, Value::Bytes(name)) => node.operation = text(name),
            _ => {}
        }
    }
    Ok(node)
}

/// A tensor of f32 with its name; none if it is of another type.
fn tensor(bytes: &[u8]) -> Result<Option<(String, Tensor)>, String> {
    let (mut name, mut shape, mut data) = (String::new(), Vec::new(), Vec::new());
    let (mut of_floats, mut elsewhere) = (false, false);
    for field in Fields(bytes) {
        match field? {
            (TENSOR_DIMENSIONS, Value::Number(n)) => shape.push(n),
            (TENSOR_DIMENSIONS, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    shape.push(number(&mut packed)?);
                }
            }
            (TENSOR_TYPE, Value::Number(n)) => of_floats = n == FLOAT,
            (TENSOR_NAME, Value::Bytes(bytes)) => name = text(bytes),
            (TENSOR_FLOATS | TENSOR_BYTES, Value::Bytes(bytes)) => {
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() && of_floats {
                    return Err(format!("tensor '{name}' ends in the middle of a number"));
                }
                data = floats.iter().map(|&b| f32::from_le_bytes(b)).collect();
            }
            (TENSOR_PLACE, Value::Number(n)) => elsewhere = n != 0,
            _ => {}
        }
    }
    if !of_floats {
        return Ok(None);
    }
    if elsewhere {
        return Err(format!("tensor '{name}' is in another file, which is not read"));
    }
    let elements = shape.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
    if elements != Some(data.len() as u64) {
        return Err(format!("tensor '{name}' has {} numbers for the shape {shape:?}", data.len()));
    }
    let shape: Vec<usize> = shape.into_iter().map(|d| d as usize).collect();
    Ok(Some((name, Tensor::new(shape, data))))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A value of protocol buffers; those of fixed size are passed over.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u64, Value<'a>), String> {
        let key = number(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut self.0)?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let length = number(&mut self.0)?;
                Value::Bytes(self.bytes(length)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            kind => return Err(format!("a field of the kind {kind}")),
        };
        Ok((key >> 3, value))
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], String> {
        let cut = usize::try_from(length).ok().and_then(|n| self.0.split_at_checked(n));
        let (bytes, rest) = cut.ok_or("a field ends behind the file")?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// A number of variable length.
fn number(from: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first().ok_or("a number is cut off")?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number of more than 64 bits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of a list of numbers are allowed for the shape; most writers choose the second.
    #[test]
    fn shapes_are_read_one_by_one_and_packed() {
        let rest: Vec<u8> = (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let rest = [&[0x10, 1, 0x42, 1, b'w', 0x4a, 24][..], &rest].concat();
        for shape in [&[8, 2, 8, 3][..], &[10, 2, 2, 3]] {
            let (name, read) = tensor(&[shape, &rest].concat()).unwrap().unwrap();
            assert_eq!((name.as_str(), &read.shape[..]), ("w", &[2, 3][..]));
            assert_eq!(read.data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        }
    }
}
