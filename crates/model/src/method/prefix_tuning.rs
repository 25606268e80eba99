//! Prefix tuning (Li and Liang 2021): trained keys and values before those of each layer's
//! attention, made by a network of one hidden layer from trained vectors, or given directly
//! (`flat`); `adapters` 1.3, `PrefixTuningConfig`.

use budwood_base::names;

use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::Merge;
use super::options::{Kind, OptionSpec};
use crate::base::engine_activation;
use crate::error::ModelError;
use crate::params::Init;
use crate::prefix::{Network, Prefix, Source};

pub(super) const METHOD: Method = Method {
    name: "prefix_tuning",
    title: "Prefix tuning",
    year: 2021,
    url: "https://arxiv.org/abs/2101.00190",
    aliases: &["prefix"],
    summary: "Trained keys and values before each layer's own (Li and Liang 2021).",
    options: &[
        OptionSpec {
            name: "prefix_length",
            kind: Kind::Count,
            default: "30",
            help: "number of keys and values in a layer",
        },
        OptionSpec {
            name: "bottleneck_size",
            kind: Kind::Count,
            default: "512",
            help: "hidden width of the network that makes them",
        },
        OptionSpec {
            name: "non_linearity",
            kind: Kind::Activation,
            default: "tanh",
            help: "non-linearity of that network",
        },
        OptionSpec {
            name: "flat",
            kind: Kind::Flag,
            default: "false",
            help: "train them directly, without a network",
        },
        USE_GATING,
        OptionSpec {
            name: "shared_gating",
            kind: Kind::Flag,
            default: "true",
            help: "one gate for keys and values",
        },
        LEAVE_OUT,
    ],
    examples: &[
        "prefix_tuning[prefix_length=3,bottleneck_size=6]",
        "prefix_tuning[prefix_length=2,flat=true,leave_out=[0]]",
        "prefix_tuning[prefix_length=2,flat=true,use_gating=true,shared_gating=false]",
    ],
    merge: Merge::Never("keys and values before those of each sequence are no weights"),
    build: |options, builder| {
        let spec = builder.base().spec();
        let (length, width) = (options.count("prefix_length"), spec.hidden);
        let layers = options.layers("leave_out", spec)?;
        builder.set_prefix(&layers, |builder| {
            let source = if options.flag("flat") {
                let mut slot = |layer: usize, role: &str| {
                    let name =
                        names::in_layer(layer, &format!("{}.prefix.{role}", names::ATTENTION_KV));
                    builder.parameter(name, &[length, width], Init::Normal(1.0))
                };
                let mut both = |&l: &usize| Ok([slot(l, "key")?, slot(l, "value")?]);
                Source::Flat(layers.iter().map(&mut both).collect::<Result<_, ModelError>>()?)
            } else {
                let name = "shared.prefix.embedding".to_string();
                let embedding = builder.parameter(name, &[length, width], Init::Normal(1.0))?;
                // As torch.nn.Linear.
                let mut linear = |name: &str, outputs: usize, inputs: usize| {
                    let uniform = || Init::Uniform(1.0 / (inputs as f64).sqrt());
                    builder.linear(name, [outputs, inputs], uniform(), Some(uniform()))
                };
                let hidden = options.count("bottleneck_size");
                Source::Made(Box::new(Network {
                    embedding,
                    inner: linear("shared.prefix.in", hidden, width)?,
                    activation: engine_activation(options.activation("non_linearity")),
                    outer: linear("shared.prefix.out", 2 * width * layers.len(), hidden)?,
                }))
            };
            let outputs = if options.flag("shared_gating") { 1 } else { 2 };
            let gated = layers.iter().filter(|_| options.flag("use_gating"));
            let gate = |&layer: &usize| {
                let name = names::in_layer(layer, &format!("{}.prefix.gate", names::ATTENTION_KV));
                builder.gate(&name, outputs, width)
            };
            let gates = gated.map(gate).collect::<Result<_, ModelError>>()?;
            Ok(Prefix { length, width, layers: layers.clone(), source, gates })
        })
    },
};
