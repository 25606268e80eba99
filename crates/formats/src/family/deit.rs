//! DeiT (Touvron et al. 2021): ViT with a distillation token after the class token.

use budwood_base::encoder::EncoderSpec;
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family};
use super::vit::{INNER, vit_like};
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "deit",
    model_types: &["deit"],
    spec,
    prefix: "deit",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings.projection"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.distillation", "embeddings.distillation_token"),
        ("embeddings.position", "embeddings.position_embeddings"),
        ("final_norm", "layernorm"),
        ("pooler", "pooler.dense"),
    ],
    layer: "encoder.layer.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "DeiT",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead::OVER_FIRST),
    masked_lm: None,
    trusts_pooler: None,
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention_adapters.adapters"), Some("output.output_adapters.adapters")],
        prefix: "self_prefix",
        has_models: false,
    }),
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    vit_like(config, "deit", true)
}
