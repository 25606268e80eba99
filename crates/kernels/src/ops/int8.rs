//! Matrix product C = A B with B in signed bytes, packed once, and A quantised row by row at run
//! time.
//!
//! | | shape | elements | scale |
//! |---|---|---|---|
//! | A | `[rows, k]` | `a = s_i (qa - z_i)`, qa in 0..=255 | s and zero point z for each row |
//! | B | `[k, n]` | `b = t_j qb`, qb in -127..=127 | t for each column |
//! | C | `[rows, n]` | `f32` | |
//!
//! B is symmetric. A's bytes are unsigned with a zero point, so that both ends of a row's range are
//! used: what comes out of a GELU lies almost wholly above zero. The zero point leaves the inner
//! loop, as its part needs only the sums of B's columns, which are known when B is packed:
//!
//! ```text
//! c_ij = sum_p s_i (qa_ip - z_i) t_j qb_pj
//!      = s_i t_j (sum_p qa_ip qb_pj  -  z_i sum_p qb_pj)
//! ```
//!
//! Both sums are exact in 32 bits; only the two roundings to bytes differ from the product in
//! `f32`. K is cut into blocks of `K_BLOCK`; a block's sums get their scales and are added to C
//! while they are in registers.

use super::gemm::{MatRef, beside};
use crate::Isa;
use crate::arch::int8::{self, A_STRIDE, COLUMNS, K_BLOCK, Products, SQUARE, Tile, Way};
use crate::arch::tile::{COLUMNS_MAX, ROWS_MAX};
use crate::arch::{fma, kernel};

/// A right-hand matrix `[k, n]` of bytes in the order in which the product reads it.
#[derive(Clone, Debug, Default)]
pub struct PackedInt8 {
    k: usize,
    n: usize,
    /// Panels of [`COLUMNS`] columns, each `[k / 4][COLUMNS][4]`.
    data: Vec<i8>,
    column_scale: Vec<f32>,
    /// Sums of the columns, one row for each block of K.
    column_sum: Vec<i32>,
}

impl PackedInt8 {
    /// Packs `value(i, j)`, element (i, j) of a `[k, n]` matrix of bytes whose columns have these
    /// scales.
    ///
    /// # Panics
    /// If there is no scale for each column.
    pub fn new(k: usize, scales: &[f32], value: impl Fn(usize, usize) -> i8) -> Self {
        let n = scales.len();
        let (panels, k_padded) = (n.div_ceil(COLUMNS), k.next_multiple_of(4));
        let mut data = vec![0; panels * k_padded * COLUMNS];
        let mut column_sum = vec![0; k.div_ceil(K_BLOCK) * panels * COLUMNS];
        for (panel, data) in data.chunks_exact_mut((k_padded * COLUMNS).max(1)).enumerate() {
            for (four, data) in data.as_chunks_mut::<{ 4 * COLUMNS }>().0.iter_mut().enumerate() {
                let (first, rows) = (4 * four, (k - 4 * four).min(4));
                let sums = &mut column_sum[first / K_BLOCK * panels * COLUMNS..];
                for (bytes, j) in data.as_chunks_mut::<4>().0.iter_mut().zip(panel * COLUMNS..n) {
                    for (i, byte) in bytes[..rows].iter_mut().enumerate() {
                        *byte = value(first + i, j);
                        sums[j] += i32::from(*byte);
                    }
                }
            }
        }
        let mut column_scale = scales.to_vec();
        column_scale.resize(panels * COLUMNS, 0.0);
        Self { k, n, data, column_scale, column_sum }
    }

    /// The sum of squares of each column of what the bytes stand for.
    pub fn column_squares(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.n];
        let panel = self.k.next_multiple_of(4) * COLUMNS;
        for (j, sum) in sums.iter_mut().enumerate() {
            let bytes = &self.data[j / COLUMNS * panel..][..panel];
            let fours = bytes.chunks_exact(4).skip(j % COLUMNS).step_by(COLUMNS);
            let square: i64 = fours.flatten().map(|&b| i64::from(b) * i64::from(b)).sum();
            let scale = f64::from(self.column_scale[j]);
            *sum = (square as f64 * scale * scale) as f32;
        }
        sums
    }

    /// Rows (the inner dimension of the product).
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.data.len() + 4 * (self.column_scale.len() + self.column_sum.len())
    }
}

/// One byte a weight with one scale a row: the form that both directions of a product are packed
/// from. Returns the bytes and the scales of the rows of `weight`, `[rows, columns]`.
///
/// A scale has 16 significant bits, so that a byte times its scale is exact in `f32`, and what the
/// bytes stand for is quantised to the same bytes and scales again.
pub fn quantize_weight(isa: Isa, weight: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = vec![0; weight.len()];
    let rows = weight.chunks_exact(columns).zip(bytes.chunks_exact_mut(columns));
    let scales = rows.map(|(row, bytes)| quantize_weight_row(isa, row, bytes)).collect();
    (bytes, scales)
}

