//! Questions about a text and sentences with tags: files, windows, words, answers, and what is
//! wrong with them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use budwood_base::random::Key;
use budwood_base::tokenizer::Frame;
use budwood_tasks::read::ReadOptions;
use budwood_tasks::{
    Answer, AnswerLimits, ColumnChoice, DataSource, Error, Input, Passage, Sentence, Split, Target,
    Tokenizer,
};
use serde_json::Value;

/// What transformers' tokenizers gave; see `tests/tokens/make.py`.
fn cases() -> Value {
    serde_json::from_str(include_str!("../../../tests/tokens/cases.json")).unwrap()
}

fn tokenizer(cases: &Value, dir: &Path, family: &str) -> Tokenizer {
    let files: &[&str] =
        if family == "bert" { &["vocab.txt"] } else { &["vocab.json", "merges.txt"] };
    for file in files {
        fs::write(dir.join(file), cases[*file].as_str().unwrap()).unwrap();
    }
    let frame = if family == "bert" { Frame::BERT } else { Frame::ROBERTA };
    Tokenizer::open(dir, frame).unwrap()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn windows_and_places_match_the_reference_library() {
    let cases = cases();
    let context: Arc<str> = cases["context"].as_str().unwrap().into();
    let byte = |n: usize| context.char_indices().map(|(b, _)| b).nth(n).unwrap();
    let answers: Vec<(String, usize)> = numbers(&cases["answers"]);
    let (mut windows_seen, mut held) = (0, 0);
    for case in cases["questions"].as_array().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = tokenizer(&cases, dir.path(), case["family"].as_str().unwrap());
        let size = |name: &str| case[name].as_u64().unwrap() as usize;
        let (max, stride) = (size("max_length"), size("stride"));
        let question = case["question"].as_str().unwrap();
        let (passage, inputs) = Passage::new(&tokenizer, question, &context, max, stride).unwrap();
        let expected = case["windows"].as_array().unwrap();
        let what = format!("{} '{question}' {max} {stride}", case["family"]);
        assert_eq!((inputs.len(), passage.windows()), (expected.len(), expected.len()), "{what}");
        for (input, expected) in inputs.iter().zip(expected) {
            assert_eq!(input.ids, numbers::<Vec<u32>>(&expected["ids"]), "{what}");
            assert_eq!(input.types, numbers::<Vec<u32>>(&expected["types"]), "{what}");
        }
        for (i, (text, start)) in answers.iter().enumerate() {
            let places = passage.places(&Answer { text: text.clone(), start: byte(*start) });
            let expected = expected.iter().map(|w| numbers::<(u32, u32)>(&w["places"][i]));
            let expected: Vec<_> = expected.collect();
            assert_eq!(places, expected, "{what}: {text}");
            held += places.iter().filter(|p| **p != (0, 0)).count();
        }
        windows_seen += inputs.len();
    }
    assert!(windows_seen > 100 && held > 100, "{windows_seen} {held}");
}

#[test]
fn words_match_the_reference_library() {
    let cases = cases();
    for case in cases["sentences"].as_array().unwrap() {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = tokenizer(&cases, dir.path(), case["family"].as_str().unwrap());
        let words: Vec<String> = numbers(&case["words"]);
        let (sentence, inputs) = Sentence::new(&tokenizer, &words, 128).unwrap();
        let ids: Vec<u32> = numbers(&case["ids"]);
        assert_eq!((inputs.len(), &inputs[0].ids), (1, &ids), "{words:?}");
        let tags: Vec<u32> = (0..words.len() as u32).collect();
        let targets = sentence.targets(&tags, &[ids.len()]);
        for (word, token) in numbers::<Vec<usize>>(&case["first"]).into_iter().enumerate() {
            assert_eq!(targets[0][token], Some(word as u32), "{words:?}");
        }
        assert_eq!(targets[0].iter().flatten().count(), words.len());
    }
}

