//! Settings of a tokenizer that do not stand in its vocabulary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What `tokenizer_config.json` says beside a `vocab.txt`. A `tokenizer.json` holds all of this
/// itself.
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