kernel! {
    /// Quantises a row of weights; returns its scale.
    fn quantize_weight_row<'a>(row: &'a [f32], bytes: &'a mut [i8]) -> f32 {
        let mut largest = 0;
        for x in row {
            let x = x.abs().to_bits();
            let x = if x <= f32::INFINITY.to_bits() { x } else { 0 };
            largest = largest.max(x);
        }
        // Upwards, so that the largest element stays within 127.
        let scale = f32::from_bits(((f32::from_bits(largest) / 127.0).to_bits() + 0xff) & !0xff);
        let scale = if scale > 0.0 { scale } else { 1.0 };
        for (byte, x) in bytes.iter_mut().zip(row) {
            *byte = (nearest(x / scale).clamp(-127.0, 127.0) + WHOLE).to_bits() as i8;
        }
        scale
    }
}

kernel! {
    /// `y += scale bytes`, elementwise: a row of a quantised table.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled_bytes<'a>(y: &'a mut [f32], scale: f32, bytes: &'a [i8]) {
        assert_eq!(y.len(), bytes.len());
        for (y, b) in y.iter_mut().zip(bytes) {
            *y += scale * f32::from(*b);
        }
    }
}

/// Rows of unsigned bytes with their scales and zero points: `x = scale (q - zero)`. Reused from
/// call to call.
#[derive(Clone, Debug, Default)]
pub struct QuantizedRows {
    rows: usize,
    k: usize,
    /// `[block of K][row][A_STRIDE]`
    data: Vec<u8>,
    scale: Vec<f32>,
    zero: Vec<i32>,
    work: Vec<f32>,
}

impl QuantizedRows {
    /// Quantises the rows of `x`, each element multiplied by its column's factor first where there
    /// are factors.
    ///
    /// # Panics
    /// If `x` is not row-major or there is not a factor for each column.
    pub fn set(&mut self, isa: Isa, x: MatRef<'_>, factors: Option<&[f32]>) {
        assert_eq!(x.column_stride, 1);
        let (rows, k) = (x.rows, x.columns);
        let needed = (rows * k.div_ceil(K_BLOCK) + SQUARE - 1) * A_STRIDE;
        if self.data.len() < needed {
            self.data.resize(needed, 0);
        }
        self.rows = rows;
        self.k = k;
        self.scale.resize(rows, 0.0);
        self.zero.resize(rows, 0);
        self.work.resize(k, 0.0);
        for i in 0..rows {
            let row = &x.data[i * x.row_stride..][..k];
            let row = match factors {
                None => row,
                Some(factors) => {
                    super::elementwise::product(isa, row, factors, &mut self.work);
                    &self.work
                }
            };
            let at = i * A_STRIDE;
            let (scale, zero) = quantize_row(isa, row, &mut self.data[at..], rows * A_STRIDE);
            (self.scale[i], self.zero[i]) = (scale, zero as i32);
        }
    }
}

/// From the bits of an `f32` to a whole number with the same place in the order of all, and back:
/// minima and maxima of whole numbers may be taken in any order, and so many at a time.
#[inline(always)]
fn ordered(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}

/// The smallest and the largest element, zero counted as one; both NaN where an element is not
/// finite, so that a row that went wrong stays wrong and is noticed.
#[inline(always)]
fn range(x: &[f32]) -> (f32, f32) {
    let (mut low, mut high) = (0, 0);
    for x in x {
        let x = ordered(x.to_bits() as i32);
        low = low.min(x);
        high = high.max(x);
    }
    let [low, high] = [low, high].map(|x| f32::from_bits(ordered(x) as u32));
    let wrong = 0.0 * low + 0.0 * high;
    (low + wrong, high + wrong)
}

kernel! {
    /// Quantises a row; returns its scale and its zero point, which is whole. Its blocks of
    /// `K_BLOCK` are `distance` apart in `out`.
    pub(crate) fn quantize_row<'a>(x: &'a [f32], out: &'a mut [u8], distance: usize) -> (f32, f32) {
        let (low, high) = range(x);
        // NaN where an element is not finite, and so is the result.
        let scale = if high == low { 1.0 } else { (high - low) / 255.0 };
        let zero = nearest(-low / scale).clamp(0.0, 255.0);
        for (block, x) in x.chunks(K_BLOCK).enumerate() {
            // Padding meets weights of zero, so its value does not matter.
            let out = &mut out[block * distance..][..x.len()];
            quantize::<FMA>(x, 1.0 / scale, zero, out);
        }
        (scale, zero)
    }
}

