//! The recipe `auto` on a tiny model: what it promises whatever the data.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use budwood_base::head::{HeadKind, HeadSpec, Pooling};
use budwood_base::random::Key;
use budwood_base::tokenizer::Frame;
use budwood_engine::{Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_model::{Adapter, Base, Targets};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::{Dataset, Example, Input, Target, Tokenizer};
use budwood_train::recipe::{Account, Chosen, Made, Recipe, TRIALS, plan};
use budwood_train::{
    Checkpoint, ClassWeights, Error, Event, Lengths, Prepared, TrainConfig, Trainer, answers,
    prepare, scores,
};

const WORDS: usize = 8;

fn base() -> Base {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/base");
    let model = BaseModel::open(&root.join("bert")).unwrap();
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let spec = model.spec().clone();
    let mut base = Base::load(spec, Device::cpu(), Precision::F32, true, fetch).unwrap();
    base.set_dropout(0.0);
    base
}

/// Texts of 3 to 8 words of a small vocabulary, by their words' numbers.
fn words(n: usize, seed: u64) -> Vec<Vec<usize>> {
    let text = |i: usize| {
        let key = Key::new(seed).child(i as u64);
        (0..3 + key.below(0, 6)).map(|w| key.below(1 + w as u64, WORDS)).collect()
    };
    (0..n).map(text).collect()
}

fn prepared(texts: &[Vec<usize>], target: impl Fn(usize, &[usize]) -> Target) -> Prepared {
    let dir = tempfile::tempdir().unwrap();
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let vocabulary: Vec<String> =
        special.into_iter().chain((0..WORDS).map(|i| format!("w{i}"))).collect();
    std::fs::write(dir.path().join("vocab.txt"), vocabulary.join("\n")).unwrap();
    let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap();
    let example = |(i, words): (usize, &Vec<usize>)| {
        let text: Vec<String> = words.iter().map(|w| format!("w{w}")).collect();
        Example { input: Input::Text(text.join(" ")), target: target(i, words) }
    };
    let examples = texts.iter().enumerate().map(example).collect();
    let data = Dataset::from_examples(examples, "train", "made up");
    prepare(&tokenizer, &data, &[], Lengths { max: 16, stride: 8 }, 1).unwrap()
}

/// Whether most words are of the first half: nearly linear in mean vectors.
fn half(words: &[usize]) -> u32 {
    u32::from(2 * words.iter().filter(|w| **w < WORDS / 2).count() > words.len())
}

fn classes(n: usize, seed: u64) -> Prepared {
    prepared(&words(n, seed), |_, words| Target::Class(half(words)))
}

/// Settings of a run.
struct Given<'a> {
    train: &'a Prepared,
    dev: Option<&'a Prepared>,
    method: &'a str,
    metric: Option<&'a str>,
    kind: HeadKind,
    outputs: usize,
    rate: Option<f64>,
    threads: usize,
    folder: Option<&'a Path>,
    /// The event at which the run is interrupted; those of vectors come before the first.
    stop: Option<usize>,
    /// The step of the training on all rows at which the run is interrupted.
    stop_step: Option<usize>,
    contrastive: bool,
    smoothing: f64,
    class_weights: ClassWeights,
}

impl<'a> Given<'a> {
    fn new(train: &'a Prepared, method: &'a str) -> Self {
        Self {
            train,
            dev: None,
            method,
            metric: None,
            kind: HeadKind::Classification,
            outputs: 2,
            rate: None,
            threads: 1,
            folder: None,
            stop: None,
            stop_step: None,
            contrastive: false,
            smoothing: 0.0,
            class_weights: ClassWeights::Equal,
        }
    }

    fn run(&self) -> Result<Made, Error> {
        self.told(&mut |_| ControlFlow::Continue(()))
    }

