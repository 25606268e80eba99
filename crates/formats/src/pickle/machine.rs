//! Reads a pickle without running it.
//!
//! Values lie in a list and name each other by number: neither nesting nor circles take stack, and
//! what is shared is there once.

use std::collections::{BTreeMap, HashMap};

use super::global::{self, Global};

/// The first byte of a pickle.
pub(super) const PROTO: u8 = 0x80;
/// The newest protocol.
const PROTOCOL: u8 = 5;
/// Bytes of a pickle; that of a model of a thousand tensors has 200 thousand.
pub(super) const BYTES_MOST: usize = 16 << 20;
/// Instructions of a pickle; a tensor takes about forty.
const STEPS_MOST: usize = 1_000_000;
/// Dimensions of a tensor.
const DIMENSIONS_MOST: usize = 8;
/// Bytes of a storage's key, which is a number.
const KEY_MOST: usize = 64;

/// A value, or the number of what it stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    /// A number with a fraction, which no tensor's place depends on.
    Fraction,
    Int(i64),
    /// Where a text lies in the pickle.
    Text(Span),
    /// Where a whole number of more than eight bytes lies.
    Wide(Span),
    Global(Global),
    Node(u32),
}

/// A place in the pickle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    length: u32,
}

/// What has parts.
#[derive(Debug)]
pub(super) enum Node {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Storage),
    Tensor(Tensor),
}

/// A row of numbers somewhere in the file.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) dtype: safetensors::Dtype,
    pub(super) key: String,
    /// Numbers in the whole of it.
    pub(super) length: usize,
    /// The part of it that is meant: first number, and how many.
    pub(super) part: (usize, usize),
}

/// A tensor over a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// The first number, and the distance of neighbours in each dimension.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A pickle that was read.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
    /// What it gives.
    pub(super) result: Value,
    /// Bytes up to its end.
    pub(super) end: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let bytes = &bytes[..bytes.len().min(BYTES_MOST)];
        let mut machine = Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
            copied: 0,
        };
        for _ in 0..STEPS_MOST {
            if machine.step()? {
                let result = machine.pop()?;
                return Ok(Self { bytes, nodes: machine.nodes, result, end: machine.at });
            }
        }
        Err(format!("has a pickle of more than {STEPS_MOST} instructions"))
    }

    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        node(&self.nodes, value)
    }

    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        text(self.bytes, value)
    }

    /// The bytes of a whole number of more than eight.
    pub(super) fn wide(&self) -> Option<&'a [u8]> {
        match self.result {
            Value::Wide(span) => Some(span.of(self.bytes)),
            _ => None,
        }
    }

    /// The tensors of the map that it gives, by name.
    pub(super) fn tensors(&self) -> Result<BTreeMap<String, Tensor>, String> {
        let Some(Node::Dict(entries)) = self.node(self.result) else {
            return Err(
                "does not hold a map of tensors by name: it is not a model's weights".into()
            );
        };
        let mut tensors = BTreeMap::new();
        for (name, value) in entries {
            let name = self.text(*name).ok_or("holds an entry whose name is not text")?;
            let Some(Node::Tensor(tensor)) = self.node(*value) else {
                return Err(format!(
                    "holds '{name}', which is not a tensor: it is not a model's weights. Where it is a checkpoint of \
                     training, save the model's `state_dict` alone"
                ));
            };
            if tensors.insert(name.to_string(), tensor.clone()).is_some() {
                return Err(format!("holds the tensor '{name}' twice"));
            }
        }
        Ok(tensors)
    }

    /// All storages by their key. One key stands for one storage.
    pub(super) fn storages(&self) -> Result<BTreeMap<&str, &Storage>, String> {
        let mut all = BTreeMap::new();
        for node in &self.nodes {
            let Node::Storage(storage) = node else { continue };
            let first = *all.entry(storage.key.as_str()).or_insert(storage);
            if (first.dtype, first.length) != (storage.dtype, storage.length) {
                let key = &storage.key;
                return Err(format!("speaks of the storage '{key}' in two types or lengths"));
            }
        }
        Ok(all)
    }
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        bytes.get(start..start + self.length as usize).unwrap_or_default()
    }
}

fn node(nodes: &[Node], value: Value) -> Option<&Node> {
    match value {
        Value::Node(number) => nodes.get(number as usize),
        _ => None,
    }
}

