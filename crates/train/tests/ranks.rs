//! Training over several ranks gives what one process gives, to the bit. The ranks are threads
//! here; `tests/cluster/mpi.py` runs the same over MPI.
#![allow(clippy::unwrap_used)]

#[path = "common/files.rs"]
mod files;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use budwood_base::encoder::InputSpec;
use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::masking::Masking;
use budwood_base::random::Key;
use budwood_base::tokenizer::Frame;
use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_images::{Augment, Processor};
use budwood_model::{Adapter, Base};
use budwood_ranks::Ranks;
use budwood_tasks::batch::BatchSize;
use budwood_tasks::{Dataset, Example, Image, ImageContent, Input, Target, Tokenizer};
use budwood_train::recipe::{Chosen, Recipe, plan};
use budwood_train::{
    Error, Event, Images, Lengths, Place, PrefixCacheSpec, Prepared, TrainConfig, Trainer, prepare,
    prepare_images, prepare_masked,
};

fn base(golden: &str) -> Base {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let model = BaseModel::open(&root.join(golden)).unwrap();
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let spec = model.spec().clone();
    let mut base = Base::load(spec, Device::cpu(), Precision::F32, true, fetch).unwrap();
    base.set_dropout(0.1);
    base
}

fn tokenizer() -> Arc<Tokenizer> {
    let dir = tempfile::tempdir().unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let words: Vec<String> = special.into_iter().chain((0..30).map(|i| format!("w{i}"))).collect();
    std::fs::write(dir.path().join("vocab.txt"), words.join("\n")).unwrap();
    Arc::new(Tokenizer::open(dir.path(), Frame::BERT).unwrap())
}

/// Texts of 3 to 14 words; the class says whether most are of the first half.
fn texts(n: usize, seed: u64) -> Dataset {
    let example = |i: usize| {
        let key = Key::new(seed).child(i as u64);
        let words: Vec<usize> =
            (0..3 + key.below(0, 12)).map(|w| key.below(1 + w as u64, 30)).collect();
        let class = 2 * words.iter().filter(|w| **w < 15).count() > words.len();
        let text: Vec<String> = words.iter().map(|w| format!("w{w}")).collect();
        Example { input: Input::Text(text.join(" ")), target: Target::Class(u32::from(class)) }
    };
    Dataset::from_examples((0..n).map(example).collect(), "train", "made up")
}

fn encoded(n: usize, seed: u64) -> Prepared {
    let lengths = Lengths { max: 16, stride: 8 };
    prepare(&tokenizer(), &texts(n, seed), &[], lengths, 1).unwrap()
}

/// Images whose class is their brightness.
fn images(augment: Augment) -> Prepared {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base/vit");
    let model = BaseModel::open(&base).unwrap();
    let InputSpec::Image(spec) = model.spec().input.clone() else { panic!("a ViT reads images") };
    let example = |i: usize| {
        let level = |place: usize| (i % 2 * 120) as u8 + (place * i % 90) as u8;
        let pixels: Arc<[u8]> = (0..24 * 20).map(level).collect();
        let content = ImageContent::Grey { width: 24, height: 20, pixels };
        let image = Image::open(format!("image {i}"), content).unwrap();
        Example { input: Input::Image(image), target: Target::Class(i as u32 % 2) }
    };
    let data = Dataset::from_examples((0..40).map(example).collect(), "train", "grey");
    let size = serde_json::json!({ "size": spec.image_size });
    let processor = Processor::from_config(&size).unwrap();
    prepare_images(Images::new(&data, processor, augment, &spec, 0).unwrap(), &data)
}

/// What each of so many ranks gives, by rank.
fn on_ranks<R: Send>(size: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let rank = |ranks| scope.spawn(move || work(ranks));
        let all: Vec<_> = Ranks::simulated(size).into_iter().map(rank).collect();
        all.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// A run of the training loop.
#[derive(Clone)]
struct Given<'a> {
    base: &'a Base,
    train: &'a Prepared,
    dev: Option<&'a Prepared>,
    method: &'a str,
    metric: &'a str,
    head: HeadSpec,
    batch: BatchSize,
    /// Where checkpoints are.
    folder: Option<&'a Path>,
    cache: bool,
    /// A rank and its step at which it asks to stop.
    stop: Option<(usize, usize)>,
}

/// What a run gave: bits of the parameters, of losses and of scores, and whether it was stopped.
type Made = (Vec<u32>, Vec<u64>, bool);

