//! Which columns hold the texts or the image and the label: by flag, or found by the names that data sets use.

use crate::Error;
use crate::read::Table;

/// Columns that the user named, by name or by number from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnChoice {
    /// One or two columns of text.
    pub texts: Vec<String>,
    /// The column of the label.
    pub label: Option<String>,
    /// The column of the image: a path or its bytes.
    pub image: Option<String>,
}

/// Places of columns in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// One or two texts; none where there is an image.
    pub texts: Vec<usize>,
    /// The label; none where there is none and none was asked for.
    pub label: Option<usize>,
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
    "tags",
    "ner_tags",
];

/// Finds the columns of a table.
///
/// # Errors
/// If a named column is not there, or none can be found; the message lists what there is.
pub fn find_columns(
    table: &Table,
    choice: &ColumnChoice,
    label_needed: bool,
) -> Result<Columns, Error> {
    let names: Vec<String> = table.columns.iter().map(|c| c.to_lowercase()).collect();
    let there = || table.columns.join(", ");
    let named = |wanted: &str| {
        let by_name = names.iter().position(|n| *n == wanted.to_lowercase());
        let by_number = || {
            let number: usize = wanted.parse().ok()?;
            (1..=names.len()).contains(&number).then(|| number - 1)
        };
        by_name.or_else(by_number).ok_or_else(|| {
            Error::file(
                &table.path,
                format!("has no column '{wanted}'; its columns are: {}", there()),
            )
        })
    };
    let found =
        |candidates: &[&str]| candidates.iter().find_map(|c| names.iter().position(|n| n == c));
    let label = match &choice.label {
        Some(label) => Some(named(label)?),
        None => found(LABELS),
    };
    if label.is_none() && label_needed {
        let message = format!(
            "has no column that looks like a label; name it with --label-column. Its columns are: {}",
            there()
        );
        return Err(Error::file(&table.path, message));
    }
    let pair = PAIRS.iter().find_map(|(a, b)| Some(vec![found(&[a])?, found(&[b])?]));
    let image = match &choice.image {
        Some(image) => Some(named(image)?),
        // A table with texts may have paths too, but not the other way round.
        None if choice.texts.is_empty() && found(TEXTS).is_none() && pair.is_none() => {
            found(IMAGES)
        }
        None => None,
    };
    if image.is_some() {
        if label == image {
            return Err(Error::Usage("the label's column is also the image's column".into()));
        }
        return Ok(Columns { texts: Vec::new(), label, image });
    }
    let texts = if choice.texts.is_empty() {
        pair.or_else(|| found(TEXTS).map(|t| vec![t])).ok_or_else(|| {
            let message = format!(
                "has no column that looks like a text or an image; name it with --text-column or --image-column. Its columns are: {}",
                there()
            );
            Error::file(&table.path, message)
        })?
    } else {
        choice.texts.iter().map(|t| named(t)).collect::<Result<_, _>>()?
    };
    if texts.len() > 2 {
        return Err(Error::Usage("an example has one or two texts, not more".into()));
    }
    if label.is_some_and(|l| texts.contains(&l)) {
        return Err(Error::Usage("the label's column is also a text's column".into()));
    }
    Ok(Columns { texts, label, image: None })
}
