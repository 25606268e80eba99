//! A ViT that nothing has trained yet.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use budwood::number;
use budwood_formats::{BaseModel, model_folder, new_model};
use serde_json::json;

use crate::out;

/// The shape of a new ViT.
#[derive(clap::Args, Clone)]
pub(crate) struct NewArgs {
    /// The new folder.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Number of layers.
    #[arg(long, default_value_t = 6, value_parser = number::count::<1, 1000>)]
    pub(crate) layers: usize,
    /// Width of the hidden states; the feed-forward network is four times as wide.
    #[arg(long, default_value_t = 128, value_parser = number::count::<1, 16_384>)]
    pub(crate) hidden: usize,
    /// Attention heads; they divide the width.
    #[arg(long, default_value_t = 4, value_parser = number::count::<1, 1024>)]
    pub(crate) heads: usize,
    /// Height and width of its images in pixels.
    #[arg(long, default_value_t = 28, value_parser = number::count::<1, 4096>)]
    pub(crate) image_size: usize,
    /// Height and width of a patch in pixels; divides the images'.
    #[arg(long, default_value_t = 4, value_parser = number::count::<1, 4096>)]
    pub(crate) patch: usize,
    /// Seed of the initial weights.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Replace the model in that folder; other files in it are kept.
    #[arg(long, alias = "force")]
    pub(crate) overwrite: bool,
}

/// Writes a new ViT.
pub(crate) fn write(args: &NewArgs) -> Result<BaseModel> {
    if args.patch == 0 || !args.image_size.is_multiple_of(args.patch) {
        bail!("--image-size {} is not a multiple of --patch {}", args.image_size, args.patch);
    }
    let config = json!({
        "architectures": ["ViTModel"], "model_type": "vit", "hidden_size": args.hidden,
        "num_hidden_layers": args.layers, "num_attention_heads": args.heads,
        "intermediate_size": 4 * args.hidden, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "image_size": args.image_size, "patch_size": args.patch, "num_channels": 3, "qkv_bias": true,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.02,
    });
    let size = json!({ "height": args.image_size, "width": args.image_size });
    let processor = json!({
        "image_processor_type": "ViTImageProcessor", "do_resize": true, "size": size, "resample": 2,
        "do_rescale": true, "rescale_factor": 1.0 / 255.0, "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    });
    let others = [("preprocessor_config.json", processor)];
    let mut model = None;
    out::new_folder(&args.out, &model_folder::KIND, args.overwrite, &[])?
        .replace(|new| {
            new_model::create(new, &config, &others, args.seed).map(|new| model = Some(new))
        })
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    model.with_context(|| format!("cannot read {}", args.out.display()))
}
