//! AdapterHub's `double_seq_bn`, which that library also calls `houlsby`: two bottlenecks a layer,
//! swish, width d/16, layer norms frozen (`adapters` 1.3, `DoubleSeqBnConfig`). Not the paper's
//! configuration; that is the method `adapter`.

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REASON, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH,
    Switches, build, stay,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::Merge;
use super::options::OptionSpec;

pub(super) const METHOD: Method = Method {
    name: "double_seq_bn",
    title: "double_seq_bn",
    year: 2019,
    url: "https://arxiv.org/abs/1902.00751",
    aliases: &["houlsby"],
    summary: "AdapterHub's double sequential bottleneck: after attention and feed-forward, norms frozen.",
    options: &[
        REDUCTION_FACTOR,
        OptionSpec { default: "swish", ..NON_LINEARITY },
        SCALING,
        INIT_WEIGHTS,
        DROPOUT,
        STOCHASTIC_DEPTH,
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &["double_seq_bn[reduction_factor=4]"],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &SWITCHES)),
    build: |options, builder| build(options, builder, &SWITCHES),
};

const SWITCHES: Switches = Switches {
    mh_adapter: true,
    output_adapter: true,
    original_ln_before: false,
    original_ln_after: true,
    residual_before_ln: true,
    is_parallel: false,
};
