//! What a tokenizer's vocabulary does not say: its settings, and how special tokens stand around
//! texts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::read_plain;
use crate::json;

/// How special tokens stand around one or two texts, where a `tokenizer.json` does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The tokens before the first text, after each text, and for what has no token. Of several
    /// sets, a tokenizer has the first whose tokens it holds.
    pub tokens: &'static [[&'static str; 3]],
    /// Whether two separators stand between two texts.
    pub doubled: bool,
    /// Whether the second text is of the second type.
    pub types: bool,
    /// Whether a word of a sentence is looked up with a space before it, as byte-level vocabularies
    /// hold it.
    pub spaced_words: bool,
}

impl Frame {
    /// That of BERT.
    pub const BERT: Self = Self {
        tokens: &[["[CLS]", "[SEP]", "[UNK]"]],
        doubled: false,
        types: true,
        spaced_words: false,
    };

    /// That of RoBERTa.
    pub const ROBERTA: Self = Self {
        tokens: &[["<s>", "</s>", "<unk>"]],
        doubled: true,
        types: false,
        spaced_words: true,
    };
}

/// What `tokenizer_config.json` says of words, for a `vocab.txt` or BERT's normalizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordPieceSettings {
    /// Whether capitals become small letters.
    pub do_lower_case: bool,
    /// Whether each Chinese character is a word.
    pub tokenize_chinese_chars: bool,
    /// Whether accents are taken off; none follows `do_lower_case`.
    pub strip_accents: Option<bool>,
}

impl WordPieceSettings {
    /// The settings of a `tokenizer_config.json`, `null` where there is none, beside a vocabulary
    /// with a token in each line. Defaults are those of `transformers`, but for capitals: where
    /// nobody says what becomes of them, the vocabulary does.
    ///
    /// # Errors
    /// If it is not an object, or a field is neither true nor false, in words.
    pub fn from_config(config: &Value, vocabulary: &str) -> Result<Self, String> {
        if !(config.is_object() || config.is_null()) {
            return Err("is not an object".into());
        }
        let flag = |name: &str| match config.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!("field '{name}' is {other}, not true or false")),
        };
        Ok(Self {
            do_lower_case: flag("do_lower_case")?.unwrap_or_else(|| !has_capitals(vocabulary)),
            tokenize_chinese_chars: flag("tokenize_chinese_chars")?.unwrap_or(true),
            strip_accents: flag("strip_accents")?,
        })
    }
}

/// Whether a vocabulary has words in capitals: it is then of a model that tells them from small
/// ones.
fn has_capitals(vocabulary: &str) -> bool {
    let words = || vocabulary.lines().filter(|w| !w.starts_with('['));
    let capitals = words().filter(|w| w.chars().any(char::is_uppercase)).count();
    // A few stand in vocabularies without case by mistake.
    capitals * 50 > words().count()
}

/// Special tokens of vocabularies.
const USUAL: [&str; 10] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<pad>", "<unk>", "<mask>"];

/// The largest `tokenizer_config.json` or `added_tokens.json`, in bytes.
pub const SETTINGS_MOST: u64 = 16 << 20;

/// A token beside the vocabulary, with how it is found in texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddedToken {
    /// The token.
    pub content: String,
    /// Whether it is not found inside a word.
    pub single_word: bool,
    /// Whether it takes the spaces before it.
    pub lstrip: bool,
    /// Whether it takes the spaces after it.
    pub rstrip: bool,
    /// Whether it is looked for in the normalized text.
    pub normalized: bool,
    /// Whether it is no part of a text.
    pub special: bool,
}

/// What `tokenizer_config.json` and `added_tokens.json` say otherwise than the tokenizer beside
/// them. In `transformers` they go before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overrides {
    /// Of BERT's normalizer in a `tokenizer.json`.
    pub normalizer: Option<WordPieceSettings>,
    /// Whether byte-level vocabularies have a space put before each text.
    pub prefix_space: Option<bool>,
    /// Tokens that it lacks or finds in another way, in the order of their ids.
    pub tokens: Vec<AddedToken>,
    /// Special tokens, which are found in texts so if the vocabulary has them.
    #[serde(skip)]
    pub named: Vec<AddedToken>,
}

