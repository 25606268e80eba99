//! Named tensors in `.safetensors` files: reading one or several shards, and writing.
//!
//! f32, f16, bf16 and f64 are read as f32, and so are signed bytes where `NAME.scale` holds the scales of their
//! rows; f32 and such bytes are written. The header is checked by the `safetensors`
//! crate before anything is believed: lengths, overlaps, the claim of more bytes than there are.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_base::tensor::{Tensor, TensorMap};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::Error;
use crate::text_file::{self, read_json};

/// The bytes of one file or of all shards, from which tensors are converted as they are asked for.
#[derive(Debug)]
pub struct SafetensorsFile {
    shards: Vec<Shard>,
    /// Tensor name -> shard.
    index: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    bytes: Vec<u8>,
    entries: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    range: std::ops::Range<usize>,
}

impl SafetensorsFile {
    /// Reads one file.
    ///
    /// # Errors
    /// If it cannot be read or its header is not true.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_shards(vec![path.to_path_buf()])
    }

    /// Reads `NAME.safetensors` in a folder, or the shards that `NAME.safetensors.index.json` lists.
    ///
    /// # Errors
    /// As [`SafetensorsFile::open`]; also if neither is there or a shard is missing.
    pub fn open_in(folder: &Path, name: &str) -> Result<Self, Error> {
        let single = folder.join(format!("{name}.safetensors"));
        if single.exists() {
            return Self::open(&single);
        }
        let index = folder.join(format!("{name}.safetensors.index.json"));
        if !index.exists() {
            let hint = if folder.join("pytorch_model.bin").exists() {
                "; pytorch_model.bin is a pickle, which Budwood does not run: convert it with `safetensors`"
            } else {
                ""
            };
            let message = format!("there is no {name}.safetensors in this folder{hint}");
            return Err(Error::content(folder, message));
        }
        let json = read_json(&index)?;
        let map = json.get("weight_map").and_then(|m| m.as_object());
        let map = map.ok_or_else(|| Error::content(&index, "has no map 'weight_map'"))?;
        let mut files: Vec<&str> = map.values().filter_map(|v| v.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        if let Some(bad) = files.iter().find(|f| f.contains(['/', '\\'])) {
            return Err(Error::content(&index, format!("shard '{bad}' is not in this folder")));
        }
        Self::open_shards(files.into_iter().map(|f| folder.join(f)).collect())
    }

    fn open_shards(paths: Vec<PathBuf>) -> Result<Self, Error> {
        let mut shards = Vec::with_capacity(paths.len());
        let mut index = BTreeMap::new();
        for path in paths {
            let shard = Shard::read(path)?;
            for name in shard.entries.keys() {
                if index.insert(name.clone(), shards.len()).is_some() {
                    let message = format!("tensor '{name}' is in another shard too");
                    return Err(Error::content(&shard.path, message));
                }
            }
            shards.push(shard);
        }
        Ok(Self { shards, index })
    }

    /// The first file, for messages.
    pub fn path(&self) -> &Path {
        self.shards.first().map_or(Path::new(""), |s| &s.path)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let shard = &self.shards[*self.index.get(name)?];
        Some(&shard.entries.get(name)?.shape)
    }

    /// An entry of the metadata in a file's header; none in shards.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let [one] = &self.shards[..] else { return None };
        one.metadata.get(key).map(String::as_str)
    }

    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        let entries = self.shards.iter().flat_map(|s| s.entries.values());
        entries.map(|e| e.shape.iter().product::<usize>() as u64).sum()
    }

    /// A tensor as f32.
    ///
    /// # Errors
    /// If it is not there, of an integer type, or holds NaN or infinity.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Error> {
        let missing = || Error::Missing { path: self.path().into(), count: 1, first: name.into() };
        let shard = &self.shards[*self.index.get(name).ok_or_else(missing)?];
        let entry = shard.entries.get(name).ok_or_else(missing)?;
        let bytes = &shard.bytes[entry.range.clone()];
        let data: Vec<f32> = match entry.dtype {
            Dtype::F32 => bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Dtype::F64 => {
                bytes.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect()
            }
            Dtype::BF16 => {
                let wide = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
                bytes.as_chunks::<2>().0.iter().map(wide).collect()
            }
            Dtype::F16 => {
                let wide = |&b: &[u8; 2]| f32_from_f16(u16::from_le_bytes(b));
                bytes.as_chunks::<2>().0.iter().map(wide).collect()
            }
            Dtype::I8 => self.scaled(name, entry, bytes)?,
            other => {
                let message = format!("tensor '{name}' has type {other:?}, not a float");
                return Err(Error::content(&shard.path, message));
            }
        };
        // A sum that is finite has only finite terms; the search for the culprit is for the message.
        if !data.iter().map(|x| x * 0.0).sum::<f32>().eq(&0.0) {
            let bad = data.iter().enumerate().find(|(_, x)| !x.is_finite());
            if let Some((index, &value)) = bad {
                let (path, name) = (shard.path.clone(), name.into());
                return Err(Error::NotFinite { path, name, index, value });
            }
        }
        Ok(Tensor::new(entry.shape.clone(), data))
    }

    /// What bytes stand for, with the scales of their rows, which are another tensor.
    fn scaled(&self, name: &str, entry: &Entry, bytes: &[u8]) -> Result<Vec<f32>, Error> {
        let scales = self.tensor(&scale_name(name))?;
        let rows = entry.shape.first().copied().unwrap_or(0);
        if scales.shape != [rows] || rows == 0 {
            return Err(Error::Shape {
                path: self.path().into(),
                name: scale_name(name),
                found: scales.shape,
                expected: vec![rows],
            });
        }
        let rows = bytes.chunks_exact((bytes.len() / rows).max(1)).zip(&scales.data);
        Ok(rows.flat_map(|(row, s)| row.iter().map(move |&b| f32::from(b as i8) * s)).collect())
    }

    /// Integers of a tensor of type i64 or i32.
    ///
    /// # Errors
    /// If it is not there or of another type.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, Error> {
        let missing = || Error::Missing { path: self.path().into(), count: 1, first: name.into() };
        let shard = &self.shards[*self.index.get(name).ok_or_else(missing)?];
        let entry = shard.entries.get(name).ok_or_else(missing)?;
        let bytes = &shard.bytes[entry.range.clone()];
        match entry.dtype {
            Dtype::I64 => {
                Ok(bytes.as_chunks::<8>().0.iter().map(|&b| i64::from_le_bytes(b)).collect())
            }
            Dtype::I32 => {
                let wide = |&b: &[u8; 4]| i64::from(i32::from_le_bytes(b));
                Ok(bytes.as_chunks::<4>().0.iter().map(wide).collect())
            }
            other => {
                let message = format!("tensor '{name}' has type {other:?}, not whole numbers");
                Err(Error::content(&shard.path, message))
            }
        }
    }

    /// All tensors as f32.
    ///
    /// # Errors
    /// As [`SafetensorsFile::tensor`].
    pub fn tensors(&self) -> Result<TensorMap, Error> {
        self.names().map(|name| Ok((name.to_string(), self.tensor(name)?))).collect()
    }

    /// SHA-256 of the file; of the names and bytes of all shards where there are several.
    pub fn sha256(&self) -> String {
        match &self.shards[..] {
            [one] => digest::of_bytes(&one.bytes),
            many => digest::of_parts(many.iter().map(|s| {
                let name = s.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                (name, &s.bytes[..])
            })),
        }
    }
}

