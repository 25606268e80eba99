//! Prefix tuning (Li and Liang 2021): trained keys and values before those of each layer's
//! attention, made by a network of one hidden layer from trained vectors, or given directly
//! (`flat`); `adapters` 1.3, `PrefixTuningConfig`. With `counted` the text's positions follow those
//! of the prefix, as in `peft`.

use budwood_base::names;
use budwood_base::tensor::Tensor;
use budwood_engine::{Context, Device, Precision, Product, Weight};

use super::common::{LEAVE_OUT, USE_GATING};
use super::definition::Method;
use super::merging::{Merge, Merging};
use super::options::{Kind, OptionSpec, Options};
use crate::base::engine_activation;
use crate::error::ModelError;
use crate::modules::{Affine, PrefixModule};
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
        OptionSpec {
            name: "counted",
            kind: Kind::Switch,
            default: "false",
            help: "the text's positions begin after those of the prefix, as in peft",
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
        "prefix_tuning[prefix_length=2,flat=true,counted=true]",
    ],
    needs_f32: false,
    merge: Merge::Beside("keys and values before those of each sequence are no weights", stay),
    build: |options, builder| {
        let spec = builder.base().spec();
        let (length, width) = (options.count("prefix_length"), spec.hidden);
        let layers = options.layers("leave_out", spec)?;
        builder.set_prefix(&layers, |builder| {
            let source = if options.flag("flat") {
                let mut slot = |layer: usize, role: &str| {
                    builder.parameter(of_layer(layer, role), &[length, width], Init::Normal(1.0))
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
            let gate = |&layer: &usize| builder.gate(&of_layer(layer, "gate"), outputs, width);
            let gates = gated.map(gate).collect::<Result<_, ModelError>>()?;
            let counted = options.flag("counted");
            Ok(Prefix { length, width, counted, layers: layers.clone(), source, gates })
        })
    },
};

/// The name of what one layer has.
fn of_layer(layer: usize, role: &str) -> String {
    names::in_layer(layer, &format!("{}.prefix.{role}", names::ATTENTION_KV))
}

/// Takes the keys and values of all layers; those that a network makes are made here.
fn stay(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<(), ModelError> {
    let width = merging.encoder().hidden;
    let layers = options.layers("leave_out", merging.encoder())?;
    if options.flag("counted") {
        merging.modules.positions_before += options.count("prefix_length");
    }
    let made = match options.flag("flat") {
        true => None,
        false => Some(made(options, merging)?),
    };
    for (place, &layer) in layers.iter().enumerate() {
        let mut rows = |which: usize, role: &str| match &made {
            None => merging.take(&of_layer(layer, role)),
            Some(all) => {
                let columns = (2 * place + which) * width..(2 * place + which + 1) * width;
                let rows = all.data.chunks_exact(all.shape[1]);
                let data = rows.flat_map(|row| row[columns.clone()].to_vec()).collect();
                Ok(Tensor::new([all.shape[0], width], data))
            }
        };
        let (key, value) = (rows(0, "key")?, rows(1, "value")?);
        let gated = options.flag("use_gating");
        let gate = gated.then(|| merging.affine(&of_layer(layer, "gate"))).transpose()?;
        merging.modules.prefixes.insert(layer, PrefixModule { key, value, gate });
    }
    Ok(())
}

/// What the network makes, `[length, 2 d layers]`.
fn made(options: &Options<'_>, merging: &mut Merging<'_>) -> Result<Tensor, ModelError> {
    let x = merging.take("shared.prefix.embedding")?;
    let products = [merging.affine("shared.prefix.in")?, merging.affine("shared.prefix.out")?];
    let mut cx = Context::new(Device::cpu());
    let mut rows = cx.upload(&x.data, x.shape[1]);
    for (i, Affine { weight, bias }) in products.iter().enumerate() {
        let [outputs, inputs] = [weight.shape[0], weight.shape[1]];
        let weight = Weight::new(cx.device(), &weight.data, outputs, inputs, Precision::F32, false);
        let mut next = cx.take(rows.rows(), outputs);
        let product = Product { weight: &weight, bias: Some(&bias.data), out: next.view_mut() };
        cx.linear(rows.view(), &mut [product]);
        if i == 0 {
            let pre = cx.copy(next.view());
            let activation = engine_activation(options.activation("non_linearity"));
            cx.activation(activation, pre.view(), next.view_mut());
            cx.give(pre);
        }
        cx.give(std::mem::replace(&mut rows, next));
    }
    let data = cx.download(rows.view());
    Ok(Tensor::new([x.shape[0], rows.columns()], data))
}
