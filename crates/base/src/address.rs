//! Places as users name them: a path of this machine, `file://PATH`, or the address of a folder or
//! object in a store (`s3://BUCKET/NAME`, `gs://BUCKET/NAME`, `az://CONTAINER/NAME`).

use std::fmt;
use std::path::{Path, PathBuf};

/// Schemes of object stores.
const STORES: [&str; 3] = ["s3", "gs", "az"];
/// Bytes of an object's name: what the stores allow.
const NAME_MOST: usize = 1024;

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here(PathBuf),
    /// In an object store.
    Store(Address),
}

/// A name in an object store. It holds no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    bucket: String,
    name: String,
}

/// A text that looks like an address and cannot be one. What may be secret in it is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown}: {why}")]
pub struct AddressError {
    shown: String,
    why: &'static str,
}

impl Place {
    /// What a text names. Whatever is no address is a path.
    ///
    /// # Errors
    /// If it is an address with credentials, of another scheme, or of nothing.
    pub fn of(text: &str) -> Result<Self, AddressError> {
        let Some((scheme, rest)) = text.split_once("://").filter(|(s, _)| is_scheme(s)) else {
            return Ok(Self::Here(text.into()));
        };
        let lower = scheme.to_ascii_lowercase();
        if lower == "file" {
            let path = rest.strip_prefix("localhost/").map_or(rest.into(), |p| format!("/{p}"));
            return match decoded(&path) {
                Some(path) if !path.is_empty() => Ok(Self::Here(path.into())),
                _ => Err(refused(scheme, rest, "names no path")),
            };
        }
        match STORES.into_iter().find(|known| *known == lower) {
            Some(scheme) => Ok(Self::Store(Address::parse(scheme, rest)?)),
            None => Err(refused(scheme, rest, "a path, file://, s3://, gs:// or az:// is wanted")),
        }
    }

    /// [`Place::of`] of what was given as a path.
    ///
    /// # Errors
    /// As [`Place::of`].
    pub fn of_path(path: &Path) -> Result<Self, AddressError> {
        path.to_str().map_or_else(|| Ok(Self::Here(path.into())), Self::of)
    }
}

impl Address {
    fn parse(scheme: &'static str, rest: &str) -> Result<Self, AddressError> {
        let wrong = |why| Err(refused(scheme, rest, why));
        let (bucket, name) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':']) {
            return wrong(
                "an address holds no credentials: give them in the environment, as \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            );
        }
        if name.contains(['?', '#']) {
            return wrong(
                "an address has nothing behind ? or #; signed links are not read: give \
                 credentials in the environment",
            );
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if bucket.is_empty() || bucket.len() > 255 || !bucket.chars().all(plain) {
            return wrong("names no bucket");
        }
        let name = name.trim_end_matches('/');
        if name.len() > NAME_MOST {
            return wrong("the name is longer than 1024 bytes, which no store allows");
        }
        if !name.is_empty() && !name.split('/').all(is_part) {
            return wrong(
                "what follows the bucket is no name of objects: parts between / must be there and \
                 be no . or .., without \\ and control characters",
            );
        }
        Ok(Self { scheme, bucket: bucket.into(), name: name.into() })
    }

    /// `s3`, `gs` or `az`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The bucket or container.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The name in the bucket, without `/` at its ends; empty for all of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of something inside.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let name = if self.name.is_empty() { name.into() } else { format!("{}/{name}", self.name) };
        Self { name, ..self.clone() }
    }

    /// The last part of the name, or the bucket.
    pub fn last(&self) -> &str {
        let last = self.name.rsplit('/').next().filter(|last| !last.is_empty());
        last.unwrap_or(&self.bucket)
    }

    /// Whether `other` is this, or lies inside.
    pub fn holds(&self, other: &Self) -> bool {
        let inside = || other.name.strip_prefix(&self.name).is_some_and(|r| r.starts_with('/'));
        self.scheme == other.scheme
            && self.bucket == other.bucket
            && (self.name.is_empty() || self.name == other.name || inside())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.bucket)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

/// Of data, which may be named as `LAYOUT=PLACE`: `LAYOUT=` or nothing, and the place.
pub fn layout_and_place(text: &str) -> (&str, &str) {
    // Names of layouts have no `/`, and addresses have one.
    let end = text.find('=').filter(|end| !text[..*end].contains('/'));
    text.split_at(end.map_or(0, |end| end + 1))
}

/// Whether a text can be a part of a name between two `/`, in a store and as a file's name: nothing
/// that such a name is joined to is ever left by it.
pub fn is_part(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains(|c: char| c == '\\' || c.is_control())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}

