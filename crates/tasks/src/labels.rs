//! What a column of labels holds, and the names of its classes. Numbers are compared by value,
//! whatever form they have.

use std::collections::{BTreeMap, HashMap};

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
    /// The first number with a fraction.
    fraction: Option<String>,
    /// How often each number occurs.
    numbers: HashMap<u64, usize>,
    rows: usize,
    /// Whether there are words.
    words: bool,
    /// The first word among many numbers that are no classes.
    odd: Option<(usize, String)>,
    /// The first number with a comma in it, if all labels look so.
    comma: Option<(usize, String)>,
}

/// A number as a key: equal for equal values.
fn key(x: f64) -> u64 {
    (if x == 0.0 { 0.0 } else { x }).to_bits()
}

/// Whether a text is a number written with a comma: 1,5 or 250,000.
fn has_comma(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['-', '+']);
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    text.contains(',') && text.split([',', '.']).all(digits)
}

impl Scan {
    pub(crate) fn new(column: &Column) -> Self {
        let mut numbers = HashMap::new();
        let (mut fraction, mut odd, mut comma) = (None, None, None);
        let (mut n_numbers, mut n_words, mut n_infinite, mut n_comma, mut n_missing) =
            (0, 0, 0, 0, 0);
        for (row, cell) in column.cells.iter().enumerate() {
            if let Some(x) = cell.number() {
                n_numbers += 1;
                *numbers.entry(key(x)).or_insert(0) += 1;
                if x.fract() != 0.0 && fraction.is_none() {
                    fraction = Some(cell.text().trim().to_string());
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
            if has_comma(&text) {
                n_comma += 1;
                comma = comma.or(Some((row, text.trim().to_string())));
            }
            odd = odd.or(Some((row, text.trim().to_string())));
        }
        // A few words among many numbers with fractions are mistakes, and do not make classes of
        // the numbers.
        let mostly = fraction.is_some() && n_numbers >= 10 * n_words;
        let numbers_alone = n_numbers > 0 && (n_words == n_infinite || mostly);
        let meaning = if numbers_alone { Meaning::Numbers } else { Meaning::Words };
        let all_comma = n_words > 0 && n_comma == n_words && column.names.is_none();
        Self {
            meaning,
            fraction,
            numbers,
            rows: n_numbers,
            words: n_words > 0 || n_missing > 0,
            odd: odd.filter(|_| numbers_alone),
            comma: comma.filter(|_| all_comma),
        }
    }

    /// Whether a cell is no label at all.
    pub(crate) fn is_missing(&self, cell: &Cell) -> bool {
        match self.meaning {
            Meaning::Words => cell.is_empty(),
            Meaning::Numbers => cell.is_missing_number(),
        }
    }

    /// Whether the labels are numbers to be predicted, with the reason; else they are classes.
    pub(crate) fn is_regression(
        &self,
        table: &Table,
        column: &Column,
    ) -> Result<(bool, String), Error> {
        if let Some((row, text)) = &self.comma {
            let message = format!(
                "the label '{text}' is a number with a comma, as all labels are; write numbers with a point and without marks \
                 between thousands, or say --task classification if they are names"
            );
            return Err(table.fault(*row, message));
        }
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
        if let Some(text) = &self.fraction {
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

    /// The first word among numbers, with its row.
    pub(crate) fn odd(&self) -> Option<&(usize, String)> {
        self.odd.as_ref()
    }
}

/// What makes two labels one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Same {
    Number(u64),
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
    // All spellings of a label, with their counts.
    let mut labels: HashMap<Same, BTreeMap<String, usize>> = HashMap::new();
    let mut blanks = 0;
    for cell in column.cells.iter().filter(|c| !scan.is_missing(c)) {
        let text = cell.text();
        let spelling = text.trim();
        blanks += usize::from(spelling.len() < text.len());
        let same = match (numbers, cell.number(), cell.truth()) {
            (true, Some(x), _) => Same::Number(key(x)),
            // Among numbers, true is 1.
            (true, _, Some(b)) => Same::Number(key(f64::from(u8::from(b)))),
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
    let mut notes = Vec::new();
    if blanks > 0 {
        notes.push(format!("{blanks} labels have blanks at their ends, which do not count"));
    }
    let several = labels.values().any(|s| s.len() > 1);
    let mut names: Vec<String> = Vec::with_capacity(labels.len());
    for (same, spellings) in &labels {
        names.push(match same {
            // One form for all, as soon as one value has several.
            Same::Number(bits) if several => plain(f64::from_bits(*bits)),
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
    if names.len() > FEW && names.len() * 2 > rows {
        notes.push(format!(
            "there are {} different labels in {rows} rows, so that most stand there once; is '{}' the column of the label?",
            names.len(),
            column.name
        ));
    }
    if !numbers {
        notes.extend(alike(labels.values().flatten()));
    }
    (names, notes)
}

/// A number in its shortest form: 1 for 1.0.
fn plain(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 { format!("{x:.0}") } else { format!("{x:?}") }
}

/// A note on names that differ in case, blanks or form alone.
fn alike<'a>(spellings: impl Iterator<Item = (&'a String, &'a usize)>) -> Option<String> {
    let mut groups: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for (name, n) in spellings {
        let number = Cell::from(name.as_str()).number().map(plain);
        let plain = |c: char| if c == '_' || c == '-' || c.is_whitespace() { ' ' } else { c };
        let folded = || {
            let small: String = name.to_lowercase().chars().map(plain).collect();
            small.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        groups.entry(number.unwrap_or_else(folded)).or_default().push((name.clone(), *n));
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
    by_number: HashMap<u64, u32>,
    /// Names of the numbers in the column.
    of_column: Option<Vec<String>>,
}

impl<'a> Classes<'a> {
    pub(crate) fn new(names: &'a [String], of_column: Option<Vec<String>>) -> Self {
        let numbered = || (0u32..).zip(names);
        let number =
            |(i, name): (u32, &'a String)| Some((key(Cell::from(name.as_str()).number()?), i));
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
        let value = |x: f64| self.by_number.get(&key(x)).copied();
        if let Some(x) = number {
            let truth = if x == 1.0 { "true" } else { "false" };
            let words = [truth.to_string(), truth[..1].to_uppercase() + &truth[1..]];
            let as_truth = || words.iter().find_map(|w| self.by_name.get(w.as_str()).copied());
            return value(x).or_else(|| if x == 1.0 || x == 0.0 { as_truth() } else { None });
        }
        let truth = cell.truth()?;
        let as_word = |word: &str| self.by_name.get(word).copied();
        let words = if truth { ["true", "True", "TRUE"] } else { ["false", "False", "FALSE"] };
        words.into_iter().find_map(as_word).or_else(|| value(f64::from(u8::from(truth))))
    }

    /// That a cell names none.
    pub(crate) fn unknown(&self, cell: &Cell) -> String {
        let text = cell.text();
        let text = text.trim();
        let mut known: Vec<&str> = self.names.iter().take(20).map(String::as_str).collect();
        if self.names.len() > known.len() {
            known.push("...");
        }
        let like = self.names.iter().find(|n| n.to_lowercase() == text.to_lowercase());
        let hint = match like {
            Some(name) => format!(" ('{name}' differs in case alone)"),
            None if text == "-1" => " (-1 hides labels in test files)".into(),
            None if cell.number().is_some() && self.by_number.is_empty() => {
                "; --label-names says what numbers stand for".into()
            }
            None => String::new(),
        };
        format!("the label '{text}' is not one of {}{hint}", known.join(", "))
    }
}
