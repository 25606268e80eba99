//! DINOv2 (Oquab et al. 2023): ViT with layer scale. The mask token of its pre-training is not
//! read.

use budwood_base::encoder::{Activation, Axes, EncoderSpec, InputSpec, NormPlacement};
use budwood_base::head::Pooling;
use budwood_base::tokenizer::Frame;

use super::config::Config;
use super::definition::{AdapterHub, ClassifierHead, Family};
use super::vit::image;
use crate::Error;

pub(super) const FAMILY: Family = Family {
    name: "dinov2",
    model_types: &["dinov2"],
    spec,
    prefix: "dinov2",
    outer: &[
        ("embeddings.patch", "embeddings.patch_embeddings.projection"),
        ("embeddings.cls", "embeddings.cls_token"),
        ("embeddings.position", "embeddings.position_embeddings"),
        ("final_norm", "layernorm"),
    ],
    layer: "encoder.layer.{i}",
    inner: &[
        ("attention_norm", "norm1"),
        ("query", "attention.attention.query"),
        ("key", "attention.attention.key"),
        ("value", "attention.attention.value"),
        ("attention_out", "attention.output.dense"),
        ("attention_scale", "layer_scale1.lambda1"),
        ("ffn_norm", "norm2"),
        ("ffn_in", "mlp.fc1"),
        ("ffn_out", "mlp.fc2"),
        ("ffn_scale", "layer_scale2.lambda1"),
    ],
    // AdapterHub has no DINOv2: these are the names that its ViT would give.
    fused: &[],
    parted: &[],
    class: "Dinov2",
    frame: Frame::BERT,
    classifier: Some(ClassifierHead { pooling: Pooling::ClsMean, ..ClassifierHead::OVER_FIRST }),
    trusts_pooler: None,
    adapterhub: Some(AdapterHub {
        outputs: [Some("attention_adapters.adapters"), Some("output.output_adapters.adapters")],
        prefix: "self_prefix",
        has_models: false,
    }),
};

fn spec(config: &Config<'_>) -> Result<EncoderSpec, Error> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    config.check(hidden, heads)?;
    if config.flag_or("use_swiglu_ffn", false)? {
        let message = "'use_swiglu_ffn' is true, as in DINOv2-giant: its gated feed-forward network does not exist here; \
                       use the small, base or large model";
        return Err(config.fault(message));
    }
    if !config.flag_or("qkv_bias", true)? {
        let message = "'qkv_bias' is false; only queries, keys and values with a bias exist here";
        return Err(config.fault(message));
    }
    let ratio = config.number_or("mlp_ratio", 4.0)?;
    let intermediate = hidden as f64 * ratio;
    if !(1.0..f64::from(1 << 30)).contains(&intermediate) {
        return Err(
            config.fault(format!("field 'mlp_ratio' is {ratio}, which is not a sensible ratio"))
        );
    }
    Ok(EncoderSpec {
        family: "dinov2".into(),
        hidden,
        layers: config.size("num_hidden_layers")?,
        heads,
        intermediate: intermediate as usize,
        activation: config.activation_or("hidden_act", Activation::Gelu)?,
        norm_eps: config.epsilon_or("layer_norm_eps", 1e-6)?,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image(config, false)?),
        pooler: false,
        layer_scale: true,
        hidden_dropout: config.dropout_or("hidden_dropout_prob", 0.0)?,
        attention_dropout: config.dropout_or("attention_probs_dropout_prob", 0.0)?,
        drop_path: 0.0,
        axes: Axes::default(),
    })
}