    /// As [`Given::run`], which `on_event` may interrupt, too.
    fn told(&self, on_event: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>) -> Result<Made, Error> {
        let base = base();
        let method = budwood_model::method::resolve(&self.method.parse().unwrap()).unwrap();
        let plan = plan(&method, self.train.examples(), None);
        let metric = match self.kind {
            HeadKind::Regression => "pearson",
            HeadKind::MultiLabel => "micro_f1",
            _ => "accuracy",
        };
        let mut config = TrainConfig::new(method, self.metric.unwrap_or(metric));
        (config.epochs, config.batch, config.optimizer) = (plan.epochs, plan.batch, plan.optimizer);
        config.learning_rate = self.rate.unwrap_or(10.0 * plan.learning_rate);
        (config.contrastive, config.label_smoothing) = (self.contrastive, self.smoothing);
        config.class_weights.clone_from(&self.class_weights);
        let head =
            HeadSpec { dropout: 0.1, ..HeadSpec::linear(self.kind, self.outputs, Pooling::Mean) };
        let mut workers = Workers::new(Device::cpu(), self.threads);
        let recipe = Recipe {
            base: &base,
            trial_base: None,
            workers: &mut workers,
            config,
            head,
            begin: &Default::default(),
            train: self.train,
            dev: self.dev,
            identity: "test".into(),
            base_id: None,
            folder: self.folder.map(Into::into),
            save_every: Duration::from_secs(1000),
            cache: None,
        };
        let mut events = 0;
        recipe.run(|event| {
            events += usize::from(!matches!(event, Event::Vectors { .. }));
            // Trials tell of no steps.
            let step = if let Event::Step { step, .. } = event { Some(step) } else { None };
            if self.stop == Some(events) || step.is_some() && step == self.stop_step {
                ControlFlow::Break(())
            } else {
                on_event(&event)
            }
        })
    }
}

fn accuracy(made: &Made, data: &Prepared) -> f64 {
    let mut workers = Workers::new(Device::cpu(), 1);
    let given = answers(&mut workers, &base(), &made.adapter, data).unwrap();
    scores(&given, data).iter().find(|s| s.name == "accuracy").unwrap().value
}

/// What is kept is at least as good as the probe on the rows that judge.
#[track_caller]
fn never_below_the_probe(account: &Account) {
    let kept = match account.chosen {
        Chosen::Method => &account.tuned,
        Chosen::Contrastive => &account.contrastive,
        _ => return,
    };
    let (probe, kept) = (account.probe.as_ref().unwrap(), kept.as_ref().unwrap());
    assert!(kept.score >= probe.score && kept.loss < probe.loss, "{account}");
}

#[test]
fn the_probe_is_solved_and_kept_as_an_adapter() {
    let (train, test) = (classes(120, 1), classes(300, 2));
    let made = Given::new(&train, "linear").run().unwrap();
    assert_eq!((made.account.chosen, made.outcome.steps), (Chosen::Linear, 0));
    assert_eq!(made.adapter.spec().to_string(), "linear");
    let found = accuracy(&made, &test);
    assert!(found > 0.8, "{found}");
    let by_folds = made.account.by_folds().unwrap();
    assert!((by_folds.value - found).abs() < 0.15 && by_folds.rows == 120, "{by_folds:?} {found}");
    let (before, after) = made.account.calibration.unwrap();
    assert!(after.brier <= before.brier + 1e-3, "{before:?} {after:?}");
    assert!(!made.account.learned_nothing());
}

/// An error chooses as a correlation does, though less of it is better, and is said in the unit of
/// the targets: as they are learned with a variance of 1 and the loss is half of the squared error,
/// its root is known.
#[test]
fn errors_choose_and_are_in_the_unit_of_the_targets() {
    // What the first word is says more than a mean vector does.
    let first = |_: usize, words: &[usize]| Target::Value(1e6 + 2e5 * words[0] as f32);
    let train = prepared(&words(120, 1), first);
    let given = |metric| Given {
        metric: Some(metric),
        kind: HeadKind::Regression,
        outputs: 1,
        rate: Some(0.01),
        ..Given::new(&train, "adapter[width=8]")
    };
    let by_correlation = given("pearson").run().unwrap().account;
    assert_eq!(by_correlation.chosen, Chosen::Method, "{by_correlation}");
    let account = given("rmse").run().unwrap().account;
    assert_eq!(account.chosen, Chosen::Method, "{account}");
    let deviation = account.units.unwrap().deviation;
    for found in [&account.probe, &account.tuned, &account.nothing] {
        let found = found.as_ref().unwrap();
        let expected = deviation * (2.0 * found.loss).sqrt();
        assert!((found.score / expected - 1.0).abs() < 1e-4, "{found} {expected}");
    }
    assert_eq!(account.by_folds().unwrap().value, account.tuned.unwrap().score);
}

