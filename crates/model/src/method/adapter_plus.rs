//! Adapter+ (Steitz and Roth 2024) as `adapters` 1.3 has it (`AdapterPlusConfig`): a bottleneck after the
//! feed-forward network's residual sum, one learned scale a channel, GELU, width d/96. The library's stochastic
//! depth is not built; it acts in training only.

use super::bottleneck::{
    INIT_WEIGHTS, LEAVE_OUT, NON_LINEARITY, REDUCTION_FACTOR, SCALING, Switches, build,
};
use super::{Method, OptionSpec};

pub(super) const METHOD: Method = Method {
    name: "adapter_plus",
    aliases: &[],
    summary: "Adapter+: after the residual sum, a learned scale a channel (Steitz and Roth 2024).",
    options: &[
        OptionSpec { default: "96", ..REDUCTION_FACTOR },
        OptionSpec { default: "gelu", ..NON_LINEARITY },
        OptionSpec { default: "channel", ..SCALING },
        OptionSpec { default: "houlsby", ..INIT_WEIGHTS },
        LEAVE_OUT,
    ],
    build: |options, builder| {
        let switches = Switches {
            mh_adapter: false,
            output_adapter: true,
            original_ln_before: true,
            original_ln_after: false,
            residual_before_ln: false,
            is_parallel: false,
        };
        build(options, builder, &switches)
    },
};