#[test]
fn long_sentences_are_cut_between_words_and_joined_again() {
    let cases = cases();
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(&cases, dir.path(), "bert");
    // `cats` has two tokens; \u{7f} has none of its own.
    let words = ["the", "cats", "sat", "on", "\u{7f}", "cats", "mat"].map(String::from);
    let (sentence, inputs) = Sentence::new(&tokenizer, &words, 5).unwrap();
    let lengths: Vec<usize> = inputs.iter().map(|i| i.ids.len()).collect();
    assert_eq!((sentence.inputs(), &lengths[..]), (3, &[5, 5, 5][..]));
    let tags = [3, 1, 4, 1, 5, 2, 6];
    // Outputs that say the target at each first token, and tag 0 elsewhere.
    let targets = sentence.targets(&tags, &lengths);
    let row = |tag: Option<u32>| {
        (0..7).map(move |i| f32::from(u8::from(i == tag.unwrap_or(0)))).collect::<Vec<f32>>()
    };
    let outputs: Vec<Vec<f32>> =
        targets.iter().map(|t| t.iter().flat_map(|&tag| row(tag)).collect()).collect();
    let given = sentence.tags(&outputs, 7);
    assert!(given.iter().map(|(tag, _)| *tag).eq(tags));
    let e = 1f32.exp();
    assert!(given.iter().all(|(_, p)| (p - e / (e + 6.0)).abs() < 1e-6));
    // A word that is too long by itself keeps its first token.
    let long = [String::from("catssss"), "the".into()];
    assert_eq!(Sentence::new(&tokenizer, &long, 3).unwrap().0.inputs(), 2);
    assert!(Sentence::new(&tokenizer, &long, 2).is_err());
}

/// All answers of all windows, one by one.
#[test]
fn candidates_match_a_search_through_all_answers() {
    let cases = cases();
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(&cases, dir.path(), "bert");
    let context: Arc<str> = cases["context"].as_str().unwrap().into();
    let (passage, inputs) = Passage::new(&tokenizer, "who sat?", &context, 20, 5).unwrap();
    for seed in 0..20 {
        let key = Key::new(seed);
        let outputs: Vec<Vec<f32>> = inputs
            .iter()
            .enumerate()
            .map(|(w, input)| {
                let stream = key.child(w as u64);
                (0..2 * input.ids.len() as u64).map(|i| stream.normal(i) as f32).collect()
            })
            .collect();
        let limits = AnswerLimits { n_best: 1000, max_tokens: 3 };
        let got = passage.candidates(&outputs, limits);
        // The same by way of the places of answers: every pair of tokens of every window.
        let mut best = f32::NEG_INFINITY;
        let mut text_of_best = String::new();
        let ends: Vec<usize> =
            context.char_indices().map(|(b, _)| b).chain([context.len()]).collect();
        for (i, &start) in ends.iter().enumerate() {
            for &end in &ends[i + 1..] {
                let text = &context[start..end];
                if text.trim() != text {
                    continue;
                }
                let places = passage.places(&Answer { text: text.into(), start });
                for ((first, last), outputs) in places.into_iter().zip(&outputs) {
                    if first == 0 || last - first >= 3 {
                        continue;
                    }
                    let score = outputs[2 * first as usize] + outputs[2 * last as usize + 1];
                    // Of answers with the same tokens, the whole words are the longest.
                    if score > best || (score == best && text.len() > text_of_best.len()) {
                        best = score;
                        text_of_best = text.into();
                    }
                }
            }
        }
        assert_eq!(got[0].score, best, "{seed}");
        assert_eq!(got[0].text, text_of_best, "{seed}");
        assert_eq!(&context[got[0].bytes.clone()], got[0].text);
        assert!(got.windows(2).all(|w| w[0].score >= w[1].score));
        let total: f32 = got.iter().map(|c| c.probability).sum();
        assert!((total - 1.0).abs() < 1e-5);
        let few = passage.candidates(&outputs, AnswerLimits { n_best: 4, max_tokens: 3 });
        assert!(few.len() <= 4);
    }
}

fn source(dir: &Path, text: &str) -> DataSource {
    let text = text.replace("DIR", &dir.display().to_string());
    DataSource::parse(&text, ColumnChoice::default(), ReadOptions::default()).unwrap()
}

const CONLL: &str = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\nBlackburn NNP I-NP I-PER\n";