/// Each text stands five times in the data. What is learned of one is the answer to the others, and
/// to no new text: held-out rows must not be the same texts.
#[test]
fn texts_that_repeat_do_not_judge_themselves() {
    let texts = words(24, 3).into_iter().filter(|text| text.len() > 5).collect::<Vec<_>>();
    let n = texts.len();
    let repeated: Vec<Vec<usize>> = (0..5 * n).map(|i| texts[i % n].clone()).collect();
    let noise = |i: usize| (Key::new(8).bits((i % n) as u64) % 2) as u32;
    let train = prepared(&repeated, |i, _| Target::Class(noise(i)));
    let made = Given::new(&train, "linear").run().unwrap();
    assert!(made.account.learned_nothing(), "{}", made.account);
    let found = made.account.probe.as_ref().unwrap().score;
    assert!(found < 0.75, "{}", made.account);
}

/// Few rows are of the rare class. Answers are right hardly more often than the frequent
/// class alone, though the rare one is known.
#[test]
fn what_is_learned_of_a_rare_class_is_no_noise() {
    let texts: Vec<Vec<usize>> = words(2_000, 9).into_iter().filter(|t| t.len() > 6).collect();
    let rare = |words: &[usize]| words.iter().filter(|w| **w < 2).count() > 3;
    let train = prepared(&texts[..300], |_, words| Target::Class(u32::from(rare(words))));
    let account = Given::new(&train, "linear").run().unwrap().account;
    assert!(account.chance_of_accuracy.unwrap() > 0.05, "{account}");
    assert!(!account.learned_nothing(), "{account}");
    let text = account.to_string();
    assert!(text.contains("right no more often than one answer for all"), "{text}");
    // Noise of the same shares.
    let noise = |i: usize, _: &[usize]| Target::Class(u32::from(i.is_multiple_of(20)));
    let train = prepared(&texts[..300], noise);
    let account = Given::new(&train, "linear").run().unwrap().account;
    assert!(account.learned_nothing(), "{account}");
}

