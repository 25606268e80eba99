//! The bottleneck family of the AdapterHub library with all of its switches
//! (`adapters` 1.3, `BnConfig`): what its named configurations are made of.

use budwood_base::encoder::EncoderSpec;
use budwood_base::site::Sublayer;

use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::bottleneck::{Bottleneck, Initial, Scaling};
use crate::builder::Builder;
use crate::error::ModelError;
use crate::modules::BottleneckInput;
use crate::phm::Sizes;

pub(super) const METHOD: Method = Method {
    name: "bottleneck",
    title: "bottleneck",
    year: 2020,
    url: "https://arxiv.org/abs/2007.07779",
    aliases: &[],
    summary: "AdapterHub's bottleneck family, every switch an option.",
    options: &[
        MH_ADAPTER,
        OUTPUT_ADAPTER,
        REDUCTION_FACTOR,
        NON_LINEARITY,
        ORIGINAL_LN_BEFORE,
        ORIGINAL_LN_AFTER,
        RESIDUAL_BEFORE_LN,
        IS_PARALLEL,
        SCALING,
        INIT_WEIGHTS,
        DROPOUT,
        STOCHASTIC_DEPTH,
        USE_GATING,
        LEAVE_OUT,
    ],
    examples: &[
        "bottleneck[reduction_factor=8,non_linearity=gelu]",
        "bottleneck[mh_adapter=true,reduction_factor=8,non_linearity=gelu,original_ln_before=true,residual_before_ln=false,scaling=channel]",
        "bottleneck[mh_adapter=true,output_adapter=false,reduction_factor=8,non_linearity=tanh,original_ln_before=true,original_ln_after=false]",
    ],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| stay(options, merging, &switches(options))),
    build: |options, builder| build(options, builder, &switches(options)),
};

/// Why bottlenecks are no weights.
pub(super) const REASON: &str = "a bottleneck and its non-linearity are layers of their own";

fn switches(options: &Options<'_>) -> Switches {
    Switches {
        mh_adapter: options.flag("mh_adapter"),
        output_adapter: options.flag("output_adapter"),
        original_ln_before: options.flag("original_ln_before"),
        original_ln_after: options.flag("original_ln_after"),
        residual_before_ln: options.flag("residual_before_ln"),
        is_parallel: options.flag("is_parallel"),
    }
}

const MH_ADAPTER: OptionSpec = OptionSpec {
    name: "mh_adapter",
    kind: Kind::Flag,
    default: "false",
    help: "a bottleneck after attention",
};
const OUTPUT_ADAPTER: OptionSpec = OptionSpec {
    name: "output_adapter",
    kind: Kind::Flag,
    default: "true",
    help: "a bottleneck after the feed-forward network",
};
const ORIGINAL_LN_BEFORE: OptionSpec = OptionSpec {
    name: "original_ln_before",
    kind: Kind::Flag,
    default: "false",
    help: "residual sum and norm of the sub-layer before the bottleneck",
};
const ORIGINAL_LN_AFTER: OptionSpec = OptionSpec {
    name: "original_ln_after",
    kind: Kind::Flag,
    default: "true",
    help: "residual sum and norm of the sub-layer after the bottleneck",
};
const RESIDUAL_BEFORE_LN: OptionSpec = OptionSpec {
    name: "residual_before_ln",
    kind: Kind::Flag,
    default: "true",
    help: "the bottleneck's own residual is taken before that first norm",
};
const IS_PARALLEL: OptionSpec = OptionSpec {
    name: "is_parallel",
    kind: Kind::Flag,
    default: "false",
    help: "the bottleneck reads the sub-layer's input",
};
pub(super) const REDUCTION_FACTOR: OptionSpec = OptionSpec {
    name: "reduction_factor",
    kind: Kind::PerLayer,
    default: "16",
    help: "the model's width divided by the bottleneck's",
};
pub(super) const NON_LINEARITY: OptionSpec = OptionSpec {
    name: "non_linearity",
    kind: Kind::Activation,
    default: "relu",
    help: "non-linearity",
};
pub(super) const SCALING: OptionSpec = OptionSpec {
    name: "scaling",
    kind: Kind::NumberOrWord(&["learned", "channel"]),
    default: "1.0",
    help: "factor of the bottleneck's result: a number, one learned number, or one a channel",
};
pub(super) const INIT_WEIGHTS: OptionSpec = OptionSpec {
    name: "init_weights",
    kind: Kind::Word(&["bert", "mam_adapter", "houlsby"]),
    default: "bert",
    help: "N(0, 0.02); uniform below and zero above; or N(0, 0.01) cut at two deviations",
};
pub(super) const DROPOUT: OptionSpec = OptionSpec {
    name: "dropout",
    kind: Kind::Probability,
    default: "0.0",
    help: "dropout on the bottleneck's result, in training",
};
pub(super) const STOCHASTIC_DEPTH: OptionSpec = OptionSpec {
    name: "stochastic_depth",
    kind: Kind::Probability,
    default: "0.0",
    help: "probability that a sequence skips a bottleneck, in training",
};

