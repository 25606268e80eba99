//! Where a database is.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::Error;

/// Where a database is: a file, or a database of a PostgreSQL server. Shown and serialised, it is
/// the text that leads there again, without the password.
#[derive(Clone)]
pub enum Address {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of a PostgreSQL server.
    Server(Box<Server>),
}

/// A database of a PostgreSQL server.
#[derive(Clone)]
pub struct Server {
    /// The address without its password.
    shown: String,
    has_password: bool,
    pub(crate) config: Config,
    pub(crate) trust: Trust,
}

/// Whose certificate is believed where TLS is spoken; as `sslmode` says it to PostgreSQL's own
/// programs.
#[derive(Clone)]
pub(crate) enum Trust {
    /// Anyone's: what is sent is hidden from those who listen, not from those who answer.
    Anyone,
    /// A server of this name, certified by an authority that browsers know.
    Known,
    /// A server of this name, certified by one of this file.
    Of(PathBuf),
}

impl Address {
    /// Reads an address: a path, `file://PATH`, `sqlite://PATH`, or
    /// `postgres://USER@HOST/DATABASE`.
    ///
    /// # Errors
    /// If it begins as an address and is none. The message does not repeat it.
    pub fn parse(text: &OsStr) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Address("names nothing"));
        }
        let Some(word) = text.to_str() else { return Ok(Self::File(text.into())) };
        let Some((scheme, rest)) = word.split_once(':').filter(|(s, _)| is_scheme(s)) else {
            return Ok(Self::File(text.into()));
        };
        match (scheme.to_ascii_lowercase().as_str(), rest.strip_prefix("//")) {
            ("postgres" | "postgresql", Some(rest)) => {
                Ok(Self::Server(Box::new(Server::parse(rest)?)))
            }
            ("postgres" | "postgresql", None) => Err(Error::Address("lacks its //")),
            ("sqlite" | "file", Some("")) => Err(Error::Address("names no file")),
            ("sqlite", Some(path)) => Ok(Self::File(path.into())),
            ("file", Some(path)) => match percent_decode_str(path).decode_utf8() {
                Ok(path) => Ok(Self::File(path.as_ref().into())),
                Err(_) => Err(Error::Address("is not UTF-8")),
            },
            (_, Some(_)) => Err(Error::Address("names another kind of database")),
            (_, None) => Ok(Self::File(text.into())),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }

    /// Whether the address itself holds a password.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Server(server) if server.has_password)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::File(path.into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(&server.shown),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File(path) => path.serialize(serializer),
            Self::Server(server) => server.shown.serialize(serializer),
        }
    }
}

/// Of more than one letter, which is a drive.
fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