/// The parts of a `tokenizer.json` that its settings go before.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    added_tokens: Vec<AddedToken>,
}

impl Overrides {
    /// What the files in a tokenizer's folder say otherwise than its `tokenizer.json`, or than a
    /// vocabulary where that is none.
    ///
    /// # Errors
    /// If a file cannot be read or is none of these: its path, and what is wrong.
    pub fn read(folder: &Path, tokenizer: Option<&[u8]>) -> Result<Self, (PathBuf, String)> {
        let [config, added] = ["tokenizer_config.json", "added_tokens.json"].map(|name| {
            let path = folder.join(name);
            read_settings(&path).map_err(|e| (path, e))
        });
        let (config, added) = (config?, added?);
        let at = |name: &str| {
            let path = folder.join(name);
            move |e: String| (path, e)
        };
        let mut tokens = match config.get("added_tokens_decoder") {
            None | Some(Value::Null) => {
                older_tokens(&config, &added).map_err(at("added_tokens.json"))?
            }
            Some(tokens) => tokens_by_id(tokens).map_err(at("tokenizer_config.json"))?,
        };
        let Some(tokenizer) = tokenizer else {
            for name in ["cls_token", "sep_token"] {
                let token = config.get(name).and_then(content);
                if let Some(token) = token.filter(|token| !USUAL.contains(token)) {
                    let message = format!(
                        "field '{name}' is \"{token}\", which is none of the usual ones; write \
                         tokenizer.json beside the vocabulary with `transformers`: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
                    );
                    return Err(at("tokenizer_config.json")(message));
                }
            }
            let prefix_space = config.get("add_prefix_space").and_then(Value::as_bool);
            let prefix_space = prefix_space.filter(|space| *space);
            // Whoever reads a vocabulary knows these.
            let usual = |token: &AddedToken| USUAL.contains(&&token.content[..]);
            tokens.retain(|token| !(token.special && usual(token)));
            let mut named = named(&config);
            named.retain(|token| !usual(token));
            return Ok(Self { normalizer: None, prefix_space, tokens, named });
        };
        let asks = ["do_lower_case", "tokenize_chinese_chars", "strip_accents", "add_prefix_space"];
        let mut named = named(&config);
        if tokens.is_empty()
            && named.is_empty()
            && asks.iter().all(|name| config.get(name).is_none())
        {
            return Ok(Self::default());
        }
        let parts: Parts = serde_json::from_slice(tokenizer)
            .map_err(|e| at("tokenizer.json")(format!("is not a tokenizer: {e}")))?;
        named.retain(|token| {
            let known = |other: &AddedToken| other.content == token.content;
            !tokens.iter().chain(&parts.added_tokens).any(known)
        });
        tokens.retain(|token| !parts.added_tokens.contains(token));
        // How a special token is found matters to texts that hold it, and to no other.
        let (found_otherwise, tokens) = tokens.into_iter().partition(|token| {
            let known = |other: &AddedToken| other.special && other.content == token.content;
            token.special && parts.added_tokens.iter().any(known)
        });
        named = [found_otherwise, named].concat();
        let normalizer =
            normalizer(&config, &parts.normalizer).map_err(at("tokenizer_config.json"))?;
        let held = parts.pre_tokenizer.get("add_prefix_space").and_then(Value::as_bool);
        let prefix_space = config.get("add_prefix_space").and_then(Value::as_bool);
        let prefix_space = prefix_space.filter(|space| held.is_some_and(|held| held != *space));
        Ok(Self { normalizer, prefix_space, tokens, named })
    }

    /// Whether texts without special tokens in them mean the same.
    pub fn is_empty(&self) -> bool {
        self.normalizer.is_none() && self.prefix_space.is_none() && self.tokens.is_empty()
    }
}

fn read_settings(path: &Path) -> Result<Value, String> {
    if !path.exists() {
        return Ok(Value::Null);
    }
    let text = read_plain(path, SETTINGS_MOST).map_err(|e| format!("cannot be read: {e}"))?;
    json::check(&text)?;
    let value: Value = serde_json::from_slice(&text).map_err(|e| format!("is not JSON: {e}"))?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err("is not an object".into()),
    }
}

