//! Tuning methods: one file each, registered in [`METHODS`].

mod adapter;
mod adapter_plus;
mod bitfit;
mod bottleneck;
mod common;
mod compacter;
mod definition;
mod double_seq_bn;
mod full;
mod ia3;
mod layer_norm;
mod linear;
mod lora;
pub(crate) mod merging;
mod nearest;
mod options;
mod par_bn;
mod prefix_tuning;
mod prompt_tuning;
mod seq_bn;
mod vera;

use budwood_base::method::{MethodPart, MethodSpec};

pub use definition::{Method, Union};
pub(crate) use lora::gates_stay;
use nearest::nearest;
pub use options::{Kind, OptionSpec};

use crate::builder::Builder;
use crate::error::ModelError;

/// All methods.
pub const METHODS: &[&Method] = &[
    &adapter::METHOD,
    &double_seq_bn::METHOD,
    &seq_bn::METHOD,
    &par_bn::METHOD,
    &par_bn::SCALED,
    &adapter_plus::METHOD,
    &bottleneck::METHOD,
    &compacter::METHOD,
    &compacter::PLUS_PLUS,
    &lora::METHOD,
    &ia3::METHOD,
    &vera::METHOD,
    &prefix_tuning::METHOD,
    &prompt_tuning::METHOD,
    &bitfit::METHOD,
    &layer_norm::METHOD,
    &linear::METHOD,
    &full::TOP_K,
    &full::FULL,
];

/// Unions that have a name of their own; an option of a member is written `MEMBER.OPTION`.
pub const UNIONS: &[Union] = &[
    Union {
        name: "mam",
        title: "Mix-and-match adapter",
        year: 2022,
        url: "https://arxiv.org/abs/2110.04366",
        aliases: &["mam_adapter"],
        summary: "Mix-and-match: prefixes and a parallel bottleneck (He et al. 2022).",
        members: "prefix_tuning[bottleneck_size=800]|par_bn",
        examples: &[
            "mam[prefix_tuning.prefix_length=2,prefix_tuning.bottleneck_size=5,par_bn.reduction_factor=8,par_bn.non_linearity=gelu]",
        ],
    },
    Union {
        name: "unipelt",
        title: "UniPELT",
        year: 2022,
        url: "https://arxiv.org/abs/2110.07577",
        aliases: &[],
        summary: "LoRA, prefixes and a bottleneck, each behind a gate (Mao et al. 2022).",
        members: "lora[r=8,alpha=2,use_gating=true]|prefix_tuning[prefix_length=10,use_gating=true]|seq_bn[use_gating=true]",
        examples: &[
            "unipelt[lora.r=2,prefix_tuning.prefix_length=3,prefix_tuning.bottleneck_size=5,seq_bn.reduction_factor=4,seq_bn.non_linearity=gelu]",
        ],
    },
];

/// The members of a part that is a union's name, with its options handed on; the part itself
/// otherwise.
fn members(part: &MethodPart) -> Result<Vec<MethodPart>, ModelError> {
    let named = |u: &&Union| u.name == part.name || u.aliases.contains(&part.name.as_str());
    let Some(union) = UNIONS.iter().find(named) else { return Ok(vec![part.clone()]) };
    let mut spec: MethodSpec = union.members.parse()?;
    for (option, value) in &part.options {
        let known = || spec.parts.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(", ");
        let unknown = || ModelError::UnknownOption {
            method: union.name.into(),
            option: option.clone(),
            nearest: format!("{}.OPTION", spec.parts[0].name),
            known: format!("those of its members {}, written MEMBER.OPTION", known()),
        };
        let (member, rest) = option.split_once('.').ok_or_else(unknown)?;
        let place = spec.parts.iter().position(|p| p.name == member).ok_or_else(unknown)?;
        spec.parts[place].options.insert(rest.into(), value.clone());
    }
    Ok(spec.parts)
}

/// The method of that name.
///
/// # Errors
/// If there is none; the message names the nearest.
pub fn find(name: &str) -> Result<&'static Method, ModelError> {
    let found = METHODS.iter().find(|m| m.name == name || m.aliases.contains(&name));
    found.copied().ok_or_else(|| ModelError::UnknownMethod {
        name: name.into(),
        nearest: nearest(name, names()),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

/// The names of all methods and unions.
fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|m| m.name).chain(UNIONS.iter().map(|u| u.name))
}

/// The specification with canonical names and all options in force.
///
/// # Errors
/// If a method or an option is unknown, or a value is not of its kind.
pub fn resolve(spec: &MethodSpec) -> Result<MethodSpec, ModelError> {
    let resolve = |part: &MethodPart| {
        let method = find(&part.name)?;
        let options = method.options(part)?.in_force(method.options);
        Ok(MethodPart { name: method.name.into(), options })
    };
    let parts = spec.parts.iter().map(members).collect::<Result<Vec<_>, _>>()?.concat();
    Ok(MethodSpec { parts: parts.iter().map(resolve).collect::<Result<_, ModelError>>()? })
}

/// Whether a method of the specification trains the model's own products, whose weights must then
/// be held in f32.
///
/// # Errors
/// As [`resolve`].
pub fn needs_f32(spec: &MethodSpec) -> Result<bool, ModelError> {
    let parts = resolve(spec)?.parts;
    parts.iter().try_fold(false, |needs, part| Ok(needs || find(&part.name)?.needs_f32))
}

/// Builds all members of a union; returns the specification with all options in force.
pub(crate) fn build(
    spec: &MethodSpec,
    builder: &mut Builder<'_>,
) -> Result<MethodSpec, ModelError> {
    let spec = resolve(spec)?;
    for part in &spec.parts {
        let method = find(&part.name)?;
        builder.begin(method.name);
        (method.build)(&method.options(part)?, builder)?;
    }
    Ok(spec)
}
