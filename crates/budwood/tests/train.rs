//! Training through the library: a run that is stopped goes on to the same bits, nothing is
//! overwritten, and errors name settings.
#![allow(clippy::unwrap_used, clippy::default_trait_access)]

mod world;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use budwood::run::{Run, RunData, TrainingBase, TrainingBaseOptions};
use budwood::spec::{BasePrecision, PoolingChoice, PrecisionSpec, RecipeChoice};
use budwood::{
    BaseOptions, Dataset, Error, EvalSpec, Event, Example, Input, Resources, RunEvent, RunSpec,
    Target, train,
};
use budwood_base::head::HeadKind;
use budwood_engine::{Device, Precision};
use budwood_formats::native::AdapterFolder;
use budwood_tasks::Split;
use world::World;

fn spec(world: &World) -> RunSpec {
    let spec = RunSpec {
        base: world.path("base").display().to_string(),
        recipe: RecipeChoice::Paper,
        lr: Some(0.003),
        pooling: PoolingChoice::Mean,
        epochs: Some(8),
        max_length: Some(16),
        dropout: Some(0.0),
        ..RunSpec::default()
    };
    spec.with_data(world.reviews(240).display().to_string())
}

fn weights(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("adapter.safetensors")).unwrap()
}

#[test]
fn a_run_that_is_stopped_goes_on_to_the_same_bits() {
    let world = World::new();
    let (spec, resources) = (spec(&world), Resources::default());
    let (whole, parts) = (world.path("whole"), world.path("parts"));
    let all = train(&spec, &resources, &whole, |_| ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(all.record.key, spec.key());
    let mut described = Vec::new();
    let stopped = train(&spec, &resources, &parts, |event| match event {
        RunEvent::Ready { description } => {
            described = description.to_vec();
            ControlFlow::Continue(())
        }
        RunEvent::Training(Event::Step { step: 20, .. }) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(stopped.unwrap().is_none() && !parts.join("adapter.safetensors").exists());
    assert!(described.iter().any(|l| l.starts_with("data: 216 to train on")), "{described:?}");
    let mut done_before = 0;
    let go_on = |event: RunEvent<'_>| {
        if let RunEvent::Training(Event::Started { done, .. }) = event {
            done_before = *done;
        }
        ControlFlow::Continue(())
    };
    train(&spec, &resources, &parts, go_on).unwrap().unwrap();
    assert_eq!(done_before, 20);
    assert_eq!(weights(&whole), weights(&parts));
    // What is there is not replaced.
    let again = train(&spec, &resources, &whole, |_| ControlFlow::Continue(()));
    assert!(matches!(again, Err(Error::Occupied { .. })));
    assert_eq!(weights(&whole), weights(&parts));
    let mut left: Vec<_> = fs::read_dir(&whole).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["adapter.json", "adapter.safetensors"]);
}

#[test]
fn what_was_learned_is_scored_as_in_training() {
    let world = World::new();
    let spec = RunSpec { epochs: Some(40), ..spec(&world) };
    let out = world.path("out");
    let trained = train(&spec, &Resources::default(), &out, |_| ControlFlow::Continue(()));
    let trained = trained.unwrap().unwrap();
    assert!(trained.record.score("dev", "accuracy").unwrap() > 0.9, "{:?}", trained.record);
    let adapter = world.base().adapter(&out).unwrap();
    let eval = EvalSpec {
        data: spec.data.data.clone(),
        split: Split::Dev,
        columns: Default::default(),
        limits: Default::default(),
        slices: Vec::new(),
    };
    let labelled = adapter.read(&eval, &mut |_| ()).unwrap();
    let evaluation = adapter.evaluate(&labelled.data).unwrap();
    // By hand, from the answers in words.
    let right = evaluation.predictions.iter().filter(|p| p.expected == p.predicted).count();
    let accuracy = evaluation.scores.iter().find(|s| s.name == "accuracy").unwrap().value;
    assert_eq!(accuracy, right as f64 / 240.0);
    let confusion = evaluation.confusion.unwrap();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 240);
    assert_eq!(confusion[0][0] + confusion[1][1], right as u64);
}

