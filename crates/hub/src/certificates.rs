//! Which authorities' certificates are trusted, where a proxy or a server has one of its own.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// Bytes of a file of certificates, at most.
const BYTES_MAX: u64 = 16 << 20;

/// Certificates that are trusted in the place of those of browsers: a file in PEM, or a folder of
/// such files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// Where they lie.
    pub path: PathBuf,
    /// The variable that names them, for messages.
    pub variable: &'static str,
}

impl Certificates {
    /// Those that the first of these variables of the environment names.
    pub fn from_env(variables: &[&'static str]) -> Option<Self> {
        Self::named(variables, &|name| {
            std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
        })
    }

    pub(crate) fn named(
        variables: &[&'static str],
        value: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Option<Self> {
        let named = |variable: &&'static str| Some(Self { path: value(variable)?, variable });
        variables.iter().find_map(named)
    }

    /// Reads them.
    ///
    /// # Errors
    /// With the variable and the path, if they cannot be read or are none.
    pub fn read(&self) -> Result<RootCerts, String> {
        let at = |why: &dyn std::fmt::Display| {
            format!("{}: {}: {why}", self.variable, self.path.display())
        };
        let mut all = Vec::new();
        if self.path.is_dir() {
            // Beside certificates there may be other things.
            for entry in std::fs::read_dir(&self.path).map_err(|e| at(&e))?.flatten() {
                all.extend(certificates(&entry.path()).unwrap_or_default());
            }
        } else {
            all = certificates(&self.path).map_err(|e| at(&e))?;
        }
        if all.is_empty() {
            return Err(at(&"there is no certificate (-----BEGIN CERTIFICATE-----)"));
        }
        Ok(RootCerts::new_with_certs(&all))
    }
}

/// The certificates in a file.
fn certificates(path: &Path) -> std::io::Result<Vec<Certificate<'static>>> {
    let mut text = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut text)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    Ok(parse_pem(&text).filter_map(certificate).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<(), String> {
        Certificates { path: path.into(), variable: "SSL_CERT_FILE" }.read().map(drop)
    }

    #[test]
    fn what_holds_no_certificate_is_named() {
        let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
        read(&pem.join("authority.pem")).unwrap();
        read(&pem).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
        for (path, why) in [
            (empty.as_path(), "there is no certificate"),
            (dir.path(), "there is no certificate"),
            (&dir.path().join("none"), "No such file"),
        ] {
            let message = read(path).unwrap_err();
            assert!(message.starts_with("SSL_CERT_FILE: /") && message.contains(why), "{message}");
        }
    }

    #[test]
    fn the_first_variable_counts() {
        let value = |name: &str| (name != "A").then(|| PathBuf::from(name));
        let named = |all: &[&'static str]| Certificates::named(all, &value).map(|c| c.variable);
        assert_eq!(named(&["A", "B", "C"]), Some("B"));
        assert_eq!(named(&["A"]), None);
    }
}
