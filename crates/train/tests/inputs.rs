//! What becomes of texts that are longer than an input, and which example an answer is of.
#![allow(clippy::unwrap_used)]

use budwood_base::tokenizer::Frame;
use budwood_tasks::{Dataset, Example, Input, Target, Tokenizer};
use budwood_train::{Answers, Error, Lengths, Prepared, prepare};

/// Examples of so many words each, in inputs of 16 tokens.
fn prepared(words: &[usize], example: impl Fn(usize) -> Example) -> Prepared {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
        .unwrap();
    let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap();
    let examples = words.iter().map(|&n| example(n)).collect();
    let data = Dataset::from_examples(examples, "test", "words");
    let labels = ["O".to_string(), "B-X".to_string()];
    prepare(&tokenizer, &data, &labels, Lengths { max: 16, stride: 8 }, 1).unwrap()
}

/// Examples whose words all have the first tag.
fn tagged(words: &[usize]) -> Prepared {
    let input = |n: usize| Input::Words(vec!["a".into(); n]);
    prepared(words, |n| Example { input: input(n), target: Target::Tags(vec![0; n]) })
}

/// With the two tokens around a text.
#[test]
fn texts_that_are_cut_keep_their_whole_length() {
    let input = |n: usize| Input::Text(vec!["a"; n].join(" "));
    let texts =
        prepared(&[3, 14, 15, 40], |n| Example { input: input(n), target: Target::Class(0) });
    assert_eq!((texts.truncated, &texts.whole[..]), (2, &[5, 16, 17, 42][..]));
}

#[test]
fn sentences_in_several_inputs_are_counted() {
    assert_eq!(tagged(&[3, 14, 5]).truncated, 0);
    assert_eq!(tagged(&[3, 40, 15, 5]).truncated, 2);
}

#[test]
fn an_answer_that_is_no_number_is_named_by_its_example() {
    let prepared = tagged(&[3, 4, 5]);
    for example in 0..3 {
        let mut outputs = vec![vec![0.5; 2]; 3];
        outputs[example][1] = f32::NAN;
        match (Answers { outputs }).check(&prepared) {
            Err(Error::NotFinite { example: named, value }) => {
                assert!(named == example + 1 && value.is_nan(), "{named}");
            }
            other => panic!("{other:?}"),
        }
    }
    Answers { outputs: vec![vec![0.5; 2]; 3] }.check(&prepared).unwrap();
}
