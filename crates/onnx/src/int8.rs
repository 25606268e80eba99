//! Weights as bytes with a scale for each row of `[outputs, inputs]`, which is a column of the
//! product's `[inputs, outputs]`, or for each row of a table.

use crate::elements::transposed_places;

/// The largest byte of a product. Processors without VNNI add two products of a byte above 127 and
/// a signed one in 16 bits: with 64 they fit, as in the reduced range of ONNX Runtime's tools.
pub(crate) const PRODUCT_MOST: f32 = 64.0;
/// The largest byte of a table.
pub(crate) const TABLE_MOST: f32 = 127.0;

/// Bytes of a matrix, row by row, and the scale of each row.
pub(crate) struct Quantized {
    pub(crate) bytes: Vec<i8>,
    pub(crate) scales: Vec<f32>,
}

/// Rounds each row to whole numbers of at most `most`.
pub(crate) fn quantize(data: &[f32], columns: usize, most: f32) -> Quantized {
    let (mut bytes, mut scales) = (Vec::with_capacity(data.len()), Vec::new());
    for row in data.chunks_exact(columns) {
        let largest = row.iter().fold(0f32, |m, x| m.max(x.abs()));
        // Of zeros any scale gives zeros.
        let scale = if largest > 0.0 { largest / most } else { 1.0 };
        bytes.extend(row.iter().map(|x| (x / scale).round().clamp(-most, most) as i8));
        scales.push(scale);
    }
    Quantized { bytes, scales }
}

/// The bytes of `[rows, columns]` as `[columns, rows]`.
pub(crate) fn transposed(bytes: &[i8], columns: usize) -> Vec<u8> {
    transposed_places(bytes.len() / columns, columns).map(|at| bytes[at] as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_within_half_a_step_and_zeros_stay() {
        let data = [0.5, -1.0, 0.25, 0.0, 0.0, 0.0, 1e-30, -3e-30, 2e-30];
        let Quantized { bytes, scales } = quantize(&data, 3, PRODUCT_MOST);
        assert_eq!(bytes[..6], [32, -64, 16, 0, 0, 0]);
        for (i, x) in data.iter().enumerate() {
            let scale = scales[i / 3];
            assert!((f32::from(bytes[i]) * scale - x).abs() <= scale / 2.0, "{x}");
        }
        assert_eq!(transposed(&bytes, 3)[..3], [32, 0, 21]);
    }
}
