//! Lists and dictionaries that stand as text in a cell: JSON's form, Python's, and NumPy's arrays.

use crate::Cell;

/// Lists in lists that are followed.
const DEPTH: usize = 64;

/// Whether a text begins as a list or a dictionary would.
pub(crate) fn looks_like(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['[', '{', '('])
        || ["array(", "np.array("].iter().any(|start| text.starts_with(start))
}

/// The value that a text stands for.
///
/// # Errors
/// If it has none of the forms, with the reason.
pub(crate) fn parse(text: &str) -> Result<Cell, String> {
    let mut parser = Parser { text, at: 0 };
    let cell = parser.value(DEPTH)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(format!("'{}' stands after its end", parser.ahead()));
    }
    Ok(cell)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// A few characters from here, for messages.
    fn ahead(&self) -> String {
        self.rest().chars().take(20).collect()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, start: &str) -> bool {
        let there = self.rest().starts_with(start);
        self.at += if there { start.len() } else { 0 };
        there
    }

    fn expected(&self, what: &str) -> String {
        match self.rest().is_empty() {
            true => format!("it ends where {what} is expected"),
            false => format!("{what} is expected at '{}'", self.ahead()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Cell, String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("more than {DEPTH} lists stand in each other"));
        };
        self.blanks();
        match self.rest().chars().next() {
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some('{') => self.dict(depth),
            Some('\'' | '"') => self.string().map(Cell::Text),
            Some(c) if c.is_alphabetic() || c == '_' => self.word(depth),
            _ => self.number(),
        }
    }

    /// Values with commas between them, or with blanks as NumPy prints them, but not both.
    fn list(&mut self, close: char, depth: usize) -> Result<Cell, String> {
        self.at += 1;
        let mut list = Vec::new();
        let mut commas = None;
        loop {
            self.blanks();
            if self.rest().starts_with(close) {
                self.at += 1;
                return Ok(Cell::List(list));
            }
            if self.rest().starts_with("...") {
                return Err("NumPy printed it cut short, with '...'".into());
            }
            if !list.is_empty() {
                let comma = self.eat(",");
                if *commas.get_or_insert(comma) != comma {
                    return Err(self.expected("a comma"));
                }
                self.blanks();
                if self.rest().starts_with(close) {
                    continue;
                }
                if self.rest().starts_with("...") {
                    return Err("NumPy printed it cut short, with '...'".into());
                }
            }
            list.push(self.value(depth)?);
        }
    }

    /// A dictionary; without colons it is one of Python's sets.
    fn dict(&mut self, depth: usize) -> Result<Cell, String> {
        self.at += 1;
        let (mut entries, mut set) = (Vec::<(String, Cell)>::new(), Vec::new());
        loop {
            self.blanks();
            if self.eat("}") {
                return Ok(if set.is_empty() { Cell::Dict(entries) } else { Cell::List(set) });
            }
            if !(entries.is_empty() && set.is_empty()) {
                if !self.eat(",") {
                    return Err(self.expected("a comma"));
                }
                self.blanks();
                if self.rest().starts_with('}') {
                    continue;
                }
            }
            let key = self.value(depth)?;
            self.blanks();
            match self.eat(":") {
                true if set.is_empty() => {
                    let name = key.text().into_owned();
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(format!("the key '{name}' stands twice"));
                    }
                    entries.push((name, self.value(depth)?));
                }
                false if entries.is_empty() => set.push(key),
                _ => return Err(self.expected("a colon")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.rest().chars().next().unwrap_or('"');
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find([quote, '\\']).ok_or("a text in it has no end")?;
            out.push_str(&rest[..end]);
            self.at += end + 1;
            if rest[end..].starts_with(quote) {
                return Ok(out);
            }
            self.escape(&mut out)?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        let c = self.rest().chars().next().ok_or("a text in it has no end")?;
        self.at += c.len_utf8();
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => {
                out.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    '0' => '\0',
                    other => other,
                });
                return Ok(());
            }
        };
        let mut code = self.hex(digits)?;
        // JSON writes characters beyond 16 bits as two.
        if (0xd800..0xdc00).contains(&code) && self.eat("\\u") {
            let low = self.hex(4)?;
            code = 0x10000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00);
        }
        out.push(char::from_u32(code).ok_or("an escape in it is not a character")?);
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<u32, String> {
        let code = self.rest().get(..digits).and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at += digits;
        code.ok_or_else(|| "an escape in it is not a character".into())
    }

    fn word(&mut self, depth: usize) -> Result<Cell, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.".contains(c)));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        match word {
            "True" | "true" => return Ok(Cell::Bool(true)),
            "False" | "false" => return Ok(Cell::Bool(false)),
            "None" | "null" | "nan" | "NaN" => return Ok(Cell::Missing),
            "inf" | "Infinity" => return Ok(Cell::Number(f64::INFINITY)),
            "u" if self.rest().starts_with(['\'', '"']) => return self.string().map(Cell::Text),
            _ => {}
        }
        // NumPy's own: array([1, 0], dtype=int64), np.int64(1), np.str_('a').
        if (word == "array" || word.starts_with("np.")) && self.eat("(") {
            let cell = self.value(depth)?;
            self.blanks();
            if self.eat(",") {
                let after = self.rest().find(')').ok_or_else(|| self.expected("a bracket"))?;
                self.at += after;
            }
            return if self.eat(")") { Ok(cell) } else { Err(self.expected("a bracket")) };
        }
        Err(format!("the word '{word}' has no quotes"))
    }

    fn number(&mut self) -> Result<Cell, String> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        let text = &rest[..end.unwrap_or(rest.len())];
        let cell = match (text.parse(), text.parse()) {
            (Ok(n), _) => Cell::Int(n),
            (_, Ok(x)) if text.starts_with(|c: char| "+-.".contains(c) || c.is_ascii_digit()) => {
                Cell::Number(x)
            }
            _ => return Err(self.expected("a value")),
        };
        self.at += text.len();
        Ok(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values: what Python's `ast.literal_eval`, `json.loads` and NumPy say of these
    /// texts.
    #[test]
    fn forms_of_json_python_and_numpy_are_read() {
        let ints = |list: &[i64]| Cell::List(list.iter().map(|&n| Cell::Int(n)).collect());
        let texts = |list: &[&str]| Cell::List(list.iter().map(|&t| t.into()).collect());
        assert_eq!(parse("[1, 0, 0]"), Ok(ints(&[1, 0, 0])));
        assert_eq!(parse(" [1 0 0]\n"), Ok(ints(&[1, 0, 0])));
        assert_eq!(parse("(1, 0,)"), Ok(ints(&[1, 0])));
        assert_eq!(parse("array([1, 0], dtype=int64)"), Ok(ints(&[1, 0])));
        assert_eq!(parse("[np.int64(1), np.int64(0)]"), Ok(ints(&[1, 0])));
        assert_eq!(parse("['it\\'s', \"a \\\"b\\\"\"]"), Ok(texts(&["it's", "a \"b\""])));
        assert_eq!(parse("['a' 'b'\n 'c']"), Ok(texts(&["a", "b", "c"])));
        assert_eq!(parse("{'a', 'b'}"), Ok(texts(&["a", "b"])));
        assert_eq!(parse(r#"["\ud83d\ude00", "\u00e9\n"]"#), Ok(texts(&["\u{1f600}", "é\n"])));
        assert_eq!(parse("[]"), Ok(ints(&[])));
        let answers = parse(
            "{'text': array(['in Bath'], dtype=object), 'answer_start': array([3], dtype=int32)}",
        );
        let expected =
            vec![("text".into(), texts(&["in Bath"])), ("answer_start".into(), ints(&[3]))];
        assert_eq!(answers, Ok(Cell::Dict(expected)));
        let mixed = vec![Cell::Number(0.5), Cell::Bool(true), Cell::Missing, Cell::Number(1.0)];
        assert_eq!(parse("[.5, True, None, 1.]"), Ok(Cell::List(mixed)));
    }

    #[test]
    fn what_has_no_form_is_refused_with_the_reason() {
        for (text, reason) in [
            ("[0 1 2 ... 97 98 99]", "cut short"),
            ("[1, 2, ..., 3]", "cut short"),
            ("[a, b]", "'a' has no quotes"),
            ("[1, 2", "ends where"),
            ("['a", "no end"),
            ("[1, 2 3]", "a comma"),
            ("[1] x", "after its end"),
            ("{'a': 1, 'a': 2}", "twice"),
            ("{'a': 1, 'b'}", "a colon"),
            ("['\\ud800']", "not a character"),
            ("[NSFW]", "no quotes"),
            ("", "ends where"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(parse(&"[".repeat(100_000)).unwrap_err().contains("64 lists"));
    }
}
