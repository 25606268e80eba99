//! Comparison with what Pillow and the image processors of transformers make of the same files
//! (`tests/images/make.py`).

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use budwood_images::{Augment, Error, Filter, Processor, Rgb, check, decode, resize};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/images")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&file("cases.json")).unwrap();
    let cases = all[kind].as_array().unwrap().clone();
    assert!(!cases.is_empty());
    cases
}

fn ppm(name: &str) -> Rgb {
    let bytes = file(name);
    let end = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(2).unwrap().0;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let numbers: Vec<usize> = head.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    Rgb { width: numbers[0], height: numbers[1], pixels: bytes[end + 1..].to_vec() }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

/// The largest difference in grey levels; the sizes must be the same.
fn difference(a: &Rgb, b: &Rgb, what: &Value) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height), "{what}");
    a.pixels.iter().zip(&b.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn files_decode_as_in_pillow() {
    for case in cases("decoded") {
        let image = decode(&file(text(&case, "file"))).unwrap();
        let difference = difference(&image, &ppm(text(&case, "expected")), &case);
        assert!(u64::from(difference) <= case["tolerance"].as_u64().unwrap(), "{case}");
    }
}

#[test]
fn resizing_is_that_of_pillow() {
    for case in cases("resized") {
        let image = decode(&file(text(&case, "file"))).unwrap();
        let filter: Filter = serde_json::from_value(case["filter"].clone()).unwrap();
        let side = |name: &str| case[name].as_u64().unwrap() as usize;
        let out = resize(&image, side("width"), side("height"), filter);
        let difference = difference(&out, &ppm(text(&case, "expected")), &case);
        assert_eq!(difference, 0, "{case}");
    }
}

/// Pillow 13.0.0 goes through the columns first where an image loses more than twice as much height
/// as width; the other order differs by a grey level.
#[test]
fn tall_images_are_resized_in_the_order_of_pillow() {
    let tall = [
        93, 138, 143, 134, 154, 145, 108, 155, 204, 127, 114, 90, 109, 110, 101, 102, 117, 169,
        149, 122, 117, 135, 125, 131, 132, 107, 185, 169, 132, 113, 122, 101, 126, 114, 111, 109,
    ];
    let twice = [
        72, 137, 165, 122, 165, 165, 87, 180, 222, 118, 126, 115, 145, 128, 120, 131, 133, 182,
        137, 120, 86, 99, 120, 96, 87, 101, 164, 113, 113, 92, 107, 98, 108, 116, 143, 182, 167,
        137, 123, 170, 148, 144, 160, 96, 223,
    ];
    for (height, to, expected) in [(12, (3, 4), &tall[..]), (9, (3, 5), &twice[..])] {
        let pixels = (0..3 * height * 5).map(|i| ((i * i * 37 + i * 11) % 256) as u8).collect();
        let image = Rgb { width: 5, height, pixels };
        assert_eq!(resize(&image, to.0, to.1, Filter::Bilinear).pixels, expected);
    }
}

#[test]
fn images_are_prepared_as_in_transformers() {
    for case in cases("prepared") {
        let processor = Processor::from_config(&case["config"]).unwrap();
        let image = processor.prepare(&decode(&file(text(&case, "file"))).unwrap());
        let shape = [3, image.height, image.width].map(Value::from).to_vec();
        assert_eq!(case["shape"], Value::from(shape), "{case}");
        assert_eq!(processor.output().unwrap(), (image.height, image.width));
        let mut pixels = vec![0.0; 3 * image.height * image.width];
        processor.normalize(&image, &mut pixels);
        let bytes = file(text(&case, "expected"));
        let expected = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        for (a, b) in pixels.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{a} {b} {case}");
        }
    }
}

