//! Bytes to text: UTF-8, UTF-16 and Windows-1252 are told apart by the bytes themselves, others are
//! named.

use std::path::Path;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::Error;

/// How bytes become text, by a name of the web's standard of encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// The encoding of that name, such as `utf-8`, `windows-1252`, `latin-1` (which is the same to
    /// browsers) or `shift_jis`.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, Error> {
        let plain = match name.to_lowercase().as_str() {
            "latin-1" => "latin1".to_string(),
            other => other.to_string(),
        };
        encoding_rs::Encoding::for_label(plain.as_bytes()).map(Self).ok_or_else(|| {
            Error::Usage(format!(
                "--encoding {name} is not known; utf-8, utf-16le, windows-1252, iso-8859-2, shift_jis, gbk and the other \
                 names of the web's encodings are"
            ))
        })
    }

    /// Windows-1252, which is what is mostly meant by ISO 8859-1.
    pub(crate) const WINDOWS_1252: Self = Self(WINDOWS_1252);
}

/// The text of a file without its byte-order mark, and the name of its encoding.
///
/// # Errors
/// If a byte does not fit the encoding that is asked for, or none fits all bytes.
pub(crate) fn text(
    path: &Path,
    bytes: Vec<u8>,
    encoding: Option<Encoding>,
) -> Result<(String, &'static str), Error> {
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err(Error::file(path, "is text in UTF-32; write it as UTF-8"));
    }
    let wide = match encoding {
        None => utf_16(&bytes),
        Some(Encoding(e)) => [UTF_16LE, UTF_16BE].into_iter().find(|wide| *wide == e),
    };
    if let Some(wide) = wide {
        return decoded(path, &bytes, wide);
    }
    match encoding {
        Some(Encoding(e)) if e != UTF_8 => return decoded(path, &bytes, e),
        _ => {}
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.remove(0);
            }
            return Ok((text, "UTF-8"));
        }
        Err(e) => e.into_bytes(),
    };
    if encoding.is_none() && is_windows_1252(&bytes) {
        return decoded(path, &bytes, WINDOWS_1252);
    }
    let at = std::str::from_utf8(&bytes).map_or_else(|e| e.valid_up_to(), str::len);
    let byte = bytes.get(at).copied().unwrap_or_default();
    let message = format!(
        "byte 0x{byte:02x} is not UTF-8, and the file is not Windows-1252 throughout; it is damaged, or in an encoding that \
         --encoding can name, such as windows-1252, iso-8859-2, macintosh or shift_jis"
    );
    Err(Error::row(path, "line", line_of(&bytes[..at]), message))
}

/// The line that follows so many bytes.
fn line_of(bytes: &[u8]) -> usize {
    let ends =
        |(i, b): (usize, &u8)| *b == b'\n' || (*b == b'\r' && bytes.get(i + 1) != Some(&b'\n'));
    bytes.iter().enumerate().filter(|&pair| ends(pair)).count() + 1
}

/// Whether bytes are UTF-16: by their mark, or because every other byte is mostly zero.
fn utf_16(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    if bytes.starts_with(&[0xff, 0xfe]) {
        return Some(UTF_16LE);
    }
    if bytes.starts_with(&[0xfe, 0xff]) {
        return Some(UTF_16BE);
    }
    let head = &bytes[..bytes.len().min(4096) & !1];
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    match half > 0 {
        true if odd * 2 > half && even * 20 < half => Some(UTF_16LE),
        true if even * 2 > half && odd * 20 < half => Some(UTF_16BE),
        _ => None,
    }
}

