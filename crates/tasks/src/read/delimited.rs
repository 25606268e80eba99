//! Comma- and tab-separated values, and those with semicolons or bars between them.

use std::borrow::Cow;
use std::path::Path;

use memchr::{memchr, memchr_iter, memchr3};

use super::{Column, Form, ReadOptions, Table, Unpacked, text};
use crate::{Cell, Error};

/// What may stand between fields of `.csv`, the likeliest first, with its name.
pub(crate) const SEPARATORS: [(u8, &str); 4] =
    [(b',', "comma"), (b';', "semicolon"), (b'\t', "tab"), (b'|', "bar")];

/// More columns than any table has.
const MAX_COLUMNS: usize = 100_000;

/// The separator of that name, or the character itself.
///
/// # Errors
/// If it is neither a name nor a character of ASCII that can separate.
pub fn separator(name: &str) -> Result<u8, Error> {
    let named = SEPARATORS.iter().find(|(_, known)| *known == name).map(|(s, _)| *s);
    let single = || match name.as_bytes() {
        [b] if b.is_ascii() && !b.is_ascii_alphanumeric() && !b"\"\n\r".contains(b) => Some(*b),
        _ => None,
    };
    named.or_else(single).ok_or_else(|| {
        Error::Usage(format!(
            "--separator {name} is not a separator; give comma, semicolon, tab, bar or one character"
        ))
    })
}

/// Quoted as in RFC 4180; the separator is found.
pub(super) fn csv(path: &Path, content: Unpacked, options: ReadOptions) -> Result<Table, Error> {
    let packed = content.packed;
    let (text, encoding) = text(path, content.bytes, options.encoding)?;
    // Excel may say in the first line what separates.
    let stated = text.lines().next().and_then(|line| {
        match line.trim_matches('"').strip_prefix("sep=")?.as_bytes() {
            [separator] => Some(*separator),
            _ => None,
        }
    });
    let separator = options.separator.or(stated).unwrap_or_else(|| find_separator(&text));
    let form = Form { name: "CSV", places: "line", packed, ..Form::default() };
    let form = Form { encoding: Some(encoding), separator: Some(name_of(separator)), ..form };
    let records = Records { skip_first: stated.is_some(), ..Records::new(&text, separator, true) };
    read(path, form, records, options)
}

/// With tabs; quotes are ordinary characters unless the options say otherwise.
pub(super) fn tsv(path: &Path, content: Unpacked, options: ReadOptions) -> Result<Table, Error> {
    let packed = content.packed;
    let (text, encoding) = text(path, content.bytes, options.encoding)?;
    let separator = options.separator.unwrap_or(b'\t');
    let form = Form { name: "TSV", places: "line", packed, ..Form::default() };
    let form = Form { encoding: Some(encoding), separator: Some(name_of(separator)), ..form };
    let quoting = !options.literal_quotes;
    let mut table = read(path, form, Records::new(&text, separator, quoting), options)?;
    let quoted = |cell: &&Cell| match cell {
        Cell::Text(t) => t.len() > 1 && t.starts_with('"') && t.ends_with('"'),
        _ => false,
    };
    let n = table.columns.iter().flat_map(|c| &c.cells).filter(quoted).count();
    if !quoting && n > 0 {
        table.notes.push(format!(
            "{n} fields begin and end with quotes, which are kept as characters; if they are marks around fields, say \
             --tsv-quotes"
        ));
    }
    Ok(table)
}

/// The name of a separator.
fn name_of(separator: u8) -> &'static str {
    let known = SEPARATORS.iter().find(|(s, _)| *s == separator);
    known.map_or("another character", |(_, name)| name)
}

/// The separator that gives most of the first rows as many fields as the header; a comma where
/// several do.
fn find_separator(text: &str) -> u8 {
    const ROWS: usize = 200;
    let share = |separator: u8| -> f64 {
        let mut records = Records::new(text, separator, true);
        let (mut fields, mut width, mut same, mut rows) = (Vec::new(), 0, 0, 0);
        while let Some(record) = records.next(&mut fields).filter(|_| rows < ROWS) {
            if fields.len() == 1 && fields[0].trim().is_empty() {
                continue;
            }
            if width == 0 {
                width = fields.len();
                if width < 2 {
                    return 0.0;
                }
            }
            same += usize::from(fields.len() == width && record.fault.is_none());
            rows += 1;
        }
        same as f64 / rows.max(1) as f64
    };
    let mut best = (b',', share(b','));
    for (separator, _) in &SEPARATORS[1..] {
        let share = share(*separator);
        if share > best.1 {
            best = (*separator, share);
        }
    }
    best.0
}

/// Cuts a text into records.
struct Records<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    separator: u8,
    quoting: bool,
    skip_first: bool,
}

/// A record of a file.
struct Record {
    /// The line it begins in.
    line: usize,
    /// Whether a field of it is quoted.
    quoted: bool,
    /// What is wrong with its quotes.
    fault: Option<String>,
}