impl<'a> Given<'a> {
    fn new(base: &'a Base, train: &'a Prepared, method: &'a str) -> Self {
        let linear = HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean);
        Self {
            base,
            train,
            dev: None,
            method,
            metric: "accuracy",
            head: HeadSpec { dropout: 0.1, ..linear },
            batch: BatchSize::Examples(120),
            folder: None,
            cache: false,
            stop: None,
        }
    }

    fn on(&self, ranks: Ranks, threads: usize) -> Result<Made, Error> {
        let mut config = TrainConfig::new(self.method.parse().unwrap(), self.metric);
        (config.epochs, config.batch, config.learning_rate) = (3, self.batch, 1e-2);
        let mut adapter = Adapter::new(self.base, &config.method, self.head.clone(), 3)?;
        let rank = ranks.rank();
        let mut workers = Workers::new(Device::cpu(), threads).over(ranks);
        let mut trainer =
            Trainer::new(self.base, &mut workers, &config, self.train, self.dev, "test")?;
        if let Some(folder) = self.folder.filter(|_| rank == 0) {
            trainer = trainer.with_checkpoints(folder, Duration::from_secs(1000));
        }
        if self.cache {
            let spec = PrefixCacheSpec { place: Place::Memory, bytes: 20_000 };
            trainer = trainer.with_prefix_cache(spec);
        }
        let mut told = Vec::new();
        let outcome = trainer.run(&mut adapter, |event| {
            match event {
                Event::Evaluated { scores, .. } => {
                    told.extend(scores.iter().map(|s| s.value.to_bits()));
                }
                Event::Step { step, loss, .. } => {
                    told.push(loss.to_bits());
                    if self.stop == Some((rank, step)) {
                        return ControlFlow::Break(());
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        let values = adapter.params.values.iter().map(|x| x.to_bits()).collect();
        Ok((values, told, outcome.interrupted))
    }

    /// One process gives the same as any number of ranks and threads.
    #[track_caller]
    fn same_everywhere(&self) {
        let alone = self.on(Ranks::default(), 1).unwrap();
        for (size, threads) in [(2, 1), (3, 2), (5, 1)] {
            for made in on_ranks(size, |ranks| self.on(ranks, threads).unwrap()) {
                assert!(made == alone, "{size} ranks of {threads} threads differ");
            }
        }
    }
}

#[test]
fn texts_give_the_same_on_any_number_of_ranks() {
    let (train, dev) = (encoded(250, 1), encoded(70, 2));
    let mut base = base("base/bert");
    for method in ["adapter[width=8]", "full", "prefix_tuning"] {
        Given { dev: Some(&dev), ..Given::new(&base, &train, method) }.same_everywhere();
    }
    // One chunk a step: most ranks have none.
    let batch = BatchSize::Examples(16);
    Given { batch, ..Given::new(&base, &train, "linear") }.same_everywhere();
    // What frozen layers give is kept by each rank for itself.
    base.set_frozen_dropout(false);
    let method = "adapter[leave_out=[0]]";
    let given = Given { cache: true, dev: Some(&dev), ..Given::new(&base, &train, method) };
    given.same_everywhere();
}

#[test]
fn images_give_the_same_on_any_number_of_ranks() {
    let base = base("base/vit");
    for augment in [Augment::default(), Augment { flip: true, crop: true }] {
        let (train, dev) = (images(augment), images(Augment::default()));
        for batch in [BatchSize::Examples(40), BatchSize::Examples(3)] {
            let given = Given::new(&base, &train, "adapter[width=8]");
            Given { batch, dev: Some(&dev), ..given }.same_everywhere();
        }
    }
}

#[test]
fn masked_texts_give_the_same_on_any_number_of_ranks() {
    let golden = "families/masked-lm-bert/base";
    let base = base(golden);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(golden);
    let head = BaseModel::open(&folder).unwrap().masked_lm().unwrap().head;
    let train = prepare_masked(&tokenizer(), &texts(120, 4), Some(Masking::default()), 16, 1);
    let train = train.unwrap();
    Given { head, metric: "perplexity", ..Given::new(&base, &train, "lora") }.same_everywhere();
}

/// Whichever rank is asked to stop, all do so at the same step; and any number of ranks goes on
/// from what the first has written.
#[test]
fn a_stopped_run_goes_on_with_another_number_of_ranks() {
    let (base, train, dev) = (base("base/bert"), encoded(250, 1), encoded(70, 2));
    let given = Given { dev: Some(&dev), ..Given::new(&base, &train, "adapter[width=8]") };
    let (expected, told, _) = given.on(Ranks::default(), 1).unwrap();
    for (first, stop, second) in [(3, (2, 2), 2), (2, (0, 5), 4), (4, (3, 4), 1), (1, (0, 3), 3)] {
        let dir = tempfile::tempdir().unwrap();
        let folder = Some(dir.path());
        let stopped = Given { folder, stop: Some(stop), ..given.clone() };
        for (_, so_far, interrupted) in on_ranks(first, |ranks| stopped.on(ranks, 1).unwrap()) {
            assert!(interrupted);
            assert!(told.starts_with(&so_far), "stopped after step {}", stop.1);
        }
        let going_on = Given { folder, ..given.clone() };
        for (rank, made) in
            on_ranks(second, |ranks| going_on.on(ranks, 2).unwrap()).into_iter().enumerate()
        {
            assert!(made.0 == expected, "rank {rank} of {second} after {first}");
            assert!(told.ends_with(&made.1) && made.1.len() < told.len(), "it went on");
        }
    }
}

/// An image that only one rank needs.
#[test]
fn an_error_of_one_rank_ends_all_with_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let data = files::twelve(dir.path());
    let base = base("base/vit");
    let InputSpec::Image(spec) = base.spec().input.clone() else { panic!("a ViT reads images") };
    let size = serde_json::json!({ "size": spec.image_size });
    let processor = Processor::from_config(&size).unwrap();
    let images = Images::new(&data, processor, Augment::default(), &spec, 0).unwrap();
    let train = prepare_images(images, &data);
    std::fs::remove_file(dir.path().join("7.jpg")).unwrap();
    let given = Given { batch: BatchSize::Examples(12), ..Given::new(&base, &train, "linear") };
    let ended = on_ranks(3, |ranks| {
        let message = given.on(ranks.clone(), 1).unwrap_err().to_string();
        (ranks.end(Some(&message)).unwrap(), message)
    });
    let failed = ended[0].0.clone();
    assert!(failed.message.contains("7.jpg"), "{failed}");
    for (rank, (end, message)) in ended.into_iter().enumerate() {
        let expected = if rank == failed.rank { &failed.message } else { &failed.to_string() };
        assert_eq!((&end, &message), (&failed, expected));
    }
}

/// Parameters that differ would go unnoticed: each rank takes the optimizer's steps by itself.
#[test]
fn ranks_with_other_parameters_are_noticed() {
    let (base, train) = (base("base/bert"), encoded(60, 1));
    let ended = on_ranks(3, |ranks| {
        let method = if ranks.rank() == 1 { "adapter[width=4]" } else { "adapter[width=8]" };
        Given::new(&base, &train, method).on(ranks, 1).unwrap_err().to_string()
    });
    for message in ended {
        assert!(message.starts_with("rank 1 of 3: has another sum of parameters"), "{message}");
    }
}

/// The recipe: its probe, its trials, the training on all rows; and a journal that another number
/// of ranks goes on with.
#[test]
fn the_recipe_gives_the_same_on_any_number_of_ranks() {
    let base = base("base/bert");
    let (few, many, dev) = (encoded(90, 1), encoded(300, 2), encoded(220, 3));
    let run = |ranks: Ranks,
               (train, dev): (&Prepared, Option<&Prepared>),
               contrastive: bool,
               (folder, stop): (Option<&Path>, Option<usize>)| {
        let method = budwood_model::method::resolve(&"adapter[width=8]".parse().unwrap()).unwrap();
        let plan = plan(&method, train.examples(), None);
        let mut config = TrainConfig::new(method, "accuracy");
        (config.epochs, config.batch, config.optimizer) = (plan.epochs, plan.batch, plan.optimizer);
        (config.learning_rate, config.contrastive) = (10.0 * plan.learning_rate, contrastive);
        let linear = HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean);
        let rank = ranks.rank();
        let mut workers = Workers::new(Device::cpu(), 2).over(ranks);
        let recipe = Recipe {
            base: &base,
            trial_base: None,
            workers: &mut workers,
            config,
            head: HeadSpec { dropout: 0.1, ..linear },
            begin: &Default::default(),
            train,
            dev,
            identity: "test".into(),
            base_id: None,
            folder: folder.filter(|_| rank == 0).map(Into::into),
            save_every: Duration::from_secs(1000),
            cache: None,
        };
        let mut trials = 0;
        let made = recipe.run(|event| {
            trials += usize::from(matches!(event, Event::Trial { .. }));
            match stop.is_some_and(|stop| trials > stop) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let made = made.unwrap();
        let values = made.adapter.params.values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        (values, made.account.to_string(), made.account.chosen, made.outcome.interrupted)
    };
    let mut chosen = Vec::new();
    for (data, contrastive) in
        [((&few, None), false), ((&few, None), true), ((&many, Some(&dev)), false)]
    {
        let alone = run(Ranks::default(), data, contrastive, (None, None));
        assert!(!alone.3, "it ran to its end");
        chosen.push(alone.2);
        for size in [2, 3] {
            for made in on_ranks(size, |ranks| run(ranks, data, contrastive, (None, None))) {
                assert!(made == alone, "{size} ranks: {}\nnot {}", made.1, alone.1);
            }
        }
        if data.1.is_none() {
            let dir = tempfile::tempdir().unwrap();
            let folder = Some(dir.path());
            for made in on_ranks(2, |ranks| run(ranks, data, contrastive, (folder, Some(1)))) {
                assert!(made.3, "interrupted");
            }
            for made in on_ranks(3, |ranks| run(ranks, data, contrastive, (folder, None))) {
                assert!(made.0 == alone.0, "gone on with 3 ranks");
            }
        }
    }
    assert!(chosen.iter().any(|c| *c == Chosen::Method || *c == Chosen::Contrastive), "{chosen:?}");
}
