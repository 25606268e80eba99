//! The image encoder of SigLIP (Zhai et al. 2023), which SigLIP 2 of fixed resolution is too:
//! patches without a class token, pooled by attention. The encoder of texts is not read.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, ImageAxes, InputSpec, PoolerForm};
use budwood_base::head::Pooling;
use budwood_base::tokenizer::Frame;

use super::clip::{INNER, sizes, vision};
use super::config::Config;
use super::definition::{ClassifierHead, Family};
use super::vit::image_or;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "siglip",
    model_types: &["siglip", "siglip_vision_model"],
    spec,
    prefix: "vision_model",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embedding"),
        ("embeddings.position", "embeddings.position_embedding.weight"),
        ("final_norm", "post_layernorm"),
        ("pooler.probe", "head.probe"),
        ("pooler.in.weight", "head.attention.in_proj_weight"),
        ("pooler.in.bias", "head.attention.in_proj_bias"),
        ("pooler.out", "head.attention.out_proj"),
        ("pooler.norm", "head.layernorm"),
        ("pooler.ffn_in", "head.mlp.fc1"),
        ("pooler.ffn_out", "head.mlp.fc2"),
    ],
    layer: "encoder.layers.{i}",
    inner: INNER,
    fused: &[],
    parted: &[],
    class: "Siglip",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead { pooling: Pooling::Mean, ..ClassifierHead::OVER_FIRST }),
    masked_lm: None,
    trusts_pooler: Some("the model's own pooling by attention, which was pre-trained"),
    adapterhub: None,
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    vision(config, "siglip", |config| {
        let has_head = config.flag_or("vision_use_head", true)?;
        let image = ImageAxes { without_class_token: true, ..ImageAxes::default() };
        let pooler = if has_head { PoolerForm::Attention } else { PoolerForm::FirstToken };
        Ok(EncoderSpec {
            family: "siglip".into(),
            activation: config.activation_or("hidden_act", Activation::GeluTanh)?,
            norm_eps: config.epsilon_or("layer_norm_eps", 1e-6)?,
            input: InputSpec::Image(image_or(config, 224, 16, image)?),
            pooler: has_head,
            axes: Axes { pooler, ..Axes::default() },
            ..sizes(config)?
        })
    })
}