#[test]
fn columns_of_conll_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("eng.train"), CONLL).unwrap();
    fs::write(dir.path().join("tabs.conll"), CONLL.replace(' ', "\t").replace('\n', "\r\n"))
        .unwrap();
    fs::write(
        dir.path().join("rows.jsonl"),
        "{\"tokens\":[\"EU\",\"rejects\"],\"tags\":[\"B-ORG\",\"O\"]}\n{\"tokens\":[\"Peter\",\"Blackburn\"],\"tags\":[\"B-PER\",\"I-PER\"]}\n",
    )
    .unwrap();
    for text in ["conll=DIR", "conll=DIR/eng.train", "DIR/tabs.conll", "DIR/rows.jsonl"] {
        let source = source(dir.path(), text);
        let task = common::kind(&source).unwrap();
        assert_eq!(task.name, "token-classification", "{text}");
        let labels = common::labels(&source, task, Split::Train).unwrap();
        assert_eq!(labels, ["B-ORG", "B-PER", "I-PER", "O"], "{text}");
        let data = common::examples(&source, task, &labels, Split::Train, true).unwrap();
        assert_eq!(data.examples.len(), 2);
        assert_eq!(data.examples[0].input, Input::Words(vec!["EU".into(), "rejects".into()]));
        assert_eq!(data.examples[1].target, Target::Tags(vec![1, 2]));
    }
    // Another column of tags.
    let (texts, labels) = (vec!["1".into()], vec!["2".into()]);
    let choice = ColumnChoice { texts, labels, ..ColumnChoice::default() };
    let text = format!("{}/tabs.conll", dir.path().display());
    let source = DataSource::parse(&text, choice, ReadOptions::default()).unwrap();
    let task = common::kind(&source).unwrap();
    assert_eq!(common::labels(&source, task, Split::Train).unwrap(), ["NNP", "VBZ"]);
}

#[track_caller]
fn fails<T>(result: Result<T, Error>, words: &[&str]) {
    let Err(error) = result else { panic!("no error; {words:?} were expected") };
    let error = error.to_string();
    for word in words {
        assert!(error.contains(word), "lacks '{word}': {error}");
    }
}

#[test]
fn faults_of_tagged_words_are_named_with_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        fs::write(dir.path().join("a.conll"), text).unwrap();
        let source = source(dir.path(), "DIR/a.conll");
        let labels = ["B-PER", "I-PER", "O"].map(String::from);
        let task = budwood_tasks::task::find("token-classification").unwrap();
        common::examples(&source, task, &labels, Split::Dev, true)
    };
    fails(read("a X O\nb O\n"), &["a.conll, line 2", "2 columns", "3"]);
    fails(read("a O\n\nb O\nc B-XYZ\n"), &["line 3", "word 2", "'c'", "B-XYZ", "B-PER"]);
    fails(read("a\tO\nb\t\n"), &["line 2", "empty column"]);
    fails(read("\n\n"), &["no row"]);
    fails(read("a\nb\n"), &["--label-column"]);
    let jsonl = |text: &str| {
        fs::write(dir.path().join("b.jsonl"), text).unwrap();
        let source = source(dir.path(), "DIR/b.jsonl");
        let task = budwood_tasks::task::find("token-classification").unwrap();
        let labels = common::labels(&source, task, Split::Train)?;
        common::examples(&source, task, &labels, Split::Train, true)
    };
    fails(jsonl("{\"tokens\":[\"a\"],\"tags\":[\"O\",\"B\"]}\n"), &["line 1", "1 words", "2 tags"]);
    fails(jsonl("{\"tokens\":\"a b\",\"tags\":[\"O\",\"B\"]}\n"), &["line 1", "not a list"]);
    let numbers = jsonl("{\"tokens\":[\"a\",\"b\"],\"tags\":[0,1]}\n").unwrap();
    assert_eq!(numbers.examples[0].target, Target::Tags(vec![0, 1]));
    fails(jsonl("{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n"), &["all words have the tag 'O'"]);
}

const SQUAD: &str = r#"{"version": "1.1", "data": [
 {"title": "One", "paragraphs": [{"context": "Ein café in Köln. The end.", "qas": [
   {"id": "q1", "question": " Where? ", "answers": [{"text": "Köln", "answer_start": 12}, {"text": "in Köln", "answer_start": 9}]},
   {"id": "q2", "question": "What?", "answers": [{"text": "The end", "answer_start": 18}]}]}]},
 {"title": "Two", "paragraphs": [{"context": "Nothing here.", "qas": [
   {"id": "q3", "question": "Where?", "answers": [{"text": "here", "answer_start": 8}]}]}]}]}"#;

