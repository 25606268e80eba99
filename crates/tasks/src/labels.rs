//! What a column of labels holds, and the names of its classes. Numbers are compared by value,
//! whatever form they have.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use unicode_normalization::UnicodeNormalization;

use crate::read::{Column, Table};
use crate::{Cell, Error};

/// More different whole numbers than this are classes only where they repeat.
const FEW: usize = 20;

/// What the cells of a column of single labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Names, whatever they look like.
    Words,
    /// Numbers; what is none is missing or wrong.
    Numbers,
}

/// The cells of a column of single labels, counted.
pub(crate) struct Scan {
    pub(crate) meaning: Meaning,
    /// The first number with a fraction, with its row.
    fraction: Option<(usize, String)>,
    /// How often each number occurs.
    numbers: HashMap<Number, usize>,
    rows: usize,
    /// Whether there are words.
    words: bool,
    /// The first word among many numbers that are no classes.
    odd: Option<(usize, String)>,
    /// The first number with marks in or beside it, if all labels look so.
    marked: Option<(usize, String)>,
}

/// A finite number by its value: equal for equal values. Whole ones are exact, as numbers of rows
/// in other tables are longer than what 64 bits of floating point can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Number {
    Whole(i128),
    /// The bits of an `f64`.
    Other(u64),
}

impl Number {
    /// The number in a cell, if it is one.
    fn of(cell: &Cell) -> Option<Self> {
        let value = cell.number()?;
        let whole = match cell {
            Cell::Int(n) => Some(i128::from(*n)),
            Cell::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        // Above, a whole number is what its digits say; 1e30 has none of its own.
        let near = || (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128);
        Some(whole.or_else(near).map_or(Self::Other(value.to_bits()), Self::Whole))
    }

    /// In its shortest form: 1 for 1.0.
    fn plain(self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Other(bits) => format!("{:?}", f64::from_bits(bits)),
        }
    }
}

/// Whether a text is a number with marks in or beside it: 1,5 or 250,000, 5 %, $20, 1 000 or (20),
/// as tables of accounts write -20.
pub(crate) fn is_marked(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['-', '+']);
    let bare = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    // With a comma it is a pair of numbers.
    let bare = bare.filter(|t| !t.contains(',')).unwrap_or(text);
    let sign = |c: char| c.is_whitespace() || "%\u{2030}$\u{20ac}\u{a3}\u{a5}\u{2212}".contains(c);
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    // Of the marks between thousands, these stand between other things too.
    let thousands = |t: &str| {
        let mut groups = t.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '\u{2019}'));
        groups.next().is_some_and(digits) && groups.all(|g| g.len() == 3 && digits(g))
    };
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !plain && bare.trim_matches(sign).split([',', '.']).all(thousands)
}

impl Scan {
    pub(crate) fn new(column: &Column) -> Self {
        let mut numbers = HashMap::new();
        let (mut fraction, mut odd, mut marked) = (None, None, None);
        let (mut n_numbers, mut n_words, mut n_infinite, mut n_marked, mut n_missing) =
            (0, 0, 0, 0, 0);
        for (row, cell) in column.cells.iter().enumerate() {
            if let Some(number) = Number::of(cell) {
                n_numbers += 1;
                *numbers.entry(number).or_insert(0) += 1;
                let x = cell.number().unwrap_or_default();
                if x.fract() != 0.0 && fraction.is_none() {
                    fraction = Some((row, cell.text().trim().to_string()));
                }
                continue;
            }
            if cell.truth().is_some() {
                continue;
            }
            if cell.is_missing_number() {
                n_missing += usize::from(!cell.is_empty());
                continue;
            }
            n_words += 1;
            let text = cell.text();
            let infinite = text.trim().parse::<f64>().is_ok();
            n_infinite += usize::from(infinite);
            if is_marked(&text) {
                n_marked += 1;
                marked = marked.or(Some((row, text.trim().to_string())));
            }
            odd = odd.or(Some((row, text.trim().to_string())));
        }
        // A few words among many numbers with fractions are mistakes, and do not make classes of
        // the numbers.
        let mostly = fraction.is_some() && n_numbers >= 10 * n_words;
        let numbers_alone = n_numbers > 0 && (n_words == n_infinite || mostly);
        let meaning = if numbers_alone { Meaning::Numbers } else { Meaning::Words };
        let all_marked = n_words > 0 && n_marked == n_words && column.names.is_none();
        Self {
            meaning,
            fraction,
            numbers,
            rows: n_numbers,
            words: n_words > 0 || n_missing > 0,
            odd: odd.filter(|_| numbers_alone),
            marked: marked.filter(|_| all_marked),
        }
    }

