//! Names to slugs and keys; what a name may not hold.

use budwood_base::digest;
use unicode_normalization::UnicodeNormalization;

/// Longest slug that is made from a name.
const LONGEST: usize = 100;

/// The kind of a method: what stands before its options.
pub(crate) fn method_kind(method: &str) -> &str {
    method.split('[').next().unwrap_or(method)
}

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

/// The last part of an address of the archive such as `https://paperswithcode.com/paper/<slug>`, if
/// it is one of that kind.
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

/// Whether a character shows nothing by itself but changes what stands around it: controls, among
/// them those of terminals, marks of direction, characters without width, and the tags of emoji.
/// Joiners, which some scripts need inside words, are not among them.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A message without the folders of this machine: of each whole path its last part stays.
pub(crate) fn without_folders(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('/') {
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        // An address or a relative path goes on here; a whole path begins.
        let inside =
            before.is_some_and(|c| c.is_alphanumeric() || matches!(c, ':' | '/' | '.' | '-' | '_'));
        let ends =
            |c: char| c.is_whitespace() || matches!(c, '`' | '\'' | '"' | ',' | ';' | ')' | ':');
        let end = rest[at..].find(ends).map_or(rest.len(), |n| at + n);
        let path = &rest[at..end];
        out += &rest[..at];
        out += if inside {
            path
        } else {
            path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
        };
        rest = &rest[end..];
    }
    out + rest
}

/// What a name looks like: two names with the same look are the same to a reader.
///
/// Compatibility forms are unfolded, case, spaces and joiners do not count, dashes are one, and
/// letters of Cyrillic and Greek that look like Latin ones become those.
pub(crate) fn look(name: &str) -> String {
    let plain: String = name
        .nfkc()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_hidden(*c) && !matches!(c, '\u{200c}' | '\u{200d}'))
        .map(|c| match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            _ => latin(c),
        })
        .collect();
    key(&plain)
}

/// The Latin letter that a letter in lower case looks like, itself or its capital.
fn latin(c: char) -> char {
    const ALIKE: &[(&str, char)] = &[
        ("\u{430}\u{3b1}", 'a'),
        ("\u{432}\u{3b2}", 'b'),
        ("\u{441}\u{3f2}", 'c'),
        ("\u{501}", 'd'),
        ("\u{435}\u{3b5}", 'e'),
        ("\u{43d}\u{4bb}\u{3b7}", 'h'),
        ("\u{456}\u{3b9}\u{131}", 'i'),
        ("\u{458}\u{3f3}", 'j'),
        ("\u{43a}\u{3ba}", 'k'),
        ("\u{4cf}", 'l'),
        ("\u{43c}\u{3bc}", 'm'),
        ("\u{3bd}", 'n'),
        ("\u{43e}\u{3bf}", 'o'),
        ("\u{440}\u{3c1}", 'p'),
        ("\u{51b}", 'q'),
        ("\u{455}", 's'),
        ("\u{442}\u{3c4}", 't'),
        ("\u{51d}", 'w'),
        ("\u{445}\u{3c7}", 'x'),
        ("\u{443}\u{3c5}", 'y'),
        ("\u{3b6}", 'z'),
    ];
    ALIKE.iter().find(|(all, _)| all.contains(c)).map_or(c, |(_, latin)| *latin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_this_machine_are_nobodys_matter() {
        for (message, want) in [
            (
                "cannot read /home/x/data/test.csv: no such file",
                "cannot read test.csv: no such file",
            ),
            (
                "the data at `--data=/srv/a/b.csv --test` are gone",
                "the data at `--data=b.csv --test` are gone",
            ),
            ("glue=/srv/glue/", "glue=glue"),
            ("see https://example.org/a/b, or a/b", "see https://example.org/a/b, or a/b"),
            ("/a/b", "b"),
            ("/", ""),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_folders(message), want);
        }
    }

    #[test]
    fn what_looks_alike_has_one_look() {
        let same = [
            ("Accuracy", "\u{410}ccuracy"),
            ("SST-2", "SST\u{2011}2"),
            ("SST-2", " sst-2\u{200d} "),
            ("F1", "F\u{2081}"),
            ("Accuracy", "\u{ff21}ccuracy"),
            ("Caf\u{e9}", "Cafe\u{301}"),
            ("Top 5", "top\u{a0}5"),
        ];
        for (a, b) in same {
            assert_eq!(look(a), look(b), "{a} {b}");
        }
        for (a, b) in [("SST-2", "SST-1"), ("F1", "Macro F1"), ("top5", "top 5"), ("CoLA", "COLA!")]
        {
            assert_ne!(look(a), look(b));
        }
        for hidden in ['\u{1b}', '\u{9b}', '\n', '\u{202e}', '\u{200b}', '\u{feff}', '\u{7f}'] {
            assert!(is_hidden(hidden), "{hidden:?}");
        }
        assert!(!"Aé图像 \u{200d}±".chars().any(is_hidden));
    }

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
