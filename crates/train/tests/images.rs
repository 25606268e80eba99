//! Training on images: decoded beside it, kept or not, changed at random or not, the result is the
//! same to the bit.
#![allow(clippy::unwrap_used)]

#[path = "common/files.rs"]
mod files;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use budwood_base::encoder::{ImageInput, InputSpec};
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_images::{Augment, Processor};
use budwood_model::{Adapter, Base};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::{Dataset, Example, Image, ImageContent, Input, Target};
use budwood_train::{
    Event, Images, Place, PrefixCacheSpec, TrainConfig, Trainer, answers, prepare_images, scores,
};

fn base() -> (Base, ImageInput) {
    base_of("vit")
}

fn base_of(family: &str) -> (Base, ImageInput) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join(family)).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let spec = model.spec().clone();
    let InputSpec::Image(image) = &spec.input else { panic!("a ViT reads images") };
    let image = image.clone();
    (Base::load(spec, Device::cpu(), Precision::F32, true, fetch).unwrap(), image)
}

/// Bright images with stripes from the left to the right, or from the top to the bottom.
fn striped(n: usize) -> Dataset {
    let key = Key::new(9);
    let example = |i: usize| {
        let (width, height) = (24 + i % 13, 20 + i % 17);
        let class = (i % 2) as u32;
        let level = |place: usize| {
            let (x, y) = (place % width, place / width);
            let stripe = if class == 0 { x } else { y } / 3 % 2;
            (stripe * 150) as u8 + (key.child(i as u64).bits(place as u64) % 90) as u8
        };
        let pixels: Arc<[u8]> = (0..width * height).map(level).collect();
        let content = ImageContent::Grey { width, height, pixels };
        let image = Image::open(format!("image {i}"), content).unwrap();
        Example { input: Input::Image(image), target: Target::Class(class) }
    };
    Dataset::from_examples((0..n).map(example).collect(), "train", "stripes")
}

fn processor(spec: &ImageInput) -> Processor {
    Processor::from_config(&serde_json::json!({ "size": spec.image_size })).unwrap()
}

