//! Predictions of one adapter, of many in one batch, and from many threads.
#![allow(clippy::unwrap_used, clippy::default_trait_access)]

mod world;

use budwood::{Adapter, Answer, Base, BaseOptions, Dataset, Error, Example, Input, Target};
use budwood::{predict_mixed, spec::Form};
use world::{NUMBER, TAGS, THREE, TWO, World};

/// Adapters of several methods, widths, heads and tasks.
fn adapters(world: &World, base: &Base) -> Vec<Adapter> {
    let all = [
        ("wide", "adapter[width=8]", TWO),
        ("narrow", "adapter[width=2]", THREE),
        ("lora", "lora", TWO),
        ("prompt", "prompt_tuning", NUMBER),
        ("prefix", "prefix_tuning", TAGS),
        ("linear", "linear", THREE),
    ];
    let open = |(seed, (name, method, task))| {
        base.adapter(world.adapter(name, method, seed, task)).unwrap()
    };
    (1..).zip(all).map(open).collect()
}

/// An input that an adapter takes; `n` words, others for each `n`.
fn input(adapter: &Adapter, n: usize) -> Input {
    let words = ["good", "film", "awful", "the", "so", "it", "was", "very"];
    let word = |i: usize| words[(i * 5 + n) % words.len()];
    let text = (0..n).map(word).collect::<Vec<_>>().join(" ");
    match (adapter.meta().head.kind, adapter.meta().task.text_columns.len()) {
        (budwood_base::head::HeadKind::TokenClassification, _) => Input::words_of(&text),
        (_, 2) => Input::Pair(text, "a film".into()),
        _ => Input::Text(text),
    }
}

#[test]
fn answers_of_a_mixed_batch_are_those_of_each_adapter_alone() {
    let world = World::new();
    let base = world.base();
    let adapters = adapters(&world, &base);
    let inputs: Vec<(&Adapter, Input)> = (0..120)
        .map(|i| (&adapters[(i * i + i / 7) % adapters.len()], i))
        .map(|(adapter, i)| (adapter, input(adapter, 1 + i % 17)))
        .collect();
    let mixed = predict_mixed(&base, &inputs).unwrap();
    assert_eq!(mixed.len(), inputs.len());
    for ((adapter, input), answer) in inputs.iter().zip(&mixed) {
        let alone = adapter.predict(std::slice::from_ref(input)).unwrap();
        assert_eq!(&alone[0], answer);
    }
    // The adapters differ: otherwise nothing is shown.
    let probabilities = |a: &Adapter| format!("{:?}", a.predict(&[input(a, 5)]).unwrap());
    assert_ne!(probabilities(&adapters[0]), probabilities(&adapters[2]));
}

#[test]
fn a_text_for_many_adapters_shares_the_layers_that_they_leave_alone() {
    let world = World::new();
    let base = world.base();
    let all = [
        ("l0", "linear", TWO, 2),
        ("l1", "linear", TWO, 2),
        ("words", "linear", TAGS, 2),
        ("s0", "seq_bn[leave_out=[0]]", TWO, 1),
        ("s1", "lora[r=2,leave_out=[0]]", TWO, 1),
        ("top", "top_k[layers=1]", TWO, 1),
        ("whole", "adapter[width=4]", TWO, 0),
    ];
    let mut sets = Vec::new();
    for (seed, (name, method, task, frozen)) in (1..).zip(all) {
        let adapter = base.adapter(world.adapter(name, method, seed, task)).unwrap();
        let text = |n: usize| match task.kind == TAGS.kind {
            true => Input::words_of(["good film", "awful film was"][n]),
            false => Input::Text(["good film", "awful film was"][n].into()),
        };
        let inputs = vec![text(0), text(1), text(0)];
        let alone: Vec<_> =
            inputs.iter().map(|i| adapter.encode(vec![i.clone()]).unwrap()).collect();
        let mut worker = base.worker();
        let alone = alone.iter().map(|e| base.outputs(&mut worker, &[(e, 0)]).unwrap().remove(0));
        sets.push((alone.collect::<Vec<_>>(), adapter.encode(inputs).unwrap(), frozen));
    }
    let chunk: Vec<_> = sets.iter().flat_map(|(_, e, _)| (0..3).map(move |i| (e, i))).collect();
    let wanted: Vec<_> = sets.iter().flat_map(|(alone, ..)| alone.clone()).collect();
    assert_eq!(base.outputs(&mut base.worker(), &chunk).unwrap(), wanted);
    // In any order, and whatever is missing.
    for step in [2, 5, 11] {
        let places: Vec<usize> = (0..chunk.len()).map(|i| i * step % chunk.len()).collect();
        let some: Vec<_> = places[step..].iter().map(|&i| chunk[i]).collect();
        let wanted: Vec<_> = places[step..].iter().map(|&i| wanted[i].clone()).collect();
        assert_eq!(base.outputs(&mut base.worker(), &some).unwrap(), wanted);
    }
    // The work that is left of four tokens: none of two layers, half, or all of it.
    for (_, encoded, frozen) in &sets {
        let others = chunk.iter().filter(|(e, _)| !std::ptr::eq(*e, encoded)).copied();
        assert_eq!(encoded.tokens(0), 4);
        assert_eq!(encoded.tokens_beside(0, []), 4);
        assert_eq!(encoded.tokens_beside(0, others), [4, 2, 1][*frozen], "{frozen}");
    }
}

