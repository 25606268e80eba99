//! Families of encoders: how a checkpoint's `config.json` and tensor names map onto Budwood's
//! encoder. One file a family, registered in [`FAMILIES`].

mod albert;
mod bert;
mod config;
mod deberta_v2;
mod definition;
mod deit;
mod dinov2;
mod distilbert;
mod electra;
mod layout;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod roberta;
mod roberta_prelayernorm;
mod vit;
mod xlm_roberta_xl;

pub use config::Config;
pub use definition::{AdapterHub, ClassifierHead, Family};
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
];

/// The family of a `model_type`.
pub fn find(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|f| f.model_types.contains(&model_type))
}
