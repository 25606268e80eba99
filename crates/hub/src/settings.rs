//! Where models and data sets are kept, where the hub is, and who asks.
//!
//! The environment is read here and nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use crate::address::is_web_address;
use crate::{Certificates, Error};

/// Variables that name trusted certificates, as Python's libraries read them; the first counts.
const CERTIFICATES: &[&str] =
    &["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// How long to wait, and how often to try again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection, and for the head of an answer.
    pub answer: Duration,
    /// For the next bytes of a body. A body that is slower than 1 kB a second over this time
    /// counts as cut, too.
    pub stall: Duration,
    /// Tries in a row that bring nothing.
    pub tries: u32,
    /// Pause before the second try; each further one is twice as long.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { answer: seconds(30), stall: seconds(30), tries: 5, pause: seconds(1) }
    }
}

/// Where the hub and its cache are, and who asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub's address, without a slash at its end.
    pub endpoint: String,
    /// The folder with `models--OWNER--NAME`.
    pub cache: PathBuf,
    /// Token of an account. It is sent to the endpoint's host alone.
    pub token: Option<String>,
    /// Whether the network may not be used.
    pub offline: bool,
    /// Certificates that are trusted in the place of those of browsers.
    pub certificates: Option<Certificates>,
    /// Waiting and trying again.
    pub patience: Patience,
}

impl Settings {
    /// Reads `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, the file `token` in `HF_HOME`,
    /// and `HF_HUB_OFFLINE`, as Python's `huggingface_hub` does; and where trusted certificates
    /// lie: `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE`.
    ///
    /// # Errors
    /// If one of them has no meaning, or there is no folder for the cache.
    pub fn from_env() -> Result<Self, Error> {
        Self::read(&variable)
    }

    fn read(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let user = variable("HOME").or_else(|| variable("USERPROFILE"));
        let path = |text: String| match (text.strip_prefix("~/"), &user) {
            (Some(rest), Some(user)) => PathBuf::from(user).join(rest),
            _ => PathBuf::from(text),
        };
        let home = variable("HF_HOME").map(path).or_else(|| {
            let cache = variable("XDG_CACHE_HOME").map(path);
            let cache = cache.or_else(|| user.as_ref().map(|u| PathBuf::from(u).join(".cache")));
            cache.map(|c| c.join("huggingface"))
        });
        let cache = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.map(path).or_else(|| home.as_ref().map(|h| h.join("hub")));
        let cache = cache
            .ok_or_else(|| Error::Usage("no folder for the hub's cache: set HF_HOME".into()))?;
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let endpoint = endpoint.trim().trim_end_matches('/').to_string();
        if !is_web_address(&endpoint) {
            let message = format!(
                "HF_ENDPOINT is {endpoint:?}, which is not an address such as https://huggingface.co"
            );
            return Err(Error::Usage(message));
        }
        let token = variable("HF_TOKEN").or_else(|| {
            let file = variable("HF_TOKEN_PATH").map(path).or_else(|| Some(home?.join("token")));
            std::fs::read_to_string(file?).ok()
        });
        let token = token.map(|t| t.trim().to_string()).filter(|t| !t.is_empty());
        if token.as_ref().is_some_and(|t| !t.bytes().all(|b| b.is_ascii_graphic())) {
            let message = "the hub's token (HF_TOKEN, or the file token in HF_HOME) holds \
                           characters that no token has";
            return Err(Error::Usage(message.into()));
        }
        let is_true = |v: String| {
            ["1", "on", "yes", "true"].contains(&v.trim().to_ascii_lowercase().as_str())
        };
        let offline = variable("HF_HUB_OFFLINE").is_some_and(is_true);
        let certificates = Certificates::named(CERTIFICATES, &|name| variable(name).map(path));
        let patience = Patience::default();
        Ok(Self { endpoint, cache, token, offline, certificates, patience })
    }
}

/// The value of an environment variable; an empty one is as none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.trim().is_empty())
}

/// The folder in which Budwood keeps what it fetched from packages or made itself:
/// `BUDWOOD_CACHE`, else `budwood` in `XDG_CACHE_HOME`, else `.cache/budwood` in `HOME`.
///
/// # Errors
/// If none of the three is set.
pub fn cache_folder() -> Result<PathBuf, Error> {
    // A folder's name need not be UTF-8.
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("BUDWOOD_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|d| d.join("budwood")))
        .or_else(|| folder("HOME").map(|d| d.join(".cache/budwood")))
        .ok_or_else(|| Error::Usage("no folder for the cache: set BUDWOOD_CACHE".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Error> {
        let find = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
        Settings::read(&find)
    }

    /// Expected values: `huggingface_hub.constants` of 0.36 under the same variables.
    #[test]
    fn places_are_those_of_the_python_library() {
        let cache = |pairs: &[_]| read(pairs).unwrap().cache.display().to_string();
        assert_eq!(cache(&[("HOME", "/u")]), "/u/.cache/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(cache(&[("HOME", "/u"), ("HF_HOME", "~/hf")]), "/u/hf/hub");
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), "/c");
        assert!(read(&[]).is_err());
    }

    #[test]
    fn the_token_is_that_of_the_environment_or_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = ("HF_HOME", dir.path().to_str().unwrap());
        let token = |more: &[(&'static str, &'static str)]| {
            read(&[&[home], more].concat()).map(|s| s.token)
        };
        assert_eq!(token(&[]).unwrap().unwrap(), "hf_file");
        assert_eq!(token(&[("HF_TOKEN", "hf_env")]).unwrap().unwrap(), "hf_env");
        assert!(token(&[("HF_TOKEN", "a\r\nHost: evil")]).is_err());
        assert!(token(&[("HF_ENDPOINT", "file:///etc")]).is_err());
        assert!(token(&[("HF_ENDPOINT", "https://a b")]).is_err());
        for (value, offline) in [("1", true), ("True", true), ("0", false), ("no", false)] {
            assert_eq!(read(&[home, ("HF_HUB_OFFLINE", value)]).unwrap().offline, offline);
        }
    }
}
