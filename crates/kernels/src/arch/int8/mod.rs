//! The tile of the int8 matrix product: rows of unsigned bytes against one packed panel of signed
//! bytes, summed exactly in 32 bits, then scaled to `f32` while the tile is in registers.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod dotprod;
#[cfg(target_arch = "aarch64")]
mod i8mm;
#[cfg(target_arch = "x86_64")]
mod vnni;

use std::marker::PhantomData;

use super::isa::{Isa, Kind};
use super::tile::Start;

/// Columns of a panel of B, on every instruction set.
pub(crate) const COLUMNS: usize = 32;
/// Rows of a full tile, but with AMX.
pub(crate) const ROWS: usize = 14;
/// Rows that AMX reads at a time: so many have a place in the memory of A.
pub(crate) const SQUARE: usize = 16;
/// Elements of K that one pass covers: a panel of B then takes 32 KiB.
pub(crate) const K_BLOCK: usize = 1024;
/// Distance of a panel's rows, in bytes; not a power of two, so that rows fall into different sets.
pub(crate) const A_STRIDE: usize = K_BLOCK + 64;

/// One tile: `c[i][j] = start + row_scale[i] column_scale[j] (sum_p a[i][p] b[p][j] - zero[i]
/// column_sum[j])`.
pub(crate) struct Tile<'a> {
    /// Elements of K, a multiple of 4.
    pub(crate) k: usize,
    /// Rows [`A_STRIDE`] apart.
    pub(crate) a: &'a [u8],
    /// Scale and zero point of each row.
    pub(crate) row_scale: &'a [f32],
    pub(crate) zero: &'a [i32],
    /// `[k / 4][COLUMNS][4]`
    pub(crate) b: &'a [i8],
    pub(crate) column_scale: &'a [f32],
    pub(crate) column_sum: &'a [i32],
    /// Rows `c_stride` apart; all [`COLUMNS`] columns are written.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    /// What the sums are added to.
    pub(crate) start: Start<'a>,
}

/// What multiplies bytes. All give the same bits: sums are exact, and scaled alike where there is a
/// fused product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    I8mm,
    #[cfg(target_arch = "aarch64")]
    DotProduct,
    /// Loops, for instruction sets without products of bytes.
    Plain,
}

impl Way {
    /// The ways of an instruction set on this processor, the fastest first. The only place where a
    /// `Way` is made.
    pub(crate) fn of(isa: Isa) -> impl Iterator<Item = Self> {
        let ways: [(Self, bool); _] = match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                let vnni = super::x86_64::has_avx512_vnni();
                let amx = vnni && amx::is_available();
                [(Self::Amx, amx), (Self::Vnni, vnni), (Self::Avx2, true)]
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                let vnni = is_x86_feature_detected!("avxvnni");
                [(Self::AvxVnni, vnni), (Self::Avx2, true), (Self::Plain, false)]
            }
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => {
                let i8mm = std::arch::is_aarch64_feature_detected!("i8mm");
                let dot = std::arch::is_aarch64_feature_detected!("dotprod");
                [(Self::I8mm, i8mm), (Self::DotProduct, dot), (Self::Plain, true)]
            }
            Kind::Plain => [(Self::Plain, true), (Self::Plain, false), (Self::Plain, false)],
        };
        ways.into_iter().filter(|(_, there)| *there).map(|(way, _)| way)
    }

    /// Rows of a full tile.
    pub(crate) fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::ROWS,
            _ => ROWS,
        }
    }
}

/// Products that follow one another, in one way.
pub(crate) struct Products {
    isa: Isa,
    way: Way,
    /// The registers of AMX are a thread's own.
    here: PhantomData<*const ()>,
}

