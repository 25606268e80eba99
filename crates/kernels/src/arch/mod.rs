//! All unsafe code: vectors, the tiles of the matrix products, and the door through which a kernel
//! written as plain loops is compiled for an instruction set.
#![allow(unsafe_code)]

pub(crate) mod int8;
mod plain;
pub(crate) mod tile;
mod vector;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Plain => "plain",
        }
    }
}

/// What the processor has, the widest first. The only place where a `Kind` is made.
pub(crate) fn available() -> Vec<Kind> {
    let mut kinds = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if x86_64::has_avx512() {
            kinds.push(Kind::Avx512);
        }
        if x86_64::has_avx2() {
            kinds.push(Kind::Avx2);
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        kinds.push(Kind::Neon);
    }
    kinds.push(Kind::Plain);
    kinds
}

/// Whether products of bytes are faster than of `f32`, as measured by the example `products`.
pub(crate) fn int8_is_faster(kind: Kind) -> bool {
    match kind {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => x86_64::has_avx512_vnni(),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => true,
        _ => false,
    }
}

/// A kernel written as plain loops, to be compiled once for each instruction set. Implementations
/// mark `run` `#[inline(always)]`: it is then compiled inside the function that has the target
/// feature, and the loops become vector code of that set.
pub(crate) trait Kernel {
    type Output;
    /// `FMA` says whether a fused multiply-add is one instruction here.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Runs a kernel with the instructions of `isa`.
#[inline]
pub(crate) fn dispatch<K: Kernel>(isa: crate::Isa, kernel: K) -> K::Output {
    match isa.0 {
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

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Defines a public function whose body is compiled for every instruction set and chosen by its
/// first argument. Inside, `FMA` is in scope for [`fma`].
macro_rules! kernel {
    ($(#[$meta:meta])* pub fn $name:ident<$life:lifetime>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, unused_parens)]
        pub fn $name<$life>(isa: crate::Isa, $($arg: $ty),*) $(-> $ret)? {
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
