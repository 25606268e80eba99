//! Rust text without what no compiler reads: comments, texts in quotes, tests.

/// The same text with comments and the insides of string literals replaced by blanks.
pub(crate) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let blank = |out: &mut String, part: &str| {
        out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    };
    while i < bytes.len() {
        let rest = &text[i..];
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if rest.starts_with('"') {
            quoted(rest)
        } else if let Some(n) = raw(rest).filter(|_| !out.ends_with(is_word)) {
            n
        } else {
            character(rest)
        };
        if skipped > 0 {
            blank(&mut out, &rest[..skipped]);
            i += skipped;
        } else {
            let c = rest.chars().next().unwrap_or(' ');
            out.push(c);
            i += c.len_utf8();
        }
    }
    out
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a string literal at the beginning.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string literal at the beginning.
fn raw(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let inside = rest[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |n| n + end.len());
    Some(1 + hashes + 1 + length)
}

/// The length of a character literal that holds a quote at the beginning; 0 for all else.
fn character(text: &str) -> usize {
    ["'\"'", "'\\\"'", "b'\"'"].iter().find(|c| text.starts_with(**c)).map_or(0, |c| c.len())
}

/// Code without its modules for tests.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        let after = &rest[at..];
        let end = match (after.find('{'), after.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|s| open < s) => closing(after, open),
            (_, Some(semicolon)) => semicolon + 1,
            _ => after.len(),
        };
        rest = &after[end..];
    }
    out + rest
}

/// The place behind the brace that closes the one at `open`.
pub(crate) fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return open + i + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_texts_and_tests_are_left_out() {
        let text = "use a::b; // use c::d;\nlet s = \"crate::x \\\" y\"; let r = r#\"crate::\"z\"#;\n\
                    let q = '\"'; use e::f;\n#[cfg(test)]\nmod tests { fn x() { crate::y(); } }\nuse g;";
        let code = without_tests(&code(text));
        assert!(
            code.contains("use a::b;") && code.contains("use e::f;") && code.contains("use g;")
        );
        assert!(!code.contains("crate::") && !code.contains("c::d"), "{code}");
    }
}
