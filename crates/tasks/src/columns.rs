//! Which columns hold the texts or the image and the label: by flag, or found by the names that
//! data sets use.

use crate::Error;
use crate::read::Table;

/// Columns that the user named, by name or by number from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnChoice {
    /// One or two columns of text.
    pub texts: Vec<String>,
    /// The column of the label; several hold 0 or 1 each.
    pub labels: Vec<String>,
    /// The column of the image: a path or its bytes.
    pub image: Option<String>,
}

/// Places of columns in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// One or two texts; none where there is an image.
    pub texts: Vec<usize>,
    /// The label, or several; none where there is none and none was asked for.
    pub labels: Vec<usize>,
    /// The image, where the data are images.
    pub image: Option<usize>,
}

const PAIRS: &[(&str, &str)] = &[
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "context"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("query", "passage"),
    ("#1 string", "#2 string"),
];
const TEXTS: &[&str] = &[
    "text",
    "sentence",
    "content",
    "review",
    "question",
    "query",
    "tweet",
    "message",
    "body",
    "comment",
    "title",
    "utterance",
    "tokens",
];
const IMAGES: &[&str] = &[
    "image",
    "img",
    "image_path",
    "filepath",
    "file_path",
    "path",
    "file_name",
    "filename",
    "file",
];
const LABELS: &[&str] = &[
    "label",
    "labels",
    "category",
    "class",
    "target",
    "sentiment",
    "airline_sentiment",
    "score",
    "gold_label",
    "intent",
    "topic",
    "coarse_label",
    "y",
    "similarity",
    "is_duplicate",
    "quality",
    "answers",
    "answer",
    "tags",
    "ner_tags",
];

/// Finds the columns of a table. An exact name goes before one that differs in case.
///
/// # Errors
/// If a named column is not there, several fit, or none can be found; the message lists what there
/// is.
pub fn find_columns(
    table: &Table,
    choice: &ColumnChoice,
    label_needed: bool,
) -> Result<Columns, Error> {
    let names = Names { table, names: table.names() };
    let labels: Vec<usize> = match &choice.labels[..] {
        [] => names.first(LABELS)?.into_iter().collect(),
        labels => labels.iter().map(|l| names.named(l)).collect::<Result<_, _>>()?,
    };
    if labels.is_empty() && label_needed {
        return Err(names.lacks("a label; name it with --label-column"));
    }
    let pair = names.pair()?;
    let image = match &choice.image {
        Some(image) => Some(names.named(image)?),
        // A table with texts may have paths too, but not the other way round.
        None if choice.texts.is_empty() && pair.is_none() && names.first(TEXTS)?.is_none() => {
            names.first(IMAGES)?
        }
        None => None,
    };
    if let Some(image) = image {
        if labels.contains(&image) {
            return Err(Error::Usage("the label's column is also the image's column".into()));
        }
        return Ok(Columns { texts: Vec::new(), labels, image: Some(image) });
    }
    let texts = match (&choice.texts[..], pair) {
        // The one column of a table without labels is the text.
        ([], _) if !label_needed && names.names.len() == 1 => vec![0],
        ([], Some(pair)) => pair.to_vec(),
        ([], None) => names.first(TEXTS)?.map(|text| vec![text]).ok_or_else(|| {
            names.lacks("a text or an image; name it with --text-column or --image-column")
        })?,
        (texts, _) => texts.iter().map(|t| names.named(t)).collect::<Result<_, _>>()?,
    };
    if texts.len() > 2 {
        return Err(Error::Usage("an example has one or two texts, not more".into()));
    }
    let labels = match label_needed {
        true => labels,
        false => labels.into_iter().filter(|l| !texts.contains(l)).collect(),
    };
    if labels.iter().any(|l| texts.contains(l)) {
        return Err(Error::Usage("the label's column is also a text's column".into()));
    }
    Ok(Columns { texts, labels, image: None })
}