impl Server {
    /// Reads what stands behind `postgres://`. Signs that belong to a password and are not written
    /// as `%..` would make a part of it look like a host, which messages show: they are refused.
    fn parse(rest: &str) -> Result<Self, Error> {
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = before.split_once('/').unwrap_or((before, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains('@') || database.contains(['@', '/']) || query.contains(['@', '?']) {
            return Err(Error::Address("holds an @, / or ? too many"));
        }
        if database.is_empty() {
            return Err(Error::Address("names no database"));
        }
        let (user, mut password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        let (mut kept, mut asked) = (Vec::new(), Vec::new());
        let (mut mode, mut roots) = ("prefer", None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or(Error::Address("has an option without a value"))?;
            match name {
                "password" => password = Some(value),
                "sslmode" => mode = value,
                "sslrootcert" => roots = Some(value),
                _ => asked.push(pair),
            }
            if name != "password" {
                kept.push(pair);
            }
        }
        let at = if user.is_empty() { "" } else { "@" };
        let place = format!("postgres://{user}{at}{host}/{database}");
        let with = |options: &[&str]| match options {
            [] => place.clone(),
            some => format!("{place}?{}", some.join("&")),
        };
        let mut config: Config = with(&asked)
            .parse()
            .map_err(|_| Error::Address("has a port or an option that is not known"))?;
        if config.get_hosts().is_empty() {
            return Err(Error::Address("names no host; that of a socket is ?host=/FOLDER"));
        }
        let has_password = password.is_some();
        if let Some(password) = password {
            config.password(percent_decode_str(password).collect::<Vec<u8>>());
        }
        let trust = match (mode, roots) {
            ("disable" | "prefer" | "require", None) => Trust::Anyone,
            ("verify-full", None | Some("system")) => Trust::Known,
            ("require" | "verify-full", Some(file)) => {
                Trust::Of(percent_decode_str(file).decode_utf8_lossy().as_ref().into())
            }
            ("disable" | "prefer", Some(_)) => {
                return Err(Error::Address("has an sslrootcert, but not sslmode=verify-full"));
            }
            _ => {
                let known = "has an sslmode other than disable, prefer, require, verify-full";
                return Err(Error::Address(known));
            }
        };
        config.ssl_mode(match mode {
            // Nobody listens on a socket of this machine.
            _ if config.get_hosts().iter().all(is_socket) => SslMode::Disable,
            "disable" => SslMode::Disable,
            "prefer" => SslMode::Prefer,
            _ => SslMode::Require,
        });
        // A machine that vanished is noticed within minutes, not hours.
        config.tcp_user_timeout(Duration::from_secs(30)).keepalives_idle(Duration::from_secs(60));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if config.get_application_name().is_none() {
            config.application_name("budwood");
        }
        Ok(Self { shown: with(&kept), has_password, config, trust })
    }
}

#[cfg(unix)]
fn is_socket(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

#[cfg(not(unix))]
fn is_socket(_: &Host) -> bool {
    false
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The words of a command line in which no address holds a password.
pub fn without_passwords(word: &str) -> String {
    let Some((before, rest)) = word.split_once("://") else { return word.into() };
    let lower = before.to_ascii_lowercase();
    let is_server = lower.ends_with("postgres") || lower.ends_with("postgresql");
    if !is_server && !rest.contains('@') {
        return word.into();
    }
    match Server::parse(rest).ok().filter(|_| is_server) {
        Some(server) => format!("{before}{}", &server.shown["postgres".len()..]),
        None => format!("{before}://..."),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, Error> {
        Address::parse(OsStr::new(text))
    }

    #[test]
    fn paths_are_files() {
        for path in ["runs.db", "/a/b.db", "C:/x.db", "odd:name", "a b", "postgres.db"] {
            assert_eq!(parse(path).unwrap().file(), Some(Path::new(path)));
        }
        assert_eq!(parse("sqlite:///a/b.db").unwrap().file(), Some(Path::new("/a/b.db")));
        assert_eq!(parse("sqlite://b.db").unwrap().file(), Some(Path::new("b.db")));
        assert_eq!(parse("file:///a%20b.db").unwrap().file(), Some(Path::new("/a b.db")));
        assert_eq!(parse("file://b.db").unwrap().file(), Some(Path::new("b.db")));
    }

    #[test]
    fn no_address_shows_its_password() {
        for (text, shown) in [
            ("postgres://u:s3cret@h/db", "postgres://u@h/db"),
            ("postgresql://u:s3cret@h:5433/db", "postgres://u@h:5433/db"),
            ("POSTGRES://u:s3cret%40x@h/db?sslmode=require", "postgres://u@h/db?sslmode=require"),
            (
                "postgres://u@h/db?password=s3cret&connect_timeout=3",
                "postgres://u@h/db?connect_timeout=3",
            ),
            (
                "postgres:///db?host=/run/x&user=u&password=s3cret",
                "postgres:///db?host=/run/x&user=u",
            ),
            ("postgres://u:s3cret@[::1]:1/db", "postgres://u@[::1]:1/db"),
            ("postgres://:s3cret@h/db", "postgres://h/db"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(address.has_password());
            assert!(!format!("{address:?}").contains("s3cret"));
            // It leads there again.
            assert_eq!(parse(shown).unwrap().to_string(), shown);
            assert!(!without_passwords(&format!("--store={text}")).contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "postgres://u:s3cret@x@h/db",
            "postgres://u:s3/cret@h/db",
            "postgres://u:s3?cret@h/db",
            "postgres://u:s3cret@h",
            "postgres://u:s3cret@h/",
            "postgres://u:s3cret@/db",
            "postgres://u:s3cret@h:port/db",
            "postgres://u:s3cret@h:99999/db",
            "postgres://u@h/db?password=s3cret&more",
            "postgres://u@h/db?password=s3&cret=1",
            "postgres://u@h/db?sslmode=verify-ca",
            "postgres://u@h/db?sslrootcert=ca.pem",
            "postgres:u:s3cret@h/db",
            "postgres://",
            "mysql://u:s3cret@h/db",
            "sqlite://",
            "file://",
            "file:///%ff",
            "",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("cret"), "{text}: {error}");
            assert!(!without_passwords(text).contains("cret") || !text.contains("://"), "{text}");
        }
    }
}
