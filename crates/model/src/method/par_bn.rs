//! AdapterHub's `par_bn`: one bottleneck a layer beside the feed-forward network, which reads its
//! input; ReLU, width d/2, result times 4 (He et al. 2022; `adapters` 1.3, `ParBnConfig`).
//! `scaling=learned` is the library's `scaled_par_bn`.

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REASON, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH,
    Switches, build, stay,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::Merge;
use super::options::OptionSpec;

pub(super) const METHOD: Method = Method {
    name: "par_bn",
    title: "Parallel adapter",
    year: 2022,
    url: "https://arxiv.org/abs/2110.04366",
    aliases: &["parallel"],
    summary: "AdapterHub's parallel bottleneck beside the feed-forward network (He et al. 2022).",
    options: &[
        OptionSpec { default: "2", ..REDUCTION_FACTOR },
        NON_LINEARITY,
        OptionSpec { default: "4.0", ..SCALING },
        OptionSpec { default: "mam_adapter", ..INIT_WEIGHTS },
        DROPOUT,
        STOCHASTIC_DEPTH,
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &[
        "par_bn[reduction_factor=4,non_linearity=gelu]",
        "par_bn[reduction_factor=8,non_linearity=gelu,scaling=learned,dropout=0.2,stochastic_depth=0.3,use_gating=true]",
    ],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &SWITCHES)),
    build: |options, builder| build(options, builder, &SWITCHES),
};

pub(super) const SCALED: Method = Method {
    name: "scaled_par_bn",
    title: "scaled_par_bn",
    year: 2022,
    url: "https://arxiv.org/abs/2110.04366",
    aliases: &["scaled_parallel"],
    summary: "AdapterHub's parallel bottleneck with a learned scale (He et al. 2022).",
    options: &[
        OptionSpec { default: "2", ..REDUCTION_FACTOR },
        NON_LINEARITY,
        OptionSpec { default: "learned", ..SCALING },
        OptionSpec { default: "mam_adapter", ..INIT_WEIGHTS },
        DROPOUT,
        STOCHASTIC_DEPTH,
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &["scaled_par_bn[reduction_factor=4,non_linearity=gelu]"],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &SWITCHES)),
    build: |options, builder| build(options, builder, &SWITCHES),
};

const SWITCHES: Switches = Switches {
    mh_adapter: false,
    output_adapter: true,
    original_ln_before: false,
    original_ln_after: true,
    residual_before_ln: true,
    is_parallel: true,
};
