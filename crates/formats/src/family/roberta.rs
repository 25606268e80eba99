//! RoBERTa (Liu et al. 2019) and XLM-R: BERT's layout; positions begin after the padding id.

use budwood_base::encoder::{Activation, EncoderSpec};

use super::bert::{INNER, OUTER, bert_like};
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family, MaskedLmHead};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "roberta",
    model_types: &["roberta", "xlm-roberta", "camembert"],
    spec,
    prefix: "roberta",
    outer: OUTER,
    layer: "encoder.layer.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "Roberta",
    frame: Frame::ROBERTA,
    classifier: Some(ClassifierHead::of_two(Activation::Tanh)),
    masked_lm: Some(MaskedLmHead::ROBERTA),
    trusts_pooler: None,
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention.output.adapters"), Some("output.adapters")],
        prefix: "self_prefix",
        has_models: true,
    }),
};

pub(super) fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let pad = config.id_or("pad_token_id", 1)?;
    bert_like(config, "roberta", pad as usize + 1, 1e-12, pad)
}
