//! Texts to token ids, without padding: `tokenizer.json`, or the older files that hold the same.

use std::collections::BTreeSet;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use budwood_base::files::{check_plain, foreign};
use budwood_base::masking::Masking;
use budwood_base::tokenizer::{Frame, Overrides, SETTINGS_MOST, WordPieceSettings};
use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, NormalizerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Encoding, Token, TruncationParams};

use crate::masking::{Masker, NO_WORD};
use crate::{Error, Input, tokenizer_limits};

/// Files of tokenizers in SentencePiece's own form.
const SENTENCE_PIECE: [&str; 4] =
    ["spm.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"];

/// Names of the token that stands for what is masked, of which a vocabulary has one.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Names of the token that fills batches up.
const PADDING: [&str; 2] = ["[PAD]", "<pad>"];

/// Names of the token for what has none.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];

/// One input's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids with the special tokens.
    pub ids: Vec<u32>,
    /// Token types: 0 for the first text with its special tokens, 1 for the second.
    pub types: Vec<u32>,
    /// Tokens that were cut off.
    pub cut: usize,
}

/// The first byte of a text that a token stands for, and the one after its last.
pub(crate) type Bytes = (u32, u32);

/// Ids of the special tokens of a [`Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Special {
    first: u32,
    separator: u32,
    unknown: u32,
}

/// A tokenizer with the frame of its model's family.
pub struct Tokenizer {
    path: PathBuf,
    inner: tokenizers::Tokenizer,
    /// The largest number of a token in the files; what is added to them may have larger ones.
    largest: u32,
    frame: Frame,
    special: Special,
    /// Why two texts cannot be one input.
    no_pairs: Option<String>,
}