/// The adapter's parameters after training, and its accuracy; interrupted after so many steps and
/// begun again.
fn trained(
    threads: usize,
    cache: usize,
    augment: Augment,
    interrupt: Option<(&Path, usize)>,
) -> (Vec<f32>, f64) {
    let (base, spec) = base();
    let data = striped(60);
    let images = |augment| Images::new(&data, processor(&spec), augment, &spec, cache).unwrap();
    let prepared = prepare_images(images(augment), &data);
    let plain = prepare_images(images(Augment::default()), &data);
    let head =
        HeadSpec { dropout: 0.1, ..HeadSpec::linear(HeadKind::Classification, 2, Pooling::Cls) };
    let mut config = TrainConfig::new("adapter[width=8]".parse().unwrap(), "accuracy");
    config.epochs = 4;
    config.batch = BatchSize::Examples(8);
    config.learning_rate = 1e-2;
    let mut workers = Workers::new(Device::cpu(), threads);
    let mut adapter = Adapter::new(&base, &config.method, head, 0).unwrap();
    let mut left = interrupt.map(|(_, steps)| steps);
    loop {
        let trainer =
            Trainer::new(&base, &mut workers, &config, &prepared, Some(&plain), "a test").unwrap();
        let trainer = match interrupt {
            Some((folder, _)) => trainer.with_checkpoints(folder, Duration::from_secs(60)),
            None => trainer,
        };
        let outcome = trainer.run(&mut adapter, |event| match event {
            Event::Step { .. } if left == Some(1) => {
                left = None;
                ControlFlow::Break(())
            }
            Event::Step { .. } => {
                left = left.map(|n| n - 1);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        });
        if !outcome.unwrap().interrupted {
            break;
        }
    }
    let answers = answers(&mut workers, &base, &adapter, &plain).unwrap();
    let scores = scores(&answers, &plain);
    let accuracy = scores.iter().find(|s| s.name == "accuracy").unwrap().value;
    (adapter.params.values.clone(), accuracy)
}

#[test]
fn threads_and_cache_do_not_change_the_result() {
    for augment in [Augment::default(), Augment { flip: true, crop: true }] {
        let (expected, accuracy) = trained(1, 0, augment, None);
        if augment == Augment::default() {
            assert!(accuracy > 0.8, "stripes can be told apart: {accuracy}");
        }
        // Room for nothing, for a part, and for all.
        for (threads, cache) in [(2, 0), (3, 20_000), (2, 1 << 30)] {
            assert!(trained(threads, cache, augment, None).0 == expected, "{threads} {cache}");
        }
    }
    let changed = trained(1, 0, Augment { flip: true, crop: false }, None).0;
    assert!(changed != trained(1, 0, Augment::default(), None).0);
}

#[test]
fn a_run_that_was_interrupted_sees_the_same_images() {
    let augment = Augment { flip: true, crop: true };
    let dir = tempfile::tempdir().unwrap();
    let expected = trained(2, 1 << 30, augment, None).0;
    assert!(trained(2, 1 << 30, augment, Some((dir.path(), 11))).0 == expected);
}

#[test]
fn an_image_that_vanishes_ends_the_run_with_its_name() {
    let (base, spec) = base();
    let dir = tempfile::tempdir().unwrap();
    let data = files::twelve(dir.path());
    let images = Images::new(&data, processor(&spec), Augment::default(), &spec, 0).unwrap();
    let prepared = prepare_images(images, &data);
    let run = |method: &str| {
        let config = TrainConfig::new(method.parse().unwrap(), "accuracy");
        let head = HeadSpec {
            dropout: 0.1,
            ..HeadSpec::linear(HeadKind::Classification, 2, Pooling::Cls)
        };
        let mut adapter = Adapter::new(&base, &config.method, head, 0).unwrap();
        let mut workers = Workers::new(Device::cpu(), 2);
        let trainer = Trainer::new(&base, &mut workers, &config, &prepared, None, "x").unwrap();
        trainer.run(&mut adapter, |_| ControlFlow::Continue(())).map(|_| ())
    };
    run("linear").unwrap();
    std::fs::copy(files::photograph("444.jpg"), dir.path().join("7.jpg")).unwrap();
    let fault = run("linear").unwrap_err().to_string();
    assert!(fault.contains("7.jpg") && fault.contains("changed"), "{fault}");
    std::fs::remove_file(dir.path().join("7.jpg")).unwrap();
    let fault = run("linear").unwrap_err().to_string();
    assert!(fault.contains("7.jpg"), "{fault}");
}

#[test]
fn data_that_do_not_fit_the_model_are_refused() {
    let (_, spec) = base();
    let fault = |data: &Dataset, size: usize| {
        let processor = processor(&spec).with_side(size);
        Images::new(data, processor, Augment::default(), &spec, 0).unwrap_err().to_string()
    };
    let data = striped(2);
    assert!(fault(&data, spec.patch + 1).contains("multiples"), "{}", fault(&data, spec.patch + 1));
    let text = Example { input: Input::Text("a".into()), target: Target::None };
    let texts = Dataset::from_examples(vec![text], "train", "texts");
    assert!(fault(&texts, spec.patch).contains("texts"));
}

/// Hidden states that are kept know the rows and columns of their patches: images are oblong here.
#[test]
fn kept_hidden_states_give_the_same_in_every_family_of_images() {
    for family in ["vit", "clip", "siglip", "dinov2_with_registers", "dinov3_vit"] {
        let (base, spec) = base_of(family);
        let size = serde_json::json!({ "height": 2 * spec.patch, "width": 5 * spec.patch });
        let processor = Processor::from_config(&serde_json::json!({ "size": size })).unwrap();
        let data = striped(24);
        let images = Images::new(&data, processor, Augment::default(), &spec, 0).unwrap();
        let prepared = prepare_images(images, &data);
        let head = HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean);
        let mut config = TrainConfig::new("top_k[layers=1]".parse().unwrap(), "accuracy");
        config.epochs = 2;
        config.batch = BatchSize::Examples(8);
        let run = |cache: Option<PrefixCacheSpec>| {
            let mut workers = Workers::new(Device::cpu(), 2);
            let mut adapter = Adapter::new(&base, &config.method, head.clone(), 0).unwrap();
            let trainer =
                Trainer::new(&base, &mut workers, &config, &prepared, None, "test").unwrap();
            let trainer = match cache {
                Some(cache) => trainer.with_prefix_cache(cache),
                None => trainer,
            };
            let mut kept = 0;
            let outcome = trainer.run(&mut adapter, |event| {
                if let Event::Kept { train, .. } = event {
                    kept = train;
                }
                ControlFlow::Continue(())
            });
            outcome.unwrap();
            (adapter.params.values.clone(), kept)
        };
        let cache = PrefixCacheSpec { place: Place::Memory, bytes: 1 << 24 };
        let ((without, none), (with, all)) = (run(None), run(Some(cache)));
        assert_eq!((none, all), (0, 24), "{family}");
        assert_eq!(with, without, "{family}");
    }
}