    /// Whether a cell is not a label at all.
    pub(crate) fn is_missing(&self, cell: &Cell) -> bool {
        match self.meaning {
            Meaning::Words => cell.is_empty(),
            Meaning::Numbers => cell.is_missing_number(),
        }
    }

    /// The first number with a fraction and its row, if the labels are numbers.
    pub(crate) fn fraction(&self) -> Option<&(usize, String)> {
        self.fraction.as_ref().filter(|_| self.meaning == Meaning::Numbers)
    }

    /// That not all labels are numbers with marks, which could mean several things; `classes` is
    /// the task for which they would be names.
    pub(crate) fn check_marks(&self, table: &Table, classes: &str) -> Result<(), Error> {
        let Some((row, text)) = &self.marked else { return Ok(()) };
        let mark = match text.contains(',') {
            true => "a comma",
            false if text.contains('(') => "brackets",
            false => "a sign",
        };
        let message = format!(
            "the label '{text}' is a number with {mark}, as all labels are; write numbers with a \
             point, without marks between thousands and without a unit, or say --task {classes} if \
             they are names"
        );
        Err(table.fault(*row, message))
    }

    /// Whether the labels are numbers to be predicted, with the reason; else they are classes.
    pub(crate) fn is_regression(
        &self,
        table: &Table,
        column: &Column,
    ) -> Result<(bool, String), Error> {
        self.check_marks(table, "classification")?;
        if column.names.is_some() {
            return Ok((false, "the file names the classes".into()));
        }
        if self.meaning == Meaning::Words {
            let what = match (self.numbers.is_empty(), self.words) {
                (true, false) => "true or false",
                (true, true) => "words",
                _ => "words, with numbers among them",
            };
            return Ok((false, format!("the labels are {what}")));
        }
        if let Some((_, text)) = &self.fraction {
            return Ok((true, format!("the label '{text}' has a fraction")));
        }
        let different = self.numbers.len();
        if different <= FEW {
            return Ok((false, format!("the labels are {different} different whole numbers")));
        }
        let once = self.numbers.values().filter(|n| **n == 1).count();
        let counted =
            format!("the labels are {different} different whole numbers in {} rows", self.rows);
        Ok(match once * 10 <= different && self.rows >= 2 * different {
            true => (
                false,
                format!("{counted}, and repeat; for numbers as answers say --task regression"),
            ),
            false => (
                true,
                format!("{counted}, which hardly repeat; for classes say --task classification"),
            ),
        })
    }

    /// The number of all rows, if they have one alone.
    pub(crate) fn only_number(&self) -> Option<String> {
        let alone = self.numbers.len() == 1 && self.rows > 1;
        self.numbers.keys().next().filter(|_| alone).map(|number| number.plain())
    }

    /// The first word among numbers, with its row.
    pub(crate) fn odd(&self) -> Option<&(usize, String)> {
        self.odd.as_ref()
    }
}

/// What makes two labels one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Same {
    Number(Number),
    Truth(bool),
    Word(String),
}