/// Within one grey level before normalising: the fast processors resize with other roundings.
#[test]
fn processors_of_later_families_prepare_as_in_transformers() {
    let all: Value = serde_json::from_slice(&file("processors.json")).unwrap();
    let cases = all["cases"].as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let processor = Processor::from_config(&case["config"]).unwrap();
        let image = processor.prepare(&decode(&file(text(case, "file"))).unwrap());
        let shape = [3, image.height, image.width].map(Value::from).to_vec();
        assert_eq!(case["shape"], Value::from(shape), "{case}");
        let n = image.height * image.width;
        let mut pixels = vec![0.0; 3 * n];
        processor.normalize(&image, &mut pixels);
        let bytes = file(text(case, "expected"));
        let expected = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        for (i, (x, expected)) in pixels.iter().zip(expected).enumerate() {
            let of = |name: &str| case[name][i / n].as_f64().unwrap();
            let level = (f64::from(*x) * of("std") + of("mean")) * 255.0;
            assert!((level - f64::from(expected)).abs() < 1.01, "{level} {expected} {case}");
        }
        // What an adapter's description keeps prepares the same.
        let kept = serde_json::to_value(&processor).unwrap();
        assert_eq!(Processor::recorded(&kept).unwrap(), processor);
    }
}

#[test]
fn settings_that_change_pixels_and_are_not_followed_are_refused() {
    for (name, value) in [
        ("do_pad", Value::from(true)),
        ("do_flip_channel_order", true.into()),
        ("crop_pct", 0.875.into()),
        ("use_square_size", true.into()),
        ("max_num_patches", 256.into()),
    ] {
        for kind in ["CLIPImageProcessor", "SiglipImageProcessorFast", "ViTImageProcessor"] {
            let mut config = serde_json::json!({ "image_processor_type": kind });
            config[name] = value.clone();
            let error = Processor::from_config(&config).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
            config[name] = Value::Bool(false);
            Processor::from_config(&config).unwrap();
        }
    }
    let of = |kind: &str, resample: u64| {
        let config = serde_json::json!({ "image_processor_type": kind, "resample": resample });
        Processor::from_config(&config)
    };
    assert!(of("DINOv3ViTImageProcessorFast", 3).unwrap_err().to_string().contains("resample"));
    assert!(of("DINOv3ViTImageProcessorFast", 2).is_ok());
    assert!(of("SiglipImageProcessor", 9).unwrap_err().to_string().contains("resample"));
    let naflex = of("Siglip2ImageProcessor", 2).unwrap_err().to_string();
    assert!(naflex.contains("Siglip2ImageProcessor"), "{naflex}");
}

/// A configuration of any size would be held in memory as a whole; a device is read without end.
#[cfg(unix)]
#[test]
fn configurations_have_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("preprocessor_config.json");
    std::fs::File::create(&path).unwrap().set_len((1 << 20) + 1).unwrap();
    let fault = || Processor::open(dir.path(), 8).unwrap_err().to_string();
    assert!(fault().contains("has 1048577 bytes"), "{}", fault());
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert!(fault().contains("not a plain file"), "{}", fault());
}

