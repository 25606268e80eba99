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

mod plain;
mod tile;

use std::marker::PhantomData;

use super::isa::{Isa, Kind};
use plain::PlainTile;
pub(crate) use tile::{A_STRIDE, COLUMNS, K_BLOCK, ROWS, SQUARE, Tile};

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

    /// Panels of B, of `k` elements, that meet the same rows of A one after the other.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables))]
    pub(crate) fn panels(self, k: usize) -> usize {
        match self {
            // Rows stay in L1 and panels come one after the other from L2, as they lie there. A
            // tile's rows are far apart, which is slow to read again and again.
            #[cfg(target_arch = "x86_64")]
            Self::Amx => (amx::panels() / (k * COLUMNS)).max(1),
            // A panel stays in L1.
            _ => 1,
        }
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