/// The names of the classes in a column of single labels, in the order of their numbers or of their
/// names, and what was noticed about their forms. Missing labels name none.
pub(crate) fn class_names(column: &Column, scan: &Scan) -> (Vec<String>, Vec<String>) {
    if let Some(names) = &column.names {
        return (names.clone(), Vec::new());
    }
    let numbers = scan.meaning == Meaning::Numbers;
    let (labels, blanks) = spellings(column, scan);
    let mut notes = Vec::new();
    if blanks > 0 {
        notes.push(format!("{blanks} labels have blanks at their ends, which do not count"));
    }
    let several = labels.values().any(|s| s.len() > 1);
    let mut names: Vec<String> = Vec::with_capacity(labels.len());
    for (same, spellings) in &labels {
        names.push(match same {
            // One form for all, as soon as one value has several.
            Same::Number(number) if several => number.plain(),
            _ => spellings.keys().next().cloned().unwrap_or_default(),
        });
    }
    if several {
        let mut forms: Vec<String> = labels
            .values()
            .filter(|s| s.len() > 1)
            .map(|s| {
                s.iter().map(|(t, n)| format!("'{t}' ({n} rows)")).collect::<Vec<_>>().join(" = ")
            })
            .collect();
        forms.sort();
        forms.truncate(5);
        notes.push(format!("labels of one value in several forms: {}", forms.join("; ")));
    }
    names.sort();
    if names.iter().all(|l| l.parse::<i64>().is_ok()) {
        names.sort_by_key(|l| l.parse::<i64>().unwrap_or_default());
    }
    let rows: usize = labels.values().flat_map(BTreeMap::values).sum();
    if names.len() > FEW && names.len() * 2 > rows || rows > 5 && names.len() == rows {
        notes.push(format!(
            "there are {} different labels in {rows} rows, so that most stand there once; is '{}' \
             the column of the label?",
            names.len(),
            column.name
        ));
    }
    let rows_of = |name: &str| -> usize {
        let same = labels.values().filter(|s| s.contains_key(name));
        same.flat_map(BTreeMap::values).sum()
    };
    if numbers && names.first().is_some_and(|n| n == "-1") && names.get(1).is_some_and(|n| n == "0")
    {
        notes.push(format!(
            "{} rows have the label -1, with which some data sets say that there is none; if so, \
             leave them out",
            rows_of("-1")
        ));
    }
    if !numbers {
        notes.extend(alike(labels.values().flatten()));
        notes.extend(joined(labels.values().flatten()));
    }
    (names, notes)
}

/// All spellings of each label with their counts, and how many have blanks at their ends.
fn spellings(column: &Column, scan: &Scan) -> (HashMap<Same, BTreeMap<String, usize>>, usize) {
    let numbers = scan.meaning == Meaning::Numbers;
    let mut labels: HashMap<Same, BTreeMap<String, usize>> = HashMap::new();
    let mut blanks = 0;
    for cell in column.cells.iter().filter(|c| !scan.is_missing(c)) {
        let text = cell.text();
        let spelling = text.trim();
        blanks += usize::from(spelling.len() < text.len());
        let same = match (numbers, Number::of(cell), cell.truth()) {
            (true, Some(x), _) => Same::Number(x),
            // Among numbers, true is 1.
            (true, _, Some(b)) => Same::Number(Number::Whole(i128::from(b))),
            (false, _, Some(b)) if matches!(cell, Cell::Bool(_)) => Same::Truth(b),
            _ => Same::Word(spelling.to_string()),
        };
        let spellings = labels.entry(same).or_default();
        match spellings.get_mut(spelling) {
            Some(n) => *n += 1,
            None => drop(spellings.insert(spelling.to_string(), 1)),
        }
    }
    // Truth values are one with the words for them where both stand in a column.
    for b in [true, false] {
        if let Some(typed) = labels.remove(&Same::Truth(b)) {
            let word = Same::Word(b.to_string());
            let name = if labels.contains_key(&word) { word } else { Same::Truth(b) };
            let spellings = labels.entry(name).or_default();
            typed.into_iter().for_each(|(text, n)| *spellings.entry(text).or_insert(0) += n);
        }
    }
    (labels, blanks)
}

/// A note on names that look like several labels with a mark between them.
fn joined<'a>(spellings: impl Iterator<Item = (&'a String, &'a usize)>) -> Option<String> {
    let all: BTreeMap<&str, usize> = spellings.map(|(name, n)| (name.as_str(), *n)).collect();
    let of_mark = |mark: char| {
        let several = || all.iter().filter(|(name, _)| name.contains(mark));
        let mut parts: HashMap<&str, usize> = HashMap::new();
        for name in all.keys() {
            let own: BTreeSet<&str> = name.split(mark).map(str::trim).collect();
            own.into_iter().for_each(|part| *parts.entry(part).or_insert(0) += 1);
        }
        // Each part stands in another name too, alone or with others.
        let again = |name: &str| name.split(mark).all(|part| parts[part.trim()] > 1);
        let (first, _) = several().find(|(name, _)| again(name))?;
        let rows: usize = several().map(|(_, n)| n).sum();
        Some(format!(
            "{rows} labels hold '{mark}', such as '{first}', and count as classes of their own; if \
             they are several labels, say --task multilabel"
        ))
    };
    ['|', ';', ','].into_iter().find_map(of_mark)
}

