//! Texts of masked language models in training: other masks in each epoch, windows, and scores
//! beside those of outputs for all tokens.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use budwood_base::masking::Masking;
use budwood_base::method::MethodSpec;
use budwood_base::tokenizer::Frame;
use budwood_engine::{Context, Device, Precision, Workers};
use budwood_formats::BaseModel;
use budwood_model::{Adapter, Base, Batch, Segment, Targets, predict};
use budwood_tasks::batch::BatchSize;
use budwood_tasks::{Dataset, Example, Input, Target, Tokenizer};
use budwood_train::{
    Error, Event, Prepared, TrainConfig, Trainer, answers, prepare_masked, scores,
};

const WORDS: &str = "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e f g h i j ##k ##l";

struct World {
    base: Base,
    adapter: Adapter,
    tokenizer: Arc<Tokenizer>,
}

fn world() -> World {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/families/masked-lm-bert/base");
    let model = BaseModel::open(&golden).unwrap();
    let fetch = |name: &str| Ok::<_, Error>(model.tensor(name)?);
    let mut base =
        Base::load(model.spec().clone(), Device::cpu(), Precision::F32, true, fetch).unwrap();
    base.set_dropout(0.0);
    let own = model.masked_lm().unwrap();
    let mut adapter = Adapter::new(&base, &MethodSpec::named("lora"), own.head, 1).unwrap();
    adapter.begin_from(&base, &own.values).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("vocab.txt"), WORDS.replace(' ', "\n")).unwrap();
    let tokenizer = Arc::new(Tokenizer::open(dir.path(), Frame::BERT).unwrap());
    World { base, adapter, tokenizer }
}

fn data(texts: &[&str]) -> Dataset {
    let example =
        |text: &&str| Example { input: Input::Text((*text).into()), target: Target::None };
    Dataset::from_examples(texts.iter().map(example).collect(), "train", "memory")
}

const TEXTS: [&str; 3] =
    ["a b c d e f g h i j a b c d e f g h i j", "j i h g f e d c", "akl bk cl"];

fn prepared(world: &World, max_length: usize, masking: Masking) -> Prepared {
    prepare_masked(&world.tokenizer, &data(&TEXTS), Some(masking), max_length, 2).unwrap()
}

/// At a rate of next to nothing, losses differ by their masks alone.
#[test]
fn each_epoch_has_masks_of_its_own_and_a_seed_has_the_same() {
    let mut world = world();
    let train = prepared(&world, 32, Masking::default());
    let mut losses = |seed: u64| {
        let mut config = TrainConfig::new(MethodSpec::named("lora"), "perplexity");
        (config.epochs, config.batch, config.seed) = (3, BatchSize::Examples(8), seed);
        config.learning_rate = 1e-30;
        let mut workers = Workers::new(Device::cpu(), 2);
        let trainer = Trainer::new(&world.base, &mut workers, &config, &train, None, "x").unwrap();
        let mut losses = Vec::new();
        let on_event = |event: Event<'_>| {
            if let Event::Step { loss, .. } = event {
                losses.push(loss);
            }
            ControlFlow::Continue(())
        };
        trainer.run(&mut world.adapter, on_event).unwrap();
        losses
    };
    let one = losses(0);
    assert_eq!(one.len(), 3);
    assert!(one[0] != one[1] && one[1] != one[2] && one[0] != one[2], "{one:?}");
    assert_eq!(losses(0), one);
    assert_ne!(losses(1), one);
}

/// Outputs at the places that are asked for are those of all tokens there, and perplexity and
/// accuracy are what they say.
#[test]
fn scores_are_those_of_outputs_for_all_tokens() {
    let world = world();
    for max_length in [32, 7] {
        let data = prepared(&world, max_length, Masking { share: 0.4, whole_words: true });
        let mut workers = Workers::new(Device::cpu(), 2);
        let given = answers(&mut workers, &world.base, &world.adapter, &data).unwrap();
        let scores = scores(&given, &data);
        let Some(Targets::Words(right)) = &data.targets else { panic!("no words") };
        let filled: Vec<_> = given.filled(&data).concat();
        assert_eq!(filled.len(), right.concat().len());
        assert_eq!(given.filled(&data).len(), TEXTS.len());
        assert_eq!(data.len() > TEXTS.len(), max_length == 7, "long texts are windows");
        let mean: f64 = filled.iter().map(|f| f64::from(f.loss)).sum::<f64>() / filled.len() as f64;
        let of = |name: &str| scores.iter().find(|s| s.name == name).unwrap().value;
        assert!((of("perplexity") / mean.exp() - 1.0).abs() < 1e-9);
        let hits = filled.iter().zip(right.concat()).filter(|(f, word)| f.words[0].0 == *word);
        assert!((of("accuracy") - hits.count() as f64 / filled.len() as f64).abs() < 1e-12);
    }
    // The same tokens, once asked for some places and once for all.
    let (ids, types) = ([2u32, 5, 4, 7, 4, 3], [0u32; 6]);
    let all = Segment { adapter: Some(&world.adapter), sequences: 0..1 };
    let ask = |places: Option<&[u32]>| {
        let batch = Batch::from_sequences([(&ids[..], &types[..])]);
        let batch = if let Some(places) = places { batch.asking([places]) } else { batch };
        let cx = &mut Context::new(Device::cpu());
        predict(cx, &world.base, &batch, std::slice::from_ref(&all)).concat()
    };
    let whole = ask(None);
    let columns = whole.len() / ids.len();
    let expected: Vec<f32> =
        [2, 4].iter().flat_map(|p| &whole[p * columns..][..columns]).copied().collect();
    assert_eq!(ask(Some(&[2, 4])), expected);
    assert!(ask(Some(&[])).is_empty());
}

#[test]
fn what_holds_nothing_to_mask_or_fill_is_said() {
    let world = world();
    let refused = |texts: &[&str], masking| {
        prepare_masked(&world.tokenizer, &data(texts), masking, 16, 1).unwrap_err().to_string()
    };
    let masking = Some(Masking::default());
    // Unknown words are no tokens that a model could be asked for.
    assert!(refused(&["", "x y z", "[MASK]"], masking).contains("can be masked"));
    assert!(refused(&["a b"], None).contains("[MASK]"));
    // Some of the texts alone hold something.
    let some = prepare_masked(&world.tokenizer, &data(&["", "a", "x"]), masking, 16, 1).unwrap();
    assert_eq!((some.len(), some.examples()), (1, 3));
    let filled = data(&["[MASK] a", "b [MASK]", "c [MASK] [MASK]."]);
    let filled = prepare_masked(&world.tokenizer, &filled, None, 16, 1).unwrap();
    let mut workers = Workers::new(Device::cpu(), 1);
    let given = answers(&mut workers, &world.base, &world.adapter, &filled).unwrap();
    let places: Vec<usize> = given.filled(&filled).iter().map(Vec::len).collect();
    assert_eq!(places, [1, 1, 2]);
    assert_eq!((filled.written(15), filled.mask()), ("k".into(), Some("[MASK]")));
}