/// Whether bytes that are not UTF-8 are a Western text in Windows-1252: nothing in it has no
/// character, few letters are beyond ASCII, next to none of them would be UTF-8, and few characters
/// stand where no Western text has them. Those of Mac OS and DOS read so have capitals and opening
/// quotes in the middle of words, Polish ones signs.
fn is_windows_1252(bytes: &[u8]) -> bool {
    let none = |b: &u8| {
        matches!(b, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d | 0x7f)
            || (*b < 0x20 && !b"\t\n\r\x0c\x1a".contains(b))
    };
    if bytes.iter().any(none) {
        return false;
    }
    let high = bytes.iter().filter(|b| **b >= 0x80).count();
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count();
    // What is left of UTF-8 in it, in characters of several bytes.
    let valid: usize =
        bytes.utf8_chunks().map(|c| c.valid().chars().filter(|c| !c.is_ascii()).count()).sum();
    // A capital or an opening mark after a small letter; a sign between letters.
    let after_small =
        |b: u8| matches!(b, 0x82..=0x84 | 0x86..=0x8c | 0x8e | 0x9f | 0xc0..=0xd6 | 0xd8..=0xde);
    let inside =
        |b: u8| matches!(b, 0xa1..=0xa9 | 0xab | 0xac | 0xae..=0xb3 | 0xb5 | 0xb6 | 0xb8..=0xbf);
    let odd = |w: &&[u8]| {
        w[0].is_ascii_lowercase()
            && (after_small(w[1]) || inside(w[1]) && w[2].is_ascii_lowercase())
    };
    let odd = bytes.windows(3).filter(odd).count();
    high * 2 <= letters.max(1) && valid * 20 <= high && odd * 5 <= high
}

fn decoded(
    path: &Path,
    bytes: &[u8],
    encoding: &'static encoding_rs::Encoding,
) -> Result<(String, &'static str), Error> {
    let (text, wrong) = encoding.decode_with_bom_removal(bytes);
    if wrong {
        let place = text.find('\u{fffd}').map_or(0, |at| line_of(&text.as_bytes()[..at]));
        let message = format!("has bytes that {} does not know", encoding.name());
        return Err(Error::row(path, "line", place, message));
    }
    let text = text.into_owned();
    Ok((text, encoding.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(String, &'static str), String> {
        text(Path::new("a.csv"), bytes.to_vec(), None).map_err(|e| e.to_string())
    }

    #[test]
    fn encodings_are_known_by_the_bytes() {
        let wide = |big: bool| -> Vec<u8> {
            let unit = |u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() };
            "It\u{2019}s, caf\u{e9}\n".encode_utf16().flat_map(unit).collect()
        };
        let expected = "It\u{2019}s, caf\u{e9}\n";
        for (bytes, name) in [
            (b"It\xe2\x80\x99s, caf\xc3\xa9\n".to_vec(), "UTF-8"),
            (b"\xef\xbb\xbfIt\xe2\x80\x99s, caf\xc3\xa9\n".to_vec(), "UTF-8"),
            (wide(false), "UTF-16LE"),
            (wide(true), "UTF-16BE"),
            ([vec![0xff, 0xfe], wide(false)].concat(), "UTF-16LE"),
            ([vec![0xfe, 0xff], wide(true)].concat(), "UTF-16BE"),
            (b"It\x92s, caf\xe9\n".to_vec(), "windows-1252"),
        ] {
            assert_eq!(read(&bytes), Ok((expected.to_string(), name)));
        }
    }

    #[test]
    fn what_is_neither_is_an_error_with_its_line() {
        // UTF-8 with one damaged byte, Cyrillic in Windows-1251, and a byte without a character.
        let damaged = b"caf\xc3\xa9\r\nd\xc3\xa9j\xe9\r\n";
        for (bytes, words) in [
            (&damaged[..], "line 2: byte 0xe9"),
            (b"\xcf\xf0\xe8\xe2\xe5\xf2,1\n", "line 1: byte 0xcf"),
            (b"a\rb\rc\x81", "line 3: byte 0x81"),
            (b"a\x00\x01\xff\xfe", "line 1: byte 0xff"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let named = Encoding::named("latin-1").unwrap();
        let (text, name) = text(Path::new("a"), damaged.to_vec(), Some(named)).unwrap();
        assert_eq!((text.contains("dÃ©jé"), name), (true, "windows-1252"));
        assert!(Encoding::named("klingon").is_err());
    }
}
