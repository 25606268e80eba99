//! The output of frozen layers kept or computed each time, in memory or in a file, whole or in
//! part: the result is the same to the bit.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_base::tokenizer::Frame;
use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_model::{Adapter, Base};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::{Dataset, Example, Input, Target, Tokenizer};
use budwood_train::{
    Event, Lengths, Place, PrefixCacheSpec, Prepared, TrainConfig, Trainer, prepare,
};

const EPOCHS: usize = 3;

fn base(family: &str, precision: Precision, frozen_dropout: bool) -> Base {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join(family)).unwrap();
    let fetch = |name: &str| Ok::<_, budwood_train::Error>(model.tensor(name)?);
    let mut base = Base::load(model.spec().clone(), Device::cpu(), precision, true, fetch).unwrap();
    base.set_dropout(0.1);
    base.set_frozen_dropout(frozen_dropout);
    base
}

/// Texts of 1 to 12 words of a small vocabulary; the class is that of the first.
fn texts(n: usize, seed: u64) -> Prepared {
    let words: Vec<String> = (0..40).map(|i| format!("w{i}")).collect();
    let dir = tempfile::tempdir().unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let vocabulary: Vec<String> = special.iter().chain(&words).cloned().collect();
    std::fs::write(dir.path().join("vocab.txt"), vocabulary.join("\n")).unwrap();
    let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap();
    let example = |i: usize| {
        let key = Key::new(seed).child(i as u64);
        let chosen: Vec<usize> =
            (0..1 + key.below(0, 12)).map(|w| key.below(1 + w as u64, 40)).collect();
        let text = chosen.iter().map(|&w| words[w].as_str()).collect::<Vec<_>>().join(" ");
        Example { input: Input::Text(text), target: Target::Class(chosen[0] as u32 % 2) }
    };
    let data = Dataset::from_examples((0..n).map(example).collect(), "train", "made up");
    prepare(&tokenizer, &data, &[], Lengths { max: 16, stride: 8 }, 1).unwrap()
}

/// What a run gave: parameters, scores, and the inputs whose states were kept.
type Given = (Vec<f32>, Vec<u64>, (usize, usize));

/// Trains, interrupted after so many steps and begun again.
fn trained(
    base: &Base,
    method: &str,
    cache: Option<PrefixCacheSpec>,
    threads: usize,
    folder: &Path,
    interrupt: Option<usize>,
) -> Given {
    let (train, dev) = (texts(70, 1), texts(30, 2));
    let mut config = TrainConfig::new(method.parse().unwrap(), "accuracy");
    config.epochs = EPOCHS;
    config.batch = BatchSize::Examples(16);
    config.learning_rate = 1e-2;
    let mut workers = Workers::new(Device::cpu(), threads);
    let mut run = |stop: Option<usize>| {
        let head = HeadSpec {
            dropout: 0.1,
            ..HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean)
        };
        let mut adapter = Adapter::new(base, &config.method, head, 3).unwrap();
        let trainer =
            Trainer::new(base, &mut workers, &config, &train, Some(&dev), "test").unwrap();
        let mut trainer = trainer.with_checkpoints(folder, Duration::from_secs(1000));
        if let Some(spec) = cache {
            trainer = trainer.with_prefix_cache(spec);
        }
        let mut kept = (0, 0);
        let mut scores = Vec::new();
        let outcome = trainer.run(&mut adapter, |event| {
            match event {
                Event::Kept { train, dev, .. } => kept = (train, dev),
                Event::Evaluated { scores: s, .. } => {
                    scores.extend(s.iter().map(|s| s.value.to_bits()));
                }
                Event::Step { step, .. } if stop == Some(step) => return ControlFlow::Break(()),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        (adapter.params.values.clone(), scores, kept)
    };
    if let Some(step) = interrupt {
        run(Some(step));
        assert!(folder.join("checkpoint").exists());
    }
    let given = run(None);
    budwood_train::Checkpoint::remove(folder).unwrap();
    given
}

fn spec(place: Place, bytes: u64) -> Option<PrefixCacheSpec> {
    Some(PrefixCacheSpec { place, bytes })
}

#[test]
fn kept_or_computed_the_result_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let all = 100_000_000;
    for (family, precision, method) in [
        ("bert", Precision::F32, "top_k[layers=1]"),
        ("bert", Precision::F32, "linear"),
        ("bert", Precision::Int8, "lora[r=2,leave_out=[0]]"),
        ("distilbert", Precision::F32, "seq_bn[reduction_factor=4,leave_out=[0]]"),
    ] {
        let base = base(family, precision, false);
        let run = |cache, threads, interrupt| {
            trained(&base, method, cache, threads, dir.path(), interrupt)
        };
        let (values, scores, kept) = run(None, 1, None);
        assert_eq!((scores.len() % EPOCHS, kept), (0, (0, 0)));
        let same = |what: &str, given: Given, kept: (usize, usize)| {
            assert_eq!(given.0, values, "{family} {method} {what}");
            assert_eq!(given.2, kept, "{family} {method} {what}");
            assert!(scores.ends_with(&given.1), "{family} {method} {what}: scores");
            assert!(!dir.path().join("prefix-train.f32").exists(), "{what}: the file is removed");
        };
        same("memory", run(spec(Place::Memory, all), 1, None), (70, 30));
        same("memory, 2 threads", run(spec(Place::Memory, all), 2, None), (70, 30));
        same("disk", run(spec(Place::Disk, all), 2, None), (70, 30));
        // A part: some rows of the training set alone.
        let (_, _, part) = run(spec(Place::Memory, 30_000), 1, None);
        assert!(part.0 > 5 && part.0 < 65 && part.1 < 5, "{part:?}");
        same("a part in memory", run(spec(Place::Memory, 30_000), 2, None), part);
        same("a part on disk", run(spec(Place::Disk, 30_000), 2, None), part);
        same("no room", run(spec(Place::Disk, 10), 1, None), (0, 0));
        // Interrupted in the second epoch, the file of the first process still there.
        std::fs::write(dir.path().join("prefix-train.f32"), [7; 999]).unwrap();
        same("begun again", run(spec(Place::Disk, all), 2, Some(7)), (70, 30));
        same("begun again in memory", run(spec(Place::Memory, all), 1, Some(7)), (70, 30));
    }
}

#[test]
fn with_dropout_below_only_evaluations_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (steady, shaken) =
        (base("bert", Precision::F32, false), base("bert", Precision::F32, true));
    let run = |base: &Base, method, cache| trained(base, method, cache, 2, dir.path(), None);
    let memory = spec(Place::Memory, 100_000_000);
    let without = run(&shaken, "top_k[layers=1]", None);
    let kept = run(&shaken, "top_k[layers=1]", memory);
    assert_eq!((kept.2, &kept.0, &kept.1), ((0, 30), &without.0, &without.1));
    assert_ne!(run(&steady, "top_k[layers=1]", None).0, without.0, "dropout below has an effect");
    // Nothing is frozen below adapters that train the norm of the embeddings.
    assert_eq!(run(&steady, "adapter[width=4]", memory).2, (0, 0));
    let all = |base| run(base, "adapter[width=4]", None).0;
    assert_eq!(all(&steady), all(&shaken), "nothing is below the lowest");
}
