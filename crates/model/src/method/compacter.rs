//! Compacter (Karimi Mahabadi et al. 2021): bottlenecks whose products are sums of Kronecker
//! products with shared rules and factors of low rank. With the defaults of `adapters` 1.3
//! (`CompacterConfig`, `CompacterPlusPlusConfig`).

use budwood_base::names;

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH, Switches,
    build_with,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::BOTTLENECKS;
use super::options::{Kind, OptionSpec, Options};
use crate::builder::Builder;
use crate::error::ModelError;
use crate::params::Init;
use crate::phm::Rule;

const FACTOR: OptionSpec = OptionSpec { default: "32", ..REDUCTION_FACTOR };
const GELU: OptionSpec = OptionSpec { default: "gelu", ..NON_LINEARITY };
const DIMENSION: OptionSpec = OptionSpec {
    name: "phm_dim",
    kind: Kind::Count,
    default: "4",
    help: "number of Kronecker products in a sum; it divides both widths",
};
const RANK: OptionSpec = OptionSpec {
    name: "phm_rank",
    kind: Kind::Count,
    default: "1",
    help: "rank of their second factors",
};
const OPTIONS: &[OptionSpec] = &[
    FACTOR,
    GELU,
    DIMENSION,
    RANK,
    SCALING,
    INIT_WEIGHTS,
    DROPOUT,
    STOCHASTIC_DEPTH,
    USE_GATING,
    LEAVE_OUT,
];

pub(super) const METHOD: Method = Method {
    name: "compacter",
    title: "Compacter",
    year: 2021,
    url: "https://arxiv.org/abs/2106.04647",
    aliases: &[],
    summary: "Bottlenecks made of Kronecker products, after both sub-layers (Karimi Mahabadi et al. 2021).",
    options: OPTIONS,
    examples: &["compacter[reduction_factor=4]"],
    merge: BOTTLENECKS,
    build: |options, builder| build(options, builder, true),
};

pub(super) const PLUS_PLUS: Method = Method {
    name: "compacter++",
    title: "compacter++",
    year: 2021,
    url: "https://arxiv.org/abs/2106.04647",
    aliases: &["compacterplusplus"],
    summary: "Compacter after the feed-forward network only.",
    options: OPTIONS,
    examples: &["compacter++[reduction_factor=2,phm_dim=2,phm_rank=3]"],
    merge: BOTTLENECKS,
    build: |options, builder| build(options, builder, false),
};

fn build(
    options: &Options<'_>,
    builder: &mut Builder<'_>,
    after_attention: bool,
) -> Result<(), ModelError> {
    let (n, rank) = (options.count("phm_dim"), options.count("phm_rank"));
    let name = names::PHM_RULE.to_string();
    let slot = builder.parameter(name, &[n, n, n], Init::Normal(1e-4))?;
    let switches = Switches {
        mh_adapter: after_attention,
        output_adapter: true,
        original_ln_before: !after_attention,
        original_ln_after: true,
        residual_before_ln: true,
        is_parallel: false,
    };
    build_with(options, builder, &switches, Some(&Rule { slot, n, rank }))
}
