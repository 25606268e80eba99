//! PyTorch's `.bin` files: the zip layout of PyTorch 1.6 and later, and the one before. They hold a
//! pickle, which is a program. Nothing of it is run: a machine that knows only what tensors are
//! made of reads where each tensor lies, and whatever else the file asks for is refused by name.

mod archive;
mod global;
mod legacy;
mod machine;
mod place;

use std::path::Path;

use crate::Error;
use crate::entry::Entries;

/// Where each tensor of a file lies.
///
/// # Errors
/// If the file is damaged, holds something else than tensors, or asks for what tensors do not need.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Entries, Error> {
    let fault = |message| Error::content(path, message);
    match bytes {
        [b'P', b'K', ..] => archive::entries(bytes).map_err(fault),
        [machine::PROTO, ..] => legacy::entries(bytes).map_err(fault),
        _ => Err(fault(
            "is not a file of PyTorch: it is neither a zip archive nor a pickle of tensors. Fetch it again"
                .into(),
        )),
    }
}