/// A name without what differs in case, blanks or form alone.
fn folded(name: &str) -> String {
    let plain = |c: char| if c == '_' || c == '-' || c.is_whitespace() { ' ' } else { c };
    let unseen =
        |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let seen = name.chars().filter(|c| !unseen(c));
    let small: String = seen.nfkc().flat_map(char::to_lowercase).map(plain).collect();
    small.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A note on names that differ in case, blanks or form alone.
fn alike<'a>(spellings: impl Iterator<Item = (&'a String, &'a usize)>) -> Option<String> {
    let mut groups: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (name, n) in spellings {
        let number = Number::of(&Cell::from(name.as_str())).map(Number::plain);
        let same = number.unwrap_or_else(|| folded(name));
        groups.entry(same).or_default().push((name.clone(), *n));
    }
    groups.values_mut().for_each(|group| group.sort());
    let shown = |group: &Vec<(String, usize)>| {
        let names = group.iter().map(|(name, n)| format!("'{name}' ({n} rows)"));
        names.collect::<Vec<_>>().join(" and ")
    };
    let like: Vec<String> = groups.values().filter(|g| g.len() > 1).map(shown).take(5).collect();
    (!like.is_empty()).then(|| {
        format!(
            "classes that differ in case, blanks or form alone, and count as different: {}",
            like.join("; ")
        )
    })
}

/// Class names, to be found by what stands in a cell.
pub(crate) struct Classes<'a> {
    pub(crate) names: &'a [String],
    by_name: HashMap<&'a str, u32>,
    by_number: HashMap<Number, u32>,
    /// Names of the numbers in the column.
    of_column: Option<Vec<String>>,
}

impl<'a> Classes<'a> {
    pub(crate) fn new(names: &'a [String], of_column: Option<Vec<String>>) -> Self {
        let numbered = || (0u32..).zip(names);
        let number =
            |(i, name): (u32, &'a String)| Some((Number::of(&Cell::from(name.as_str()))?, i));
        Self {
            names,
            by_name: numbered().map(|(i, name)| (name.as_str(), i)).collect(),
            by_number: numbered().filter_map(number).collect(),
            of_column,
        }
    }

    /// The class that a cell names: by its name, the name of its number, or its value.
    pub(crate) fn find(&self, cell: &Cell) -> Option<u32> {
        let text = cell.text();
        let text = text.trim();
        if let Some(class) = self.by_name.get(text) {
            return Some(*class);
        }
        let number = cell.number();
        if let (Some(names), Some(x)) = (&self.of_column, number) {
            let name = (x >= 0.0 && x.fract() == 0.0).then(|| names.get(x as usize)).flatten();
            return name.and_then(|name| self.by_name.get(name.as_str()).copied());
        }
        let value = |x: Number| self.by_number.get(&x).copied();
        if let (Some(x), Some(number)) = (number, Number::of(cell)) {
            let truth = if x == 1.0 { "true" } else { "false" };
            let words = [truth.to_string(), truth[..1].to_uppercase() + &truth[1..]];
            let as_truth = || words.iter().find_map(|w| self.by_name.get(w.as_str()).copied());
            return value(number).or_else(|| if x == 1.0 || x == 0.0 { as_truth() } else { None });
        }
        let truth = cell.truth()?;
        let as_word = |word: &str| self.by_name.get(word).copied();
        let words = if truth { ["true", "True", "TRUE"] } else { ["false", "False", "FALSE"] };
        words.into_iter().find_map(as_word).or_else(|| value(Number::Whole(i128::from(truth))))
    }

    /// That a cell names none.
    pub(crate) fn unknown(&self, cell: &Cell) -> String {
        let text = cell.text();
        let text = text.trim();
        let mut known: Vec<&str> = self.names.iter().take(20).map(String::as_str).collect();
        if self.names.len() > known.len() {
            known.push("...");
        }
        let like = || self.names.iter().find(|name| folded(name) == folded(text));
        let hint = match like().filter(|_| !text.is_empty()) {
            Some(name) => format!(" ('{name}' differs in case, blanks or form alone)"),
            None if text == "-1" => " (-1 hides labels in test files)".into(),
            None if cell.number().is_some() && self.by_number.is_empty() => {
                "; --label-names says what numbers stand for".into()
            }
            None => String::new(),
        };
        format!("the label '{text}' is not one of {}{hint}", known.join(", "))
    }
}
