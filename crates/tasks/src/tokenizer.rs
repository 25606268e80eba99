//! Texts to token ids, without padding: `tokenizer.json`, or the older files that hold the same.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::{Error, Input};

/// One input's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids with the special tokens.
    pub ids: Vec<u32>,
    /// Token types: 0 for the first text with its special tokens, 1 for the second.
    pub types: Vec<u32>,
    /// Whether tokens were cut off.
    pub truncated: bool,
}

/// How special tokens stand around texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    first: u32,
    separator: u32,
    /// RoBERTa puts two separators between texts and has no second type.
    roberta: bool,
}

/// A tokenizer with the frame of its model's family.
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    frame: Frame,
}

impl Tokenizer {
    /// Opens the tokenizer of a model's folder: `tokenizer.json`, else `vocab.txt` (WordPiece), else
    /// `vocab.json` and `merges.txt` (byte-level BPE).
    ///
    /// # Errors
    /// If there is none, it is damaged, or its special tokens are missing.
    pub fn open(folder: &Path, family: &str) -> Result<Self, Error> {
        let roberta = family == "roberta";
        let json = folder.join("tokenizer.json");
        let (path, mut inner) = if json.exists() {
            let failed = |e| Error::file(&json, format!("is not a tokenizer: {e}"));
            let inner = tokenizers::Tokenizer::from_file(&json).map_err(failed)?;
            (json, inner)
        } else if folder.join("vocab.txt").exists() {
            (folder.join("vocab.txt"), word_piece(folder)?)
        } else if folder.join("vocab.json").exists() && folder.join("merges.txt").exists() {
            (folder.join("vocab.json"), byte_level(folder)?)
        } else {
            let message = "holds no tokenizer: neither tokenizer.json, nor vocab.txt, nor vocab.json with merges.txt";
            return Err(Error::file(folder, message));
        };
        // Files may ask for padding and truncation of their own; both are ours to do.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::file(&path, format!("cannot be used: {e}")))?;
        let id = |token: &str| {
            let missing = || Error::file(&path, format!("lacks the special token {token}"));
            inner.token_to_id(token).ok_or_else(missing)
        };
        let frame = match roberta {
            true => Frame { first: id("<s>")?, separator: id("</s>")?, roberta },
            false => Frame { first: id("[CLS]")?, separator: id("[SEP]")?, roberta },
        };
        Ok(Self { path, inner, frame })
    }

    /// Checks that every id has a row in an embedding of `rows` rows.
    ///
    /// # Errors
    /// If it has not: the tokenizer is another model's.
    pub fn check_vocabulary(&self, rows: usize) -> Result<(), Error> {
        let largest = self.inner.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if largest < rows {
            return Ok(());
        }
        let message = format!(
            "does not fit the model: its largest id is {largest}, but the word embedding has {rows} rows. Is it the tokenizer of another model?"
        );
        Err(Error::file(&self.path, message))
    }

    /// The tokens of one or two texts, cut to `max_length` as BERT's code does: of two texts, the longer one
    /// loses its last token until both fit.
    ///
    /// # Errors
    /// If the tokenizer fails, `max_length` leaves no room for a token, or the input is an image.
    pub fn encode(&self, input: &Input, max_length: usize) -> Result<Encoded, Error> {
        let ids = |text: &str| -> Result<Vec<u32>, Error> {
            let failed = |e| Error::file(&self.path, format!("cannot encode a text: {e}"));
            let encoding = self.inner.encode_fast(text, false).map_err(failed)?;
            Ok(encoding.get_ids().to_vec())
        };
        let (mut a, mut b) = match input {
            Input::Text(text) => (ids(text)?, None),
            Input::Pair(a, b) => (ids(a)?, Some(ids(b)?)),
            Input::Image(image) => {
                let message = format!("{} is an image, but the model reads texts", image.name);
                return Err(Error::Usage(message));
            }
        };
        let special = match (&b, self.frame.roberta) {
            (None, _) => 2,
            (Some(_), false) => 3,
            (Some(_), true) => 4,
        };
        let room = max_length.checked_sub(special).filter(|&r| r > 0).ok_or_else(|| {
            Error::Usage(format!(
                "--max-length {max_length} leaves no room beside {special} special tokens"
            ))
        })?;
        let before = a.len() + b.as_ref().map_or(0, Vec::len);
        while a.len() + b.as_ref().map_or(0, Vec::len) > room {
            match &mut b {
                Some(b) if b.len() >= a.len() => b.pop(),
                _ => a.pop(),
            };
        }
        let Frame { first, separator, roberta } = self.frame;
        let mut all = Vec::with_capacity(room + special);
        all.push(first);
        all.extend_from_slice(&a);
        all.push(separator);
        let n_first = all.len();
        if let Some(b) = &b {
            if roberta {
                all.push(separator);
            }
            all.extend_from_slice(b);
            all.push(separator);
        }
        let second = u32::from(!roberta);
        let types = (0..all.len()).map(|i| if i < n_first { 0 } else { second }).collect();
        Ok(Encoded { ids: all, types, truncated: before > room })
    }
}

/// BERT's tokenizer from `vocab.txt`, with `do_lower_case` and friends from `tokenizer_config.json`.
fn word_piece(folder: &Path) -> Result<tokenizers::Tokenizer, Error> {
    let path = folder.join("vocab.txt");
    let failed =
        |e: &dyn std::fmt::Display| Error::file(&path, format!("is not a vocabulary: {e}"));
    let config = std::fs::read_to_string(folder.join("tokenizer_config.json")).ok();
    let config: Value =
        config.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    let flag = |name: &str| config.get(name).and_then(Value::as_bool);
    let text = path.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?;
    let model =
        WordPiece::from_file(text).unk_token("[UNK]".into()).build().map_err(|e| failed(&e))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let lower = flag("do_lower_case").unwrap_or(true);
    let chinese = flag("tokenize_chinese_chars").unwrap_or(true);
    let normalizer = BertNormalizer::new(true, chinese, flag("strip_accents"), lower);
    tokenizer.with_normalizer(Some(normalizer)).with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(tokenizer)
}

/// RoBERTa's tokenizer from `vocab.json` and `merges.txt`.
fn byte_level(folder: &Path) -> Result<tokenizers::Tokenizer, Error> {
    let path = folder.join("vocab.json");
    let failed =
        |e: &dyn std::fmt::Display| Error::file(&path, format!("is not a vocabulary: {e}"));
    let merges = folder.join("merges.txt");
    let (Some(vocab), Some(merges)) = (path.to_str(), merges.to_str()) else {
        return Err(failed(&"its path is not UTF-8"));
    };
    let model = BPE::from_file(vocab, merges).build().map_err(|e| failed(&e))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    Ok(tokenizer)
}
