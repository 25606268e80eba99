//! The layout before PyTorch 1.6: pickles one after another (a number that marks the layout, its
//! version, the machine's sizes, the tensors, the keys of the storages), then each storage behind
//! its length.

use std::collections::BTreeMap;
use std::ops::Range;

use super::machine::{Node, Pickle, Value};
use super::place;
use crate::entry::Entries;

/// 0x1950a86a20f9469cfc6c, the lowest byte first.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

pub(super) fn entries(bytes: &[u8]) -> Result<Entries, String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.end;
        Ok::<_, String>(pickle)
    };
    let magic = next()?;
    if magic.wide() != Some(&MAGIC) {
        return Err("is a pickle, but none of PyTorch's weights".into());
    }
    let version = next()?.result;
    if !matches!(version, Value::Int(VERSION)) {
        return Err("is in a version of PyTorch's layout that is not known".into());
    }
    let machine = next()?;
    if let Some(Node::Dict(entries)) = machine.node(machine.result)
        && entries.iter().any(|(name, value)| {
            machine.text(*name) == Some("little_endian") && !matches!(value, Value::Bool(true))
        })
    {
        return Err(
            "was written on a machine of the other order of bytes, which is not read".into()
        );
    }
    let pickle = next()?;
    let keys = next()?;
    let Some(Node::List(keys_of)) = keys.node(keys.result) else {
        return Err("lacks the list of its storages".into());
    };
    let known = pickle.storages()?;
    let mut places: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for key in keys_of {
        let key = keys.text(*key).ok_or("has a storage whose key is not text")?;
        let storage = known.get(key).ok_or_else(|| {
            format!(
                "has data for the storage '{key}', which no tensor uses: its length is not known"
            )
        })?;
        let length = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
        let length = length.map(|l| u64::from_le_bytes(*l));
        let size = storage.dtype.bitsize() / 8;
        let end = storage.length.checked_mul(size).and_then(|n| (at + 8).checked_add(n));
        match (length, end) {
            (Some(length), Some(end)) if length == storage.length as u64 && end <= bytes.len() => {
                places.insert(key, at + 8..end);
                at = end;
            }
            _ => {
                return Err(format!(
                    "is not whole: the storage '{key}' of {} elements is not there. Fetch it again",
                    storage.length
                ));
            }
        }
    }
    if at != bytes.len() {
        return Err(format!("has {} bytes behind its last storage", bytes.len() - at));
    }
    place::entries(pickle.tensors()?, bytes.len(), |key| places.get(key).cloned())
}
