//! Prompt tuning (Lester et al. 2021): trained vectors before the embedded input, past its norm and
//! dropout, as `adapters` 1.3 (`PromptTuningConfig`). The first row of a sequence, which `--pooling
//! cls` reads, is then the prompt's, as there.
//!
//! With `as_words` as in the paper and in `peft`: the vectors are words before the text, with
//! positions, token type and norm like them, and the text's own positions follow theirs.

use budwood_base::encoder::{EncoderSpec, InputSpec};

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
        OptionSpec {
            name: "as_words",
            kind: Kind::Switch,
            default: "false",
            help: "they pass through the embeddings as words do, with positions before the text's, as in peft",
        },
    ],
    examples: &[
        "prompt_tuning[prompt_length=3]",
        "prompt_tuning[prompt_length=2,combine=prefix_after_bos]",
        "prompt_tuning[prompt_length=3,as_words=true]",
    ],
    needs_f32: false,
    merge: Merge::Beside(
        "rows among the embedded tokens of each sequence are no weights",
        |options, merging| {
            let rows = merging.take("shared.prompt.embedding")?;
            let (at, as_words) = (place(options, merging.encoder()), options.flag("as_words"));
            if as_words {
                merging.modules.positions_before += rows.shape[0];
            }
            merging.modules.prompt = Some(PromptModule { rows, at, as_words });
            Ok(())
        },
    ),
    build: |options, builder| {
        let spec = builder.base().spec();
        let at = place(options, spec);
        let as_words = options.flag("as_words");
        if as_words && (at > 0 || matches!(spec.input, InputSpec::Image(_))) {
            return Err(options.fault("as_words", "false, but before the first word of texts"));
        }
        let init = Init::Uniform(options.number("random_uniform_scale"));
        builder.set_prompt(options.count("prompt_length"), (at, as_words), init)
    },
};

/// Tokens before them.
fn place(options: &Options<'_>, spec: &EncoderSpec) -> usize {
    if options.word("combine") == "prefix_after_bos" { spec.input.first_tokens() } else { 0 }
}
