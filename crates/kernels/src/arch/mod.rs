//! All unsafe code: vectors, the tiles of the matrix products, and the door through which a kernel
//! written as plain loops is compiled for an instruction set.
#![allow(unsafe_code)]

pub(crate) mod caches;
pub(crate) mod int8;
mod isa;
mod plain;
mod portable;
pub(crate) mod tile;
pub(crate) mod turn;
mod vector;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use isa::Isa;
pub(crate) use portable::{Kernel, fma};

use isa::Kind;

/// Runs a kernel with the instructions of `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a `Kind::Avx512` is made by `available` only, which asked the processor.
        Kind::Avx512 => unsafe { x86_64::run_avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above, for AVX2 and FMA.
        Kind::Avx2 => unsafe { x86_64::run_avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => kernel.run::<true>(), // NEON is part of the aarch64 baseline.
        Kind::Plain => kernel.run::<false>(),
    }
}

/// Defines a function whose body is compiled for every instruction set and chosen by its
/// first argument. Inside, `FMA` is in scope for [`fma`].
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$life:lifetime>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, unused_parens)]
        $vis fn $name<$life>(isa: crate::Isa, $($arg: $ty),*) $(-> $ret)? {
            struct Body<$life> { $($arg: $ty),* , _life: std::marker::PhantomData<&$life ()> }
            impl<$life> crate::arch::Kernel for Body<$life> {
                type Output = ($($ret)?);
                #[inline(always)]
                #[allow(unused_variables)]
                fn run<const FMA: bool>(self) -> Self::Output {
                    let Body { $($arg),* , _life } = self;
                    $body
                }
            }
            crate::arch::dispatch(isa, Body { $($arg),* , _life: std::marker::PhantomData })
        }
    };
}
pub(crate) use kernel;
