//! Names to slugs and keys.

use budwood_base::digest;

/// Longest slug that is made from a name.
const LONGEST: usize = 100;

/// A name as part of an address: ASCII letters and digits in lower case, with dashes between.
pub(crate) fn slug(name: &str) -> String {
    let mut out = String::with_capacity(name.len().min(LONGEST));
    for c in name.chars() {
        if out.len() >= LONGEST {
            break;
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    if out.is_empty() {
        // Names without a single Latin letter still need an address.
        out = format!("x-{}", &digest::of_bytes(name.as_bytes())[..10]);
    }
    out
}

/// The last part of an address of the archive such as `https://paperswithcode.com/paper/<slug>`, if it is one of that kind.
pub(crate) fn slug_of_url(url: &str, kind: &str) -> Option<String> {
    let (_, rest) = url.split_once("paperswithcode.com/")?;
    let rest = rest.strip_prefix(kind)?.strip_prefix('/')?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let found = &rest[..end];
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!found.is_empty() && found.len() <= 200 && found.chars().all(plain)).then(|| found.to_owned())
}

/// A name for comparison: lower case, one space between words.
pub(crate) fn key(name: &str) -> String {
    name.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain() {
        assert_eq!(slug("Question Answering"), "question-answering");
        assert_eq!(slug("SST-2 (Binary)"), "sst-2-binary");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("<script>"), "script");
        assert!(slug("图像").starts_with("x-"));
        assert_ne!(slug("图像"), slug("文本"));
    }

    #[test]
    fn slugs_come_from_addresses_of_their_kind_only() {
        let url = "https://paperswithcode.com/paper/a-b-c?x=1";
        assert_eq!(slug_of_url(url, "paper").as_deref(), Some("a-b-c"));
        assert_eq!(slug_of_url(url, "method"), None);
        assert_eq!(slug_of_url("https://paperswithcode.com/paper/a\"><b", "paper"), None);
    }
}
