//! Names of models, revisions and commits, checked before a path or an address is made of them.

use std::fmt;

use crate::Error;

/// A model of the hub at a revision: `OWNER/NAME`, `OWNER/NAME@REVISION`, or `NAME` alone for the
/// few old ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    repository: String,
    revision: String,
}

/// Revision where none is said.
const MAIN: &str = "main";

impl ModelName {
    /// Reads a name that the user gave; none if it does not look like one: `hf:` before it, or
    /// `OWNER/NAME`.
    ///
    /// # Errors
    /// If it is meant as one and cannot be one.
    pub fn parse(text: &str) -> Result<Option<Self>, Error> {
        let (meant, text) = match text.strip_prefix("hf:") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let words: Vec<&str> = repository.split('/').collect();
        let right = matches!(words.len(), 1 | 2) && words.iter().all(|w| is_word(w));
        match (right, meant) {
            (true, false) if words.len() == 1 => return Ok(None),
            (true, _) => {}
            (false, false) => return Ok(None),
            (false, true) => {
                return Err(Error::Usage(format!("{text:?} is not a name of the hub: OWNER/NAME")));
            }
        }
        if !is_revision(revision) {
            let message = format!(
                "{revision:?} is not a revision: give a branch, a tag or a commit, as OWNER/NAME@main"
            );
            return Err(Error::Usage(message));
        }
        Ok(Some(Self { repository: repository.into(), revision: revision.into() }))
    }

    /// The same repository at a commit.
    pub(crate) fn at(&self, commit: &str) -> Self {
        Self { repository: self.repository.clone(), revision: commit.into() }
    }

    /// `OWNER/NAME`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The folder in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision == MAIN {
            true => f.write_str(&self.repository),
            false => write!(f, "{}@{}", self.repository, self.revision),
        }
    }
}

/// An owner or a name, by the hub's own rules.
fn is_word(word: &str) -> bool {
    let edge = |c: char| c == '.' || c == '-';
    (1..=96).contains(&word.len())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !word.starts_with(edge)
        && !word.ends_with(edge)
        && !word.contains("--")
        && !word.contains("..")
}

/// What Git takes as a name, with fewer characters.
fn is_revision(text: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && !p.starts_with('.')
            && !p.contains("..")
            && p.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
    };
    text.len() <= 200 && text.split('/').all(part)
}

/// Whether a text is the commit's 40 hexadecimal digits.
pub(crate) fn is_commit(text: &str) -> bool {
    is_hex(text) && text.len() == 40
}

/// Whether a text consists of lower-case hexadecimal digits.
pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a text is `model-00001-of-00002.safetensors`, or `pytorch_model-...bin`, with digits of
/// its own.
pub(crate) fn is_shard(text: &str) -> bool {
    let number = |t: &str| t.len() == 5 && t.bytes().all(|b| b.is_ascii_digit());
    let middle = [("model-", ".safetensors"), ("pytorch_model-", ".bin")]
        .into_iter()
        .find_map(|(begin, end)| text.strip_prefix(begin)?.strip_suffix(end));
    middle.and_then(|m| m.split_once("-of-")).is_some_and(|(i, n)| number(i) && number(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        let parse = |text| ModelName::parse(text).map(|n| n.map(|n| n.to_string()));
        for name in ["google/vit-base-patch16-224", "a/b@v1.0", "a/b@refs/pr/1"] {
            assert_eq!(parse(name).unwrap().unwrap(), name);
        }
        assert_eq!(parse("hf:bert-base-uncased").unwrap().unwrap(), "bert-base-uncased");
        assert_eq!(parse("a/b@main").unwrap().unwrap(), "a/b");
        for other in ["minilm", "a/b/c", "../b", "./b", "a/..", "a/b--c", "a/.b", "a/b\n", "/b"] {
            assert_eq!(parse(other).unwrap(), None, "{other}");
        }
        for bad in ["hf:../../etc", "hf:", "hf:a/b/c", "a/b@", "a/b@../x", "a/b@x/../y", "a/b@x y"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shards_have_one_pattern() {
        assert!(is_shard("model-00001-of-00002.safetensors"));
        assert!(is_shard("pytorch_model-00001-of-00002.bin"));
        for bad in [
            "model-00001-of-00002.safetensors/../x",
            "../model-00001-of-00002.safetensors",
            "model-../../-of-00002.safetensors",
            "model-1-of-2.safetensors",
            "model-00001-of-00002.bin",
        ] {
            assert!(!is_shard(bad), "{bad}");
        }
    }
}
