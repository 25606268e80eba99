//! Prompt tuning (Lester et al. 2021): trained vectors before the embedded input, past its norm and
//! dropout, as `adapters` 1.3 (`PromptTuningConfig`). The first row of a sequence, which `--pooling
//! cls` reads, is then the prompt's, as there.

use budwood_base::encoder::EncoderSpec;

use super::definition::Method;
use super::merging::Merge;
use super::options::{Kind, OptionSpec, Options};
use crate::modules::PromptModule;
use crate::params::Init;

pub(super) const METHOD: Method = Method {
    name: "prompt_tuning",
    title: "Prompt tuning",
    year: 2021,
    url: "https://arxiv.org/abs/2104.08691",
    aliases: &["prompt"],
    summary: "Trained vectors before the embedded input (Lester et al. 2021).",
    options: &[
        OptionSpec {
            name: "prompt_length",
            kind: Kind::Count,
            default: "10",
            help: "number of vectors",
        },
        OptionSpec {
            name: "random_uniform_scale",
            kind: Kind::Number,
            default: "0.5",
            help: "initial values are uniform in plus and minus this",
        },
        OptionSpec {
            name: "combine",
            kind: Kind::Word(&["prefix", "prefix_after_bos"]),
            default: "prefix",
            // Of images: class token and registers.
            help: "before the first token, or after it",
        },
    ],
    examples: &[
        "prompt_tuning[prompt_length=3]",
        "prompt_tuning[prompt_length=2,combine=prefix_after_bos]",
    ],
    merge: Merge::Beside(
        "rows among the embedded tokens of each sequence are no weights",
        |options, merging| {
            let (rows, at) =
                (merging.take("shared.prompt.embedding")?, place(options, merging.encoder()));
            merging.modules.prompt = Some(PromptModule { rows, at });
            Ok(())
        },
    ),
    build: |options, builder| {
        let at = place(options, builder.base().spec());
        let init = Init::Uniform(options.number("random_uniform_scale"));
        builder.set_prompt(options.count("prompt_length"), at, init)
    },
};

/// Tokens before them.
fn place(options: &Options<'_>, spec: &EncoderSpec) -> usize {
    if options.word("combine") == "prefix_after_bos" { spec.input.first_tokens() } else { 0 }
}