/// A run asks after 64 batches of 256 tokens whether it goes on.
#[test]
fn how_many_vectors_are_done_is_told() {
    let train = classes(5_000, 8);
    let mut told = Vec::new();
    let made = Given::new(&train, "linear").told(&mut |event| {
        let Event::Vectors { done, of } = *event else { panic!("{event:?}") };
        told.push((done, of));
        if told.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(made.unwrap().outcome.interrupted);
    assert_eq!((told[0], told[1].1), ((0, 5_000), 5_000));
    // A text has 5 to 10 tokens.
    assert!((1_600..3_300).contains(&told[1].0), "{told:?}");
}

/// In turn: the method on folds, on validation rows, and what a worse one ends as.
#[test]
fn held_out_rows_choose() {
    let (train, dev) = (classes(60, 1), classes(220, 3));
    let few = Given::new(&train, "adapter[width=8]").run().unwrap();
    assert_eq!(few.account.folds, Some(3));
    never_below_the_probe(&few.account);
    let given = Given { dev: Some(&dev), ..Given::new(&train, "adapter[width=8]") };
    let by_dev = given.run().unwrap();
    assert_eq!((by_dev.account.folds, by_dev.account.rows_held_out), (None, 220));
    never_below_the_probe(&by_dev.account);
    // Validation rows that are too few to choose by are not used.
    let some = classes(30, 4);
    let given = Given { dev: Some(&some), ..Given::new(&train, "adapter[width=8]") };
    assert_eq!(given.run().unwrap().adapter.params.values, few.adapter.params.values);
}

#[test]
fn a_run_that_is_lost_begins_again_more_slowly_and_ends_as_the_probe() {
    let (train, dev) = (classes(60, 1), classes(220, 3));
    for dev in [None, Some(&dev)] {
        let given = Given { dev, rate: Some(300.0), ..Given::new(&train, "adapter[width=8]") };
        let made = given.run().unwrap();
        let lost = &made.account.lost_at;
        assert_eq!(made.account.chosen, Chosen::OnlyProbe, "{}", made.account);
        assert!(lost.len() == 3 && lost[0] == 300.0 && lost[2] < 40.0, "{lost:?}");
        let probe = Given { dev, ..Given::new(&train, "linear") }.run().unwrap();
        assert_eq!(made.adapter.params.values, probe.adapter.params.values);
        // One that is lost at first goes on at a lower rate.
        let partly = [1.0, 0.5, 0.2, 0.1].into_iter().any(|rate| {
            let given = Given { dev, rate: Some(rate), ..Given::new(&train, "adapter[width=8]") };
            let made = given.run().unwrap();
            (1..3).contains(&made.account.lost_at.len()) && made.config.learning_rate < rate
        });
        assert!(partly);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_interruptions() {
    // What the first word is says more than a mean vector does.
    let first = |_: usize, words: &[usize]| Target::Class(u32::from(words[0] < WORDS / 2));
    let train = prepared(&words(45, 1), first);
    let given =
        |threads| Given { threads, rate: Some(0.01), ..Given::new(&train, "adapter[width=8]") };
    let expected = given(1).run().unwrap();
    let account = expected.account.to_string();
    let trained = matches!(expected.account.chosen, Chosen::Method | Chosen::Contrastive);
    assert!(trained, "the test is about training: {account}");
    for threads in [2, 3] {
        let made = given(threads).run().unwrap();
        assert_eq!(made.adapter.params.values, expected.adapter.params.values, "{threads}");
    }
    let dir = tempfile::tempdir().unwrap();
    // Before the vectors, in the first fold, in the second, and in the training on all rows.
    for stop in [0, 9, 60, 160] {
        let folder = dir.path().join(stop.to_string());
        std::fs::create_dir(&folder).unwrap();
        let here = Given { folder: Some(&folder), ..given(2) };
        let first = Given { stop: Some(stop), folder: Some(&folder), ..given(1) }.run().unwrap();
        assert!(first.outcome.interrupted, "{stop}");
        let made = here.run().unwrap();
        assert!(!made.outcome.interrupted);
        assert_eq!(made.adapter.params.values, expected.adapter.params.values, "{stop}");
        assert_eq!(made.account.to_string(), account);
        assert!(folder.join(TRIALS).exists());
        std::fs::remove_file(folder.join(TRIALS)).unwrap();
        Checkpoint::remove(&folder).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is left behind");
    }
}

/// Interrupted while it trains on all rows by the loss of its answers: there are too many rows for
/// pairs.
#[test]
fn the_training_of_the_method_on_all_rows_goes_on_where_it_was_interrupted() {
    let first = |_: usize, words: &[usize]| Target::Class(u32::from(words[0] < WORDS / 2));
    let train = prepared(&words(520, 1), first);
    let given =
        |threads| Given { threads, rate: Some(0.01), ..Given::new(&train, "adapter[width=8]") };
    let expected = given(1).run().unwrap();
    assert_eq!(expected.account.chosen, Chosen::Method, "{}", expected.account);
    let folder = tempfile::tempdir().unwrap();
    for stop in [1, 7, 40] {
        let part = Given { stop_step: Some(stop), folder: Some(folder.path()), ..given(2) };
        assert!(part.run().unwrap().outcome.interrupted, "{stop}");
        assert!(Checkpoint::load(folder.path()).unwrap().is_some_and(|c| c.state.step == stop));
    }
    let rest = Given { folder: Some(folder.path()), ..given(2) }.run().unwrap();
    assert_eq!(rest.adapter.params.values, expected.adapter.params.values);
    assert_eq!(rest.outcome.steps, expected.outcome.steps);
}

#[test]
fn targets_closer_than_their_32_bits_are_refused() {
    let value = |i: usize| 1e12 + 65_536.0 * (i % 5) as f32;
    let train = prepared(&words(60, 1), |i, _| Target::Value(value(i)));
    let given = Given { kind: HeadKind::Regression, outputs: 1, ..Given::new(&train, "linear") };
    let fault = given.run().err().unwrap().to_string();
    assert!(fault.contains("steps of 65536") && fault.contains("take the same number"), "{fault}");
    let train = prepared(&words(60, 1), |i, _| Target::Value(1e12 + 1e9 * (i % 5) as f32));
    let given = Given { kind: HeadKind::Regression, outputs: 1, ..Given::new(&train, "linear") };
    let made = given.run().unwrap();
    assert!(made.account.learned_nothing(), "the place of a row says nothing: {}", made.account);
}

#[test]
fn numbers_and_labels_of_noise_are_said_to_be() {
    let noise = |i: usize| (Key::new(5).normal(i as u64)) as f32;
    for seed in 1..4 {
        let train = prepared(&words(90, seed), |i, _| Target::Value(noise(i)));
        let given =
            Given { kind: HeadKind::Regression, outputs: 1, ..Given::new(&train, "linear") };
        let account = given.run().unwrap().account;
        assert!(account.learned_nothing(), "{account}");
        let label = |i: usize, k: usize| f32::from(u8::from(noise(3 * i + k) > 0.5));
        let labels = |i: usize, _: &[usize]| Target::Labels((0..3).map(|k| label(i, k)).collect());
        let train = prepared(&words(90, seed), labels);
        let given =
            Given { kind: HeadKind::MultiLabel, outputs: 3, ..Given::new(&train, "linear") };
        let account = given.run().unwrap().account;
        assert!(account.learned_nothing(), "{account}");
    }
}

#[test]
fn numbers_are_answered_in_their_unit() {
    let value = |words: &[usize]| {
        let low = words.iter().filter(|w| **w < WORDS / 2).count() as f64 / words.len() as f64;
        1e5 + 9e5 * low
    };
    for (unit, method) in
        [(1.0, "linear"), (1.0, "adapter[width=8]"), (1e7, "linear"), (1e-9, "linear")]
    {
        let of =
            |n, seed| prepared(&words(n, seed), |_, w| Target::Value((unit * value(w)) as f32));
        let (train, test) = (of(150, 1), of(100, 2));
        let given = Given { kind: HeadKind::Regression, outputs: 1, ..Given::new(&train, method) };
        let made = given.run().unwrap();
        let units = made.account.units.unwrap();
        let mut workers = Workers::new(Device::cpu(), 1);
        let given = answers(&mut workers, &base(), &made.adapter, &test).unwrap();
        let Some(Targets::Values(right)) = &test.targets else { unreachable!() };
        let squares = (0..right.len()).map(|i| f64::from(given.value(i) - right[i]).powi(2));
        let rmse = (squares.sum::<f64>() / right.len() as f64).sqrt();
        assert!(rmse < 0.6 * units.deviation, "{method} {unit}: {rmse} {units:?}");
        assert!(!made.account.learned_nothing(), "{}", made.account);
    }
    let constant = prepared(&words(50, 1), |_, _| Target::Value(7.5));
    let given = Given { kind: HeadKind::Regression, outputs: 1, ..Given::new(&constant, "linear") };
    let fault = given.run().err().unwrap().to_string();
    assert!(fault.contains("7.5") && fault.contains("nothing to learn"), "{fault}");
}

#[test]
fn several_labels_are_learned() {
    let of = |n, seed| {
        prepared(&words(n, seed), |_, w| {
            let has = |range: std::ops::Range<usize>| {
                f32::from(u8::from(w.iter().any(|x| range.contains(x))))
            };
            Target::Labels(vec![has(0..1), has(1..2), 0.0])
        })
    };
    let train = of(150, 1);
    for method in ["linear", "bitfit"] {
        let given = Given { kind: HeadKind::MultiLabel, outputs: 3, ..Given::new(&train, method) };
        let made = given.run().unwrap();
        let probe = made.account.probe.as_ref().unwrap();
        assert!(probe.score > made.account.nothing.as_ref().unwrap().score, "{}", made.account);
        never_below_the_probe(&made.account);
    }
}

/// Labels that two of five rows have by chance are never above 0.5, and worth answering.
#[test]
fn thresholds_of_labels_are_chosen_where_they_are_better() {
    let chance = |i: usize| f32::from(u8::from(Key::new(7).uniform(i as u64) < 0.4));
    let labels = |i, _: &[usize]| Target::Labels(vec![chance(2 * i), chance(2 * i + 1)]);
    let train = prepared(&words(150, 1), labels);
    let given = Given { kind: HeadKind::MultiLabel, outputs: 2, ..Given::new(&train, "linear") };
    let account = given.run().unwrap().account;
    let thresholds = account.thresholds();
    assert!(thresholds.is_some_and(|t| t.iter().all(|t| *t < 0.45)), "{account}");
    // What is expected of new rows is what the adapter does: it answers by them.
    let (kept, by_folds) = (account.probe.as_ref().unwrap(), account.by_folds().unwrap());
    let chosen = account.thresholds.as_ref().unwrap();
    assert!(chosen.before == kept.score && chosen.after > kept.score, "{account}");
    assert_eq!(by_folds.value, chosen.after);
}

#[test]
fn labels_that_nothing_can_be_learned_from_are_said_to_be() {
    let noise = |i: usize, _: &[usize]| Target::Class((Key::new(5).bits(i as u64) % 2) as u32);
    let train = prepared(&words(150, 1), noise);
    let made = Given::new(&train, "adapter[width=8]").run().unwrap();
    assert!(made.account.learned_nothing(), "{}", made.account);
    assert!(made.account.to_string().contains("no sign that anything was learned"));
    // Texts that are all the same say nothing either.
    let same = prepared(&vec![vec![1, 2, 3]; 60], |i, _| Target::Class(u32::from(i % 3 == 0)));
    let made = Given::new(&same, "adapter[width=8]").run().unwrap();
    assert!(made.account.learned_nothing(), "{}", made.account);
    // Where the probe answers one class, a training that does is not lost.
    assert!(made.account.lost_at.is_empty(), "{:?}", made.account.lost_at);
    assert_eq!(accuracy(&made, &same), 2.0 / 3.0);
}

/// A part of the data may hold one class where all hold several.
#[test]
fn rows_of_one_class_are_refused() {
    for n in [1, 2, 50] {
        let train = prepared(&words(n, 1), |_, _| Target::Class(1));
        let fault = Given::new(&train, "linear").run().err().unwrap().to_string();
        assert!(fault.contains("one class") && fault.contains("--train-rows"), "{fault}");
    }
    let train = prepared(&words(1, 1), |_, _| Target::Labels(vec![1.0, 0.0]));
    let given = Given { kind: HeadKind::MultiLabel, ..Given::new(&train, "linear") };
    assert!(given.run().is_err());
}

#[test]
fn classes_of_one_row_are_no_fault() {
    let train = prepared(&words(30, 1), |i, _| Target::Class(i as u32));
    let given = Given { outputs: 30, ..Given::new(&train, "adapter[width=8]") };
    let made = given.run().unwrap();
    assert!(made.adapter.params.values.iter().all(|x| x.is_finite()));
}

/// Expected value: the definition, in a plain loop over rows and classes.
#[test]
fn weights_of_classes_and_smoothing_are_those_of_a_plain_loop() {
    let (base, train) = (base(), classes(24, 5));
    let mut workers = Workers::new(Device::cpu(), 2);
    let method = budwood_model::method::resolve(&"adapter".parse().unwrap()).unwrap();
    let mut config = TrainConfig::new(method, "accuracy");
    (config.epochs, config.batch) = (1, BatchSize::Examples(24));
    let (weights, share) = ([1.0f32, 3.0], 0.2f64);
    config.class_weights = ClassWeights::Given(weights.to_vec());
    config.label_smoothing = share;
    let head = HeadSpec::linear(HeadKind::Classification, 2, Pooling::Mean);
    let mut adapter = Adapter::new(&base, &config.method, head, 7).unwrap();
    let given = answers(&mut workers, &base, &adapter, &train).unwrap().outputs;
    let Some(Targets::Classes(right)) = &train.targets else { panic!() };
    assert!(right.contains(&0) && right.contains(&1));
    let (mut sum, mut all) = (0.0, 0.0);
    for (y, &class) in given.iter().zip(right) {
        let exp = [f64::from(y[0]).exp(), f64::from(y[1]).exp()];
        let weight = f64::from(weights[class as usize]);
        for (k, e) in exp.iter().enumerate() {
            let wanted = share / 2.0 + if k == class as usize { 1.0 - share } else { 0.0 };
            sum -= weight * wanted * (e / (exp[0] + exp[1])).ln();
        }
        all += weight;
    }
    let mut found = None;
    let trainer = Trainer::new(&base, &mut workers, &config, &train, None, "").unwrap();
    let on_event = |event: Event<'_>| {
        if let Event::Step { loss, .. } = event {
            found = Some(loss);
        }
        ControlFlow::Continue(())
    };
    trainer.run(&mut adapter, on_event).unwrap();
    let (found, expected) = (found.unwrap(), sum / all);
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
}

#[test]
fn what_has_no_classes_is_neither_weighted_nor_smoothed() {
    let numbers = prepared(&words(24, 5), |i, _| Target::Value(i as f32));
    let mut workers = Workers::new(Device::cpu(), 1);
    let base = base();
    let mut refused = |change: &dyn Fn(&mut TrainConfig)| {
        let method = budwood_model::method::resolve(&"adapter".parse().unwrap()).unwrap();
        let mut config = TrainConfig::new(method, "pearson");
        change(&mut config);
        let new = Trainer::new(&base, &mut workers, &config, &numbers, None, "");
        new.err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&|_| ()), "");
    let weights = refused(&|c| c.class_weights = ClassWeights::Given(vec![1.0]));
    assert!(weights.contains("--class-weights"), "{weights}");
    let smoothing = refused(&|c| c.label_smoothing = 0.1);
    assert!(smoothing.contains("--label-smoothing"), "{smoothing}");
}

/// Pairs of texts bring vectors of a class together where nothing but the recipe says so.
#[test]
fn training_on_pairs_is_kept_where_it_is_better_and_gives_the_same_bits() {
    let (train, test) = (classes(60, 13), classes(200, 9));
    let on_pairs = || Given { contrastive: true, ..Given::new(&train, "adapter") };
    let given = on_pairs();
    let made = given.run().unwrap();
    let account = &made.account;
    assert_eq!(account.recipe, "contrastive");
    let pairs = account.contrastive.as_ref().expect("pairs were tried");
    assert!(account.tuned.is_none(), "nothing else was tried");
    assert_eq!(account.chosen, Chosen::Contrastive, "{account}");
    assert!(pairs.score >= account.probe.as_ref().unwrap().score);
    assert!(accuracy(&made, &test) > 0.8, "{account}");
    assert!(made.adapter.params.entries().iter().any(|p| !p.name.starts_with("head.")));
    // On two threads, and in a folder where it is interrupted in each part.
    let again = Given { threads: 2, ..given }.run().unwrap();
    assert_eq!(again.adapter.params.values, made.adapter.params.values);
    let folder = tempfile::tempdir().unwrap();
    for stop in [10, 50, 60, 50] {
        let part = Given { folder: Some(folder.path()), stop: Some(stop), ..on_pairs() };
        assert!(part.run().unwrap().outcome.interrupted, "{stop}");
    }
    let rest = Given { folder: Some(folder.path()), ..on_pairs() }.run().unwrap();
    assert_eq!(rest.adapter.params.values, made.adapter.params.values);
}

/// The same training on pairs, of which other rows keep all or a half of the way.
#[test]
fn half_of_the_way_is_half_way_between_first_and_last_weights() {
    let train = classes(80, 13);
    let (mut whole, mut half) = (None, None);
    for seed in 0..8 {
        let dev = classes(200, 100 + seed);
        let given = Given { contrastive: true, dev: Some(&dev), ..Given::new(&train, "adapter") };
        let given = Given { rate: Some(5e-3), ..given };
        let made = given.run().unwrap();
        let kept = made.account.contrastive.as_ref().unwrap();
        if made.account.chosen == Chosen::Contrastive {
            // Shares of 200 rows, in f32.
            assert!((accuracy(&made, &dev) - kept.score).abs() < 1e-6, "{}", made.account);
            let place = if made.account.part_way.is_some() { &mut half } else { &mut whole };
            place.get_or_insert(made);
        }
        if whole.is_some() && half.is_some() {
            break;
        }
    }
    let (whole, half) = (whole.expect("all of the way"), half.expect("half of the way"));
    assert!(half.account.part_way == Some(0.5), "{}", half.account);
    let base = base();
    let Adapter { params, .. } = &whole.adapter;
    let first = Adapter::new(&base, whole.adapter.spec(), whole.adapter.head_spec().clone(), 0);
    let first = first.unwrap();
    let mut moved = 0;
    for part in params.entries().iter().filter(|p| !p.name.starts_with("head.")) {
        let of = |adapter: &Adapter| {
            let slot = adapter.params.get(&part.name).unwrap().slot.clone();
            adapter.params.values[slot].to_vec()
        };
        let ends = of(&first).into_iter().zip(of(&whole.adapter));
        for (half, (first, last)) in of(&half.adapter).into_iter().zip(ends) {
            assert!((half - (first + last) / 2.0).abs() < 1e-6, "{}", part.name);
            moved += usize::from(first != last);
        }
    }
    assert!(moved > 100, "{moved} weights were trained");
}

#[test]
fn auto_tries_pairs_where_rows_are_few_and_keeps_the_least_loss() {
    let train = classes(60, 8);
    let account = Given::new(&train, "adapter").run().unwrap().account;
    let probe = account.probe.as_ref().unwrap();
    let ways = [(&account.tuned, "method"), (&account.contrastive, "pairs")];
    // Each is tried on all folds, or was worse on the first.
    for (found, name) in ways {
        assert_ne!(found.is_some(), account.given_up.contains(&name), "{account}");
    }
    assert!(account.given_up.len() < 2, "one of them is worth trying: {account}");
    let kept = match account.chosen {
        Chosen::Method => account.tuned.as_ref().unwrap(),
        Chosen::Contrastive => account.contrastive.as_ref().unwrap(),
        _ => probe,
    };
    assert!(kept.score >= probe.score && kept.loss <= probe.loss, "{account}");
    let better = ways.iter().filter_map(|(e, _)| e.as_ref()).filter(|e| e.score >= probe.score);
    assert!(better.into_iter().all(|e| kept.loss <= e.loss), "{account}");
    let many = classes(600, 8);
    assert!(Given::new(&many, "adapter").run().unwrap().account.contrastive.is_none());
}

#[test]
fn settings_that_say_nothing_are_refused_before_anything_is_computed() {
    let numbers = prepared(&words(24, 5), |i, _| Target::Value(i as f32));
    let classes = classes(24, 5);
    let message = |given: Given<'_>| given.run().err().map(|e| e.to_string()).unwrap_or_default();
    let regression = |g| Given { kind: HeadKind::Regression, outputs: 1, ..g };
    let of_numbers = || regression(Given::new(&numbers, "adapter"));
    let found = message(Given { contrastive: true, ..of_numbers() });
    assert!(found.contains("--recipe contrastive"), "{found}");
    let found = message(Given { smoothing: 0.1, ..of_numbers() });
    assert!(found.contains("--label-smoothing"), "{found}");
    for flag in [ClassWeights::Balanced, ClassWeights::Given(vec![1.0, 2.0])] {
        let name = if flag == ClassWeights::Balanced { "--balanced" } else { "--class-weights" };
        let found = message(Given { class_weights: flag, ..of_numbers() });
        assert!(found.contains(name) && found.contains("one class"), "{found}");
    }
    let linear = || Given::new(&classes, "linear");
    let found = message(Given { smoothing: 0.1, ..linear() });
    assert!(found.contains("--label-smoothing"), "{found}");
    let found = message(Given { contrastive: true, ..linear() });
    assert!(found.contains("--recipe contrastive"), "{found}");
    assert_eq!(message(linear()), "");
}
