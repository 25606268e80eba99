//! Elements of tensors on their way into a file.

use std::io::Write;

use crate::Error;

/// The places in `[rows, columns]` of the elements of `[columns, rows]`, in order.
pub(crate) fn transposed_places(rows: usize, columns: usize) -> impl Iterator<Item = usize> {
    (0..columns).flat_map(move |c| (0..rows).map(move |r| r * columns + c))
}

pub(crate) fn put(file: &mut impl Write, bytes: &[u8]) -> Result<(), Error> {
    file.write_all(bytes).map_err(Error::Io)
}

/// Writes numbers by the piece.
pub(crate) fn put_floats(
    file: &mut impl Write,
    mut values: impl Iterator<Item = f32>,
) -> Result<(), Error> {
    let mut piece = Vec::with_capacity(1 << 16);
    loop {
        piece.clear();
        piece.extend(values.by_ref().take(1 << 14).flat_map(f32::to_le_bytes));
        if piece.is_empty() {
            return Ok(());
        }
        put(file, &piece)?;
    }
}
