//! An encoder of the shape of ViT-B/16 against `transformers`, with weights that both sides compute
//! from a formula (`tests/golden/make_large.py`). A few seconds in a development build.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use budwood_base::encoder::{
    Activation, Axes, EncoderSpec, ImageAxes, ImageInput, InputSpec, NormPlacement,
};
use budwood_base::tensor::Tensor;
use budwood_engine::{Context, Device, Precision};
use budwood_formats::Weights;
use budwood_formats::family;
use budwood_model::{Base, Batch, ModelError, Segment, hidden_states};

const D: usize = 768;
const F: usize = 3072;

fn spec(image: &ImageInput) -> EncoderSpec {
    EncoderSpec {
        family: "vit".into(),
        hidden: D,
        layers: 12,
        heads: 12,
        intermediate: F,
        activation: Activation::Gelu,
        norm_eps: 1e-6,
        norm: NormPlacement::Pre,
        input: InputSpec::Image(image.clone()),
        pooler: false,
        layer_scale: false,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        drop_path: 0.0,
        axes: Axes::default(),
    }
}

/// Numbers in -1..1 that depend on the name and the place only.
fn numbers(name: &str, n: usize) -> Vec<f32> {
    let fnv = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(16_777_619);
    let seed = name.bytes().fold(2_166_136_261, fnv);
    let number = |i: u32| {
        let mut x = i.wrapping_mul(2_654_435_761).wrapping_add(seed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        (x >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n as u32).map(number).collect()
}

fn tensor(image: &ImageInput, canonical: &str) -> Tensor {
    let end = |s: &str| canonical.ends_with(s);
    let shape = match canonical {
        "embeddings.patch.weight" => vec![D, image.patch_elements()],
        "embeddings.position" => vec![image.positions(), D],
        _ if end("ffn_in.weight") => vec![F, D],
        _ if end("ffn_out.weight") => vec![D, F],
        _ if end("ffn_in.bias") => vec![F],
        _ if end("norm.weight") || end("bias") || end("cls") => vec![D],
        _ => vec![D, D],
    };
    let name = family::find("vit").unwrap().checkpoint_name(canonical).unwrap();
    let mut data = numbers(&name, shape.iter().product());
    let norm = end("norm.weight");
    data.iter_mut().for_each(|u| *u = if norm { *u * 0.2 + 1.0 } else { *u * 0.0625 });
    Tensor::new(shape, data)
}

#[test]
fn hidden_states_of_vit_b16_match_transformers() {
    let (image_size, patch, axes) = (224, 16, ImageAxes::default());
    let image = ImageInput { image_size, patch, channels: 3, distillation: false, axes };
    let device = Device::cpu();
    let fetch = |name: &str| Ok::<_, ModelError>(tensor(&image, name));
    let base = Base::load(spec(&image), device, Precision::F32, false, fetch).unwrap();
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/large");
    let case = Weights::open(&golden.join("vit_b16.safetensors")).unwrap();
    for (height, width) in [(224, 224), (160, 256)] {
        let pixels = numbers(&format!("pixels {height} {width}"), 3 * height * width);
        let batch = Batch::from_images(&image, (height, width), [&pixels[..]]);
        let segment = Segment { adapter: None, sequences: 0..1 };
        let states = hidden_states(&mut Context::new(device), &base, &batch, &[segment]);
        let n = image.tokens(height, width).unwrap();
        assert_eq!(states.len(), n * D);
        let expected = case.tensor(&format!("{height}x{width}")).unwrap().data;
        for (row, expected) in [0, 1, n / 2, n - 1].into_iter().zip(expected.chunks(D)) {
            for (x, y) in states[row * D..][..D].iter().zip(expected) {
                assert!((x - y).abs() < 1e-4, "{height} x {width}, row {row}: {x}, not {y}");
            }
        }
    }
}
