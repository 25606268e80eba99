//! The zip layout: `NAME/data.pkl` and a stored file `NAME/data/KEY` for each storage.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::machine::{BYTES_MOST, Pickle};
use super::place;
use crate::entry::Entries;

const PICKLE: &str = "/data.pkl";

pub(super) fn entries(bytes: &[u8]) -> Result<Entries, String> {
    let files = files(bytes)?;
    let mut pickles = files.keys().filter_map(|name| name.strip_suffix(PICKLE));
    let (Some(root), None) = (pickles.next(), pickles.next()) else {
        return Err("is a zip archive without one 'data.pkl': no file of PyTorch's weights".into());
    };
    let file = |name: &str| files.get(&format!("{root}/{name}"));
    if file("constants.pkl").is_some() {
        return Err("is a program in TorchScript; only weights are read (`state_dict`)".into());
    }
    if let Some(order) = file("byteorder")
        && &bytes[order.clone()] != b"little"
    {
        return Err(
            "was written on a machine of the other order of bytes, which is not read".into()
        );
    }
    let pickle = file("data.pkl").map_or(&[][..], |range| &bytes[range.clone()]);
    if pickle.len() > BYTES_MOST {
        let n = pickle.len();
        return Err(format!("has a pickle of {n} bytes; at most {BYTES_MOST} are read"));
    }
    let pickle = Pickle::read(pickle)?;
    pickle.storages()?;
    place::entries(pickle.tensors()?, bytes.len(), |key| file(&format!("data/{key}")).cloned())
}

/// Where the archive's files lie; none of them may be packed.
fn files(bytes: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let damaged = |e: zip::result::ZipError| {
        format!("is not a whole zip archive, as PyTorch writes them ({e}). Fetch it again")
    };
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut files = BTreeMap::new();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(damaged)?;
        let name = entry.name().map_err(damaged)?.into_owned();
        let range = || {
            let start = usize::try_from(entry.data_start()?).ok()?;
            let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
            (end <= bytes.len()).then_some(start..end)
        };
        if entry.compression() != CompressionMethod::Stored
            || entry.size() != entry.compressed_size()
            || entry.encrypted()
        {
            return Err(format!("holds '{name}' packed; PyTorch stores its files as they are"));
        }
        let range = range().ok_or_else(|| format!("holds '{name}', which ends behind the file"))?;
        if files.insert(name.clone(), range).is_some() {
            return Err(format!("holds '{name}' twice"));
        }
    }
    Ok(files)
}
