//! Instruction sets, and which of them this processor has.

/// The instruction set a kernel runs with. A value other than [`Isa::Plain`] can only be had where
/// the processor has it, so holding one is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Kind);

impl Isa {
    /// The widest instruction set of this processor.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Code that runs everywhere.
    #[allow(non_upper_case_globals)]
    pub const Plain: Self = Self(Kind::Plain);

    /// Every instruction set of this processor, the widest first.
    pub fn available() -> Vec<Self> {
        available().into_iter().map(Self).collect()
    }

    /// Its name: `avx512`, `avx2`, `neon` or `plain`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether products of bytes are faster than of `f32`.
    pub fn int8_is_faster(self) -> bool {
        int8_is_faster(self.0)
    }

    /// Which one it is.
    pub(super) fn kind(self) -> Kind {
        self.0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Plain,
}

impl Kind {
    fn name(self) -> &'static str {
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
fn available() -> Vec<Kind> {
    let mut kinds = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if super::x86_64::has_avx512() {
            kinds.push(Kind::Avx512);
        }
        if super::x86_64::has_avx2() {
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

/// Whether products of bytes are faster than of `f32`, as measured by the example `products`; on
/// aarch64, of which there was none, because one instruction makes four times as many.
fn int8_is_faster(kind: Kind) -> bool {
    match kind {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => super::x86_64::has_avx512_vnni(),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => true,
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => std::arch::is_aarch64_feature_detected!("dotprod"),
        _ => false,
    }
}