#[test]
fn configurations_that_cannot_be_followed_are_refused() {
    let fault = |text: &str| {
        let config = serde_json::from_str(text).unwrap();
        Processor::from_config(&config).map(|_| ()).unwrap_err().to_string()
    };
    assert!(fault(r#"{"size": 0}"#).contains("size"));
    assert!(fault(r#"{"size": "large"}"#).contains("size"));
    assert!(fault(r#"{"size": {"longest_edge": 5}}"#).contains("shortest_edge"));
    assert!(fault(r#"{"resample": 9}"#).contains("resample 9"));
    assert!(fault(r#"{"image_mean": [1, 2]}"#).contains("image_mean"));
    assert!(fault(r#"{"image_std": [1, 0, 1]}"#).contains("image_std"));
    assert!(fault(r#"{"rescale_factor": -1}"#).contains("rescale_factor"));
    assert!(fault(r#"{"do_resize": 1}"#).contains("do_resize"));
    assert!(fault(r#"{"image_processor_type": "FlavaImageProcessor"}"#).contains("Flava"));
    assert!(fault("[]").contains("object"));
    let open = serde_json::from_str(r#"{"size": {"shortest_edge": 8}}"#).unwrap();
    let message = Processor::from_config(&open).unwrap().output().unwrap_err().to_string();
    assert!(message.contains("--image-size"), "{message}");
}

#[test]
fn another_size_keeps_the_share_that_is_cut_off() {
    let of = |text: &str| Processor::from_config(&serde_json::from_str(text).unwrap()).unwrap();
    let vit = of(r#"{"size": 224}"#).with_side(384);
    assert_eq!((vit.output().unwrap(), vit.crop), ((384, 384), None));
    let dino =
        of(r#"{"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}}"#);
    let dino = dino.with_side(448);
    assert_eq!(dino.output().unwrap(), (448, 448));
    assert_eq!(serde_json::to_string(&dino.resize).unwrap(), r#"{"shortest_edge":512}"#);
}

#[test]
fn damaged_files_are_refused() {
    for name in
        ["rgb.png", "420.jpg", "progressive.jpg", "rgb-lossless.webp", "lossy.webp", "rgb.bmp"]
    {
        let bytes = file(name);
        for share in [4, 3, 2] {
            let cut = &bytes[..bytes.len() / share * (share - 1)];
            let fault = decode(cut).unwrap_err();
            assert!(matches!(fault, Error::Truncated | Error::Decode(_)), "{name}: {fault}");
        }
        for length in 0..bytes.len().min(200) {
            assert!(decode(&bytes[..length]).is_err(), "{name} cut at {length}");
        }
    }
    assert!(matches!(decode(b""), Err(Error::Empty)));
    assert!(matches!(decode(b"text of some kind"), Err(Error::Unknown)));
    assert!(matches!(decode(b"GIF89a\x01\0\x01\0\0\0\0;"), Err(Error::Unknown)));
}

/// Phones put a film behind a photograph, and cameras a second image. Its bytes may look like those
/// that begin an image's data or end it.
#[test]
fn what_follows_a_jpeg_does_not_matter() {
    for name in ["420.jpg", "progressive.jpg"] {
        let bytes = file(name);
        let whole = decode(&bytes).unwrap();
        let cut = &bytes[..bytes.len() - 2];
        for film in [&[0xff, 0xda, 0, 0][..], &[0xff, 0xd9, 0xff, 0xda], &bytes] {
            assert!(decode(&[&bytes, film].concat()).unwrap() == whole, "{name}, {film:?}");
        }
        // A thumbnail in the header has an end, which is not that of the image.
        let thumbnail = [&[0xff, 0xd8, 0xff, 0xe1, 0, 6], &[0xff, 0xd9, 0xff, 0xd9][..], &cut[2..]];
        assert!(matches!(decode(&thumbnail.concat()), Err(Error::Truncated)), "{name}");
    }
}

/// Headers that promise a hundred thousand pixels a side, with nothing behind them: refused without
/// decoding.
#[test]
fn bombs_are_refused_by_their_header() {
    let mut png = file("rgb.png");
    png[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    // The header's checksum must be right, or that would be the fault.
    let sum = crc(&png[12..29]);
    png[29..33].copy_from_slice(&sum.to_be_bytes());
    let fault = check(&png).unwrap_err();
    assert!(matches!(fault, Error::TooManyPixels(100_000, 100_000)), "{fault}");
    let mut bmp = file("rgb.bmp");
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    assert!(matches!(decode(&bmp).unwrap_err(), Error::TooManyPixels(60_000, 60_000)));
    let mut jpeg = file("444.jpg");
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0, 0xff, 0]);
    assert!(matches!(decode(&jpeg).unwrap_err(), Error::TooManyPixels(..)));
    for sides in [[0, 0, 0, 0, 0, 0, 0, 9], [0, 0, 0, 9, 0, 0, 0, 0]] {
        let mut png = file("rgb.png");
        png[16..24].copy_from_slice(&sides);
        let sum = crc(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        assert!(decode(&png).is_err());
    }
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    })
}

#[test]
fn augmentation_depends_on_the_key_alone() {
    let key = budwood_base::random::Key::new(5);
    let image = decode(&file("420.jpg")).unwrap();
    let processor = Processor::from_config(&serde_json::json!({ "size": 16 })).unwrap();
    let augment = Augment { flip: true, crop: true };
    let one = |key| {
        let mut image = augment.prepare(&image, &processor, key);
        augment.finish(&mut image, key);
        image
    };
    assert_eq!(one(key), one(key));
    let different = (0..20).filter(|&i| one(key.child(i)) != one(key)).count();
    assert_eq!(different, 20);
    assert_eq!((one(key).width, one(key).height), (16, 16));
    let mut flipped = image.clone();
    flipped.flip();
    let (w, y) = (image.width, 7);
    for x in 0..w {
        let (a, b) = (3 * (y * w + x), 3 * (y * w + w - 1 - x));
        assert_eq!(image.pixels[a..a + 3], flipped.pixels[b..b + 3]);
    }
    flipped.flip();
    assert_eq!(image, flipped);
}
