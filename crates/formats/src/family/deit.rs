//! DeiT (Touvron et al. 2021): ViT with a distillation token after the class token.

use budwood_base::encoder::EncoderSpec;

use super::config::Config;
use super::definition::Family;
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
    class: "DeiT",
    adapterhub_outputs: ["attention_adapters.adapters", "output.output_adapters.adapters"],
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    vit_like(config, "deit", true)
}
