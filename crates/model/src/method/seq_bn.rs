//! AdapterHub's `seq_bn`, also `pfeiffer`: one bottleneck a layer after the feed-forward network,
//! which reads the normed residual sum; the sub-layer's norm is applied twice (Pfeiffer et al.
//! 2020; `adapters` 1.3, `SeqBnConfig`).

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REASON, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH,
    Switches, build, stay,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::Merge;

pub(super) const METHOD: Method = Method {
    name: "seq_bn",
    title: "Pfeiffer adapter",
    year: 2020,
    url: "https://arxiv.org/abs/2005.00247",
    aliases: &["pfeiffer"],
    summary: "AdapterHub's sequential bottleneck after the feed-forward network (Pfeiffer et al. 2020).",
    options: &[
        REDUCTION_FACTOR,
        NON_LINEARITY,
        SCALING,
        INIT_WEIGHTS,
        DROPOUT,
        STOCHASTIC_DEPTH,
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &["seq_bn[reduction_factor=4,non_linearity=gelu]"],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &SWITCHES)),
    build: |options, builder| build(options, builder, &SWITCHES),
};

const SWITCHES: Switches = Switches {
    mh_adapter: false,
    output_adapter: true,
    original_ln_before: true,
    original_ln_after: true,
    residual_before_ln: true,
    is_parallel: false,
};