impl<'a> Records<'a> {
    fn new(text: &'a str, separator: u8, quoting: bool) -> Self {
        Self { text, at: 0, line: 1, separator, quoting, skip_first: false }
    }

    /// The fields of the next record. After a fault it goes on with the line after the one that the
    /// record began in.
    fn next(&mut self, fields: &mut Vec<Cow<'a, str>>) -> Option<Record> {
        if std::mem::take(&mut self.skip_first) {
            self.next(fields);
        }
        fields.clear();
        let bytes = self.text.as_bytes();
        if self.at >= bytes.len() {
            return None;
        }
        let (start, mut quoted) = (self.at, false);
        let mut record = Record { line: self.line, quoted: false, fault: None };
        loop {
            if self.quoting && bytes.get(self.at) == Some(&b'"') {
                quoted = true;
                let opened = self.line;
                match self.quoted() {
                    Ok(field) => fields.push(field),
                    Err(what) => {
                        record.fault = Some(format!("a quote opens in line {opened} {what}"));
                        (self.at, self.line) = (start, record.line);
                        let rest = &bytes[start..];
                        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
                        self.at += end.unwrap_or(rest.len());
                        self.end_of_line();
                        break;
                    }
                }
            } else {
                let rest = &bytes[self.at..];
                let end = memchr3(self.separator, b'\n', b'\r', rest).unwrap_or(rest.len());
                fields.push(self.text[self.at..self.at + end].into());
                self.at += end;
            }
            if bytes.get(self.at) != Some(&self.separator) {
                self.end_of_line();
                break;
            }
            self.at += 1;
        }
        record.quoted = quoted;
        Some(record)
    }

    /// Passes over the end of a line, if it is there.
    fn end_of_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => return,
        };
        self.line += 1;
    }

    /// A field in quotes, with two quotes for one in it.
    fn quoted(&mut self) -> Result<Cow<'a, str>, &'static str> {
        let bytes = self.text.as_bytes();
        let first = self.at + 1;
        let mut end = first;
        let mut doubled = false;
        loop {
            let Some(next) = memchr(b'"', &bytes[end..]) else {
                return Err(
                    "and is not closed; close it, or write it twice if it is part of the text",
                );
            };
            end += next;
            if bytes.get(end + 1) != Some(&b'"') {
                break;
            }
            doubled = true;
            end += 2;
        }
        let field = &self.text[first..end];
        self.at = end + 1;
        self.line += line_ends(field.as_bytes());
        match bytes.get(self.at) {
            None | Some(b'\n' | b'\r') => {}
            Some(b) if *b == self.separator => {}
            Some(_) => {
                return Err(
                    "and text stands after the quote that closes it; write quotes in quotes twice",
                );
            }
        }
        Ok(if doubled { field.replace("\"\"", "\"").into() } else { field.into() })
    }
}

/// Ends of lines in a text, as an editor counts them.
fn line_ends(bytes: &[u8]) -> usize {
    let alone = |&i: &usize| bytes.get(i + 1) != Some(&b'\n');
    memchr_iter(b'\n', bytes).count() + memchr_iter(b'\r', bytes).filter(alone).count()
}

fn read(
    path: &Path,
    form: Form,
    mut records: Records<'_>,
    options: ReadOptions,
) -> Result<Table, Error> {
    let mut table = Table::new(path, form, &[]);
    let (separator, quoting) = (records.separator, records.quoting);
    let mut fields = Vec::new();
    let (mut blank, mut first_blank) = (0usize, Vec::new());
    let mut header: Vec<String> = Vec::new();
    let (mut short, mut long) = (0usize, 0usize);
    while let Some(record) = records.next(&mut fields) {
        let place = u32::try_from(record.line).unwrap_or(u32::MAX);
        if let Some(fault) = record.fault {
            table.bad.push(place, || fault);
            continue;
        }
        let is_blank = fields.len() == 1 && !record.quoted && fields[0].trim().is_empty();
        if table.columns.is_empty() {
            // Where no line names the columns and there is one alone, blank lines are texts too.
            if is_blank {
                blank += 1;
                first_blank.push(record.line);
                continue;
            }
            if fields.len() > MAX_COLUMNS {
                let message = format!("has {} columns, more than {MAX_COLUMNS}", fields.len());
                return Err(Error::row(path, "line", record.line, message));
            }
            if options.header {
                header = fields.iter().map(|c| c.trim().to_string()).collect();
            }
            let name = |i: usize| header.get(i).cloned().unwrap_or_else(|| (i + 1).to_string());
            let column = |i| Column { name: name(i), ..Column::default() };
            table.columns = (0..fields.len()).map(column).collect();
            if options.header {
                continue;
            }
            if table.columns.len() == 1 && !quoting {
                blank = 0;
                let lines = std::mem::take(&mut first_blank);
                lines.into_iter().for_each(|line| table.push(line, [Cell::from("")]));
            }
        }
        let width = table.columns.len();
        // A line of blanks is not a row, unless rows are lines. In quotes an empty text can be
        // written.
        if is_blank && (width > 1 || (quoting && fields[0].is_empty())) {
            blank += 1;
            continue;
        }
        if table.is_empty() && separator == b'|' && fields.iter().all(|f| is_ruler(f)) {
            let message = "is the second line of a table in Markdown; write the table as CSV";
            return Err(Error::row(path, "line", record.line, message));
        }
        if fields.len() != width {
            let n = fields.len();
            *if n < width { &mut short } else { &mut long } += 1;
            let hint = match () {
                () if quoting => "; check its quotes",
                () if fields.iter().any(|f| f.starts_with('"')) => {
                    "; if quotes stand around fields, say --tsv-quotes"
                }
                () => "",
            };
            table.bad.push(place, || format!("has {n} fields, but {width} are expected{hint}"));
            continue;
        }
        if !header.is_empty() && header.iter().zip(&fields).all(|(h, f)| h == f.trim()) {
            table.headers.push(place);
        }
        table.places.push(place);
        for (column, field) in table.columns.iter_mut().zip(fields.drain(..)) {
            column.cells.push(Cell::Text(field.into_owned()));
        }
    }
    if short + long > 0 {
        table.notes.push(format!("{short} rows have too few fields, {long} too many"));
    }
    if blank > 0 {
        table.notes.push(format!("{blank} blank lines are no rows"));
    }
    if let [only] = &header[..] {
        table.notes.extend(other_separator(only, separator));
    }
    Ok(table)
}

