//! AMX: registers of 16 rows of 64 bytes, two of which are multiplied at a time.
//!
//! | register | holds |
//! |---|---|
//! | `tmm0` to `tmm3` | sums of 2 x 2 squares of 16 rows and 16 columns |
//! | `tmm4`, `tmm5` | 16 rows of A each, 64 elements of K |
//! | `tmm6`, `tmm7` | 16 columns of B each, the same elements of K in rows of four |
//!
//! The squares are always whole: rows of A beyond the tile's are read and their sums are dropped,
//! elements of K beyond its end meet zeros. So the registers have one shape, and B's panel is read
//! as VNNI reads it.
//!
//! Compilers know no names for these instructions yet that stable Rust would take: they are written
//! in assembler.

use std::arch::asm;
use std::arch::x86_64::*;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::super::caches;
use super::tile::{A_STRIDE, COLUMNS, SQUARE, Tile};
use super::vnni::Columns;

/// Rows of a register.
const HALF: usize = SQUARE;
/// Rows of a tile.
pub(super) const ROWS: usize = 2 * HALF;
/// Bytes of B that meet some rows before the next rows do: they stay in L2, and take a quarter of
/// it.
pub(super) fn panels() -> usize {
    caches::second_level() / 4
}

/// Elements of K that are multiplied at a time.
const DEEP: usize = 64;

/// Whether the processor has it, and the system lets this process use it.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| cfg!(target_os = "linux") && is_there() && ask())
}

/// Leaf 7 of the processor's description: bit 24 stands for the registers, bit 25 for bytes.
fn is_there() -> bool {
    let leaves = __cpuid(0).eax;
    leaves >= 7 && __cpuid_count(7, 0).edx >> 24 & 3 == 3
}

/// Asks Linux for the registers, whose 8 KiB a thread it saves only for processes that asked:
/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
fn ask() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let answer: i64;
    // SAFETY: the call takes two numbers and changes nothing but what this process may use. A
    // system call overwrites rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") REQUEST,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer == 0
}

/// The registers' shapes, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    unused: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// Gives this thread's registers their shapes.
///
/// # Safety
/// [`is_available`] said yes.
pub(super) unsafe fn open() {
    let (mut bytes, mut rows) = ([0; 16], [0; 16]);
    bytes[..8].fill(DEEP as u16);
    rows[..8].fill(HALF as u8);
    let shapes = Shapes { palette: 1, start: 0, unused: [0; 14], bytes, rows };
    // SAFETY: the registers are there, and the instruction reads these 64 bytes.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags));
    }
}

/// Gives the registers back, so that the system need not save them.
///
/// # Safety
/// As [`open`].
pub(super) unsafe fn close() {
    // SAFETY: the registers are there; nothing is read from them later.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) }
}

/// Sums of a tile, before their scales.
#[repr(align(64))]
struct Sums([i32; ROWS * COLUMNS]);

/// # Safety
/// The processor has AMX and AVX-512 VNNI, this thread's registers are open; `product` checked all
/// slices for `n_rows` rows, and that `a` has all rows of the squares with [`A_STRIDE`] bytes each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) unsafe fn run_rows(mut tile: Tile<'_>, n_rows: usize) {
    let mut sums = MaybeUninit::<Sums>::uninit();
    let (whole, rest) = (tile.k / DEEP, tile.k % DEEP);
    let mut padded;
    let mut last = std::ptr::null();
    if rest > 0 {
        padded = [0; DEEP * COLUMNS];
        padded[..rest * COLUMNS].copy_from_slice(&tile.b[whole * DEEP * COLUMNS..tile.k * COLUMNS]);
        last = padded.as_ptr();
    }
    let (a, b) = (tile.a.as_ptr(), tile.b.as_ptr());
    // SAFETY: A is read in 64 bytes at a time of HALF or ROWS rows, up to the next multiple of 64
    // after K, which is below A_STRIDE; B in blocks of 64 / 4 rows of 128 bytes, of which `whole`
    // are in the panel and the last in `last`; the sums are written to ROWS rows of 128 bytes.
    unsafe {
        let to = (&raw mut (*sums.as_mut_ptr()).0).cast::<i32>();
        // The loop over K: what begins, what is done with 64 elements, and what ends it.
        macro_rules! squares {
            (
                [$($begin:literal)*] [$($step:literal)*] [$($end:literal)*] $($more:tt)*
            ) => {
                asm!(
                    $($begin,)*
                    "test {n}, {n}",
                    "jz 3f",
                    "2:",
                    $($step,)*
                    "add {a}, 64",
                    "add {b}, 2048",
                    "dec {n}",
                    "jnz 2b",
                    "3:",
                    "mov {b}, {last}",
                    "xor {last}, {last}",
                    "mov {n}, 1",
                    "test {b}, {b}",
                    "jnz 2b",
                    $($end,)*
                    n = inout(reg) whole => _,
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    last = inout(reg) last => _,
                    to = in(reg) to,
                    row = in(reg) 4 * COLUMNS,
                    stride = in(reg) A_STRIDE,
                    $($more)*
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                )
            };
        }
        if n_rows > HALF {
            squares!(
                ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"]
                [
                    "tileloadd tmm6, [{b} + {row} * 1]"
                    "tileloadd tmm4, [{a} + {stride} * 1]"
                    "tdpbusd tmm0, tmm4, tmm6"
                    "tileloadd tmm7, [{b} + {row} * 1 + 64]"
                    "tdpbusd tmm1, tmm4, tmm7"
                    "tileloadd tmm5, [{a1} + {stride} * 1]"
                    "tdpbusd tmm2, tmm5, tmm6"
                    "tdpbusd tmm3, tmm5, tmm7"
                    "add {a1}, 64"
                ]
                [
                    "tilestored [{to} + {row} * 1], tmm0"
                    "tilestored [{to} + {row} * 1 + 64], tmm1"
                    "tilestored [{to} + {row} * 1 + 2048], tmm2"
                    "tilestored [{to} + {row} * 1 + 2112], tmm3"
                ]
                a1 = inout(reg) a.add(HALF * A_STRIDE) => _,
                out("tmm2") _, out("tmm3") _, out("tmm5") _,
            );
        } else {
            squares!(
                ["tilezero tmm0" "tilezero tmm1"]
                [
                    "tileloadd tmm6, [{b} + {row} * 1]"
                    "tileloadd tmm4, [{a} + {stride} * 1]"
                    "tdpbusd tmm0, tmm4, tmm6"
                    "tileloadd tmm7, [{b} + {row} * 1 + 64]"
                    "tdpbusd tmm1, tmm4, tmm7"
                ]
                [
                    "tilestored [{to} + {row} * 1], tmm0"
                    "tilestored [{to} + {row} * 1 + 64], tmm1"
                ]
            );
        }
        let columns = Columns::of(&tile);
        for i in 0..n_rows {
            let sum = [0, 16].map(|j| _mm512_load_si512(to.add(i * COLUMNS + j).cast()));
            columns.finish(&mut tile, i, sum);
        }
    }
}
