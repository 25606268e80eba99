//! Where a tensor's elements lie in the file, checked against the bounds of its storage.

use std::collections::BTreeMap;
use std::ops::Range;

use super::machine::Tensor;
use crate::entry::{Entries, Entry};

/// Bytes of all tensors together, in bytes of their file: several tensors may share their elements,
/// but not so that a small file takes all memory.
const TIMES_MOST: u64 = 8;

/// Where all tensors lie. `storage` gives the bytes of a storage.
pub(super) fn entries(
    tensors: BTreeMap<String, Tensor>,
    file: usize,
    storage: impl Fn(&str) -> Option<Range<usize>>,
) -> Result<Entries, String> {
    let mut all = 0u64;
    let mut entries = BTreeMap::new();
    for (name, tensor) in tensors {
        let place = storage(&tensor.storage.key)
            .ok_or_else(|| format!("lacks the data of tensor '{name}'. Fetch it again"))?;
        let (entry, bytes) =
            entry(tensor, place).map_err(|message| format!("has a tensor '{name}' {message}"))?;
        all = all.saturating_add(bytes as u64);
        if all > TIMES_MOST.saturating_mul(file as u64) {
            return Err(format!(
                "has tensors of more than {TIMES_MOST} times its own {file} bytes, over shared data"
            ));
        }
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// A tensor in the bytes of its storage, and how many bytes its elements have.
fn entry(tensor: Tensor, place: Range<usize>) -> Result<(Entry, usize), String> {
    let Tensor { storage, offset, shape, strides } = tensor;
    let size = storage.dtype.bitsize() / 8;
    if storage.length.checked_mul(size) != Some(place.len()) {
        return Err(format!(
            "whose data are {} bytes, not {} elements of {size}",
            place.len(),
            storage.length
        ));
    }
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let elements = elements.ok_or("that is larger than any memory")?;
    // How far the last element is from the first.
    let reach = shape.iter().zip(&strides).try_fold(0usize, |sum, (d, stride)| {
        sum.checked_add(d.saturating_sub(1).checked_mul(*stride)?)
    });
    let end = match elements {
        0 => Some(offset),
        _ => reach.and_then(|reach| reach.checked_add(offset)?.checked_add(1)),
    };
    let end = end.filter(|end| *end <= storage.part.1).ok_or_else(|| {
        format!(
            "of shape {shape:?} that reaches behind the {} elements of its data",
            storage.part.1
        )
    })?;
    if elements > 0 && overlap(&shape, &strides) {
        return Err(format!("of shape {shape:?} whose elements lie upon each other ({strides:?})"));
    }
    // Both are below the storage's length, whose bytes are in the file.
    let at = |element: usize| place.start + (storage.part.0 + element) * size;
    let range = at(offset)..at(end);
    let strides = (!contiguous(&shape, &strides)).then_some(strides);
    Ok((Entry { dtype: storage.dtype, shape, range, strides }, elements * size))
}

/// Whether elements follow each other without gaps, the last dimension fastest.
fn contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(d, stride)| {
        let fits = *d == 1 || *stride == expected;
        expected *= d;
        fits
    }) || shape.contains(&0)
}

/// Whether two elements may lie at one place.
fn overlap(shape: &[usize], strides: &[usize]) -> bool {
    let mut dimensions: Vec<_> = strides.iter().zip(shape).filter(|(_, d)| **d > 1).collect();
    dimensions.sort_unstable();
    let mut reach = 1;
    dimensions.into_iter().any(|(stride, d)| {
        let over = *stride < reach;
        reach = (d - 1).saturating_mul(*stride).saturating_add(reach);
        over
    })
}