/// The switches in which the library's named configurations differ.
pub(super) struct Switches {
    pub(super) mh_adapter: bool,
    pub(super) output_adapter: bool,
    pub(super) original_ln_before: bool,
    pub(super) original_ln_after: bool,
    pub(super) residual_before_ln: bool,
    pub(super) is_parallel: bool,
}

/// Builds bottlenecks with these switches and the options that all of the family have.
pub(super) fn build(
    options: &Options<'_>,
    builder: &mut Builder<'_>,
    switches: &Switches,
) -> Result<(), ModelError> {
    let all = plan(options, builder.base().spec(), switches, None)?;
    all.into_iter().try_for_each(|bottleneck| bottleneck.build(builder, None))
}

/// Puts such bottlenecks among the modules that stay.
pub(super) fn stay(
    options: &Options<'_>,
    merging: &mut Merging<'_>,
    switches: &Switches,
) -> Result<(), ModelError> {
    let all = plan(options, merging.encoder(), switches, None)?;
    all.iter().try_for_each(|bottleneck| bottleneck.stay(merging, None))
}

/// The bottlenecks of these switches and options; with `phm`, their products are made from
/// Kronecker products of these sizes.
pub(super) fn plan(
    options: &Options<'_>,
    spec: &EncoderSpec,
    switches: &Switches,
    phm: Option<Sizes>,
) -> Result<Vec<Bottleneck>, ModelError> {
    let hidden = spec.hidden;
    let init = match options.word("init_weights") {
        "mam_adapter" => Initial::Lora,
        "houlsby" => Initial::Truncated(1e-2),
        _ => Initial::Normal(0.02),
    };
    let scaling = match (options.maybe_number("scaling"), options.word("scaling")) {
        (Some(factor), _) => Scaling::Fixed(factor as f32),
        (None, "channel") => Scaling::Channel,
        (None, _) => Scaling::Learned,
    };
    let input = match (switches.is_parallel, switches.original_ln_before) {
        (true, _) => BottleneckInput::Residual,
        (false, true) => BottleneckInput::NormedSum,
        (false, false) => BottleneckInput::Output,
    };
    let sublayers =
        [(switches.mh_adapter, Sublayer::Attention), (switches.output_adapter, Sublayer::Ffn)];
    let mut all = Vec::new();
    for layer in options.layers("leave_out", spec)? {
        // The library divides, cuts off, and allows no width below 1.
        let factor = options.per_layer("reduction_factor", layer)?;
        let width = ((hidden as f64 / factor) as usize).max(1);
        // Factors do not show how large a product they make: no larger than the model's own.
        if phm.is_some() && width > hidden {
            return Err(
                options.fault("reduction_factor", "1 or more where factors make the products")
            );
        }
        if let Some(Sizes { n, .. }) =
            phm.filter(|s| !hidden.is_multiple_of(s.n) || !width.is_multiple_of(s.n))
        {
            return Err(ModelError::OptionValue {
                method: "compacter".into(),
                option: "phm_dim".into(),
                value: n.to_string(),
                expected: format!(
                    "a divisor of the model's width {hidden} and of the bottleneck's, {width}"
                ),
            });
        }
        for (_, sublayer) in sublayers.into_iter().filter(|(present, _)| *present) {
            all.push(Bottleneck {
                layer,
                sublayer,
                width,
                activation: options.activation("non_linearity"),
                input,
                norm_after: switches.original_ln_after,
                residual_before_norm: switches.residual_before_ln,
                scaling,
                init,
                phm,
                gate: options.flag("use_gating"),
                inner_dropout: 0.0,
                dropout: options.number("dropout") as f32,
                stochastic_depth: options.number("stochastic_depth") as f32,
            });
        }
    }
    Ok(all)
}
