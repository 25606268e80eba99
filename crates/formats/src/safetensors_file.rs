//! The safetensors form: reading a file's header, and writing.
//!
//! f32 and scaled bytes are written. The header is checked by the `safetensors` crate before
//! anything is believed: lengths, overlaps, the claim of more bytes than there are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use budwood_base::json;
use budwood_base::tensor::{Tensor, TensorMap};
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo, TensorView};

use crate::Error;
use crate::entry::{Entries, Entry};

/// The longest header that is read, in bytes: as long as the library reads.
const HEADER_MOST: u64 = 100_000_000;

/// Where each tensor of a file of `length` bytes lies, and the metadata in its header. Reads the
/// header alone, from the file's beginning.
pub(crate) fn read(
    path: &Path,
    file: &File,
    length: u64,
) -> Result<(Entries, HashMap<String, String>), Error> {
    let explain = |e: SafeTensorError| {
        let message =
            format!("is not a whole safetensors file ({e}; it has {length} bytes). Fetch it again");
        Error::content(path, message)
    };
    let bytes = beginning(file, length).map_err(Error::io(path))?;
    if let Some(what) = budwood_base::files::foreign(&bytes) {
        return Err(Error::content(path, what));
    }
    check_offsets(&bytes, length).map_err(|message| Error::content(path, message))?;
    let (start, header) = match SafeTensors::read_metadata(&bytes) {
        Ok((n, header)) => (n, header),
        // The header is as it should be; the tensors behind it were not read.
        Err(SafeTensorError::MetadataIncompleteBuffer) => {
            let header = serde_json::from_slice(&bytes[SIZE..])
                .map_err(SafeTensorError::InvalidHeaderDeserialization);
            (bytes.len() - SIZE, header.map_err(explain)?)
        }
        Err(e) => return Err(explain(e)),
    };
    let start = SIZE + start;
    if (start + header.data_len()) as u64 != length {
        return Err(explain(SafeTensorError::MetadataIncompleteBuffer));
    }
    let entry = |(name, info): (String, &TensorInfo)| {
        let (from, to) = info.data_offsets;
        let (dtype, shape, range) = (info.dtype, info.shape.clone(), start + from..start + to);
        (name, Entry { dtype, shape, range, strides: None })
    };
    let entries = header.tensors().into_iter().map(entry).collect();
    Ok((entries, header.metadata().clone().unwrap_or_default()))
}

/// Bytes of the number that says how long the header is.
const SIZE: usize = 8;

/// A file's header with its length; a page of what has none.
fn beginning(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SIZE as u64).read_to_end(&mut bytes)?;
    let header = bytes.first_chunk().map_or(u64::MAX, |n| u64::from_le_bytes(*n));
    let most = length.saturating_sub(SIZE as u64);
    let wanted = if header <= most.min(HEADER_MOST) { header } else { most.min(4096) };
    file.take(wanted).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses a header in which a tensor ends behind the file, before the library adds up such
/// numbers: their sum could leave 64 bits. Whatever else is wrong is left for the library to find.
fn check_offsets(bytes: &[u8], file: u64) -> Result<(), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..length) else { return Ok(()) };
    json::check(header).map_err(|why| format!("is not a safetensors file: its header {why}"))?;
    let Ok(serde_json::Value::Object(entries)) = serde_json::from_slice(header) else {
        return Ok(());
    };
    for (name, entry) in entries {
        let end = entry.get("data_offsets").and_then(|o| o.get(1)).and_then(|e| e.as_u64());
        if end.is_some_and(|end| end > file) {
            return Err(format!(
                "is not a whole safetensors file (tensor '{name}' ends behind its {file} bytes). Fetch it again"
            ));
        }
    }
    Ok(())
}

/// The bytes of a safetensors file: deterministic, tensors in the order of their names.
///
/// # Errors
/// If a tensor holds NaN or infinity: such a file is refused by readers.
pub fn to_bytes(path: &Path, tensors: &TensorMap) -> Result<Vec<u8>, Error> {
    let raw = tensors.iter().map(|(name, tensor)| Raw::from_f32(path, name, tensor));
    serialize(path, &raw.collect::<Result<Vec<_>, _>>()?, None)
}

/// As [`to_bytes`], with metadata in the header. Of several entries the order in the file is not
/// fixed.
pub(crate) fn to_bytes_with(
    path: &Path,
    tensors: &TensorMap,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>, Error> {
    let raw = tensors.iter().map(|(name, tensor)| Raw::from_f32(path, name, tensor));
    serialize(path, &raw.collect::<Result<Vec<_>, _>>()?, Some(metadata))
}

/// A tensor as it is written.
pub(crate) struct Raw {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    /// A tensor of `path` in f32.
    pub(crate) fn from_f32(path: &Path, name: &str, tensor: &Tensor) -> Result<Self, Error> {
        if let Some((index, &value)) = tensor.data.iter().enumerate().find(|(_, x)| !x.is_finite())
        {
            return Err(Error::NotFinite { path: path.into(), name: name.into(), index, value });
        }
        let bytes = tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ok(Self { name: name.into(), dtype: Dtype::F32, shape: tensor.shape.clone(), bytes })
    }
}

pub(crate) fn serialize(
    path: &Path,
    tensors: &[Raw],
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>, Error> {
    let failed =
        |e: SafeTensorError| Error::content(path, format!("cannot be written as safetensors: {e}"));
    let mut views = Vec::with_capacity(tensors.len());
    for raw in tensors {
        let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes).map_err(failed)?;
        views.push((raw.name.as_str(), view));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}
