//! A leaderboard: its metrics, its rows with ranks, the line of the state of the art.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use budwood_database::{Asked, Connection, Row as SqlRow, params};
use serde::Serialize;

use super::item::{Which, Whole, as_written, named};
use super::{LeaderboardItem, Link, Named};
use crate::date::{self, DateSource};
use crate::direction::{Direction, DirectionSource};
use crate::error::OfDatabase;
use crate::rank::{Standing, line, ranks};
use crate::setting::elsewhere;
use crate::state::state_of;
use crate::text::{key, method_kind, slug};
use crate::{Board, Error, State, dialect};

/// Which rows are asked for, and how they are ranked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The metric to rank by; the primary one if it is not given.
    pub metric: Option<String>,
    /// Whether claims hold ranks and the state of the art too; otherwise only re-evaluated rows do.
    pub claims: bool,
    /// Whether claims do so where no row has been re-evaluated.
    pub claims_alone: bool,
    /// Order of the rows.
    pub sort: SortBy,
    /// Turns the order around.
    pub reverse: bool,
    /// Only rows of these states; all if empty.
    pub states: Vec<State>,
    /// Only rows on this base model.
    pub base: Option<String>,
    /// Only rows of this setting.
    pub setting: Option<String>,
    /// Only rows of this kind of method.
    pub method: Option<String>,
    /// Only rows that use additional data, or that do not.
    pub additional_data: Option<bool>,
    /// Only rows with at most so many trained parameters.
    pub max_trained: Option<u64>,
    /// Only rows whose model's name holds this, in any case.
    pub model: Option<String>,
}

/// Order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// Best value of the chosen metric first.
    #[default]
    Score,
    /// By the model's name.
    Model,
    /// Newest first.
    Date,
    /// Fewest trained parameters first.
    Trained,
    /// By state, the most confirmed first.
    State,
}

/// A leaderboard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leaderboard {
    /// What lists show of it.
    #[serde(flatten)]
    pub item: LeaderboardItem,
    /// What it is, in Markdown.
    pub description: String,
    /// Areas and tasks above its task, outermost first: `Natural Language Processing`, ...
    pub areas: Vec<Named>,
    /// Its metrics; the first is primary.
    pub metrics: Vec<Metric>,
    /// Number of the metric that ranks, in `metrics`.
    pub chosen: usize,
    /// Whether claims count.
    pub claims: bool,
    /// The rows that fit the filter.
    pub rows: Vec<Row>,
    /// Rows in all, whatever the filter; retracted ones too.
    pub rows_in_all: u64,
    /// Rows here that have no date and so no place on the time line.
    pub undated: u64,
    /// The state of the art over time among the rows here.
    pub line: Vec<StepLine>,
    /// What can be chosen in filters, from all rows.
    pub facets: Facets,
}

/// A metric of a leaderboard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// Which values are better.
    pub direction: Direction,
    /// How that is known.
    pub direction_source: DirectionSource,
    /// What it is.
    pub description: String,
    /// Whether the table declares it; otherwise only rows name it.
    pub declared: bool,
    /// A measured value within this distance of the claim confirms it, if that was set for this
    /// table.
    pub tolerance: Option<f64>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Number of the result.
    pub result: i64,
    /// Its rank by the chosen metric, among the rows that count; ties share one.
    pub rank: Option<u32>,
    /// Whether it was the best when it came.
    pub record: bool,
    /// The model.
    pub model: String,
    /// Its scores, in the order of the metrics.
    pub scores: Vec<Option<Score>>,
    /// Its paper, if the board knows it.
    pub paper: Option<Named>,
    /// The paper's title as the row gives it.
    pub paper_title: String,
    /// The paper's address as the row gives it.
    pub paper_url: String,
    /// Its date: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub date: Option<String>,
    /// How the date is known.
    pub date_source: Option<DateSource>,
    /// The date in days since 1970, for a time line.
    pub day: Option<i64>,
    /// Links to code, of the row and then of its paper; at most 3.
    pub code: Vec<Link>,
    /// Links to models.
    pub model_links: Vec<Link>,
    /// Whether it uses data beyond the data set's; not known for most.
    pub additional_data: Option<bool>,
    /// Split or protocol.
    pub setting: String,
    /// The frozen model.
    pub base: Option<String>,
    /// The tuning method with its options.
    pub method: Option<String>,
    /// The method's page.
    pub method_page: Option<Named>,
    /// Trained parameters.
    pub trained: Option<u64>,
    /// Parameters in all.
    pub total: Option<u64>,
    /// Size of the adapter.
    pub adapter_bytes: Option<u64>,
    /// Whether the adapter is here.
    pub adapter: bool,
    /// How far it is confirmed.
    pub state: State,
    /// The split that it says it is of.
    pub split: String,
    /// SHA-256 of the examples that it was scored on.
    pub data_sha256: Option<String>,
    /// Whether it is known to be of other data than those the leaderboard names: it is listed, and
    /// holds no rank.
    pub elsewhere: bool,
    /// What is to be known of it.
    pub notes: String,
    /// When it came onto the board, in seconds since 1970.
    pub at: i64,
}