impl Tokenizer {
    /// Opens the tokenizer of a model's folder: `tokenizer.json`, else `vocab.txt` (WordPiece),
    /// else `vocab.json` and `merges.txt` (byte-level BPE).
    ///
    /// # Errors
    /// If there is none, it is damaged, or its special tokens are missing.
    pub fn open(folder: &Path, frame: Frame) -> Result<Self, Error> {
        let json = folder.join("tokenizer.json");
        for name in
            ["tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"]
        {
            check_content(&folder.join(name))?;
        }
        let (path, mut inner, overrides) = if json.exists() {
            let failed = |e| Error::file(&json, format!("is not a tokenizer: {e}"));
            let text = tokenizer_limits::read(&json)?;
            let overrides = Overrides::read(folder, Some(&text));
            // The library panics at some of what no writer makes, as at numbers out of range.
            let made = catch_unwind(|| tokenizers::Tokenizer::from_bytes(text));
            let damaged = || Err("its rules do not fit together; fetch the file again".into());
            let inner = made.unwrap_or_else(|_| damaged()).map_err(failed)?;
            (json, inner, overrides)
        } else if folder.join("vocab.txt").exists() {
            (folder.join("vocab.txt"), word_piece(folder)?, Overrides::read(folder, None))
        } else if folder.join("vocab.json").exists() && folder.join("merges.txt").exists() {
            (folder.join("vocab.json"), byte_level(folder)?, Overrides::read(folder, None))
        } else if let Some(name) = SENTENCE_PIECE.iter().find(|name| folder.join(name).exists()) {
            let message = format!(
                "holds the tokenizer {name}, which is SentencePiece's own form; write tokenizer.json beside it with \
                 `transformers`: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            );
            return Err(Error::file(folder, message));
        } else {
            let message = "holds no tokenizer: neither tokenizer.json, nor vocab.txt, nor vocab.json with merges.txt";
            return Err(Error::file(folder, message));
        };
        // The library counts on from the largest number, and numbers that are none serve as marks.
        let largest = inner.get_vocab(true).into_values().max().unwrap_or(0);
        if largest > tokenizer_limits::NUMBER {
            let most = tokenizer_limits::NUMBER;
            let message = format!("gives a token the number {largest}; at most {most} is accepted");
            return Err(Error::file(&path, message));
        }
        // Files may ask for padding and truncation of their own; both are ours to do.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::file(&path, format!("cannot be used: {e}")))?;
        override_with(&mut inner, overrides.map_err(|(path, e)| Error::file(path, e))?);
        let id = |token: &str| {
            let missing = || Error::file(&path, format!("lacks the special token {token}"));
            inner.token_to_id(token).ok_or_else(missing)
        };
        let sets = || frame.tokens.iter();
        let held = sets().find(|set| set.iter().all(|token| inner.token_to_id(token).is_some()));
        let [first, separator, unknown] = held.or(sets().next()).copied().unwrap_or_default();
        if inner.get_post_processor().is_some() {
            let mut any = sets().map(|set| set[2]).chain(UNKNOWN);
            let held = any.find_map(|token| inner.token_to_id(token));
            let unknown = held.map_or_else(|| id(unknown), Ok)?;
            let special = Special { first: 0, separator: 0, unknown };
            return Self { path, inner, largest, frame, special, no_pairs: None }.framed();
        }
        let special =
            Special { first: id(first)?, separator: id(separator)?, unknown: id(unknown)? };
        // A vocabulary alone does not say that these are found in texts, too.
        if path != folder.join("tokenizer.json") {
            let set = usize::from(first.starts_with('<'));
            let others = [PADDING[set], MASKS[set]].into_iter();
            let others = others.filter(|token| inner.token_to_id(token).is_some());
            let tokens = [first, separator, unknown].into_iter().chain(others);
            let token =
                |token: &str| AddedToken::from(token, true).lstrip(set == 1 && token == MASKS[set]);
            let tokens: Vec<_> = tokens.map(token).collect();
            inner.add_special_tokens(&tokens);
        }
        Ok(Self { path, inner, largest, frame, special, no_pairs: None })
    }

    /// With special tokens around texts as `tokenizer.json` puts them.
    fn framed(mut self) -> Result<Self, Error> {
        let [a, b] = [u32::MAX - 1, u32::MAX];
        let one = |id| Encoding::from_tokens(vec![Token::new(id, String::new(), (0, 0))], 0);
        let around = |second| {
            let made = self.whole(|| self.inner.post_process(one(a), second, true))?;
            Ok::<_, Error>((made.get_ids().to_vec(), made.get_type_ids().to_vec()))
        };
        let (single, pair) = (around(None)?, around(Some(one(b)))?);
        let given = self.frame;
        let forms = [(false, true), (false, false), (true, false), (true, true)];
        let is = |tokenizer: &Self, b: Option<&[u32]>, made: &(Vec<u32>, Vec<u32>)| {
            let Encoded { ids, types, .. } = tokenizer.frame(&[a], b).0;
            ids == made.0 && types == made.1
        };
        if let [first, _, separator] = single.0[..] {
            self.special = Special { first, separator, ..self.special };
        }
        let form = forms.into_iter().find(|&(doubled, types)| {
            self.frame = Frame { doubled, types, ..given };
            is(&self, Some(&[b]), &pair)
        });
        // A family whose models are not given types has none.
        let types = form.map_or(given.types, |(_, types)| types && given.types);
        self.frame = Frame { types, doubled: form.map_or(given.doubled, |form| form.0), ..given };
        if is(&self, None, &single) && form.is_some() {
            return Ok(self);
        }
        let written = |ids: &[u32]| {
            let token = |id: &u32| match *id {
                id if id == a => "A".into(),
                id if id == b => "B".into(),
                id => self.inner.id_to_token(id).unwrap_or_else(|| id.to_string()),
            };
            ids.iter().map(token).collect::<Vec<_>>().join(" ")
        };
        let message = format!(
            "puts special tokens around texts as '{}' and '{}' with types {:?}; only a token before a text, \
             one after each and one or two between two exist here",
            written(&single.0),
            written(&pair.0),
            pair.1
        );
        if is(&self, None, &single) {
            self.no_pairs = Some(message);
            return Ok(self);
        }
        Err(Error::file(&self.path, message))
    }

    /// With all types 0 where the model has no second one.
    #[must_use]
    pub fn with_types(mut self, types: usize) -> Self {
        self.frame.types &= types > 1;
        self
    }

    /// The whole tokenizer as `tokenizer.json`, with special tokens around one or two texts, which
    /// are cut to a length if there is one.
    ///
    /// # Errors
    /// If its rules do not fit together, or the length leaves no room for a token.
    pub fn to_json(&self, max_length: Option<usize>) -> Result<String, Error> {
        let mut inner = self.inner.clone();
        let fault =
            |e: &dyn std::fmt::Display| Error::file(&self.path, format!("cannot be written: {e}"));
        if let Some(max_length) = max_length {
            self.room(max_length, false)?;
            let cut = TruncationParams { max_length, ..TruncationParams::default() };
            inner.with_truncation(Some(cut)).map_err(|e| fault(&e))?;
        }
        if inner.get_post_processor().is_some() {
            return inner.to_string(false).map_err(|e| fault(&e));
        }
        let Special { first, separator, .. } = self.special;
        let token = |id| inner.id_to_token(id).ok_or_else(|| fault(&"a special token is missing"));
        let (first, separator) = ((token(first)?, first), (token(separator)?, separator));
        let (a, b, second) = (&first.0, &separator.0, u8::from(self.frame.types));
        let between = if self.frame.doubled { format!(" {b}:{second}") } else { String::new() };
        let template = TemplateProcessing::builder()
            .try_single(format!("{a} $A {b}"))
            .and_then(|t| t.try_pair(format!("{a} $A {b}{between} $B:{second} {b}:{second}")))
            .map_err(|e| fault(&e))?
            .special_tokens(vec![first, separator])
            .build()
            .map_err(|e| fault(&e))?;
        inner.with_post_processor(Some(template));
        inner.to_string(false).map_err(|e| fault(&e))
    }

    /// Checks that every id has a row in an embedding of `rows` rows.
    ///
    /// # Errors
    /// If it has not: the tokenizer is another model's.
    pub fn check_vocabulary(&self, rows: usize) -> Result<(), Error> {
        let added = self.inner.get_added_vocabulary().get_vocab().values().max();
        let largest = added.map_or(self.largest, |added| self.largest.max(*added)) as usize;
        if largest < rows {
            return Ok(());
        }
        let message = format!(
            "does not fit the model: its largest id is {largest}, but the word embedding has {rows} rows. Is it the tokenizer of another model?"
        );
        Err(Error::file(&self.path, message))
    }

    /// The tokens of one or two texts, cut to `max_length` as BERT's code does: of two texts, the
    /// longer one loses its last token until both fit, the second where both are as long. Fast
    /// tokenizers of `transformers` may give an odd token to the other text (`docs/formats.md`).
    ///
    /// # Errors
    /// If the tokenizer fails, `max_length` leaves no room for a token, or the input is an image.
    pub fn encode(&self, input: &Input, max_length: usize) -> Result<Encoded, Error> {
        let (mut a, mut b) = match input {
            Input::Text(text) => (self.ids(text)?, None),
            Input::Pair(a, b) => (self.ids(a)?, Some(self.ids(b)?)),
            Input::Image(image) => {
                let message = format!("{} is an image, but the model reads texts", image.name);
                return Err(Error::Usage(message));
            }
            Input::Question { .. } | Input::Words(_) => {
                let message = "a question or a list of words is for heads over tokens only";
                return Err(Error::Usage(message.into()));
            }
        };
        let room = self.room(max_length, b.is_some())?;
        let before = a.len() + b.as_ref().map_or(0, Vec::len);
        while a.len() + b.as_ref().map_or(0, Vec::len) > room {
            match &mut b {
                Some(b) if b.len() >= a.len() => b.pop(),
                _ => a.pop(),
            };
        }
        Ok(Encoded { cut: before.saturating_sub(room), ..self.frame(&a, b.as_deref()).0 })
    }

    /// Tokens that fit between the special ones.
    pub(crate) fn room(&self, max_length: usize, pair: bool) -> Result<usize, Error> {
        if let Some(why) = self.no_pairs.as_ref().filter(|_| pair) {
            return Err(Error::file(&self.path, why));
        }
        let special = match (pair, self.frame.doubled) {
            (false, _) => 2,
            (true, false) => 3,
            (true, true) => 4,
        };
        max_length.checked_sub(special).filter(|&r| r > 0).ok_or_else(|| {
            Error::Usage(format!(
                "--max-length {max_length} leaves no room beside {special} special tokens"
            ))
        })
    }

    /// One or two texts' tokens with the special ones around them, and the place of the last text's
    /// first token.
    pub(crate) fn frame(&self, a: &[u32], b: Option<&[u32]>) -> (Encoded, usize) {
        let Special { first, separator, .. } = self.special;
        let mut ids = Vec::with_capacity(a.len() + b.map_or(0, <[u32]>::len) + 4);
        ids.push(first);
        let mut last = ids.len();
        ids.extend_from_slice(a);
        ids.push(separator);
        let n_first = ids.len();
        if let Some(b) = b {
            if self.frame.doubled {
                ids.push(separator);
            }
            last = ids.len();
            ids.extend_from_slice(b);
            ids.push(separator);
        }
        let second = u32::from(self.frame.types);
        let types = (0..ids.len()).map(|i| if i < n_first { 0 } else { second }).collect();
        (Encoded { ids, types, cut: 0 }, last)
    }

    /// The tokens of a text, without special ones.
    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.whole(|| self.inner.encode_fast(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`Tokenizer::ids`], with the bytes that each token stands for.
    pub(crate) fn ids_and_bytes(&self, text: &str) -> Result<(Vec<u32>, Vec<Bytes>), Error> {
        let encoding = self.whole(|| self.inner.encode(text, false))?;
        let bytes = encoding.get_offsets().iter().map(|&(from, to)| (from as u32, to as u32));
        Ok((encoding.get_ids().to_vec(), bytes.collect()))
    }

    /// The token that stands for what is hidden, with its text.
    ///
    /// # Errors
    /// If the vocabulary has none.
    pub fn mask(&self) -> Result<(&'static str, u32), Error> {
        let found = MASKS.iter().find_map(|mask| Some((*mask, self.inner.token_to_id(mask)?)));
        found.ok_or_else(|| {
            let message = format!(
                "has no token for what is masked ({}), so that the model cannot be one of masked \
                 words; take a base model that was trained as one",
                MASKS.join(" or ")
            );
            Error::file(&self.path, message)
        })
    }

    /// What masks texts of this vocabulary.
    ///
    /// # Errors
    /// If the vocabulary has no mask.
    pub fn masker(&self, masking: Masking) -> Result<Masker, Error> {
        let (_, mask) = self.mask()?;
        let special = self.special_ids(mask);
        let mut any: Vec<u32> = self.inner.get_vocab(true).into_values().collect();
        any.retain(|id| !special.contains(id));
        any.sort_unstable();
        Ok(Masker::new(masking, mask, any))
    }

    /// Tokens that are no part of a text.
    fn special_ids(&self, mask: u32) -> BTreeSet<u32> {
        let Special { first, separator, unknown } = self.special;
        let added = self.inner.get_added_tokens_decoder();
        let added = added.into_iter().filter(|(_, token)| token.special).map(|(id, _)| id);
        let padding = PADDING.iter().filter_map(|token| self.inner.token_to_id(token));
        [first, separator, unknown, mask].into_iter().chain(added).chain(padding).collect()
    }

    /// A text in windows of at most `max_length` tokens, one after another, with the word that each
    /// token is of (`u32::MAX` for special ones). None where it has no token that can be masked;
    /// such windows are left out.
    ///
    /// # Errors
    /// If the tokenizer fails, has no mask, or `max_length` leaves no room for a token.
    pub fn windows(
        &self,
        text: &str,
        max_length: usize,
    ) -> Result<Vec<(Encoded, Vec<u32>)>, Error> {
        let room = self.room(max_length, false)?;
        let special = self.special_ids(self.mask()?.1);
        let encoding = self.whole(|| self.inner.encode_fast(text, false))?;
        let words = encoding.get_word_ids().iter().zip(encoding.get_ids());
        let word = |(word, id): (&Option<u32>, &u32)| {
            let word = word.unwrap_or(NO_WORD - 1);
            if special.contains(id) { NO_WORD } else { word }
        };
        let words: Vec<u32> = words.map(word).collect();
        let windows = encoding.get_ids().chunks(room).zip(words.chunks(room));
        let windows = windows.filter(|(_, words)| words.iter().any(|w| *w != NO_WORD));
        let framed = windows.map(|(ids, own)| {
            let (encoded, first) = self.frame(ids, None);
            let mut words = vec![NO_WORD; encoded.ids.len()];
            words[first..first + own.len()].copy_from_slice(own);
            (encoded, words)
        });
        Ok(framed.collect())
    }

    /// A text with masks in it, in windows as [`Tokenizer::windows`], with the places of the masks
    /// in each; windows without a mask are left out.
    ///
    /// # Errors
    /// As [`Tokenizer::windows`].
    pub fn blanks(&self, text: &str, max_length: usize) -> Result<Vec<(Encoded, Vec<u32>)>, Error> {
        let (name, mask) = self.mask()?;
        let room = self.room(max_length, false)?;
        let ids = match self.ids(name)?[..] == [mask] {
            true => self.ids(text)?,
            // Older files do not say that the mask is one token.
            false => {
                let mut ids = Vec::new();
                let mut parts = text.split(name).peekable();
                while let Some(part) = parts.next() {
                    let last = parts.peek().is_none();
                    ids.extend(self.ids(if last { part } else { part.trim_end() })?);
                    ids.extend((!last).then_some(mask));
                }
                ids
            }
        };
        let windows = ids.chunks(room).map(|ids| self.frame(ids, None).0);
        let places = |encoded: Encoded| {
            let places = (0u32..).zip(&encoded.ids).filter(|(_, id)| **id == mask);
            let places: Vec<u32> = places.map(|(place, _)| place).collect();
            (encoded, places)
        };
        Ok(windows.map(places).filter(|(_, places)| !places.is_empty()).collect())
    }

    /// A token as people write it, without the signs by which vocabularies mark where words begin
    /// or go on.
    pub fn written(&self, id: u32) -> String {
        let token = self.inner.id_to_token(id).unwrap_or_default();
        if let Some(rest) = token.strip_prefix("##") {
            return rest.into();
        }
        let decoded = self.inner.get_decoder().and_then(|_| self.inner.decode(&[id], false).ok());
        let text = decoded.filter(|text| !text.trim().is_empty()).unwrap_or(token);
        text.trim_start_matches(['\u{120}', '\u{2581}']).trim().into()
    }

    /// The tokens of a word of a sentence: at least one.
    pub(crate) fn word(&self, word: &str) -> Result<Vec<u32>, Error> {
        let mut ids = match self.frame.spaced_words {
            true => self.ids(&format!(" {word}"))?,
            false => self.ids(word)?,
        };
        if ids.is_empty() {
            ids.push(self.special.unknown);
        }
        Ok(ids)
    }

    /// What the library makes of a text. Some rules of a damaged file make it panic.
    fn whole(
        &self,
        encode: impl FnOnce() -> tokenizers::Result<tokenizers::Encoding>,
    ) -> Result<tokenizers::Encoding, Error> {
        match catch_unwind(AssertUnwindSafe(encode)) {
            Ok(encoding) => encoding.map_err(|e| self.failed(&*e)),
            Err(_) => Err(self.failed(&"its rules do not fit together; fetch the file again")),
        }
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> Error {
        Error::file(&self.path, format!("cannot encode a text: {e}"))
    }
}

/// Changes a tokenizer by what the settings beside it say.
fn override_with(tokenizer: &mut tokenizers::Tokenizer, overrides: Overrides) {
    let Overrides { normalizer, prefix_space, tokens, named } = overrides;
    if let (Some(settings), Some(NormalizerWrapper::BertNormalizer(own))) =
        (normalizer, tokenizer.get_normalizer())
    {
        let WordPieceSettings { do_lower_case, tokenize_chinese_chars, strip_accents } = settings;
        let clean = own.clean_text;
        let normalizer =
            BertNormalizer::new(clean, tokenize_chinese_chars, strip_accents, do_lower_case);
        tokenizer.with_normalizer(Some(normalizer));
    }
    if let (Some(space), Some(PreTokenizerWrapper::ByteLevel(bytes))) =
        (prefix_space, tokenizer.get_pre_tokenizer())
    {
        let bytes = bytes.add_prefix_space(space);
        tokenizer.with_pre_tokenizer(Some(bytes));
    }
    let token = |token: budwood_base::tokenizer::AddedToken| AddedToken {
        content: token.content,
        single_word: token.single_word,
        lstrip: token.lstrip,
        rstrip: token.rstrip,
        normalized: token.normalized,
        special: token.special,
    };
    let tokens: Vec<_> = tokens.into_iter().map(token).collect();
    tokenizer.add_tokens(&tokens);
    let named = named.into_iter().filter(|token| tokenizer.token_to_id(&token.content).is_some());
    let named: Vec<_> = named.map(token).collect();
    tokenizer.add_tokens(&named);
}

/// Refuses a file in whose place something else stands.
fn check_content(path: &Path) -> Result<(), Error> {
    let Ok(file) = std::fs::File::open(path) else { return Ok(()) };
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head).map_err(Error::io(path))?;
    foreign(&head).map_or(Ok(()), |what| Err(Error::file(path, what)))
}

/// BERT's tokenizer from `vocab.txt`, with `do_lower_case` and friends from
/// `tokenizer_config.json`.
fn word_piece(folder: &Path) -> Result<tokenizers::Tokenizer, Error> {
    let path = folder.join("vocab.txt");
    let failed =
        |e: &dyn std::fmt::Display| Error::file(&path, format!("is not a vocabulary: {e}"));
    let settings = folder.join("tokenizer_config.json");
    let wrong = |e: String| Error::file(&settings, e);
    let config = match settings.exists() {
        true => {
            let text = tokenizer_limits::plain(&settings, SETTINGS_MOST)?;
            budwood_base::json::check(&text).map_err(wrong)?;
            serde_json::from_slice(&text).map_err(|e| wrong(format!("is not JSON: {e}")))?
        }
        false => Value::Null,
    };
    let vocabulary = tokenizer_limits::plain(&path, tokenizer_limits::FILE)?;
    let vocabulary = String::from_utf8(vocabulary).map_err(|e| failed(&e))?;
    let settings = WordPieceSettings::from_config(&config, &vocabulary).map_err(wrong)?;
    let text = path.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?;
    let model =
        WordPiece::from_file(text).unk_token("[UNK]".into()).build().map_err(|e| failed(&e))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let WordPieceSettings { do_lower_case, tokenize_chinese_chars, strip_accents } = settings;
    let normalizer =
        BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
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
    for file in [vocab, merges].map(Path::new) {
        let checked = check_plain(file, tokenizer_limits::FILE);
        checked.map_err(|e| Error::file(file, e.to_string()))?;
    }
    let model = BPE::from_file(vocab, merges).build().map_err(|e| failed(&e))?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let bytes = ByteLevel::new(false, true, true);
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    Ok(tokenizer)
}
