//! What a `tokenizer.json` may ask for. Its rules rewrite every text: a few lines of them can make
//! a gigabyte of a sentence, or take hours for a word.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use budwood_base::files::read_plain;
use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// Largest file in bytes. That of XLM-R, with 250,002 tokens, has 17 million.
pub(crate) const FILE: u64 = 100_000_000;
/// Largest number of a token: a file has no room for as many.
pub(crate) const NUMBER: u32 = 100_000_000;
/// Times that a text may become longer by all normalizers together, in bytes.
const GROWTH: u64 = 64;
/// Normalizers, nested ones counted.
const NORMALIZERS: usize = 1000;
/// Bytes of what is put before a text or a part of a word.
const PREFIX: usize = 64;
/// Longest word that is looked up piece by piece, in characters; time grows with its square.
const WORD: u64 = 10_000;

/// Lists and objects inside each other. Those of known tokenizers have six; the library that reads
/// them panics on very deep ones.
const DEPTH: usize = 32;

/// The parts of the file that are checked.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    model: Model,
}

#[derive(Default, Deserialize)]
struct Model {
    max_input_chars_per_word: Option<u64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

/// Checks a `tokenizer.json` before it is loaded, and returns its text.
///
/// # Errors
/// If it cannot be read, or asks for more than the limits: the rule and its limit.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let text = plain(path, FILE)?;
    check(&text).map_err(|why| Error::file(path, why))?;
    Ok(text)
}

/// The bytes of a file that has no more than `most`.
pub(crate) fn plain(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    read_plain(path, most).map_err(|e| Error::file(path, format!("cannot be read: {e}")))
}

fn check(text: &[u8]) -> Result<(), String> {
    let depth = depth(text);
    if depth > DEPTH {
        return Err(format!(
            "has lists and objects {depth} deep inside each other; at most {DEPTH} are accepted"
        ));
    }
    let file: File =
        serde_json::from_slice(text).map_err(|e| format!("is not a tokenizer: {e}"))?;
    let mut count = 0;
    let growth = growth(&file.normalizer, &mut count)?;
    if growth > GROWTH {
        return Err(format!(
            "has normalizers that make a text up to {growth} times as long; at most {GROWTH} times \
             is accepted"
        ));
    }
    if let Some(n) = file.model.max_input_chars_per_word.filter(|&n| n > WORD) {
        return Err(format!("has max_input_chars_per_word {n}; at most {WORD} is accepted"));
    }
    let Model { continuing_subword_prefix, end_of_word_suffix, .. } = file.model;
    for affix in [continuing_subword_prefix, end_of_word_suffix].into_iter().flatten() {
        short(&affix)?;
    }
    Ok(())
}

