//! The adapters of the paper: Houlsby et al. 2019, section 2.1, as in its code.
//!
//! Two bottlenecks a layer, each after a sub-layer's last product and dropout and before the
//! residual sum; GELU in its tanh form; all layer norms are trained too, the embeddings' among
//! them, and the head. The initial deviation is 1e-3, as in the code; the paper's text says 1e-2
//! (`init_scale=0.01`). Both are cut at two deviations.
//!
//! The adapters that NOAH (Zhang et al. 2022) puts into ViT are these with
//! `placement=ffn,width=8,activation=quick_gelu,layer_norm=false` and
//! `init=normal,init_scale=0.02,dropout=0.1`.

use budwood_base::encoder::EncoderSpec;
use budwood_base::site::Sublayer;

use super::bottleneck::REASON;
use super::common::LEAVE_OUT;
use super::definition::Method;
use super::merging::Merge;
use super::options::{Kind, OptionSpec, Options};
use crate::bottleneck::{Bottleneck, Initial, Scaling};
use crate::error::ModelError;
use crate::modules::BottleneckInput;

pub(super) const METHOD: Method = Method {
    name: "adapter",
    title: "Adapter",
    year: 2019,
    url: "https://arxiv.org/abs/1902.00751",
    aliases: &["houlsby_paper"],
    summary: "The paper's adapters: two bottlenecks a layer, layer norms trained (Houlsby et al. 2019).",
    options: &[
        OptionSpec {
            name: "width",
            kind: Kind::Count,
            default: "64",
            help: "width of the bottleneck (m)",
        },
        OptionSpec {
            name: "activation",
            kind: Kind::Activation,
            default: "gelu_new",
            help: "non-linearity of the bottleneck",
        },
        OptionSpec {
            name: "init_scale",
            kind: Kind::Number,
            default: "0.001",
            help: "deviation of the initial weights",
        },
        OptionSpec {
            name: "init",
            kind: Kind::Word(&["truncated", "normal"]),
            default: "truncated",
            help: "whether the initial weights are cut at two deviations",
        },
        OptionSpec {
            name: "dropout",
            kind: Kind::Probability,
            default: "0.0",
            help: "dropout inside the bottleneck, after its non-linearity, in training",
        },
        OptionSpec {
            name: "placement",
            kind: Kind::Word(&["both", "attention", "ffn"]),
            default: "both",
            help: "sub-layers that get a bottleneck",
        },
        OptionSpec {
            name: "layer_norm",
            kind: Kind::Flag,
            default: "true",
            help: "whether all layer norms are trained",
        },
        LEAVE_OUT,
    ],
    examples: &[
        "adapter[width=8]",
        "adapter[width=4,placement=ffn,activation=quick_gelu,layer_norm=false,init=normal,dropout=0.1]",
        "adapter[width=4,placement=attention,activation=tanh,layer_norm=false,leave_out=[0]]",
    ],
    needs_f32: false,
    merge: Merge::Beside(REASON, |options, merging| {
        for bottleneck in plan(options, merging.encoder())? {
            bottleneck.stay(merging, None)?;
        }
        if options.flag("layer_norm") {
            merging.take_own_tensors();
        }
        Ok(())
    }),
    build: |options, builder| {
        if options.number("init_scale") <= 0.0 {
            return Err(
                options.fault("init_scale", "above 0: with zero weights nothing is learned")
            );
        }
        for bottleneck in plan(options, builder.base().spec())? {
            bottleneck.build(builder, None)?;
        }
        if options.flag("layer_norm") { builder.train_norms() } else { Ok(()) }
    },
};

fn plan(options: &Options<'_>, spec: &EncoderSpec) -> Result<Vec<Bottleneck>, ModelError> {
    let sublayers: &[Sublayer] = match options.word("placement") {
        "attention" => &[Sublayer::Attention],
        "ffn" => &[Sublayer::Ffn],
        _ => &Sublayer::ALL,
    };
    let scale = options.number("init_scale");
    let init = match options.word("init") {
        "normal" => Initial::Normal(scale),
        _ => Initial::Truncated(scale),
    };
    let one = |layer: usize, sublayer: Sublayer| Bottleneck {
        layer,
        sublayer,
        width: options.count("width"),
        activation: options.activation("activation"),
        input: BottleneckInput::Output,
        norm_after: true,
        residual_before_norm: true,
        scaling: Scaling::Fixed(1.0),
        init,
        phm: None,
        gate: false,
        inner_dropout: options.number("dropout") as f32,
        dropout: 0.0,
        stochastic_depth: 0.0,
    };
    let layers = options.layers("leave_out", spec)?.into_iter();
    Ok(layers.flat_map(|layer| sublayers.iter().map(move |&s| one(layer, s))).collect())
}