/// A note on a first line of one field that looks like several.
fn other_separator(only: &str, separator: u8) -> Option<String> {
    let in_it = |(s, _): &&(u8, &str)| only.as_bytes().contains(s) && *s != separator;
    let (_, name) = SEPARATORS.iter().find(in_it)?;
    Some(format!(
        "the first line is one field that has a {name} in it; if that separates fields, say --separator {name}"
    ))
}

/// Whether a field is nothing, or part of the line below the header of a table in Markdown.
fn is_ruler(field: &str) -> bool {
    let field = field.trim();
    field.is_empty() || field.len() > 2 && field.bytes().all(|b| matches!(b, b'-' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        let content = Unpacked { bytes: text.into(), packed: None, limit: 0 };
        csv(Path::new("a.csv"), content, ReadOptions::default()).unwrap()
    }

    fn places(table: &Table) -> Vec<u32> {
        table.places.clone()
    }

    #[test]
    fn places_are_the_lines_that_an_editor_shows() {
        let text = "text,label\na,1\n\n\"two\nlines\",0\nb,1\n";
        for end in ["\n", "\r\n", "\r"] {
            let table = table(&text.replace('\n', end));
            assert_eq!(places(&table), [2, 4, 6], "{end:?}");
            assert_eq!(table.cell(1, 0).text(), format!("two{end}lines"));
        }
    }

    #[test]
    fn quotes_that_do_not_close_are_faults_with_their_line() {
        let t = table("text,label\na,1\n\"b,0\nc,1\n\"d\",0\ne \"so\" f,1\n\"x \"\"y\"\"\",0\n");
        // The quote of line 3 would close at that of line 5, after which text stands.
        assert_eq!(t.bad.first[0].0, 3);
        assert!(t.bad.first[0].1.contains("opens in line 3 and text stands after"), "{:?}", t.bad);
        assert_eq!((t.bad.count, places(&t)), (1, vec![2, 4, 5, 6, 7]));
        assert_eq!(t.cell(3, 0).text(), "e \"so\" f");
        assert_eq!(t.cell(4, 0).text(), "x \"y\"");
        let t = table("text,label\na,1\nb,\"0\nc,1\n");
        assert!(t.bad.first[0].1.contains("opens in line 3 and is not closed"), "{:?}", t.bad);
        assert_eq!(places(&t), [2, 4]);
    }

    #[test]
    fn the_separator_is_found() {
        for (text, name) in [
            ("text;label\na, b;1\nc;0\n", "semicolon"),
            ("text|label\na, b|1\nc|0\n", "bar"),
            ("text\tlabel\na, b\t1\nc\t0\n", "tab"),
            ("text,label\na; b,1\nc;d,0\n", "comma"),
            ("a; b,label\na; b,1\nc,0\n", "comma"),
            ("text\na, b\nc\n", "comma"),
            ("sep=;\ntext;label\na;1\n", "semicolon"),
            ("id,x;y\n1,a;b,c\n2,d;e,f\n", "semicolon"),
        ] {
            assert_eq!(table(text).form.separator, Some(name), "{text}");
        }
        assert_eq!(table("sep=;\ntext;label\na;1\n").names(), ["text", "label"]);
    }

    #[test]
    fn rows_stay_rows() {
        let t = table("text,label\na,1\nb\nc,1,2\ntext,label\n,\n");
        assert_eq!((places(&t), t.bad.count, t.headers), (vec![2, 5, 6], 2, vec![5]));
        assert!(t.notes.iter().any(|n| n.contains("1 rows have too few fields, 1 too many")));
        let t = table("text\na\n\"\"\n\"  \"\n\n   \nb\n");
        assert_eq!(places(&t), [2, 3, 4, 6, 7]);
    }
}