/// What settings say otherwise than a normalizer of BERT; classes that have no such settings do not
/// look at them.
fn normalizer(config: &Value, held: &Value) -> Result<Option<WordPieceSettings>, String> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let looks = !["PreTrainedTokenizerFast", "TokenizersBackend"].contains(&class);
    if !looks || held.get("type").and_then(Value::as_str) != Some("BertNormalizer") {
        return Ok(None);
    }
    let flag =
        |name: &str, default: bool| held.get(name).and_then(Value::as_bool).unwrap_or(default);
    let own = WordPieceSettings {
        do_lower_case: flag("lowercase", true),
        tokenize_chinese_chars: flag("handle_chinese_chars", true),
        strip_accents: held.get("strip_accents").and_then(Value::as_bool),
    };
    let said = WordPieceSettings::from_config(config, "")?;
    let has = |name: &str| config.get(name).is_some_and(|value| !value.is_null());
    let both = WordPieceSettings {
        do_lower_case: if has("do_lower_case") { said.do_lower_case } else { own.do_lower_case },
        tokenize_chinese_chars: match has("tokenize_chinese_chars") {
            true => said.tokenize_chinese_chars,
            false => own.tokenize_chinese_chars,
        },
        // Null says that accents follow capitals.
        strip_accents: match config.get("strip_accents") {
            Some(_) => said.strip_accents,
            None => own.strip_accents,
        },
    };
    Ok((both != own).then_some(both))
}

/// Tokens by their ids, of `added_tokens_decoder`.
fn tokens_by_id(tokens: &Value) -> Result<Vec<AddedToken>, String> {
    let fault = |e: &dyn std::fmt::Display| format!("field 'added_tokens_decoder': {e}");
    let tokens = tokens.as_object().ok_or_else(|| fault(&"is not an object"))?;
    let mut by_id = Vec::with_capacity(tokens.len());
    for (id, token) in tokens {
        let id: u32 = id.parse().map_err(|_| fault(&format!("'{id}' is not a token's id")))?;
        by_id.push((id, AddedToken::deserialize(token).map_err(|e| fault(&e))?));
    }
    Ok(in_order(by_id))
}

/// Tokens with their ids, of `added_tokens.json`; what is special stands in the configuration.
fn older_tokens(config: &Value, added: &Value) -> Result<Vec<AddedToken>, String> {
    let named = named(config);
    let mut by_id = Vec::new();
    for (content, id) in added.as_object().into_iter().flatten() {
        let id = id.as_u64().ok_or_else(|| format!("'{content}' has {id}, not a token's id"))?;
        let special = named.iter().any(|token| token.content == *content);
        let content = content.clone();
        by_id.push((
            id,
            AddedToken { content, special, normalized: !special, ..AddedToken::default() },
        ));
    }
    Ok(in_order(by_id))
}

/// The special tokens of a configuration.
fn named(config: &Value) -> Vec<AddedToken> {
    let fields = config.as_object().into_iter().flatten();
    let fields =
        fields.filter(|(name, _)| name.ends_with("_token") || *name == "additional_special_tokens");
    let tokens = fields.flat_map(|(_, value)| match value {
        Value::Array(all) => &all[..],
        one => std::slice::from_ref(one),
    });
    let token = |token: &Value| {
        let content = content(token)?.to_string();
        let flags = AddedToken::deserialize(token).unwrap_or_default();
        Some(AddedToken { content, special: true, ..flags })
    };
    tokens.filter_map(token).collect()
}

/// A token that stands in settings alone or with its flags.
fn content(token: &Value) -> Option<&str> {
    token.get("content").unwrap_or(token).as_str()
}

fn in_order<I: Ord>(mut by_id: Vec<(I, AddedToken)>) -> Vec<AddedToken> {
    by_id.sort_by(|a, b| a.0.cmp(&b.0));
    by_id.into_iter().map(|(_, token)| token).collect()
}