#[test]
fn data_in_memory_are_trained_on() {
    let world = World::new();
    let spec = RunSpec { epochs: Some(1), ..spec(&world) };
    let example = |(row, text): (usize, &str)| Example {
        input: Input::Text(text.into()),
        target: Target::Class((row % 2) as u32),
    };
    let texts = ["good film", "bad film", "so fine", "so poor"];
    let rows = Dataset::from_examples(
        texts.into_iter().enumerate().map(example).collect(),
        "train",
        "memory",
    );
    let labels = vec!["good".into(), "bad".into()];
    let data = RunData::from_examples("classification", "mine", labels, rows).unwrap();
    let options = TrainingBaseOptions::of(&spec, None);
    let base = TrainingBase::open(&options, &mut |_| ()).unwrap();
    let mut run = Run::new(&spec, &Resources::default(), Arc::new(base), data).unwrap();
    let path = world.path("memory");
    let mut out = budwood_base::folder::OutFolder::open(&path, &budwood::run::FOLDER).unwrap();
    let unsaved = run.train(Some(&mut out), &path, |_| ControlFlow::Continue(())).unwrap().unwrap();
    unsaved.save(&out, &path).unwrap();
    assert_eq!(world.base().adapter(&path).unwrap().meta().task.name, "mine");
}

#[test]
fn errors_name_settings_without_dashes() {
    let world = World::new();
    let fault = |change: &dyn Fn(&mut RunSpec)| {
        let mut spec = spec(&world);
        change(&mut spec);
        let result =
            train(&spec, &Resources::default(), world.path("x"), |_| ControlFlow::Continue(()));
        match result.err().unwrap() {
            Error::Setting { name, message } => {
                assert!(!message.contains("--"), "{name}: {message}");
                name
            }
            other => panic!("{other}"),
        }
    };
    assert_eq!(fault(&|s| s.max_length = Some(1000)), "max-length");
    assert_eq!(fault(&|s| s.min_lr = Some(0.1)), "min-lr");
    assert_eq!(fault(&|s| s.metric = Some("pearson".into())), "metric");
    assert_eq!(fault(&|s| s.data.images.flip = true), "flip");
    assert_eq!(fault(&|s| s.positive = Some("none".into())), "positive");
    assert!(!world.path("x").exists());
}

/// The form of the frozen weights where none is named: that which is multiplied fastest here by the
/// recipe, f32 by the paper's protocol, for methods that train the model's own weights and for
/// numbers.
#[test]
fn the_form_of_the_weights_follows_the_machine_and_the_method() {
    let fastest = match Device::cpu().fastest_precision() {
        Precision::Int8 => "int8",
        _ => "f32",
    };
    let world = World::new();
    let paper = spec(&world);
    let auto = RunSpec { recipe: RecipeChoice::Auto, ..paper.clone() };
    let asked = |form| PrecisionSpec { base_precision: form, ..PrecisionSpec::default() };
    let method = |method: &str| RunSpec { method: method.into(), ..auto.clone() };
    let cases = [
        ("paper", paper, "f32"),
        ("auto", auto.clone(), fastest),
        ("linear", method("linear"), fastest),
        ("top_k", method("top_k[layers=1]"), "f32"),
        ("f32", RunSpec { precision: asked(BasePrecision::F32), ..auto.clone() }, "f32"),
        ("int8", RunSpec { precision: asked(BasePrecision::Int8), ..auto }, "int8"),
    ];
    let numbers = Some(HeadKind::Regression);
    let of_numbers = cases[1].1.base_precision(numbers);
    assert_eq!(of_numbers, BasePrecision::Auto, "the stored form");
    for (name, spec, form) in cases {
        let out = world.path(name);
        let trained = train(&spec, &Resources::default(), &out, |_| ControlFlow::Continue(()));
        assert_eq!(trained.unwrap().unwrap().record.precision, form, "{name}");
        // Used as it was trained.
        let folder = AdapterFolder::load(&out).unwrap();
        let base = BaseOptions::of_adapter(&folder.meta).unwrap();
        assert_eq!(base.precision.is_some(), form == "int8", "{name}");
    }
}