/// A score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// As it was written.
    pub raw: String,
    /// The number in it.
    pub value: Option<f64>,
    /// What follows `±`: a standard deviation or error, as the source has it.
    pub spread: Option<f64>,
    /// 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// What the board measured.
    pub measured: Option<f64>,
    /// How far this value is confirmed: a metric that the board did not measure is a claim,
    /// whatever the row is.
    pub state: State,
}

/// A step of the state of the art.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepLine {
    /// Number of the result.
    pub result: i64,
    /// Days since 1970.
    pub day: i64,
    /// The value.
    pub value: f64,
}

/// What can be chosen in filters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facets {
    /// Base models.
    pub bases: Vec<Facet>,
    /// Splits and protocols.
    pub settings: Vec<Facet>,
    /// Kinds of methods.
    pub methods: Vec<Facet>,
    /// States.
    pub states: Vec<Facet>,
}

/// A value of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facet {
    /// The value.
    pub value: String,
    /// Rows that have it.
    pub rows: u64,
}

impl Score {
    /// The measured value, else the claimed one.
    pub fn counted(&self) -> Option<f64> {
        self.measured.or(self.value)
    }
}

impl Row {
    /// The kind of its method: what stands before its options.
    pub fn method_kind(&self) -> Option<&str> {
        self.method.as_deref().map(method_kind)
    }

    /// How far its value of a metric is confirmed, by the metric's number; the row's own state
    /// where it has no value.
    pub fn state_of(&self, metric: usize) -> State {
        self.scores.get(metric).and_then(Option::as_ref).map_or(self.state, |s| s.state)
    }

    fn fits(&self, filter: &Filter) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|w| value == Some(w))
        };
        (filter.states.is_empty() || filter.states.contains(&self.state))
            && is(&filter.base, self.base.as_deref())
            && is(&filter.setting, Some(&self.setting))
            && is(&filter.method, self.method_kind())
            && filter.additional_data.is_none_or(|a| self.additional_data.unwrap_or(false) == a)
            && filter.max_trained.is_none_or(|max| self.trained.is_some_and(|t| t <= max))
            && filter
                .model
                .as_deref()
                .is_none_or(|part| self.model.to_lowercase().contains(&part.trim().to_lowercase()))
    }
}

/// A leaderboard by its address.
///
/// # Errors
/// If there is none, or it has no metric of the filter's name.
pub fn leaderboard(board: &Board, address: &str, filter: &Filter) -> Result<Leaderboard, Error> {
    let (sql, of) = (board.sql(), by_address(address));
    let head = Head::ask(sql, of)?;
    let described = ask_described(sql, of)?;
    let asked = sql.ask(
        &format!("{} WHERE r.leaderboard = {} ORDER BY r.position, r.id", rows_sql(sql), of.number),
        &[of.value],
    )?;
    let scores = format!(
        "SELECT {SCORE} FROM {} ORDER BY s.result, s.metric, s.position",
        dialect::scores_of_leaderboard(sql, of.number)
    );
    let scores = sql.ask(&scores, &[of.value])?;
    let (numbers, found) = head.read(filter)?;
    let mut found = found.ok_or_else(|| Error::missing("leaderboard", address))?;
    describe(&mut found, described)?;
    let mut rows = rows(asked, scores, &numbers)?;
    (found.facets, found.rows_in_all) = (facets(&rows), rows.len() as u64);
    rows.retain(|row| row.fits(filter));
    let direction = found.direction();
    found.claims |= filter.claims_alone && found.item.verified == 0;
    found.line = stand(&mut rows, found.chosen, direction, found.claims);
    sort(&mut rows, filter, found.chosen, direction);
    found.undated = rows.iter().filter(|r| r.day.is_none()).count() as u64;
    found.rows = rows;
    Ok(found)
}

