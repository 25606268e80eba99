//! Compacter (Karimi Mahabadi et al. 2021): bottlenecks whose products are sums of Kronecker
//! products with shared rules and factors of low rank. With the defaults of `adapters` 1.3
//! (`CompacterConfig`, `CompacterPlusPlusConfig`).

use budwood_base::names;

use super::bottleneck::{
    DROPOUT, INIT_WEIGHTS, NON_LINEARITY, REASON, REDUCTION_FACTOR, SCALING, STOCHASTIC_DEPTH,
    Switches, plan,
};
use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::builder::Builder;
use crate::error::ModelError;
use crate::params::Init;
use crate::phm::{Rule, Sizes};

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
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, true)),
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
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, false)),
    build: |options, builder| build(options, builder, false),
};

const fn switches(after_attention: bool) -> Switches {
    Switches {
        mh_adapter: after_attention,
        output_adapter: true,
        original_ln_before: !after_attention,
        original_ln_after: true,
        residual_before_ln: true,
        is_parallel: false,
    }
}

fn sizes(options: &Options<'_>) -> Sizes {
    Sizes { n: options.count("phm_dim"), rank: options.count("phm_rank") }
}

fn build(
    options: &Options<'_>,
    builder: &mut Builder<'_>,
    after_attention: bool,
) -> Result<(), ModelError> {
    let sizes = sizes(options);
    let shape = [sizes.n; 3];
    let slot = builder.parameter(names::PHM_RULE.into(), &shape, Init::Normal(1e-4))?;
    let rule = Rule { slot, sizes };
    let spec = builder.base().spec();
    let all = plan(options, spec, &switches(after_attention), Some(sizes))?;
    all.into_iter().try_for_each(|bottleneck| bottleneck.build(builder, Some(&rule)))
}

fn stay(
    options: &Options<'_>,
    merging: &mut Merging<'_>,
    after_attention: bool,
) -> Result<(), ModelError> {
    let rules = merging.take(names::PHM_RULE)?;
    let switches = switches(after_attention);
    let all = plan(options, merging.encoder(), &switches, Some(sizes(options)))?;
    all.iter().try_for_each(|bottleneck| bottleneck.stay(merging, Some(&rules)))
}