/// The text of a value, which was checked when it was read.
fn text(bytes: &[u8], value: Value) -> Option<&str> {
    match value {
        Value::Text(span) => std::str::from_utf8(span.of(bytes)).ok(),
        _ => None,
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
    /// Values that calls have copied: without a bound a short pickle could copy a long list again
    /// and again.
    copied: usize,
}

const CUT: &str = "is not whole: its pickle ends before it is finished. Fetch it again";
const DAMAGED: &str = "is damaged: its pickle makes no sense. Fetch it again";

impl Machine<'_> {
    /// One instruction. Returns whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        match self.byte()? {
            b'.' => return Ok(true),
            PROTO => {
                let protocol = self.byte()?;
                if protocol > PROTOCOL {
                    return Err(format!("has a pickle of protocol {protocol}, above {PROTOCOL}"));
                }
            }
            // The length of what follows.
            0x95 => self.skip(8)?,
            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'G' => {
                self.skip(8)?;
                self.stack.push(Value::Fraction);
            }
            b'J' => {
                let number = self.number::<4>()?;
                self.stack.push(Value::Int(i64::from(number as u32 as i32)));
            }
            b'K' => self.unsigned::<1>()?,
            b'M' => self.unsigned::<2>()?,
            0x8a => self.long()?,
            b'X' => self.text_of::<4>()?,
            0x8c => self.text_of::<1>()?,
            // Texts of Python 2.
            b'T' => self.text_of::<4>()?,
            b'U' => self.text_of::<1>()?,
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Node::Tuple(Vec::new()))?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let word = |value| text(self.bytes, value).map(String::from).ok_or(DAMAGED);
                let (module, name) = (word(module)?, word(name)?);
                self.global(&module, &name)?;
            }
            b'R' => self.call()?,
            // Attributes of an ordered map, which are no tensors.
            b'b' => {
                self.pop()?;
                let target = *self.stack.last().ok_or(DAMAGED)?;
                if !matches!(node(&self.nodes, target), Some(Node::Dict(_))) {
                    return Err(
                        "sets the state of something else than a map: not what tensors need".into(),
                    );
                }
            }
            b'Q' => self.storage()?,
            b'q' => {
                let key = self.number::<1>()?;
                self.remember(key as u32)?;
            }
            b'r' => {
                let key = self.number::<4>()?;
                self.remember(key as u32)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let key = self.number::<1>()?;
                self.recall(key as u32)?;
            }
            b'j' => {
                let key = self.number::<4>()?;
                self.recall(key as u32)?;
            }
            b'0' => drop(self.pop()?),
            other => {
                return Err(format!(
                    "has the instruction {:?} in its pickle, which tensors do not need; it was not run",
                    char::from(other)
                ));
            }
        }
        Ok(false)
    }

    fn byte(&mut self) -> Result<u8, String> {
        let byte = *self.bytes.get(self.at).ok_or(CUT)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, n: usize) -> Result<(), String> {
        self.at += n;
        if self.at <= self.bytes.len() { Ok(()) } else { Err(CUT.into()) }
    }

    /// A number of `N` bytes, the lowest first.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let start = self.at;
        self.skip(N)?;
        Ok(self.bytes[start..self.at].iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b)))
    }

    fn unsigned<const N: usize>(&mut self) -> Result<(), String> {
        let number = self.number::<N>()?;
        self.stack.push(Value::Int(number as i64));
        Ok(())
    }

    /// A signed number of any length.
    fn long(&mut self) -> Result<(), String> {
        let length = self.byte()?;
        let start = self.at;
        self.skip(length.into())?;
        let bytes = &self.bytes[start..self.at];
        let value = match bytes {
            _ if bytes.len() > 8 => {
                Value::Wide(Span { start: start as u32, length: length.into() })
            }
            [] => Value::Int(0),
            [.., last] => {
                let sign = if last & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [sign; 8];
                wide[..bytes.len()].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// A text whose length stands in `N` bytes before it.
    fn text_of<const N: usize>(&mut self) -> Result<(), String> {
        let length = self.number::<N>()? as usize;
        let start = self.at;
        self.skip(length)?;
        let bytes = &self.bytes[start..self.at];
        std::str::from_utf8(bytes).map_err(|_| "holds a text that is not UTF-8 in its pickle")?;
        self.stack.push(Value::Text(Span { start: start as u32, length: length as u32 }));
        Ok(())
    }

    /// A text up to the end of a line.
    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(1 << 10).position(|b| *b == b'\n').ok_or(CUT)?;
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(DAMAGED.into());
        }
        self.stack.pop().ok_or_else(|| DAMAGED.into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or(DAMAGED)?;
        Ok(self.stack.split_off(mark))
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        self.stack.push(Value::Node(self.nodes.len() as u32));
        self.nodes.push(node);
        Ok(())
    }

    fn tuple(&mut self, n: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(n);
        for _ in 0..n {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn top(&mut self) -> Result<&mut Node, String> {
        match self.stack.last() {
            Some(Value::Node(number)) => {
                self.nodes.get_mut(*number as usize).ok_or_else(|| DAMAGED.into())
            }
            _ => Err(DAMAGED.into()),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        match self.top()? {
            Node::List(list) => list.extend(items),
            _ => return Err(DAMAGED.into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Result<(), String> {
        let (pairs, []) = items.as_chunks::<2>() else { return Err(DAMAGED.into()) };
        match self.top()? {
            Node::Dict(entries) => entries.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(DAMAGED.into()),
        }
        Ok(())
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let value = *self.stack.last().ok_or(DAMAGED)?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let value = *self.memo.get(&key).ok_or(DAMAGED)?;
        self.stack.push(value);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let found = global::find(module, name).ok_or_else(|| {
            let asked: String =
                format!("{module}.{name}").chars().filter(|c| !c.is_control()).take(200).collect();
            format!(
                "asks for {asked}, which is not what tensors are made of. Nothing of it was run; do not open it \
                 with anything that does"
            )
        })?;
        self.stack.push(Value::Global(found));
        Ok(())
    }

    fn items(&self, value: Value) -> Option<&[Value]> {
        match node(&self.nodes, value)? {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// Calls one of the known names.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(callee) = callee else {
            return Err("calls what is not a known name in its pickle; it was not run".into());
        };
        let arguments = self.items(arguments).ok_or(DAMAGED)?;
        match (callee, arguments) {
            (Global::OrderedDict, []) => self.push(Node::Dict(Vec::new())),
            // Python 2: a list of pairs.
            (Global::OrderedDict, [pairs]) => {
                let pairs =
                    self.items(*pairs).ok_or(DAMAGED)?.iter().map(|pair| match self.items(*pair) {
                        Some([key, value]) => Ok((*key, *value)),
                        _ => Err(DAMAGED),
                    });
                let most = STEPS_MOST - self.copied;
                let pairs = pairs.take(most).collect::<Result<Vec<_>, _>>()?;
                if pairs.len() == most {
                    return Err(format!("has a pickle that copies more than {STEPS_MOST} values"));
                }
                self.copied += pairs.len();
                self.push(Node::Dict(pairs))
            }
            (Global::Size, [sizes]) => {
                let sizes = self.items(*sizes).ok_or(DAMAGED)?;
                let sizes = sizes.get(..sizes.len().min(DIMENSIONS_MOST + 1)).unwrap_or_default();
                let sizes = sizes.to_vec();
                self.push(Node::Tuple(sizes))
            }
            (Global::Parameter, [tensor, ..]) => {
                let tensor = *tensor;
                match node(&self.nodes, tensor) {
                    Some(Node::Tensor(_)) => self.stack.push(tensor),
                    _ => return Err(DAMAGED.into()),
                }
                Ok(())
            }
            (Global::Tensor, [storage, offset, shape, strides, ..]) => {
                let Some(Node::Storage(storage)) = node(&self.nodes, *storage) else {
                    return Err(DAMAGED.into());
                };
                let tensor = Tensor {
                    storage: storage.clone(),
                    offset: count(*offset)?,
                    shape: self.counts(*shape)?,
                    strides: self.counts(*strides)?,
                };
                if tensor.shape.len() != tensor.strides.len() {
                    return Err(DAMAGED.into());
                }
                self.push(Node::Tensor(tensor))
            }
            _ => Err(DAMAGED.into()),
        }
    }

    fn counts(&self, value: Value) -> Result<Vec<usize>, String> {
        let items = self.items(value).ok_or(DAMAGED)?;
        if items.len() > DIMENSIONS_MOST {
            let n = items.len();
            return Err(format!(
                "has a tensor of {n} dimensions; at most {DIMENSIONS_MOST} are read"
            ));
        }
        items.iter().map(|item| count(*item)).collect()
    }

    /// A storage by its persistent name: `("storage", type, key, device, length)`, and in old files
    /// what part of it is meant.
    fn storage(&mut self) -> Result<(), String> {
        let name = self.pop()?;
        let items = self.items(name).ok_or(DAMAGED)?;
        let (Some([kind, Value::Global(Global::Storage(dtype)), key, _, length]), part) =
            (items.first_chunk::<5>(), items.get(5))
        else {
            return Err("names a storage in a form that is not known".into());
        };
        if text(self.bytes, *kind) != Some("storage") {
            return Err("names something else than a storage".into());
        }
        let key = text(self.bytes, *key).filter(|key| key.len() <= KEY_MOST).ok_or(DAMAGED)?;
        let key = key.to_string();
        let length = count(*length)?;
        let part = match part {
            None | Some(Value::None) => (0, length),
            Some(part) => match self.items(*part) {
                Some([_, first, n]) => (count(*first)?, count(*n)?),
                _ => return Err(DAMAGED.into()),
            },
        };
        if part.0.checked_add(part.1).is_none_or(|end| end > length) {
            return Err(format!(
                "speaks of a part of the storage '{key}' that lies behind its end"
            ));
        }
        self.push(Node::Storage(Storage { dtype: *dtype, key, length, part }))
    }
}

/// A whole number from zero on.
fn count(value: Value) -> Result<usize, String> {
    match value {
        Value::Int(n) => usize::try_from(n).map_err(|_| "has a size or place below zero".into()),
        _ => Err(DAMAGED.into()),
    }
}
