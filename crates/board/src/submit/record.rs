//! The record of a result, as people and programs submit it.

use budwood_base::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::now;
use crate::direction::{self, Direction};
use crate::query::Link;
use crate::text::is_hidden;
use crate::{Error, date, value};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// The first day that a result may be of, in days since 1970: 1900-01-01.
const EARLIEST: i64 = -25_567;

/// A result to be put on the board. Unknown fields are refused, so that a misspelt one is not lost
/// in silence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Submission {
    /// A name that the submitter chooses, to be found again by.
    pub external_id: Option<String>,
    /// Name of the task.
    pub task: String,
    /// The data set and what of it.
    pub dataset: DatasetOf,
    /// Split or protocol in a few words; rows of different settings can be told apart and filtered.
    pub setting: String,
    /// What is claimed. The first is primary where the leaderboard is new.
    pub metrics: Vec<Claim>,
    /// The model.
    pub model: ModelOf,
    /// The paper.
    pub paper: Option<PaperOf>,
    /// Code.
    pub code_links: Vec<Link>,
    /// Whether data beyond the data set were used.
    pub uses_additional_data: Option<bool>,
    /// `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub date: Option<String>,
    /// Where the numbers were published.
    pub source_url: Option<String>,
    /// What is to be known of it.
    pub notes: String,
    /// The command that repeats the training.
    pub command: Option<String>,
    /// Settings of the training, seed, times: whatever describes the run.
    pub run: Value,
}

/// The data set of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetOf {
    /// Its name.
    pub name: String,
    /// The split.
    pub split: Option<String>,
    /// Examples.
    pub rows: Option<u64>,
    /// SHA-256 over the examples, as `budwood eval --json` prints it.
    pub sha256: Option<String>,
}

/// A claimed value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claim {
    /// The metric.
    pub name: String,
    /// The value: a number, or a text such as `92.8 ± 0.1`.
    pub value: Value,
    /// Which values are better, for a metric that the leaderboard does not know yet.
    pub direction: Option<Direction>,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
}

/// The model of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOf {
    /// Its name, as the board shows it.
    pub name: String,
    /// The frozen model.
    pub base: Option<BaseOf>,
    /// What was trained.
    pub adapter: Option<AdapterOf>,
    /// Links to the model.
    pub links: Vec<Link>,
}

/// The frozen model of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseOf {
    /// Its name.
    pub name: String,
    /// SHA-256 of its weights.
    pub sha256: Option<String>,
}

/// What was trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdapterOf {
    /// The method, in the notation of `budwood train --method`.
    pub method: Option<String>,
    /// SHA-256 of its weights.
    pub sha256: Option<String>,
    /// Trained parameters, head included.
    pub trained: Option<u64>,
    /// Parameters of base and adapter.
    pub total: Option<u64>,
}

/// The paper of a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaperOf {
    /// Its title.
    pub title: String,
    /// Its address.
    pub url: String,
}

/// Longest text of a field, in letters.
const TEXT: usize = 500;
const NOTES: usize = 20_000;
/// Largest count: what every reader of JSON holds exactly.
pub(super) const COUNT: u64 = (1 << 53) - 1;

impl Submission {
    /// Whether it is whole: what is missing or too long is named.
    ///
    /// # Errors
    /// If a needed field is empty, a text too long, a date or hash not one, or a value says
    /// nothing.
    pub fn check(&self) -> Result<(), Error> {
        needed("task", &self.task)?;
        needed("dataset.name", &self.dataset.name)?;
        needed("model.name", &self.model.name)?;
        self.check_texts()?;
        self.check_numbers()?;
        if self.metrics.is_empty() || self.metrics.len() > 50 {
            return Err(Error::input("metrics", "must hold between 1 and 50 values"));
        }
        for claim in &self.metrics {
            needed("metrics.name", &claim.name)?;
            let raw = claim.value.to_string();
            let good = match &claim.value {
                Value::String(text) => {
                    !text.trim().is_empty()
                        && text.chars().count() <= 100
                        && !text.chars().any(is_hidden)
                }
                Value::Number(_) => true,
                _ => false,
            };
            if !good {
                let place = format!("metrics: {}", claim.name);
                let raw = cut(&raw);
                return Err(Error::input(place, format!("{raw} is not a number or a short text")));
            }
            let value = value::read(&claim.value, direction::of_size(&claim.name)).value;
            let around = |(a, b): (f64, f64)| value.is_none_or(|v| a <= v && v <= b);
            if !claim.interval.is_none_or(around) {
                let place = format!("metrics: {}", claim.name);
                return Err(Error::input(place, "the interval must hold the value"));
            }
            if claim.interval.is_some_and(|(a, b)| !(a.is_finite() && b.is_finite() && a <= b)) {
                return Err(Error::input(
                    format!("metrics: {}", claim.name),
                    "the interval must be two numbers, the smaller one first",
                ));
            }
        }
        let keys: Vec<_> = self.metrics.iter().map(|m| crate::text::key(&m.name)).collect();
        if let Some(i) = (1..keys.len()).find(|&i| keys[..i].contains(&keys[i])) {
            return Err(Error::input(
                "metrics",
                format!("'{}' is there twice", self.metrics[i].name),
            ));
        }
        if let Some(date) = self.date.as_deref().filter(|d| date::valid(d).is_none()) {
            let reason = format!("'{date}' is not a date; write YYYY-MM-DD, YYYY-MM or YYYY");
            return Err(Error::input("date", reason));
        }
        // One date far off would stretch the time line of all others. It may be tomorrow already
        // where the submitter is.
        let latest = now() / DAY + 1;
        let early = |day: i64| day < EARLIEST || day > latest;
        if let Some(date) = self.date.as_deref().filter(|d| date::day(d).is_some_and(early)) {
            let latest = date::of_seconds(latest * DAY);
            let reason = format!("'{date}' is not from 1900-01-01 to {latest}");
            return Err(Error::input("date", reason));
        }
        let base = self.model.base.as_ref();
        let adapter = self.model.adapter.as_ref();
        for (place, hash) in [
            ("dataset.sha256", self.dataset.sha256.as_ref()),
            ("model.base.sha256", base.and_then(|b| b.sha256.as_ref())),
            ("model.adapter.sha256", adapter.and_then(|a| a.sha256.as_ref())),
        ] {
            if hash.is_some_and(|h| !is_hash(h)) {
                return Err(Error::input(
                    place,
                    "is not a SHA-256: 64 hexadecimal digits in lower case",
                ));
            }
        }
        let links = self.code_links.iter().chain(&self.model.links).map(|l| l.url.as_str());
        let others = self
            .source_url
            .as_deref()
            .into_iter()
            .chain(self.paper.as_ref().map(|p| p.url.as_str()));
        for url in links.chain(others).filter(|u| !u.is_empty()) {
            address("links", url)?;
        }
        if self.code_links.len() + self.model.links.len() > 50 {
            return Err(Error::input("links", "must not be more than 50"));
        }
        Ok(())
    }

