//! Sizes of the processor's caches. They choose what is computed first, never how a sum is cut:
//! blocks of K and chunks of rows are the same everywhere, and with them the bits.

use std::sync::OnceLock;

/// What is taken where the processor does not say.
const USUAL: usize = 1 << 20;
/// Less or more than any core has for itself: several cores share it, or a virtual machine made the
/// number up.
const LEAST: usize = 1 << 18;
const MOST: usize = 1 << 21;

/// Bytes of a core's second-level cache.
pub(crate) fn second_level() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| said(2).unwrap_or(USUAL).clamp(LEAST, MOST))
}

/// Bytes of the cache of data of a level, by the leaf of Intel's or of AMD's processors.
#[cfg(target_arch = "x86_64")]
pub(crate) fn said(level: u32) -> Option<usize> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const INTEL: u32 = 4;
    const AMD: u32 = 0x8000_001D;
    let there = |leaf: u32| __cpuid(leaf & 0x8000_0000).eax >= leaf;
    [INTEL, AMD].into_iter().filter(|leaf| there(*leaf)).find_map(|leaf| {
        let mut caches = (0..8).map(|i| __cpuid_count(leaf, i)).take_while(|c| c.eax & 31 != 0);
        // Kinds: 1 is data, 3 data and instructions.
        let cache = caches.find(|c| c.eax >> 5 & 7 == level && c.eax & 31 != 2)?;
        let (ways, parts, line) = (cache.ebx >> 22, cache.ebx >> 12 & 0x3FF, cache.ebx & 0xFFF);
        [ways, parts, line, cache.ecx].iter().try_fold(1_usize, |bytes, number| {
            bytes.checked_mul(usize::try_from(*number).ok()?.checked_add(1)?)
        })
    })
}

/// Other processors keep it from programs.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn said(_level: u32) -> Option<usize> {
    None
}
