//! SHA-256 as lower-case hexadecimal: the identity of bases, tokenizers, data sets and adapters.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of `bytes`.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file's bytes.
///
/// # Errors
/// Whatever opening or reading the file gives.
pub fn of_file(path: &Path) -> io::Result<String> {
    of_reader(File::open(path)?)
}

/// The SHA-256 of what is read to its end, piece by piece.
///
/// # Errors
/// Whatever reading gives.
pub fn of_reader(reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    add(&mut hasher, reader)?;
    Ok(hex(&hasher.finalize()))
}

fn add(hasher: &mut Sha256, mut reader: impl Read) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// The SHA-256 of a list of named parts, for things that consist of several files.
/// Names and lengths enter the hash, so no two different lists can meet.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in parts {
        add_name(&mut hasher, name, bytes.len() as u64);
        hasher.update(bytes);
    }
    hex(&hasher.finalize())
}

/// [`of_parts`] of parts that are read piece by piece.
#[derive(Default)]
pub struct Parts(Sha256);

impl Parts {
    /// Adds a part of so many bytes, read to its end.
    ///
    /// # Errors
    /// Whatever reading gives.
    pub fn add(&mut self, name: &str, length: u64, reader: impl Read) -> io::Result<()> {
        add_name(&mut self.0, name, length);
        add(&mut self.0, reader)
    }

    /// The SHA-256 of all of them.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

fn add_name(hasher: &mut Sha256, name: &str, length: u64) {
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(length.to_le_bytes());
}

/// The SHA-256 of a JSON value, whatever the order of its keys and its layout.
pub fn of_json(value: &Value) -> String {
    let mut text = String::new();
    write_sorted(value, &mut text);
    of_bytes(text.as_bytes())
}

/// What of an adapter's description changes its answers. The encoder stands in by its digest.
const ACTING: [&str; 12] = [
    "/method",
    "/head",
    "/labels",
    "/precision",
    "/base/weights_sha256",
    "/base/tokenizer_sha256",
    "/base/tokenizer_settings",
    "/base/encoder_sha256",
    "/task/kind",
    "/task/max_length",
    "/task/doc_stride",
    "/task/images",
];

/// The SHA-256 of what of an adapter's description (`adapter.json`) changes its answers; it stands
/// in the metadata of the weights' file. What only tells where the adapter comes from (data,
/// scores, seed, names) does not count, so that one training from other forms of the same data
/// gives the same file.
pub fn of_description(description: &Value) -> String {
    let part =
        |pointer: &&str| Some(((*pointer).to_string(), description.pointer(pointer)?.clone()));
    of_json(&Value::Object(ACTING.iter().filter_map(part).collect()))
}

/// Whether a text is a SHA-256 as this module writes them.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// JSON without blanks, keys in order.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Array(list) => {
            text.push('[');
            for (i, value) in list.iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                write_sorted(value, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (i, (key, value)) in entries.into_iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_value() {
        // FIPS 180-2, example B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), abc);
    }

    #[test]
    fn a_json_value_has_one_digest_in_any_layout() {
        let parse = |text: &str| serde_json::from_str(text).unwrap();
        let a: Value = parse(r#"{"b": [1, {"y": 0.001, "x": "\u00e9"}], "a": null}"#);
        let b = parse(r#"{ "a":null,"b":[1,{"x":"é","y":1e-3}]}"#);
        assert_eq!(of_json(&a), of_json(&b));
        // By `printf '{"a":null,"b":[1,{"x":"é","y":0.001}]}' | sha256sum`.
        assert_eq!(of_json(&a), "c211202388bf0e6001f6a00c3031dec08d85ccc76e740b30cf12f964000f69f0");
        assert_ne!(
            of_json(&a),
            of_json(&parse(r#"{"b": [{"y": 0.001, "x": "é"}, 1], "a": null}"#))
        );
    }

    #[test]
    fn a_description_s_digest_is_of_what_acts() {
        let text = r#"{"base":{"name":"n","weights_sha256":"w"},"labels":["x"],"seed":1}"#;
        let changed = |from: &str, to: &str| {
            of_description(&serde_json::from_str(&text.replace(from, to)).unwrap())
        };
        for told in ["n\"", ":1"] {
            assert_eq!(changed(told, &told.replace(['n', '1'], "2")), changed("", ""), "{told}");
        }
        for acts in ["w\"", "x\""] {
            assert_ne!(changed(acts, &acts.replace(['w', 'x'], "2")), changed("", ""), "{acts}");
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(of_parts([("a", &b"bc"[..])]), of_parts([("ab", &b"c"[..])]));
    }
}