    /// Whether its texts are no longer than they may be, and show all that they hold.
    fn check_texts(&self) -> Result<(), Error> {
        let base = self.model.base.as_ref();
        let method = self.model.adapter.as_ref().and_then(|a| a.method.as_deref());
        let paper = self.paper.as_ref();
        let some = Option::unwrap_or_default;
        for (place, text) in [
            ("dataset.split", some(self.dataset.split.as_deref())),
            ("setting", &self.setting),
            ("external_id", some(self.external_id.as_deref())),
            ("model.base.name", base.map_or("", |b| &b.name)),
            ("paper.title", paper.map_or("", |p| &p.title)),
        ] {
            name(place, text)?;
        }
        self::method("model.adapter.method", some(method))?;
        if self.external_id.as_deref().is_some_and(|id| id.trim().is_empty()) {
            return Err(Error::input("external_id", "is empty; leave it out, or give a name"));
        }
        for link in self.code_links.iter().chain(&self.model.links) {
            name("links", &link.title)?;
        }
        for (place, text) in [("notes", &*self.notes), ("command", some(self.command.as_deref()))] {
            self::notes(place, text)?;
        }
        short("run", &self.run.to_string(), 200_000)
    }

    /// Whether its counts are such as the board can hold.
    fn check_numbers(&self) -> Result<(), Error> {
        let adapter = self.model.adapter.as_ref();
        for (place, number) in [
            ("dataset.rows", self.dataset.rows),
            ("model.adapter.trained", adapter.and_then(|a| a.trained)),
            ("model.adapter.total", adapter.and_then(|a| a.total)),
        ] {
            if number.is_some_and(|n| n > COUNT) {
                return Err(Error::input(place, format!("is larger than {COUNT}")));
            }
        }
        Ok(())
    }

    /// Hash of what it claims: two submissions with one hash say the same.
    pub(crate) fn content(&self) -> String {
        let key = crate::text::key;
        let base = self.model.base.as_ref();
        let adapter = self.model.adapter.as_ref();
        let mut metrics: Vec<_> =
            self.metrics.iter().map(|m| (key(&m.name), m.value.to_string())).collect();
        metrics.sort();
        let json = json!([
            key(&self.task),
            key(&self.dataset.name),
            self.dataset.sha256,
            self.setting,
            key(&self.model.name),
            base.map(|b| (&b.name, &b.sha256)),
            adapter.map(|a| (&a.method, &a.sha256)),
            metrics,
            self.paper.as_ref().map(|p| &p.url),
            // Runs that differ in nothing else differ in their seed.
            self.run["key"],
        ]);
        digest::of_bytes(json.to_string().as_bytes())
    }
}

pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(100).map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

pub(super) fn needed(place: &str, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::input(place, "is missing"));
    }
    name(place, text)
}

/// A method in its notation, which is long where it is made of several with all their options.
pub(super) fn method(place: &str, text: &str) -> Result<(), Error> {
    short(place, text, 5000)?;
    shows(place, text, &[])
}

/// A text of some lines.
pub(super) fn notes(place: &str, text: &str) -> Result<(), Error> {
    short(place, text, NOTES)?;
    shows(place, text, &['\n', '\r', '\t'])
}

/// A text of one line.
pub(super) fn name(place: &str, text: &str) -> Result<(), Error> {
    short(place, text, TEXT)?;
    shows(place, text, &[])
}

/// Refuses characters that a reader does not see, but `allowed` ones.
fn shows(place: &str, text: &str, allowed: &[char]) -> Result<(), Error> {
    match text.chars().find(|c| is_hidden(*c) && !allowed.contains(c)) {
        None => Ok(()),
        Some(c) => Err(Error::input(
            place,
            format!("holds a control or invisible character, U+{:04X}; leave it out", c as u32),
        )),
    }
}

/// An address of a page.
pub(super) fn address(place: &str, url: &str) -> Result<(), Error> {
    let web = url.starts_with("https://") || url.starts_with("http://");
    if !web || url.chars().count() > 2000 || url.chars().any(|c| c.is_whitespace() || is_hidden(c))
    {
        let reason = format!("'{}' is not an address of http or https", cut(url));
        return Err(Error::input(place, reason));
    }
    Ok(())
}

fn short(place: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.chars().count() {
        n if n > most => {
            Err(Error::input(place, format!("has {n} letters; at most {most} are taken")))
        }
        _ => Ok(()),
    }
}