/// `x` rounded, halves away from zero: without a call.
#[inline(always)]
fn nearest(x: f32) -> f32 {
    let whole = x.trunc();
    if (x - whole).abs() >= 0.5 { whole + 1.0f32.copysign(x) } else { whole }
}

/// 1.5 * 2^23: added, it leaves a number's rounded whole part in the lowest bits of the sum.
const WHOLE: f32 = 12_582_912.0;

/// `q = round(x inverse_scale) + zero`, in 0..=255, ties to even. `zero` is whole.
#[inline(always)]
fn quantize<const FMA: bool>(x: &[f32], inverse_scale: f32, zero: f32, q: &mut [u8]) {
    for (q, x) in q.iter_mut().zip(x) {
        let y = fma::<FMA>(*x, inverse_scale, zero);
        let y = if y > 0.0 { y } else { 0.0 };
        let y = if y < 255.0 { y } else { 255.0 };
        *q = (y + WHOLE).to_bits() as u8;
    }
}

/// What the product is added to.
pub use super::gemm::Beta;

/// One right-hand side of [`product`] with the place of its result.
pub struct Target<'a> {
    /// B, `[k, n]`.
    pub b: &'a PackedInt8,
    /// C, `[rows, n]`, from its first element on.
    pub c: &'a mut [f32],
    /// Distance of C's rows.
    pub c_stride: usize,
    /// What the product is added to.
    pub beta: Beta<'a>,
}

/// C = A B + beta for one A and any number of right-hand sides.
///
/// # Panics
/// If the shapes do not fit.
pub fn product(isa: Isa, a: &QuantizedRows, targets: &mut [Target<'_>]) {
    let way = Way::of(isa).next().unwrap_or(Way::Plain);
    product_in(isa, way, a, targets);
}

/// [`product`] in one way of the instruction set.
pub(crate) fn product_in(isa: Isa, way: Way, a: &QuantizedRows, targets: &mut [Target<'_>]) {
    let mut products = Products::new(isa, way);
    for target in targets.iter_mut() {
        assert_eq!(target.b.k, a.k, "inner dimensions differ");
        let n = target.b.n;
        assert!(a.rows == 0 || target.c.len() >= (a.rows - 1) * target.c_stride + n);
        for (block, k0) in (0..a.k).step_by(K_BLOCK).enumerate() {
            pass(&mut products, a, (block, k0), target);
        }
    }
}

/// A tile at the right edge is computed in the room of one of `f32`.
const _: () = assert!(COLUMNS <= COLUMNS_MAX && int8::ROWS <= ROWS_MAX);

/// One block of K against all panels of one right-hand side: the panels of a group, for some rows,
/// before the next rows.
fn pass(
    products: &mut Products,
    a: &QuantizedRows,
    (block, k0): (usize, usize),
    target: &mut Target<'_>,
) {
    let PackedInt8 { k, n, data, column_scale, column_sum } = target.b;
    let k_len = K_BLOCK.min(k - k0).next_multiple_of(4);
    let k_padded = k.next_multiple_of(4);
    let sums = &column_sum[block * column_scale.len()..];
    let (together, each) = (products.way().panels(k_len) * COLUMNS, products.way().rows());
    let groups = (0..*n).step_by(together);
    let parts = groups.flat_map(|group| (0..a.rows).step_by(each).map(move |i0| (group, i0)));
    for (group, first) in parts {
        for j0 in (group..(group + together).min(*n)).step_by(COLUMNS) {
            let b = &data[j0 * k_padded + k0 * COLUMNS..][..k_len * COLUMNS];
            let width = COLUMNS.min(n - j0);
            let mut edge = [0.0; COLUMNS];
            let start = target.beta.start(block == 0, (j0, width), &mut edge);
            let end = a.rows.min(first + each);
            // What is computed beside C has the rows of other ways.
            let step = if width == COLUMNS { each } else { int8::ROWS };
            for i0 in (first..end).step_by(step) {
                let rows = i0..end.min(i0 + step);
                let (c, c_stride) = (&mut target.c[i0 * target.c_stride + j0..], target.c_stride);
                let mut tile = |c: &mut [f32], c_stride: usize| {
                    products.product(Tile {
                        k: k_len,
                        a: &a.data[(block * a.rows + i0) * A_STRIDE..],
                        row_scale: &a.scale[rows.clone()],
                        zero: &a.zero[rows.clone()],
                        b,
                        column_scale: &column_scale[j0..],
                        column_sum: &sums[j0..],
                        c,
                        c_stride,
                        start,
                    });
                };
                if width == COLUMNS {
                    tile(c, c_stride);
                } else {
                    beside(c, c_stride, (rows.len(), width), start, tile);
                }
            }
        }
    }
}
