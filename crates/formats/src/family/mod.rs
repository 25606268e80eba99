//! Families of encoders: how a checkpoint's `config.json` and tensor names map onto Budwood's
//! encoder. One file a family, registered in [`FAMILIES`].

mod albert;
mod bert;
mod clip;
mod config;
mod deberta_v2;
mod definition;
mod deit;
mod dinov2;
mod dinov3_vit;
mod distilbert;
mod electra;
mod layout;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod roberta;
mod roberta_prelayernorm;
mod siglip;
mod vit;
mod xlm_roberta_xl;

use std::path::Path;

use budwood_base::encoder::EncoderSpec;
use serde_json::Value;

use crate::error::Error;
use crate::text_file::read_json;

pub use config::Config;
pub use definition::{AdapterHub, ClassifierHead, Family, MaskedLmHead};
pub use layout::{Piece, Stored};

/// All families.
pub const FAMILIES: &[&Family] = &[
    &bert::FAMILY,
    &roberta::FAMILY,
    &distilbert::FAMILY,
    &electra::FAMILY,
    &albert::FAMILY,
    &roberta_prelayernorm::FAMILY,
    &xlm_roberta_xl::FAMILY,
    &modernbert::FAMILY,
    &nomic_bert::FAMILY,
    &mpnet::FAMILY,
    &deberta_v2::FAMILY,
    &vit::FAMILY,
    &deit::FAMILY,
    &dinov2::FAMILY,
    &dinov2::GATED,
    &dinov2::WITH_REGISTERS,
    &dinov2::WITH_REGISTERS_GATED,
    &dinov3_vit::FAMILY,
    &dinov3_vit::GATED,
    &clip::FAMILY,
    &siglip::FAMILY,
];

/// Families whose modules have other names where a flag of the configuration is set: that of the
/// plain names, the flag, that of the others.
const BY_FLAG: &[(&str, &str, &Family)] = &[
    (dinov2::FAMILY.name, "use_swiglu_ffn", &dinov2::GATED),
    (dinov2::WITH_REGISTERS.name, "use_swiglu_ffn", &dinov2::WITH_REGISTERS_GATED),
    (dinov3_vit::FAMILY.name, "use_gated_mlp", &dinov3_vit::GATED),
];

/// Model types that are refused, with the reason and what to use.
const REFUSED: &[(&str, &str)] = &[
    ("beit", BEIT),
    ("data2vec-vision", BEIT),
    ("siglip2", NAFLEX),
    ("siglip2_vision_model", NAFLEX),
    (
        "siglip_text_model",
        "only the encoder of images of SigLIP exists here: siglip, siglip_vision_model",
    ),
    ("clip_text_model", "only the encoder of images of CLIP exists here: clip, clip_vision_model"),
];

/// Biases here are of distances along a text. Those of two dimensions, with entries for the class
/// token, would need attention of another form for these models alone.
const BEIT: &str = "its attention adds a bias for each pair of patches in two dimensions, which \
                    does not exist here; ViT, DeiT, DINOv2 and SigLIP are read";

const NAFLEX: &str = "SigLIP 2 with patches of any number (naflex) does not exist here; those of \
                      fixed resolution, as google/siglip2-base-patch16-224, are of type siglip";

/// The family of a model's configuration.
///
/// # Errors
/// If its `model_type` is missing or not known.
pub fn of(config: &Config<'_>) -> Result<&'static Family, Error> {
    let model_type = config.json.get("model_type").and_then(Value::as_str);
    let model_type = model_type.ok_or_else(|| config.fault("lacks the field 'model_type'"))?;
    let Some(family) = find(model_type) else {
        let refused = REFUSED.iter().find(|(name, _)| *name == model_type);
        let known: Vec<_> = FAMILIES.iter().flat_map(|f| f.model_types).copied().collect();
        let known = known.join(", ");
        return Err(config.fault(match refused {
            Some((_, why)) => format!("model_type is '{model_type}': {why}"),
            None => format!("model_type is '{model_type}', which is not known; known are {known}"),
        }));
    };
    for (_, flag, other) in BY_FLAG.iter().filter(|(plain, ..)| *plain == family.name) {
        if config.flag_or(flag, false)? {
            return Ok(other);
        }
    }
    Ok(family)
}

/// The encoder that a `config.json` describes.
///
/// # Errors
/// If the file cannot be read, or its family or one of its values is not known.
pub fn spec_of(file: &Path) -> Result<EncoderSpec, Error> {
    let json = read_json(file)?;
    let config = Config { path: file, json: &json };
    (of(&config)?.spec)(&config)
}

/// The family of a `model_type`, with the plain names of modules where some have others.
pub fn find(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|f| f.model_types.contains(&model_type))
}