impl Products {
    pub(crate) fn new(isa: Isa, way: Way) -> Self {
        assert!(Way::of(isa).any(|known| known == way));
        #[cfg(target_arch = "x86_64")]
        if way == Way::Amx {
            // SAFETY: a `Way::Amx` is made by `Way::of` only, which asked the processor.
            unsafe { amx::open() }
        }
        Self { isa, way, here: PhantomData }
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// Computes a tile.
    ///
    /// # Panics
    /// If a slice is too short or there are more rows than a tile has.
    #[inline]
    pub(crate) fn product(&mut self, tile: Tile<'_>) {
        let n_rows = tile.row_scale.len();
        assert!(n_rows > 0 && n_rows <= self.way.rows() && tile.zero.len() == n_rows);
        assert!(tile.k > 0 && tile.k <= K_BLOCK && tile.k.is_multiple_of(4));
        assert!(tile.a.len() >= (n_rows - 1) * A_STRIDE + tile.k);
        assert!(tile.b.len() >= tile.k * COLUMNS);
        assert!(tile.column_scale.len() >= COLUMNS && tile.column_sum.len() >= COLUMNS);
        assert!(tile.c_stride >= COLUMNS || n_rows == 1);
        assert!(tile.c.len() >= (n_rows - 1) * tile.c_stride + COLUMNS);
        assert!(tile.start.row().is_none_or(|row| row.len() >= COLUMNS));
        match self.way {
            #[cfg(target_arch = "x86_64")]
            Way::Amx => {
                assert!(tile.a.len() >= n_rows.next_multiple_of(SQUARE) * A_STRIDE);
                // SAFETY: a `Way::Amx` is made where the processor has it, the registers were
                // opened by `new` and are this thread's, as `Products` cannot be sent; the asserts
                // above hold for every access.
                unsafe { amx::run_rows(tile, n_rows) }
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for AVX-512 VNNI.
            Way::Vnni => unsafe { vnni::run_rows(tile, n_rows) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for AVX-VNNI.
            Way::AvxVnni => unsafe { avx_vnni::run_rows(tile) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for AVX2 and FMA.
            Way::Avx2 => unsafe { avx2::run_rows(tile) },
            #[cfg(target_arch = "aarch64")]
            Way::I8mm => {
                assert!(tile.a.len() >= n_rows.next_multiple_of(2) * A_STRIDE);
                // SAFETY: as above, for i8mm.
                unsafe { i8mm::run_rows(tile) }
            }
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above, for dot products.
            Way::DotProduct => unsafe { dotprod::run_rows(tile) },
            Way::Plain => super::dispatch(self.isa, PlainTile(tile)),
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for Products {
    fn drop(&mut self) {
        if self.way == Way::Amx {
            // SAFETY: as in `product`.
            unsafe { amx::close() }
        }
    }
}

/// The tile as plain loops, for instruction sets without products of bytes.
struct PlainTile<'a>(Tile<'a>);

impl super::Kernel for PlainTile<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let tile = self.0;
        for (i, (&scale, &zero)) in tile.row_scale.iter().zip(tile.zero).enumerate() {
            let mut sums = [0i32; COLUMNS];
            let a = &tile.a[i * A_STRIDE..][..tile.k];
            for (a, b) in a.chunks_exact(4).zip(tile.b.chunks_exact(4 * COLUMNS)) {
                for (j, sum) in sums.iter_mut().enumerate() {
                    for p in 0..4 {
                        *sum += i32::from(a[p]) * i32::from(b[4 * j + p]);
                    }
                }
            }
            let c = &mut tile.c[i * tile.c_stride..][..COLUMNS];
            for j in 0..COLUMNS {
                let exact = (sums[j] - zero * tile.column_sum[j]) as f32;
                let start = match tile.start {
                    Start::Zero => 0.0,
                    Start::Output => c[j],
                    Start::Row(row) => row[j],
                    Start::OutputAndRow(row) => row[j] + c[j],
                };
                c[j] = super::fma::<FMA>(exact, scale * tile.column_scale[j], start);
            }
        }
    }
}
