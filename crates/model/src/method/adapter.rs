//! The adapters of the paper: Houlsby et al. 2019, section 2.1, as in its code.
//!
//! Two bottlenecks a layer, each after a sub-layer's last product and dropout and before the residual sum; GELU in
//! its tanh form; all layer norms are trained too, the embeddings' among them, and the head.
//! The initial deviation is 1e-3, as in the code; the paper's text says 1e-2 (`init_scale=0.01`). Both are
//! cut at two deviations.

use super::{Kind, Method, OptionSpec};
use crate::Sublayer;
use crate::bottleneck::{Bottleneck, Initial, Input, Scaling};

pub(super) const METHOD: Method = Method {
    name: "adapter",
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
            help: "deviation of the initial weights, cut at two deviations",
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
        OptionSpec {
            name: "leave_out",
            kind: Kind::Layers,
            default: "[]",
            help: "layers without bottlenecks",
        },
    ],
    build: |options, builder| {
        let sublayers: &[Sublayer] = match options.word("placement") {
            "attention" => &[Sublayer::Attention],
            "ffn" => &[Sublayer::Ffn],
            _ => &Sublayer::ALL,
        };
        let scale = options.number("init_scale");
        if scale <= 0.0 {
            return Err(
                options.fault("init_scale", "above 0: with zero weights nothing is learned")
            );
        }
        for layer in options.layers("leave_out", builder.base().spec().layers)? {
            for &sublayer in sublayers {
                let bottleneck = Bottleneck {
                    width: options.count("width"),
                    activation: options.activation("activation"),
                    input: Input::Output,
                    norm_after: true,
                    residual_before_norm: true,
                    scaling: Scaling::Fixed(1.0),
                    init: Initial::Truncated(scale),
                    phm: None,
                    gate: false,
                    dropout: 0.0,
                    stochastic_depth: 0.0,
                };
                bottleneck.build(builder, layer, sublayer)?;
            }
        }
        if options.flag("layer_norm") { builder.train_norms() } else { Ok(()) }
    },
};
