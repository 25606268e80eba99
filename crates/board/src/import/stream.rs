//! The elements of a JSON list, one at a time, from a file that may be compressed and larger than
//! memory.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use crate::Error;

/// How much may be read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one element; more could fill the memory.
    pub element: u64,
    /// Bytes of the file after unpacking.
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { element: 256 << 20, file: 32 << 30 }
    }
}

/// Calls `each` with number, bytes and value of every element from number `skip` on.
///
/// # Errors
/// If the file cannot be read, is not a JSON list or goes over a limit; or what `each` returns.
pub(crate) fn elements(
    path: &Path,
    limits: Limits,
    skip: u64,
    each: impl FnMut(u64, u64, Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut magic = Vec::new();
    (&mut file).take(2).read_to_end(&mut magic).map_err(io)?;
    let packed = magic == [0x1f, 0x8b];
    let whole = io::Cursor::new(magic).chain(file);
    let bytes: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(BufReader::new(whole))) } else { Box::new(whole) };
    let left = Rc::new(Cell::new(limits.element));
    let limited = Limited { inner: bytes, element: Rc::clone(&left), file: limits.file };
    let mut json =
        serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, limited));
    let mut failed = None;
    let list = List { skip, left, limit: limits.element, each, failed: &mut failed, at: 0 };
    let result = json.deserialize_seq(list).and_then(|at| json.end().map(|()| at));
    match (failed, result) {
        (Some(error), _) => Err(error),
        (None, Ok(_)) => Ok(()),
        (None, Err(e)) => Err(Error::input(path.display().to_string(), e.to_string())),
    }
}

/// The first element, which shows what the file is; none if the list is empty.
pub(crate) fn first(path: &Path, limits: Limits) -> Result<Option<Value>, Error> {
    let mut found = None;
    let stop = Error::Refused(String::new());
    let mut stop = Some(stop);
    let result = elements(path, limits, 0, |_, _, value| {
        found = Some(value);
        stop.take().map_or(Ok(()), Err)
    });
    match (found, result) {
        (Some(value), _) => Ok(Some(value)),
        (None, result) => result.map(|()| None),
    }
}

struct List<'a, F> {
    skip: u64,
    left: Rc<Cell<u64>>,
    limit: u64,
    each: F,
    failed: &'a mut Option<Error>,
    at: u64,
}

impl<'de, F: FnMut(u64, u64, Value) -> Result<(), Error>> Visitor<'de> for List<'_, F> {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON list, as the archive's files are")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<u64, A::Error> {
        loop {
            let at = self.at;
            let place = |e: A::Error| A::Error::custom(format!("element {at}: {e}"));
            if at < self.skip {
                if list.next_element::<IgnoredAny>().map_err(place)?.is_none() {
                    return Ok(at);
                }
            } else {
                let Some(value) = list.next_element::<Value>().map_err(place)? else {
                    return Ok(at);
                };
                let bytes = self.limit - self.left.get();
                if let Err(e) = (self.each)(at, bytes, value) {
                    *self.failed = Some(e);
                    return Err(A::Error::custom("stopped"));
                }
            }
            self.left.set(self.limit);
            self.at += 1;
        }
    }
}

/// Counts down what may still be read.
struct Limited {
    inner: Box<dyn Read>,
    element: Rc<Cell<u64>>,
    file: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let size = n as u64;
        // The buffer reads ahead by a block, which belongs to the next element: a margin, no exact
        // count.
        let element = self.element.get().checked_sub(size);
        let (Some(element), Some(file)) = (element, self.file.checked_sub(size)) else {
            return Err(io::Error::other(
                "is larger than the limit for one element or for the file after unpacking",
            ));
        };
        self.element.set(element);
        self.file = file;
        Ok(n)
    }
}