/// An address as it may be shown: without what stands before `@`, and behind `?`.
fn refused(scheme: &str, rest: &str, why: &'static str) -> AddressError {
    let public = rest.rsplit_once('@').map_or(rest, |(_, public)| public);
    let public = public.split(['?', '#']).next().unwrap_or_default();
    let hidden = if public.len() < rest.len() { "..." } else { "" };
    let shown = match rest.contains('@') {
        true => format!("{scheme}://{hidden}@{public}"),
        // What stands before a colon may be a key, what stands behind it a password.
        false if public.split('/').next().is_some_and(|bucket| bucket.contains(':')) => {
            format!("{scheme}://...")
        }
        false => format!("{scheme}://{public}{hidden}"),
    };
    AddressError { shown, why }
}

/// A path of an address, in which `%20` is a blank.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => out.push(byte),
            None => {
                out.push(bytes[at]);
                at += 1;
                continue;
            }
        }
        at += 3;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        match Place::of(text).unwrap() {
            Place::Store(address) => address,
            Place::Here(path) => panic!("{text} is the path {}", path.display()),
        }
    }

    #[test]
    fn addresses_are_told_from_paths() {
        let parts = |text| {
            let a = address(text);
            (a.scheme(), a.bucket().to_string(), a.name().to_string())
        };
        assert_eq!(parts("s3://a/b/c.csv"), ("s3", "a".into(), "b/c.csv".into()));
        assert_eq!(parts("gs://my.bucket_1-x"), ("gs", "my.bucket_1-x".into(), String::new()));
        assert_eq!(parts("AZ://a/b//"), ("az", "a".into(), "b".into()));
        assert_eq!(address("s3://a/b/c/").to_string(), "s3://a/b/c");
        for path in ["adapters", "s3:/a", "./s3://a", "C:\\x", "a=s3://b", "/a://b", ""] {
            assert_eq!(Place::of(path).unwrap(), Place::Here(path.into()), "{path}");
        }
    }

    #[test]
    fn file_addresses_are_paths() {
        for (text, path) in [
            ("file:///a/b c", "/a/b c"),
            ("file:///a%20b/%C3%A9", "/a b/é"),
            ("FILE://localhost/a", "/a"),
            ("file://relative/x", "relative/x"),
            ("file:///50%", "/50%"),
        ] {
            assert_eq!(Place::of(text).unwrap(), Place::Here(path.into()), "{text}");
        }
        assert!(Place::of("file://").is_err() && Place::of("file:///%ff").is_err());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("s3://a/{}", "x".repeat(1025));
        for wrong in [
            "s3://",
            "s3:///a",
            "s3://a b/c",
            "http://a",
            "s3a://a/b",
            "s3://a/b//c",
            "s3://a/../b",
            "s3://a/./b",
            "gs://a/b\\c",
            "az://a/b\nc",
            &long,
        ] {
            let message = Place::of(wrong).unwrap_err().to_string();
            assert!(message.starts_with(wrong), "{wrong}: {message}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for text in [
            "s3://KEY:SECRET@bucket/x",
            "s3://SECRET@bucket/x",
            "s3://KEY:SECRET/x",
            "az://SECRET:x@a",
            "s3://b/x?X-Amz-Signature=SECRET",
            "gs://b/x#SECRET",
            "http://u:SECRET@h/x",
            "s3://KEY:SECRET/SECRET@bucket/x",
            "https://h/x?sig=SECRET",
        ] {
            let message = Place::of(text).map(|_| ()).unwrap_err().to_string();
            let shown = message.replace("AWS_SECRET_ACCESS_KEY", "");
            assert!(!shown.contains("SECRET"), "{text}: {message}");
        }
    }

    #[test]
    fn a_place_stands_behind_its_layout() {
        for (text, layout, place) in [
            ("glue:CoLA=s3://a/b=c", "glue:CoLA=", "s3://a/b=c"),
            ("s3://a/b=c", "", "s3://a/b=c"),
            ("a/b=c", "", "a/b=c"),
            ("train.csv", "", "train.csv"),
        ] {
            assert_eq!(layout_and_place(text), (layout, place));
        }
    }

    #[test]
    fn what_lies_inside_is_known() {
        let holds = |a, b| address(a).holds(&address(b));
        assert!(holds("s3://a/b", "s3://a/b") && holds("s3://a/b", "s3://a/b/c"));
        assert!(holds("s3://a", "s3://a/b") && !holds("s3://a/b", "s3://a/bc"));
        assert!(!holds("s3://a/b", "gs://a/b/c") && !holds("s3://a/b/c", "s3://a/b"));
        assert_eq!(address("s3://a").join("x").to_string(), "s3://a/x");
        assert_eq!((address("s3://a").last(), address("s3://a/b/c").last()), ("a", "c"));
    }
}
