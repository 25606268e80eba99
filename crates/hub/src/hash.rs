//! The hash that names a file on the hub. It is also the file's name in the cache.

use sha1::Digest as _;

use crate::name::is_hex;

/// What an ETag of the hub promises: Git's SHA-1 of a small file, or the SHA-256 of a large one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ETag(String);

impl ETag {
    /// Reads the header's value, quotes and the mark of a weak one aside; none if it is not a hash.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let text = header.trim();
        let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        (is_hex(text) && matches!(text.len(), 40 | 64)).then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Begins to hash a file of `size` bytes.
    pub(crate) fn hasher(&self, size: u64) -> Hasher {
        if self.0.len() == 64 {
            return Hasher::sha256();
        }
        Hasher::git(size)
    }
}

/// A hash in the making.
pub(crate) enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// That of a large file.
    pub(crate) fn sha256() -> Self {
        Self::Sha256(sha2::Sha256::new())
    }

    /// Git's, of a file of `size` bytes: the kind and length come before the bytes.
    pub(crate) fn git(size: u64) -> Self {
        Self::Sha1(sha1::Sha1::new().chain_update(format!("blob {size}\0")))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(h) => h.update(bytes),
            Self::Sha256(h) => h.update(bytes),
        }
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect();
        match self {
            Self::Sha1(h) => hex(&h.finalize()),
            Self::Sha256(h) => hex(&h.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256() {
        // `printf 'hello\n' | git hash-object --stdin`, and `sha256sum`.
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        for hash in [git, sha256] {
            let tag = ETag::parse(&format!("W/\"{hash}\"")).unwrap();
            let mut hasher = tag.hasher(6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), hash);
        }
    }

    #[test]
    fn an_etag_with_a_path_is_none() {
        let path = "../../../../home/user/.bashrc";
        for bad in ["", "\"\"", "abc", path, "5f-6a", &"g".repeat(40), &"a".repeat(41)] {
            assert_eq!(ETag::parse(bad), None, "{bad}");
        }
    }
}