/// What names columns.
const FLAGS: &str = "--text-column, --label-column or --image-column";

/// A table and the names of its columns.
struct Names<'a> {
    table: &'a Table,
    names: Vec<&'a str>,
}

impl Names<'_> {
    /// The column of a name: exactly, else in other letters.
    fn find(&self, wanted: &str) -> Result<Option<usize>, Error> {
        let places = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..self.names.len()).filter(|&i| fits(self.names[i])).collect()
        };
        let mut found = places(&|name| name == wanted);
        if found.is_empty() {
            let small = wanted.to_lowercase();
            found = places(&|name| name.to_lowercase() == small);
        }
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => {
                let fitting = found.iter().map(|&i| format!("{} ({})", self.names[i], i + 1));
                let fitting = fitting.collect::<Vec<_>>().join(", ");
                Err(self.fault(format!(
                    "has several columns for '{wanted}': {fitting}; name one by its number with \
                     {FLAGS}"
                )))
            }
        }
    }

    /// The column that the user named, by name or by number.
    fn named(&self, wanted: &String) -> Result<usize, Error> {
        let by_number = || {
            let number: usize = wanted.parse().ok()?;
            (1..=self.names.len()).contains(&number).then(|| number - 1)
        };
        self.find(wanted)?.or_else(by_number).ok_or_else(|| {
            let columns = self.list();
            self.fault(format!(
                "has no column '{wanted}'; its columns are: {columns}. Name one of them with {FLAGS}"
            ))
        })
    }

    /// The first of these names that there is.
    fn first(&self, candidates: &[&str]) -> Result<Option<usize>, Error> {
        for candidate in candidates {
            if let Some(place) = self.find(candidate)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The first of the usual pairs of names that there is.
    fn pair(&self) -> Result<Option<[usize; 2]>, Error> {
        for (a, b) in PAIRS {
            if let (Some(a), Some(b)) = (self.find(a)?, self.find(b)?) {
                return Ok(Some([a, b]));
            }
        }
        Ok(None)
    }

    /// That no column looks like what is wanted.
    fn lacks(&self, what: &str) -> Error {
        let columns = self.list();
        self.fault(format!("has no column that looks like {what}. Its columns are: {columns}"))
    }

    fn fault(&self, message: String) -> Error {
        Error::file(&self.table.path, message + &header_hint(self.table))
    }

    fn list(&self) -> String {
        let shown = |n: &&str| if n.is_empty() { "(no name)".into() } else { n.to_string() };
        self.names.iter().take(50).map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// A hint where the first row, which names the columns, looks like a row of data.
fn header_hint(table: &Table) -> String {
    if table.form.separator.is_none() {
        return String::new();
    }
    let like_data = |c: &crate::read::Column| {
        let numbered = c.name.trim().parse::<f64>().is_ok();
        let among = c.cells.iter().take(1000).any(|cell| cell.text() == c.name.as_str());
        let sentence = c.name.split_whitespace().count() > 3;
        !c.name.is_empty() && (numbered || among || sentence)
    };
    if table.columns.len() == 1 && table.form.name == "TSV" && !is_numbered(table) {
        let separator = table.notes.iter().find(|n| n.contains("--separator"));
        let separator = separator.map_or(String::new(), |n| format!(". Mind that {n}"));
        return separator + ". If each line is a text, say --no-header";
    }
    match table.columns.iter().any(like_data) && !is_numbered(table) {
        true => ". The first line looks like data; if it is, say --no-header".into(),
        false => table
            .notes
            .iter()
            .find(|n| n.contains("--separator") || n.contains("--tsv-quotes"))
            .map_or(String::new(), |n| format!(". Mind that {n}")),
    }
}

/// Whether the columns have numbers instead of names, as where there is no header.
pub(crate) fn is_numbered(table: &Table) -> bool {
    table.columns.iter().enumerate().all(|(i, c)| c.name == (i + 1).to_string())
}
