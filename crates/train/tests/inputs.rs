//! What becomes of texts that are longer than an input, and which example an answer is of.
#![allow(clippy::unwrap_used)]

use budwood_base::tokenizer::Frame;
use budwood_tasks::{Dataset, Example, Input, Target, Tokenizer};
use budwood_train::{Answers, Error, Lengths, Prepared, prepare};

/// Examples of so many words each, whose words all have the first tag, in inputs of 16 tokens.
fn tagged(words: &[usize]) -> Prepared {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
        .unwrap();
    let tokenizer = Tokenizer::open(dir.path(), Frame::BERT).unwrap();
    let example = |&n: &usize| Example {
        input: Input::Words(vec!["a".into(); n]),
        target: Target::Tags(vec![0; n]),
    };
    let data = Dataset::from_examples(words.iter().map(example).collect(), "test", "words");
    let labels = ["O".to_string(), "B-X".to_string()];
    prepare(&tokenizer, &data, &labels, Lengths { max: 16, stride: 8 }, 1).unwrap()
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