#[test]
fn squad_and_its_other_forms_are_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("train-v1.1.json"), SQUAD).unwrap();
    let rows = [
        r#"{"title":"One","context":"Ein café in Köln. The end.","question":"Where?","answers":{"text":["Köln","in Köln"],"answer_start":[12,9]}}"#,
        r#"{"title":"One","context":"Ein café in Köln. The end.","question":"What?","answers":{"text":["The end"],"answer_start":[18]}}"#,
        r#"{"title":"Two","context":"Nothing here.","question":"Where?","answers":[{"text":"here","answer_start":8}]}"#,
    ];
    fs::write(dir.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let mut digests = Vec::new();
    for text in ["squad=DIR", "squad=DIR/train-v1.1.json", "DIR/train-v1.1.json", "DIR/rows.jsonl"]
    {
        let source = source(dir.path(), text);
        let task = common::kind(&source).unwrap();
        assert_eq!(task.name, "question-answering", "{text}");
        let data = common::examples(&source, task, &[], Split::Train, true).unwrap();
        let Target::Answers(answers) = &data.examples[0].target else { panic!("answers") };
        // Places are bytes here: two letters before have two.
        assert_eq!(answers[0], Answer { text: "Köln".into(), start: 13 });
        assert_eq!(answers.len(), 2);
        digests.push(data.digest.sha256.clone());
        // Questions on an article stay together.
        let (rest, part) = data.split(0.4, 1, "dev").unwrap();
        assert_eq!(rest.examples.len() + part.examples.len(), 3);
        assert!(rest.examples.len() != 2 || part.examples.len() == 1);
    }
    assert!(digests.iter().all(|d| *d == digests[0]));
    let split = source(dir.path(), "squad=DIR");
    assert!(split.has_splits() && !split.has(Split::Dev));
    assert!(!source(dir.path(), "squad=DIR/train-v1.1.json").has_splits());
}

#[test]
fn faults_of_questions_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let read = |from: &str, to: &str| {
        assert!(SQUAD.contains(from));
        fs::write(dir.path().join("a.json"), SQUAD.replace(from, to)).unwrap();
        let source = source(dir.path(), "squad=DIR/a.json");
        let task = budwood_tasks::task::find("question-answering").unwrap();
        common::examples(&source, task, &[], Split::Train, true)
    };
    fails(
        read("\"answer_start\": 18", "\"answer_start\": 17"),
        &["question 2", "q2", "character 17"],
    );
    fails(read("\"answer_start\": 18", "\"answer_start\": 999"), &["q2", "character 999"]);
    fails(read("\"The end\"", "\" \""), &["q2"]);
    // SQuAD 2.0 has questions without an answer.
    let none = read("[{\"text\": \"The end\", \"answer_start\": 18}]", "[]").unwrap();
    assert_eq!(none.examples[1].target, Target::Answers(Vec::new()));
    fails(read("\"qas\"", "\"questions\""), &["a.json, line", "qas"]);
    fails(read("]}]}]}", "]}"), &["a.json, line", "SQuAD"]);
}

#[test]
fn a_text_without_room_is_refused() {
    let cases = cases();
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer(&cases, dir.path(), "bert");
    fails(
        Passage::new(&tokenizer, "the cat the cat", &"the".into(), 7, 1),
        &["no room", "4 tokens"],
    );
    // An empty text is a window without tokens, and has no answer.
    let (passage, inputs) = Passage::new(&tokenizer, "the", &" ".into(), 8, 1).unwrap();
    let outputs = vec![vec![0.0; 2 * inputs[0].ids.len()]];
    assert!(passage.candidates(&outputs, AnswerLimits::default()).is_empty());
    // Questions are cut to 64 tokens.
    let long = "the ".repeat(100);
    let (_, inputs) = Passage::new(&tokenizer, &long, &"cat".into(), 128, 1).unwrap();
    assert_eq!(inputs[0].ids.len(), 64 + 1 + 3);
}

#[test]
fn plain_texts_become_words() {
    let words = |text: &str| match Input::words_of(text) {
        Input::Words(words) => words.join("|"),
        _ => String::new(),
    };
    assert_eq!(words(" The (U.S.) film,\tit's 10,000! "), "The|(|U.S|.|)|film|,|it's|10,000|!");
    assert_eq!(words("... caf\u{e9}"), ".|.|.|caf\u{e9}");
}
