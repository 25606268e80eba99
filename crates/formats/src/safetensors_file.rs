//! The safetensors form: reading a file's header, and writing.
//!
//! f32 and scaled bytes are written. The header is checked by the `safetensors` crate before
//! anything is believed: lengths, overlaps, the claim of more bytes than there are.

use std::collections::HashMap;
use std::path::Path;

use budwood_base::json;
use budwood_base::tensor::{Tensor, TensorMap};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::Error;
use crate::entry::{Entries, Entry};

/// Where each tensor of a file lies, and the metadata in its header.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(Entries, HashMap<String, String>), Error> {
    let explain = |e: safetensors::SafeTensorError| {
        let length = bytes.len();
        let message =
            format!("is not a whole safetensors file ({e}; it has {length} bytes). Fetch it again");
        Error::content(path, message)
    };
    check_offsets(bytes).map_err(|message| Error::content(path, message))?;
    let parsed = SafeTensors::deserialize(bytes).map_err(explain)?;
    let start = bytes.as_ptr() as usize;
    let entry = |(name, view): (String, TensorView<'_>)| {
        let from = view.data().as_ptr() as usize - start;
        let range = from..from + view.data().len();
        let (dtype, shape) = (view.dtype(), view.shape().to_vec());
        (name, Entry { dtype, shape, range, strides: None })
    };
    let entries = parsed.tensors().into_iter().map(entry).collect();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(explain)?;
    Ok((entries, header.metadata().clone().unwrap_or_default()))
}

/// Refuses a header in which a tensor ends behind the file, before the library adds up such
/// numbers: their sum could leave 64 bits. Whatever else is wrong is left for the library to find.
fn check_offsets(bytes: &[u8]) -> Result<(), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..length) else { return Ok(()) };
    json::check(header).map_err(|why| format!("is not a safetensors file: its header {why}"))?;
    let Ok(serde_json::Value::Object(entries)) = serde_json::from_slice(header) else {
        return Ok(());
    };
    for (name, entry) in entries {
        let end = entry.get("data_offsets").and_then(|o| o.get(1)).and_then(|e| e.as_u64());
        if end.is_some_and(|end| end > bytes.len() as u64) {
            return Err(format!(
                "is not a whole safetensors file (tensor '{name}' ends behind its {} bytes). Fetch it again",
                bytes.len()
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
    let failed = |e: safetensors::SafeTensorError| {
        Error::content(path, format!("cannot be written as safetensors: {e}"))
    };
    let mut views = Vec::with_capacity(tensors.len());
    for raw in tensors {
        let view = TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes).map_err(failed)?;
        views.push((raw.name.as_str(), view));
    }
    safetensors::serialize(views, metadata).map_err(failed)
}
