//! NumPy's archives: arrays in `.npy` form, stored or deflated in a zip file. Numbers only:
//! objects, which are pickles, are refused.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use budwood_base::tensor::Tensor;
use zip::ZipArchive;

use crate::Error;

/// Bytes that a header may have.
const HEADER_MAX: usize = 1 << 16;

/// All arrays by name, as f32.
///
/// # Errors
/// If the archive or an array is damaged, or an array holds something else than floating-point
/// numbers of the machine's order.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, Error> {
    let damaged = |e: zip::result::ZipError| {
        Error::content(path, format!("is not a whole .npz archive ({e}). Fetch it again"))
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
        let array = array(&mut entry)
            .map_err(|message| Error::content(path, format!("array '{name}' {message}")))?;
        arrays.insert(name, array);
    }
    Ok(arrays)
}

/// One array in `.npy` form, versions 1 to 3.
fn array(from: &mut impl Read) -> Result<Tensor, String> {
    let whole = |e: std::io::Error| format!("is not whole ({e})");
    let mut start = [0; 8];
    from.read_exact(&mut start).map_err(whole)?;
    if start[..6] != *b"\x93NUMPY" {
        return Err("is not in NumPy's form".into());
    }
    let mut length = [0; 4];
    let wide = if start[6] == 1 { 2 } else { 4 };
    from.read_exact(&mut length[..wide]).map_err(whole)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > HEADER_MAX {
        return Err(format!("has a header of {length} bytes"));
    }
    let mut header = vec![0; length];
    from.read_exact(&mut header).map_err(whole)?;
    let header = String::from_utf8_lossy(&header).into_owned();
    let size = match field(&header, "descr").map(|d| d.trim_matches(['\'', '"'])) {
        Some("<f4") => 4,
        Some("<f8") => 8,
        other => {
            let other = other.unwrap_or("missing");
            return Err(format!(
                "has the type {other}; floating-point numbers <f4 and <f8 are read"
            ));
        }
    };
    if field(&header, "fortran_order") != Some("False") {
        return Err("is in Fortran's order, which is not read".into());
    }
    let shape = field(&header, "shape").and_then(shape).ok_or("has no shape")?;
    let elements = shape.iter().try_fold(size, |n: usize, d| n.checked_mul(*d));
    let expected = elements.ok_or("is larger than memory can be")?;
    // Read as it comes: the header may claim more than there is.
    let mut data = Vec::new();
    from.take(expected as u64 + 1).read_to_end(&mut data).map_err(whole)?;
    if data.len() != expected {
        return Err(format!("does not have the {expected} bytes that its shape {shape:?} needs"));
    }
    let data = match size {
        4 => data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        _ => data.as_chunks::<8>().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
    };
    Ok(Tensor::new(shape, data))
}

/// The text of a value in a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3,
/// 4), }`.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}':"))?;
    let rest = rest.trim_start();
    let end = match rest.starts_with('(') {
        true => rest.find(')')? + 1,
        false => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim())
}

/// `(3, 4)`, `(3,)` or `()`.
fn shape(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    let sizes = inside.split(',').map(str::trim).filter(|s| !s.is_empty());
    sizes.map(|s| s.parse().ok()).collect()
}
