//! Changes of files: small enough that much of a reader is reached, odd enough to hurt it.

use budwood_base::random::Key;
use serde_json::Value;

/// Files of one input by name.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// Numbers at the ends of their ranges.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "65536",
    "2147483648",
    "4294967295",
    "1000000000",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "-9223372036854775808",
    "1e308",
    "1e-308",
    "0.1",
    "-0.0",
    "99999999999999999999999",
];
const WORDS: &[&str] = &[
    "", "\0", "../../x", "nan", "inf", "true", "é", "\u{feff}", "\"", "\t", "\r\n", "a,b", "[CLS]",
];
/// Largest input in bytes.
const LARGEST: usize = 4 << 20;

/// A stream of random choices.
pub(crate) struct Dice {
    key: Key,
    at: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        Self { key: Key::new(seed).child(case), at: 0 }
    }

    /// A number below `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.at += 1;
        if n == 0 { 0 } else { self.key.below(self.at, n) }
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// One of the corpus, with one to four changes.
pub(crate) fn input(corpus: &[Files], dice: &mut Dice) -> Files {
    let mut files = corpus[dice.below(corpus.len())].clone();
    let other = &corpus[dice.below(corpus.len())];
    for _ in 0..=dice.below(4) {
        let which = dice.below(files.len());
        let donor = &other[dice.below(other.len())].1;
        let (name, bytes) = &mut files[which];
        let name = name.to_lowercase();
        let json = name.ends_with(".json") || name.ends_with(".jsonl");
        *bytes = match dice.below(3) {
            0 | 1 if json => json_text(bytes, dice),
            0 | 1 if name.ends_with(".safetensors") => header(bytes, dice),
            _ => raw(bytes, donor, dice),
        };
        bytes.truncate(LARGEST);
    }
    // A file that is missing.
    if files.len() > 1 && dice.below(50) == 0 {
        files.remove(dice.below(files.len()));
    }
    files
}

/// Changes bytes whatever they mean.
fn raw(bytes: &[u8], donor: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let at = dice.below(out.len() + 1);
    let end = (at + 1 + dice.below(64)).min(out.len());
    match dice.below(9) {
        0 if at < out.len() => out[at] ^= 1 << dice.below(8),
        1 if at < out.len() => out[at] = [0, 255, 127, 128, b'"', b'\n'][dice.below(6)],
        2 => out.truncate(at),
        // A number of two, four or eight bytes.
        3 => {
            let n: u64 = [0, 1, 0x7fff_ffff, 0xffff_ffff, u64::MAX, 1 << 40][dice.below(6)];
            let width = [2, 4, 8][dice.below(3)];
            for (to, from) in out.iter_mut().skip(at).zip(n.to_le_bytes()).take(width) {
                *to = from;
            }
        }
        4 => {
            let part = out[at.min(end)..end].to_vec();
            let times = 1 << dice.below(12);
            out.splice(at..at, part.repeat(times));
        }
        5 => drop(out.drain(at.min(end)..end)),
        6 => {
            let from = dice.below(donor.len() + 1);
            out.truncate(at);
            out.extend(&donor[from..]);
        }
        7 => out.splice(at..at, dice.pick(WORDS).bytes()).for_each(drop),
        _ => return number(out, dice),
    }
    out
}

/// Puts another number in the place of one in a text.
fn number(mut out: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    let from = dice.below(out.len() + 1);
    let Some(begin) = out[from..].iter().position(u8::is_ascii_digit).map(|i| from + i) else {
        return out;
    };
    let digits = out[begin..].iter().take_while(|b| b.is_ascii_digit()).count();
    out.splice(begin..begin + digits, dice.pick(NUMBERS).bytes());
    out
}

/// Changes one place of a JSON value, or of one line of several.
fn json_text(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(mut value) = serde_json::from_str::<Value>(&text) {
        place(&mut value, dice);
        return value.to_string().into_bytes();
    }
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    let i = dice.below(lines.len());
    if let Some(line) = lines.get_mut(i)
        && let Ok(mut value) = serde_json::from_str::<Value>(line)
    {
        place(&mut value, dice);
        *line = value.to_string();
        return lines.join("\n").into_bytes();
    }
    raw(bytes, b"{}", dice)
}

/// Changes one value somewhere below another.
fn place(value: &mut Value, dice: &mut Dice) {
    let children = match value {
        Value::Array(all) => all.len(),
        Value::Object(all) => all.len(),
        _ => 0,
    };
    if children > 0 && dice.below(8) > 0 {
        let i = dice.below(children);
        let child = match value {
            Value::Array(all) => all.get_mut(i),
            Value::Object(all) => all.values_mut().nth(i),
            _ => None,
        };
        if let Some(child) = child {
            return place(child, dice);
        }
    }
    *value = match (dice.below(9), &value) {
        (0, _) => Value::Null,
        (1, _) => {
            // No more than a file may hold: the limit of memory is for readers.
            let most = LARGEST / value.to_string().len().max(1);
            Value::Array(vec![value.clone(); dice.below(300).min(most)])
        }
        (2, _) => serde_json::json!({ "x": value.clone() }),
        (3, _) => Value::String(dice.pick(WORDS).into()),
        (4, Value::String(s)) => Value::String(s.repeat(dice.below(200))),
        (5, Value::Object(all)) => {
            let skip = dice.below(all.len());
            let kept = all.iter().enumerate().filter(|(i, _)| *i != skip);
            Value::Object(kept.map(|(_, (k, v))| (k.clone(), v.clone())).collect())
        }
        (6, _) => (0..dice.below(500)).fold(Value::Null, |v, _| Value::Array(vec![v])),
        _ => serde_json::from_str(dice.pick(NUMBERS)).unwrap_or(Value::Null),
    };
}

/// Changes the JSON in a safetensors file and says its new length.
fn header(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let size = bytes.first_chunk().map_or(0, |n| u64::from_le_bytes(*n) as usize);
    let Some(end) = size.checked_add(8).filter(|&end| end <= bytes.len()) else {
        return raw(bytes, b"{}", dice);
    };
    let json = json_text(&bytes[8..end], dice);
    [&(json.len() as u64).to_le_bytes()[..], &json, &bytes[end..]].concat()
}

/// The files of an input in a folder of their own.
#[cfg(test)]
pub(crate) fn written(files: &Files) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}
