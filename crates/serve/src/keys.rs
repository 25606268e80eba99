//! Who may do what.

use sha2::{Digest, Sha256};

use crate::fault::Fault;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Asks adapters, and lists them.
    Predict,
    /// Loads, replaces and unloads adapters.
    Manage,
}

struct Key {
    sha256: [u8; 32],
    manages: bool,
    /// Beginnings of the names that it may use; empty for all.
    names: Vec<String>,
}

/// The keys of a server; without any, everybody who reaches it may do everything.
#[derive(Default)]
pub struct Keys(Vec<Key>);

/// What the key of a request allows.
#[derive(Clone)]
pub(crate) struct Allowed(Option<Vec<String>>);

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Keys {
    /// Reads keys: a line each, `KEY predict` or `KEY manage`, and after it the adapters that it
    /// is for: names, or beginnings of names with a `*`. Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// With the line that is wrong; keys have at least 16 characters, and a line each.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        // Some programs put a byte-order mark first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (i, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (key, scope, names) = match &words[..] {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                [key, scope @ ("predict" | "manage"), names @ ..] => (key, scope, names),
                _ => {
                    let forms = "KEY predict [ADAPTER...] or KEY manage [ADAPTER...]";
                    return Err(format!("line {}: {forms} is wanted", i + 1));
                }
            };
            if key.len() < 16 {
                return Err(format!("line {}: a key has at least 16 characters", i + 1));
            }
            let sha256 = sha256(key);
            if keys.iter().any(|known| known.sha256 == sha256) {
                return Err(format!("line {}: the key stands in an earlier line too", i + 1));
            }
            let names = names.iter().map(ToString::to_string).collect();
            keys.push(Key { sha256, manages: *scope == "manage", names });
        }
        match keys.is_empty() {
            true => Err("there is no key in it".into()),
            false => Ok(Self(keys)),
        }
    }

    /// What the bearer of a key may do.
    ///
    /// # Errors
    /// If there are keys, and this is none of them or has not the scope.
    pub(crate) fn check(&self, bearer: Option<&str>, scope: Scope) -> Result<Allowed, Fault> {
        if self.0.is_empty() {
            return Ok(Allowed(None));
        }
        let given = sha256(bearer.ok_or_else(Fault::unauthorized)?);
        // Hashes are compared, so that the time says nothing of a key.
        let key = self.0.iter().find(|k| k.sha256 == given).ok_or_else(Fault::unauthorized)?;
        if scope == Scope::Manage && !key.manages {
            return Err(Fault::forbidden("this key may not change adapters"));
        }
        Ok(Allowed((!key.names.is_empty()).then(|| key.names.clone())))
    }
}

impl Allowed {
    /// Refuses an adapter that the key is not for.
    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        match self.allows(name) {
            true => Ok(()),
            false => Err(Fault::forbidden(format!("this key is not for the adapter '{name}'"))),
        }
    }

    /// Whether an adapter may be used.
    pub(crate) fn allows(&self, name: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        self.0.as_ref().is_none_or(|names| names.iter().any(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_scopes_and_names() {
        let text =
            "\u{feff}0123456789abcdef predict team/* one\n# ours\n\nfedcba9876543210 manage\n";
        let keys = Keys::parse(text).unwrap();
        let allowed = keys.check(Some("0123456789abcdef"), Scope::Predict).unwrap();
        for (name, may) in [("team/a", true), ("one", true), ("one2", false), ("tea", false)] {
            assert_eq!(allowed.allows(name), may, "{name}");
        }
        assert!(keys.check(Some("0123456789abcdef"), Scope::Manage).is_err());
        assert!(keys.check(Some("fedcba9876543210"), Scope::Manage).unwrap().allows("x"));
        assert!(keys.check(Some("0123456789abcdeX"), Scope::Predict).is_err());
        assert!(keys.check(None, Scope::Predict).is_err());
        assert!(Keys::default().check(None, Scope::Manage).unwrap().allows("x"));
    }

    #[test]
    fn wrong_lines_are_named() {
        let twice = "0123456789abcdef manage\n\n0123456789abcdef predict";
        for (text, line) in [
            ("short predict", "1"),
            ("# x\n0123456789abcdef admin", "2"),
            ("", "no key"),
            (twice, "line 3: the key stands in an earlier"),
        ] {
            let message = Keys::parse(text).err().unwrap();
            assert!(message.contains(line), "{message}");
        }
    }
}