#[test]
fn threads_share_a_base() {
    let world = World::new();
    let base =
        Base::open_with(world.path("base"), BaseOptions { threads: 2, ..BaseOptions::default() });
    let base = base.unwrap();
    let adapters = adapters(&world, &base);
    let alone: Vec<_> = adapters.iter().map(|a| a.predict(&[input(a, 9)]).unwrap()).collect();
    std::thread::scope(|scope| {
        for (adapter, answer) in adapters.iter().zip(&alone) {
            let adapter = adapter.clone();
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(&adapter.predict(&[input(&adapter, 9)]).unwrap(), answer);
                }
            });
        }
    });
}

#[test]
fn data_in_memory_are_scored() {
    let world = World::new();
    let base = world.base();
    let adapter = base.adapter(world.adapter("two", "adapter", 3, TWO)).unwrap();
    let example = |i: usize| {
        let target = Target::Class((i % 2) as u32);
        Example { input: input(&adapter, 1 + i), target }
    };
    let data = Dataset::from_examples((0..20).map(example).collect(), "dev", "memory");
    let evaluation = adapter.evaluate(&data).unwrap();
    let inputs: Vec<Input> = data.examples.iter().map(|e| e.input.clone()).collect();
    let answers = adapter.predict(&inputs).unwrap();
    let right = |(i, answer): &(usize, &Answer)| match answer {
        Answer::Class { label, .. } => *label == ["bad", "good"][i % 2],
        _ => false,
    };
    let right = answers.iter().enumerate().filter(right).count();
    let accuracy = evaluation.scores.iter().find(|s| s.name == "accuracy").unwrap();
    assert_eq!(accuracy.value, right as f64 / 20.0);
    assert_eq!(evaluation.predictions.len(), 20);
}

#[test]
fn what_does_not_fit_is_named() {
    let world = World::new();
    let base = world.base();
    let two = base.adapter(world.adapter("two", "adapter", 3, TWO)).unwrap();
    let text = || Input::Text("good".into());
    let fault = two.predict(&[text(), Input::Pair("a".into(), "b".into())]).unwrap_err();
    let said = "input 2: this adapter reads one text, but two texts is given";
    assert_eq!(fault.to_string(), said);
    let other = world.base();
    let fault = predict_mixed(&other, &[(&two, text())]).unwrap_err();
    assert!(matches!(fault, Error::Input { row: 1, .. }), "{fault}");
    assert!(predict_mixed(&base, &[]).unwrap().is_empty());
    // Another form of the base than in training is allowed, and said.
    let int8 = BaseOptions { precision: Some(Form::Int8), ..BaseOptions::default() };
    let int8 = Base::open_with(world.path("base"), int8).unwrap();
    let warned = int8.adapter(world.path("two")).unwrap();
    assert!(warned.warnings()[0].contains("trained on weights in f32"));
    assert!(two.warnings().is_empty());
    let unlabelled = Example { input: text(), target: Target::None };
    let data = Dataset::from_examples(vec![unlabelled], "x", "memory");
    assert!(two.evaluate(&data).unwrap_err().to_string().contains("no right answer"));
}

/// The shapes that `budwood predict` prints.
#[test]
fn answers_are_json() {
    let world = World::new();
    let base = world.base();
    for adapter in adapters(&world, &base) {
        let answer = adapter.predict(&[input(&adapter, 3)]).unwrap().remove(0);
        let json = serde_json::to_value(&answer).unwrap();
        let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: &[&str] = match answer {
            Answer::Class { .. } => &["label", "score", "scores"],
            Answer::Value { .. } => &["value"],
            _ => &["words", "tags", "scores", "entities"],
        };
        assert_eq!(names, expected);
    }
}