/// How deep lists and objects of JSON stand inside each other at most.
fn depth(text: &[u8]) -> usize {
    let (mut now, mut most) = (0usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn short(affix: &str) -> Result<(), String> {
    match affix.len() <= PREFIX {
        true => Ok(()),
        false => {
            Err(format!("adds {} bytes to each word; at most {PREFIX} are accepted", affix.len()))
        }
    }
}

/// How many times as long a text can become.
fn growth(normalizer: &Value, count: &mut usize) -> Result<u64, String> {
    *count += 1;
    if *count > NORMALIZERS {
        return Err(format!("has more than {NORMALIZERS} normalizers"));
    }
    let text = |name: &str| normalizer.get(name).and_then(Value::as_str);
    let times = |new: usize, old: usize| new.div_ceil(old.max(1)).max(1) as u64;
    match text("type") {
        Some("Sequence") => {
            let all = normalizer.get("normalizers").and_then(Value::as_array);
            all.into_iter()
                .flatten()
                .try_fold(1u64, |product, one| Ok(product.saturating_mul(growth(one, count)?)))
        }
        Some("Replace") => {
            let new = text("content").unwrap_or_default().len();
            let pattern = normalizer.get("pattern").and_then(|p| p.get("String")?.as_str());
            // An expression may match a byte; what matches nothing is put in beside each.
            Ok(match pattern {
                Some("") => 1 + new as u64,
                Some(old) => times(new, old.len()),
                None => times(new, 1),
            })
        }
        Some("Prepend") => short(text("prepend").unwrap_or_default()).map(|()| 1),
        Some("Precompiled") => {
            let map = STANDARD.decode(text("precompiled_charsmap").unwrap_or_default());
            let map =
                map.map_err(|e| format!("has a precompiled_charsmap that is damaged: {e}"))?;
            // The table's size, the table, and what characters become, each with a zero after it.
            let size = map.first_chunk().map_or(0, |n| u32::from_le_bytes(*n) as usize);
            let strings = map.get(size.saturating_add(4)..).unwrap_or_default();
            let longest = strings.split(|&b| b == 0).map(<[u8]>::len).max().unwrap_or(0);
            // SentencePiece's own map makes 33 bytes of a character of three.
            Ok(times(longest, 3))
        }
        _ => Ok(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(normalizer: &str) -> Result<(), String> {
        check(format!("{{\"normalizer\": {normalizer}, \"model\": {{}}}}").as_bytes())
    }

    fn replace(pattern: &str, content: &str) -> String {
        format!(r#"{{"type":"Replace","pattern":{pattern},"content":"{content}"}}"#)
    }

    fn sequence(all: &[String]) -> String {
        format!(r#"{{"type":"Sequence","normalizers":[{}]}}"#, all.join(","))
    }

    /// A device is read without end, and a pipe is waited for without end.
    #[cfg(unix)]
    #[test]
    fn only_plain_files_are_read() {
        use budwood_base::tokenizer::Frame;
        for files in [
            &["tokenizer.json"][..],
            &["vocab.txt"],
            &["vocab.txt", "tokenizer_config.json"],
            &["vocab.json", "merges.txt"],
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (last, others) = files.split_last().unwrap();
            others.iter().for_each(|name| std::fs::write(dir.path().join(name), "{}").unwrap());
            std::os::unix::fs::symlink("/dev/zero", dir.path().join(last)).unwrap();
            let opened = crate::Tokenizer::open(dir.path(), Frame::BERT);
            let message = opened.map(drop).unwrap_err().to_string();
            assert!(message.contains(last) && message.contains("not a plain file"), "{message}");
        }
    }

    /// Found by damaged input: the library takes for granted that each number has a value.
    #[test]
    fn what_the_library_panics_at_is_an_error() {
        use budwood_base::tokenizer::Frame;
        let dir = tempfile::tempdir().unwrap();
        for part in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
            let text = format!(
                r#"{{"version":"1.0","added_tokens":[],"{part}":2e+308,"model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"","max_input_chars_per_word":9,"vocab":{{"[UNK]":0}}}}}}"#
            );
            std::fs::write(dir.path().join("tokenizer.json"), text).unwrap();
            let opened = crate::Tokenizer::open(dir.path(), Frame::BERT);
            let message = opened.map(drop).unwrap_err().to_string();
            assert!(message.contains("tokenizer.json: is not a tokenizer"), "{part}: {message}");
        }
    }

    /// Found by damaged input: the library counts on from the largest number, beyond 32 bits.
    #[test]
    fn numbers_of_tokens_have_a_bound() {
        use budwood_base::tokenizer::Frame;
        let words = r#""[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3"#;
        let one = |number: u32| format!("{{{words},\"[MASK]\":{number}}}");
        let rules = |vocab: &str| {
            format!(
                r#"{{"version":"1.0","added_tokens":[],"model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"","max_input_chars_per_word":9,"vocab":{vocab}}}}}"#
            )
        };
        for (number, fits) in [(4, true), (NUMBER + 1, false), (u32::MAX, false)] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("tokenizer.json"), rules(&one(number))).unwrap();
            // It stands among the tokens that are found in texts, and one more comes after it.
            let settings = r#"{"mask_token":"[MASK]","pad_token":"[PAD]","cls_token":"[NEW]"}"#;
            std::fs::write(dir.path().join("tokenizer_config.json"), settings).unwrap();
            match crate::Tokenizer::open(dir.path(), Frame::BERT) {
                Ok(_) => assert!(fits, "{number} was accepted"),
                Err(e) => {
                    let message = e.to_string();
                    assert!(
                        !fits && message.contains(&format!("the number {number}")),
                        "{message}"
                    );
                }
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused_before_the_library_sees_it() {
        let nested = |n: usize| {
            let (open, close) = ("{\"decoder\":[".repeat(n), "]}".repeat(n));
            format!("{open}1,\"]}}[{{\\\"[[\"{close}")
        };
        assert_eq!(depth(nested(3).as_bytes()), 6);
        assert!(check(nested(40).as_bytes()).unwrap_err().contains("80 deep"));
        assert!(!check(nested(10).as_bytes()).is_err_and(|e| e.contains("deep")));
    }

    #[test]
    fn rules_of_known_tokenizers_pass() {
        // T5 and XLM-R: a run of spaces becomes one mark of three bytes.
        let spaces = replace(r#"{"Regex":" {2,}"}"#, "▁");
        with(&sequence(&[spaces, replace(r#"{"String":"``"}"#, "\\\"")])).unwrap();
        with(r#"{"type":"Prepend","prepend":"▁"}"#).unwrap();
        with("null").unwrap();
        check(br#"{"model":{"max_input_chars_per_word":100}}"#).unwrap();
    }

    #[test]
    fn texts_do_not_grow_without_bound() {
        let double = replace(r#"{"String":"a"}"#, "aa");
        with(&sequence(&vec![double.clone(); 6])).unwrap();
        let doubled = with(&sequence(&vec![double.clone(); 30])).unwrap_err();
        assert!(doubled.contains("1073741824 times as long"), "{doubled}");
        let nested = sequence(&[sequence(&vec![double.clone(); 4]), sequence(&vec![double; 4])]);
        assert!(with(&nested).is_err());
        assert!(with(&replace(r#"{"Regex":"."}"#, &"x".repeat(65))).is_err());
        assert!(with(&replace(r#"{"String":""}"#, &"x".repeat(64))).is_err());
        let prepend = format!(r#"{{"type":"Prepend","prepend":"{}"}}"#, "x".repeat(65));
        assert!(with(&prepend).unwrap_err().contains("adds 65 bytes"));
        let many = vec![r#"{"type":"NFC"}"#.to_string(); 1001];
        assert!(with(&sequence(&many)).unwrap_err().contains("more than 1000"));
        let map = [&4u32.to_le_bytes()[..], &[0; 4], &[b'x'; 1000], &[0]].concat();
        let map = STANDARD.encode(map);
        let map = format!(r#"{{"type":"Precompiled","precompiled_charsmap":"{map}"}}"#);
        assert!(with(&map).unwrap_err().contains("334 times"));
        let word = check(br#"{"model":{"max_input_chars_per_word":1000000000}}"#).unwrap_err();
        assert!(word.contains("max_input_chars_per_word"), "{word}");
    }
}
