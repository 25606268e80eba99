//! Where operations run.

use budwood_kernels::Isa;

use crate::precision::Precision;

/// Where buffers live and operations run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// This processor, with one of its instruction sets.
    Cpu(Isa),
}

impl Device {
    /// The processor with its widest instruction set.
    pub fn cpu() -> Self {
        Self::Cpu(Isa::detect())
    }

    /// Every device of this machine, the fastest first: one for each instruction set.
    pub fn all() -> Vec<Self> {
        Isa::available().into_iter().map(Self::Cpu).collect()
    }

    pub(crate) fn isa(self) -> Isa {
        match self {
            Device::Cpu(isa) => isa,
        }
    }

    /// The form in which frozen weights are multiplied fastest here.
    pub fn fastest_precision(self) -> Precision {
        if self.isa().int8_is_faster() { Precision::Int8 } else { Precision::F32 }
    }

    /// Its name, such as `cpu/avx512`.
    pub fn name(self) -> String {
        format!("cpu/{}", self.isa().name())
    }
}