impl Shard {
    fn read(path: PathBuf) -> Result<Self, Error> {
        text_file::check(&path, u64::MAX)?;
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        if let Some(what) = budwood_base::files::foreign(&bytes) {
            return Err(Error::content(&path, what));
        }
        let explain = |e: safetensors::SafeTensorError| {
            let length = bytes.len();
            let message = format!(
                "is not a whole safetensors file ({e}; it has {length} bytes). Fetch it again"
            );
            Error::content(&path, message)
        };
        check_offsets(&bytes).map_err(|message| Error::content(&path, message))?;
        let parsed = SafeTensors::deserialize(&bytes).map_err(explain)?;
        let start = bytes.as_ptr() as usize;
        let entry = |(name, view): (String, TensorView<'_>)| {
            let from = view.data().as_ptr() as usize - start;
            let range = from..from + view.data().len();
            (name, Entry { dtype: view.dtype(), shape: view.shape().to_vec(), range })
        };
        let entries = parsed.tensors().into_iter().map(entry).collect();
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(explain)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self { path, bytes, entries, metadata })
    }
}

/// Refuses a header in which a tensor ends behind the file, before the library adds up such numbers: their
/// sum could leave 64 bits. Whatever else is wrong is left for the library to find.
fn check_offsets(bytes: &[u8]) -> Result<(), String> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(header) = rest.get(..length) else { return Ok(()) };
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

/// The tensor with the scales of the rows of tensor `name`.
pub(crate) fn scale_name(name: &str) -> String {
    format!("{name}.scale")
}

/// IEEE 754 half precision, subnormal numbers included.
fn f32_from_f16(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let (exponent, mantissa) = (u32::from(half >> 10) & 0x1f, u32::from(half) & 0x3ff);
    let magnitude = match (exponent, mantissa) {
        (0, m) => return f32::from_bits(sign | (m as f32 / 16_777_216.0).to_bits()),
        (31, m) => 0x7f80_0000 | (m << 13),
        (e, m) => ((e + 112) << 23) | (m << 13),
    };
    f32::from_bits(sign | magnitude)
}

/// The bytes of a safetensors file: deterministic, tensors in the order of their names.
///
/// # Errors
/// If a tensor holds NaN or infinity: such a file is refused by readers.
pub fn to_bytes(path: &Path, tensors: &TensorMap) -> Result<Vec<u8>, Error> {
    let raw = tensors.iter().map(|(name, tensor)| Raw::from_f32(path, name, tensor));
    serialize(path, &raw.collect::<Result<Vec<_>, _>>()?, None)
}

/// As [`to_bytes`], with metadata in the header. Of several entries the order in the file is not fixed.
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
