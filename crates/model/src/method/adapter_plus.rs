//! Adapter+ (Steitz and Roth 2024) as `adapters` 1.3 has it (`AdapterPlusConfig`): a bottleneck
//! after the feed-forward network's residual sum, one learned scale a channel, GELU, width d/96. In
//! training a tenth of the sequences pass each bottleneck by (stochastic depth), as there.

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REASON, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH,
    Switches, build, stay,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::Merge;
use super::options::OptionSpec;

pub(super) const METHOD: Method = Method {
    name: "adapter_plus",
    title: "Adapter+",
    year: 2024,
    url: "https://arxiv.org/abs/2406.06820",
    aliases: &[],
    summary: "Adapter+: after the residual sum, a learned scale a channel (Steitz and Roth 2024).",
    options: &[
        OptionSpec { default: "96", ..REDUCTION_FACTOR },
        OptionSpec { default: "gelu", ..NON_LINEARITY },
        OptionSpec { default: "channel", ..SCALING },
        OptionSpec { default: "houlsby", ..INIT_WEIGHTS },
        DROPOUT,
        OptionSpec { default: "0.1", ..STOCHASTIC_DEPTH },
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &["adapter_plus[reduction_factor=8]"],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &SWITCHES)),
    build: |options, builder| build(options, builder, &SWITCHES),
};

const SWITCHES: Switches = Switches {
    mh_adapter: false,
    output_adapter: true,
    original_ln_before: true,
    original_ln_after: false,
    residual_before_ln: false,
    is_parallel: false,
};