/// Calls `each` with a leaderboard, whose own list of rows is empty: first alone, then with one row
/// after another, the best first. However many there are, a few numbers are kept of each and
/// [`WALKED`] are whole. To be called in a snapshot.
///
/// # Errors
/// If there is no such leaderboard, or `each` fails.
pub(crate) fn walk(
    board: &Board,
    address: &str,
    claims: bool,
    mut each: impl FnMut(&Leaderboard, Option<&Row>) -> Result<(), Error>,
) -> Result<(), Error> {
    let (sql, of) = (board.sql(), by_address(address));
    let filter = Filter { claims, ..Filter::default() };
    let (head, described) = (Head::ask(sql, of)?, ask_described(sql, of)?);
    let all = ask_ranked(sql, of)?;
    let (numbers, found) = head.read(&filter)?;
    let mut found = found.ok_or_else(|| Error::missing("leaderboard", address))?;
    describe(&mut found, described)?;
    let all = ranked(all)?;
    let standings: Vec<Standing> = all.iter().map(|row| row.standing(claims)).collect();
    let ranks = ranks(&standings, found.direction());
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|&a, &b| {
        let by_value = by_value(standings[a].value, standings[b].value, found.direction());
        let gone = |i: usize| all[i].state == State::Retracted;
        gone(a).cmp(&gone(b)).then(by_value)
    });
    each(&found, None)?;
    let these = dialect::is_among(sql, "r.id", "?1");
    let some = format!("{} WHERE {these}", rows_sql(sql));
    let scores = format!(
        "SELECT {SCORE} FROM results r JOIN scores s ON s.result = r.id WHERE {these}
         ORDER BY s.result, s.metric, s.position"
    );
    for part in order.chunks(WALKED) {
        let list = dialect::list(&part.iter().map(|&i| all[i].result).collect::<Vec<_>>());
        let rows = sql.query(&some, params![list], |r| read_row(r, numbers.len()))?;
        let mut rows: HashMap<i64, Row> = rows.into_iter().map(|row| (row.result, row)).collect();
        sql.query(&scores, params![list], |r| {
            let metric: i64 = r.get(1)?;
            let column = numbers.iter().position(|m| *m == metric);
            if let (Some(row), Some(column)) = (rows.get_mut(&r.get(0)?), column) {
                row.scores[column] = Some(read_score(r, row.state)?);
            }
            Ok(())
        })?;
        for &i in part {
            // No snapshot loses a row: without one, a row would be left out in silence.
            let mut row = rows.remove(&all[i].result).ok_or_else(|| {
                let reason = format!("result {} went away while it was read", all[i].result);
                budwood_database::Error::content(board.place(), reason)
            })?;
            row.rank = ranks[i];
            each(&found, Some(&row))?;
        }
    }
    Ok(())
}

/// A row of a leaderboard, as it is ranked.
struct Ranked {
    result: i64,
    state: State,
    elsewhere: bool,
    day: Option<i64>,
    score: Score,
}

impl Ranked {
    fn standing(&self, claims: bool) -> Standing {
        standing((self.state, self.elsewhere), Some(&self.score), self.day, claims)
    }
}

