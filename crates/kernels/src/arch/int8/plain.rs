//! Plain loops, for instruction sets without products of bytes.

use super::super::portable::{Kernel, fma};
use super::super::tile::Start;
use super::tile::{A_STRIDE, COLUMNS, Tile};

/// A tile that is to be computed.
pub(super) struct PlainTile<'a>(pub(super) Tile<'a>);

impl Kernel for PlainTile<'_> {
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
                c[j] = fma::<FMA>(exact, scale * tile.column_scale[j], start);
            }
        }
    }
}
