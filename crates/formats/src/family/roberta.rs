//! RoBERTa (Liu et al. 2019) and XLM-R: BERT's layout; positions begin after the padding id.

use budwood_base::encoder::EncoderSpec;

use super::bert::{INNER, OUTER, bert_like};
use super::config::Config;
use super::definition::Family;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "roberta",
    model_types: &["roberta", "xlm-roberta", "camembert"],
    spec,
    prefix: "roberta",
    outer: OUTER,
    layer: "encoder.layer.{i}",
    inner: INNER,
    class: "Roberta",
    adapterhub_outputs: ["attention.output.adapters", "output.adapters"],
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let pad = config.id_or("pad_token_id", 1)?;
    bert_like(config, "roberta", pad as usize + 1, 1e-12, pad)
}