/// Asks for what ranks the rows of a leaderboard by its primary metric.
fn ask_ranked<'s>(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Asked<'s>> {
    let (elsewhere, of_all) = (elsewhere("r", "l"), of.number);
    let query = format!(
        "SELECT r.id, r.state, r.date, s.value, s.low, s.high, s.measured, s.confirmed, {elsewhere}
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard
         LEFT JOIN scores s ON s.result = r.id AND s.metric =
           (SELECT id FROM metrics WHERE leaderboard = {of_all} ORDER BY position, id LIMIT 1)
         WHERE r.leaderboard = {of_all} ORDER BY r.position, r.id, s.position"
    );
    sql.ask(&query, &[of.value])
}

fn ranked(asked: Asked<'_>) -> Result<Vec<Ranked>, Error> {
    let mut all: Vec<Ranked> = Vec::new();
    asked.rows(|r| {
        let (result, state): (i64, State) = (r.get(0)?, r.get(1)?);
        let score = Score {
            raw: String::new(),
            value: r.get(3)?,
            spread: None,
            interval: r.get::<Option<f64>>(4)?.zip(r.get(5)?),
            measured: r.get(6)?,
            state: state_of(state, r.get(6)?, r.get(7)?),
        };
        let day = r.get::<Option<String>>(2)?.as_deref().and_then(date::day);
        // A row that names a metric twice shows the last value.
        if all.last().is_some_and(|last| last.result == result) {
            all.pop();
        }
        all.push(Ranked { result, state, elsewhere: r.get(8)?, day, score });
        Ok(())
    })?;
    Ok(all)
}

/// A result in its leaderboard.
pub(super) struct Place<'s> {
    result: i64,
    head: Head<'s>,
    own: Asked<'s>,
    scores: Asked<'s>,
    all: Asked<'s>,
}

impl<'s> Place<'s> {
    pub(super) fn ask(sql: &'s Connection, result: i64) -> OfDatabase<Self> {
        let number = "(SELECT leaderboard FROM results WHERE id = ?1)";
        let of = Which { number, value: result.into() };
        let scores = format!(
            "SELECT {SCORE} FROM scores s WHERE s.result = ?1 ORDER BY s.metric, s.position"
        );
        Ok(Self {
            result,
            head: Head::ask(sql, of)?,
            own: sql.ask(&format!("{} WHERE r.id = ?1", rows_sql(sql)), params![result])?,
            scores: sql.ask(&scores, params![result])?,
            all: ask_ranked(sql, of)?,
        })
    }

    /// The leaderboard without rows and description; the row, ranked among re-evaluated ones; and
    /// its rank among all, claims included. None if it is not there.
    pub(super) fn read(self) -> Result<Option<(Leaderboard, Row, Option<u32>)>, Error> {
        let (numbers, found) = self.head.read(&Filter::default())?;
        let own = rows(self.own, self.scores, &numbers)?.pop();
        let all = ranked(self.all)?;
        let place = all.iter().position(|row| row.result == self.result);
        let (Some(found), Some(mut row), Some(place)) = (found, own, place) else {
            return Ok(None);
        };
        let standings =
            |claims| all.iter().map(|row| row.standing(claims)).collect::<Vec<Standing>>();
        let (direction, verified) = (found.direction(), standings(false));
        row.rank = ranks(&verified, direction)[place];
        row.record = line(&verified, direction).contains(&place);
        let of_claims = ranks(&standings(true), direction)[place];
        Ok(Some((found, row, of_claims)))
    }
}

/// Rows that [`walk`] holds at a time.
const WALKED: usize = 100;

/// A leaderboard by its address.
fn by_address(address: &str) -> Which<'_> {
    let number = "(SELECT id FROM leaderboards WHERE slug = ?1)";
    Which { number, value: address.into() }
}

/// What is asked of a leaderboard beside its rows.
struct Head<'s> {
    item: Whole<'s>,
    metrics: Asked<'s>,
}

