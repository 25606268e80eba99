//! Named tensors in the files of a model or an adapter: one or several shards, in the form of
//! safetensors or PyTorch's.
//!
//! f32, f16, bf16 and f64 are read as f32, and so are signed bytes where `NAME.scale` holds the
//! scales of their rows. A tensor is read and converted when it is asked for; none is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use budwood_base::digest;
use budwood_base::tensor::{Tensor, TensorMap};
use safetensors::Dtype;

use crate::Error;
use crate::entry::Entry;
use crate::shard::Shard;
use crate::text_file::read_json;

/// One file or all shards.
pub struct Weights {
    shards: Vec<Shard>,
    /// Tensor name -> shard.
    index: BTreeMap<String, usize>,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shards.iter().map(|s| &s.path)).finish()
    }
}

impl Weights {
    /// Reads one file: PyTorch's form where its name ends with `.bin`, `.pt` or `.pth`, else
    /// safetensors.
    ///
    /// # Errors
    /// If it cannot be read or what it says of its tensors is not true.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_shards(vec![path.to_path_buf()])
    }

    /// Reads the first of these files that is in a folder, or the shards that `FILE.index.json`
    /// lists.
    ///
    /// # Errors
    /// As [`Weights::open`]; also if none is there or a shard is missing.
    pub fn open_in(folder: &Path, files: &[&str]) -> Result<Self, Error> {
        for file in files {
            let single = folder.join(file);
            if single.exists() {
                return Self::open(&single);
            }
            let index = folder.join(format!("{file}.index.json"));
            if index.exists() {
                return Self::open_index(folder, &index);
            }
        }
        let files = files.join(" or ");
        Err(Error::content(folder, format!("there is no {files} in this folder")))
    }

    fn open_index(folder: &Path, index: &Path) -> Result<Self, Error> {
        let json = read_json(index)?;
        let map = json.get("weight_map").and_then(|m| m.as_object());
        let map = map.ok_or_else(|| Error::content(index, "has no map 'weight_map'"))?;
        let mut files: Vec<&str> = map.values().filter_map(|v| v.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        if let Some(bad) = files.iter().find(|f| f.contains(['/', '\\'])) {
            return Err(Error::content(index, format!("shard '{bad}' is not in this folder")));
        }
        Self::open_shards(files.into_iter().map(|f| folder.join(f)).collect())
    }

    fn open_shards(paths: Vec<PathBuf>) -> Result<Self, Error> {
        let mut shards = Vec::with_capacity(paths.len());
        let mut index = BTreeMap::new();
        for path in paths {
            let shard = Shard::open(path)?;
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

    /// An entry of the metadata in the header of a safetensors file; none in shards.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let [one] = &self.shards[..] else { return None };
        one.metadata.get(key).map(String::as_str)
    }

    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        let entries = self.shards.iter().flat_map(|s| s.entries.values());
        entries.map(|e| e.shape.iter().product::<usize>() as u64).sum()
    }

    /// Where a tensor lies.
    fn find(&self, name: &str) -> Result<(&Shard, &Entry), Error> {
        let missing = || Error::Missing { path: self.path().into(), count: 1, first: name.into() };
        let shard = &self.shards[*self.index.get(name).ok_or_else(missing)?];
        Ok((shard, shard.entries.get(name).ok_or_else(missing)?))
    }

    /// A tensor as f32.
    ///
    /// # Errors
    /// If it is not there, of an integer type, or holds NaN or infinity.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Error> {
        let (shard, entry) = self.find(name)?;
        let mut data = room(shard, entry)?;
        match entry.dtype {
            Dtype::F32 => shard.read(entry, |bytes| {
                data.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)));
            })?,
            Dtype::F64 => shard.read(entry, |bytes| {
                data.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32));
            })?,
            Dtype::BF16 => shard.read(entry, |bytes| {
                let wide = |&b: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16);
                data.extend(bytes.as_chunks().0.iter().map(wide));
            })?,
            Dtype::F16 => shard.read(entry, |bytes| {
                let wide = |&b: &[u8; 2]| f32_from_f16(u16::from_le_bytes(b));
                data.extend(bytes.as_chunks().0.iter().map(wide));
            })?,
            Dtype::I8 => data = self.scaled(name, shard, entry)?,
            other => {
                let message = format!("tensor '{name}' has type {other:?}, not a float");
                return Err(Error::content(&shard.path, message));
            }
        }
        // A sum that is finite has only finite terms; the search for the culprit is for the
        // message.
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
    fn scaled(&self, name: &str, shard: &Shard, entry: &Entry) -> Result<Vec<f32>, Error> {
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
        // Bytes from the first element to the last may be more, or fewer where elements are shared.
        let columns = (entry.elements() / rows).max(1);
        let mut data = room(shard, entry)?;
        shard.read(entry, |bytes| {
            for &byte in bytes {
                data.push(f32::from(byte as i8) * scales.data[data.len() / columns]);
            }
        })?;
        Ok(data)
    }

    /// Integers of a tensor of type i64 or i32.
    ///
    /// # Errors
    /// If it is not there or of another type.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, Error> {
        let (shard, entry) = self.find(name)?;
        let mut data = room(shard, entry)?;
        match entry.dtype {
            Dtype::I64 => shard.read(entry, |bytes| {
                data.extend(bytes.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)));
            })?,
            Dtype::I32 => shard.read(entry, |bytes| {
                let wide = |&b: &[u8; 4]| i64::from(i32::from_le_bytes(b));
                data.extend(bytes.as_chunks().0.iter().map(wide));
            })?,
            other => {
                let message = format!("tensor '{name}' has type {other:?}, not whole numbers");
                return Err(Error::content(&shard.path, message));
            }
        }
        Ok(data)
    }

    /// All tensors as f32.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn tensors(&self) -> Result<TensorMap, Error> {
        self.names().map(|name| Ok((name.to_string(), self.tensor(name)?))).collect()
    }

    /// SHA-256 of the file; of the names and bytes of all shards where there are several.
    ///
    /// # Errors
    /// If they cannot be read, or have changed since they were opened.
    pub fn sha256(&self) -> Result<String, Error> {
        if let [one] = &self.shards[..] {
            return one.whole(|file| digest::of_reader(file));
        }
        let mut parts = digest::Parts::default();
        for shard in &self.shards {
            let name = shard.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            shard.whole(|file| parts.add(name, shard.length(), file))?;
        }
        Ok(parts.finish())
    }
}

/// Room for the elements of a tensor, if there is so much memory.
fn room<T>(shard: &Shard, entry: &Entry) -> Result<Vec<T>, Error> {
    let mut data = Vec::new();
    let found = data.try_reserve_exact(entry.elements());
    found.map_err(|e| Error::io(&shard.path)(std::io::Error::other(e)))?;
    Ok(data)
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
