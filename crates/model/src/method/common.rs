//! Options that several methods have.

use super::options::{Kind, OptionSpec};

/// Layers in which a method does nothing.
pub(super) const LEAVE_OUT: OptionSpec = OptionSpec {
    name: "leave_out",
    kind: Kind::Layers,
    default: "[]",
    help: "layers that the method leaves alone",
};

/// Whether a gate scales what a method adds to each sequence.
pub(super) const USE_GATING: OptionSpec = OptionSpec {
    name: "use_gating",
    kind: Kind::Flag,
    default: "false",
    help: "a learned gate for each sequence scales what is added",
};