impl<'s> Head<'s> {
    fn ask(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Self> {
        Ok(Self { item: Whole::ask(sql, ("l.id", of), "")?, metrics: ask_metrics(sql, of)? })
    }

    /// The numbers of its metrics, and the leaderboard without rows and description; none if it is
    /// not there.
    fn read(self, filter: &Filter) -> Result<(Vec<i64>, Option<Leaderboard>), Error> {
        let (numbers, metrics) = metrics(self.metrics)?;
        let Some(item) = self.item.read()?.pop() else { return Ok((numbers, None)) };
        let chosen = match &filter.metric {
            None => 0,
            Some(name) => metrics
                .iter()
                .position(|m| key(&m.name) == key(name))
                .ok_or_else(|| Error::missing("metric", name))?,
        };
        let found = Leaderboard {
            item,
            description: String::new(),
            areas: Vec::new(),
            metrics,
            chosen,
            claims: filter.claims,
            rows: Vec::new(),
            rows_in_all: 0,
            undated: 0,
            line: Vec::new(),
            facets: Facets::default(),
        };
        Ok((numbers, Some(found)))
    }
}

/// Asks for the description of a leaderboard, beside each area of its task.
fn ask_described<'s>(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Asked<'s>> {
    let query = format!(
        "SELECT a.area, l.description
         FROM leaderboards l LEFT JOIN task_areas a ON a.task = l.task
         WHERE l.id = {} ORDER BY a.area",
        of.number
    );
    sql.ask(&query, &[of.value])
}

fn describe(found: &mut Leaderboard, described: Asked<'_>) -> OfDatabase<()> {
    let areas = described.rows(|r| {
        found.description = r.get(1)?;
        let name: Option<String> = r.get(0)?;
        Ok(name.map(|name| Named { slug: slug(&name), name }))
    })?;
    found.areas = areas.into_iter().flatten().collect();
    Ok(())
}

impl Leaderboard {
    /// Which values of the chosen metric are better.
    fn direction(&self) -> Direction {
        self.metrics.get(self.chosen).map_or(Direction::Higher, |m| m.direction)
    }
}

/// Gives rows their ranks and marks those on the line of the state of the art, which is returned.
fn stand(rows: &mut [Row], chosen: usize, direction: Direction, claims: bool) -> Vec<StepLine> {
    let standings: Vec<Standing> = rows
        .iter()
        .map(|row| {
            let score = row.scores.get(chosen).and_then(Option::as_ref);
            standing((row.state, row.elsewhere), score, row.day, claims)
        })
        .collect();
    let steps = line(&standings, direction);
    for (row, rank) in rows.iter_mut().zip(ranks(&standings, direction)) {
        (row.rank, row.record) = (rank, false);
    }
    let mut here = Vec::with_capacity(steps.len());
    for i in steps {
        rows[i].record = true;
        if let (Some(day), Some(value)) = (standings[i].day, standings[i].value) {
            here.push(StepLine { result: rows[i].result, day, value });
        }
    }
    here
}

/// How a row counts: by its state, and by whether it was scored on other data than the leaderboard
/// names.
fn standing(
    (state, elsewhere): (State, bool),
    score: Option<&Score>,
    day: Option<i64>,
    claims: bool,
) -> Standing {
    let counts = match state {
        State::Reevaluated => true,
        State::Claimed | State::Attached | State::OtherSetting => claims && !elsewhere,
        State::Mismatch | State::Retracted => false,
    };
    let measured = score.and_then(|s| s.measured);
    Standing {
        // Among re-evaluated rows only what was measured counts, whatever else the row claims.
        value: if claims { score.and_then(Score::counted) } else { measured },
        // A claimed interval may be as wide as its claimant likes: it makes no ties.
        interval: score.and_then(|s| s.interval).filter(|_| measured.is_some()),
        day,
        counts,
    }
}

/// What is not known stands last, whichever way.
fn last<T>(a: Option<T>, b: Option<T>, order: impl Fn(T, T) -> Ordering) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => order(a, b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The better value first.
fn by_value(a: Option<f64>, b: Option<f64>, direction: Direction) -> Ordering {
    last(a, b, |a, b| match direction {
        Direction::Higher => b.total_cmp(&a),
        Direction::Lower => a.total_cmp(&b),
    })
}

fn sort(rows: &mut [Row], filter: &Filter, chosen: usize, direction: Direction) {
    let value = |r: &Row| r.scores.get(chosen).and_then(Option::as_ref).and_then(Score::counted);
    let turned = |o: Ordering| if filter.reverse { o.reverse() } else { o };
    let by_score = |a: &Row, b: &Row| by_value(value(a), value(b), direction);
    rows.sort_by(|a, b| match filter.sort {
        SortBy::Score => {
            let gone = |r: &Row| r.state == State::Retracted;
            let better = |a: f64, b: f64| turned(by_value(Some(a), Some(b), direction));
            gone(a).cmp(&gone(b)).then(last(value(a), value(b), better))
        }
        SortBy::Model => turned(a.model.to_lowercase().cmp(&b.model.to_lowercase())),
        SortBy::Date => last(a.day, b.day, |a, b| turned(b.cmp(&a))),
        SortBy::Trained => {
            last(a.trained, b.trained, |a, b| turned(a.cmp(&b))).then_with(|| by_score(a, b))
        }
        SortBy::State => {
            let place = |r: &Row| match r.state {
                State::Reevaluated => 0,
                State::OtherSetting => 1,
                State::Attached => 2,
                State::Claimed => 3,
                State::Mismatch => 4,
                State::Retracted => 5,
            };
            turned(place(a).cmp(&place(b))).then_with(|| by_score(a, b))
        }
    });
}

fn ask_metrics<'s>(sql: &'s Connection, of: Which<'_>) -> OfDatabase<Asked<'s>> {
    let query = format!(
        "SELECT id, name, direction, direction_source, description, declared, tolerance
         FROM metrics WHERE leaderboard = {} ORDER BY position, id",
        of.number
    );
    sql.ask(&query, &[of.value])
}

/// Numbers and metrics of a leaderboard in their order.
fn metrics(asked: Asked<'_>) -> Result<(Vec<i64>, Vec<Metric>), Error> {
    let rows = asked.rows(|r| {
        let metric = Metric {
            name: r.get(1)?,
            direction: r.get(2)?,
            direction_source: r.get(3)?,
            description: r.get(4)?,
            declared: r.get(5)?,
            tolerance: r.get(6)?,
        };
        Ok((r.get::<i64>(0)?, metric))
    })?;
    Ok(rows.into_iter().unzip())
}

/// What [`read_row`] reads.
fn rows_sql(sql: &Connection) -> String {
    format!(
        "SELECT r.id, r.model, p.slug, p.title, r.paper_title, r.paper_url, r.date, r.date_source,
                r.code_links, r.model_links, r.additional_data, r.setting, r.base, r.method, m.slug,
                m.name, r.trained, r.total, r.adapter_bytes,
                EXISTS (SELECT 1 FROM result_files f
                        WHERE f.result = r.id AND f.name = 'adapter.safetensors'),
                r.state, r.notes, r.at,
                CASE WHEN {} THEN
                  (SELECT c.url FROM code_links c WHERE c.paper = r.paper
                   ORDER BY c.official DESC, c.id LIMIT 1) END,
                r.split, r.data_sha256, {}
         FROM results r JOIN leaderboards l ON l.id = r.leaderboard
         LEFT JOIN papers p ON p.id = r.paper LEFT JOIN methods m ON m.id = r.method_id",
        dialect::may_have_code(sql),
        elsewhere("r", "l")
    )
}

/// What [`read_score`] reads of scores `s`.
const SCORE: &str =
    "s.result, s.metric, s.raw, s.value, s.spread, s.low, s.high, s.measured, s.confirmed";

fn rows(asked: Asked<'_>, scores: Asked<'_>, metrics: &[i64]) -> Result<Vec<Row>, Error> {
    let mut rows = asked.rows(|r| read_row(r, metrics.len()))?;
    let place: HashMap<i64, usize> = rows.iter().enumerate().map(|(i, r)| (r.result, i)).collect();
    let column: HashMap<i64, usize> = metrics.iter().enumerate().map(|(i, &m)| (m, i)).collect();
    scores.rows(|r| {
        let (result, metric): (i64, i64) = (r.get(0)?, r.get(1)?);
        if let (Some(&i), Some(&c)) = (place.get(&result), column.get(&metric)) {
            let state = rows[i].state;
            rows[i].scores[c] = Some(read_score(r, state)?);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// A score of a row in that state.
fn read_score(r: &SqlRow<'_>, state: State) -> OfDatabase<Score> {
    Ok(Score {
        raw: as_written(&r.get::<String>(2)?),
        value: r.get(3)?,
        spread: r.get(4)?,
        interval: r.get::<Option<f64>>(5)?.zip(r.get(6)?),
        measured: r.get(7)?,
        state: state_of(state, r.get(7)?, r.get(8)?),
    })
}

fn read_row(r: &SqlRow<'_>, metrics: usize) -> OfDatabase<Row> {
    let links = |at: usize| -> OfDatabase<Vec<Link>> {
        let json: String = r.get(at)?;
        let links: Vec<Link> = serde_json::from_str(&json).unwrap_or_default();
        Ok(links.into_iter().filter(|l| !l.url.is_empty()).collect())
    };
    let date: Option<String> = r.get(6)?;
    let mut code = links(8)?;
    if let Some(url) = r.get::<Option<String>>(23)?.filter(|u| code.iter().all(|l| l.url != *u)) {
        code.push(Link { title: String::new(), url });
    }
    code.truncate(3);
    let size =
        |at: usize| -> OfDatabase<Option<u64>> { Ok(r.get::<Option<i64>>(at)?.map(|n| n as u64)) };
    Ok(Row {
        result: r.get(0)?,
        rank: None,
        record: false,
        model: r.get(1)?,
        scores: vec![None; metrics],
        paper: named(r, 2)?,
        paper_title: r.get(4)?,
        paper_url: r.get(5)?,
        day: date.as_deref().and_then(date::day),
        date,
        date_source: r.get(7)?,
        code,
        model_links: links(9)?,
        additional_data: r.get(10)?,
        setting: r.get(11)?,
        base: r.get(12)?,
        method: r.get(13)?,
        method_page: named(r, 14)?,
        trained: size(16)?,
        total: size(17)?,
        adapter_bytes: size(18)?,
        adapter: r.get(19)?,
        state: r.get(20)?,
        split: r.get(24)?,
        data_sha256: r.get(25)?,
        elsewhere: r.get(26)?,
        notes: r.get(21)?,
        at: r.get(22)?,
    })
}

fn facets(rows: &[Row]) -> Facets {
    let count = |value: &dyn Fn(&Row) -> Option<String>| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        rows.iter().filter_map(value).for_each(|v| *counts.entry(v).or_default() += 1);
        let mut facets: Vec<Facet> =
            counts.into_iter().map(|(value, rows)| Facet { value, rows }).collect();
        facets.sort_by_key(|f| std::cmp::Reverse(f.rows));
        facets
    };
    Facets {
        bases: count(&|r| r.base.clone()),
        settings: count(&|r| (!r.setting.is_empty()).then(|| r.setting.clone())),
        methods: count(&|r| r.method_kind().map(Into::into)),
        states: count(&|r| Some(r.state.name().into())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::submit::submit;
    use crate::token::Actor;

    /// As it would be where someone forgets the snapshot.
    #[test]
    fn a_row_that_goes_away_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut board = Board::open(folder.path()).unwrap();
        let record = serde_json::json!({ "task": "News", "dataset": { "name": "Leaves" },
            "model": { "name": "m" }, "metrics": [{ "name": "Accuracy", "value": 1 }] });
        let record = serde_json::from_value(record).unwrap();
        submit(&mut board, &record, None, &[], &Actor::local("local")).unwrap();
        let mut rows = 0;
        let mut walk = |lost: bool| {
            walk(&board, "news-on-leaves", true, |_, row| {
                rows += i32::from(row.is_some());
                for table in [
                    "UPDATE leaderboards SET best = NULL",
                    "DELETE FROM scores",
                    "DELETE FROM results",
                ] {
                    if lost {
                        board.sql().execute(table, &[])?;
                    }
                }
                Ok(())
            })
        };
        walk(false).unwrap();
        let error = walk(true).unwrap_err().to_string();
        assert!(error.contains("result 1 went away"), "{error}");
        assert_eq!(rows, 1);
    }
}
