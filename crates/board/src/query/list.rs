//! Lists of everything of one kind, for interfaces and site maps.

use budwood_database::params;

use super::item::{ask_leaderboards, leaderboards};
use super::{LeaderboardItem, Page, Part};
use crate::{Board, Error};

/// A kind of page with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Tasks.
    Task,
    /// Data sets.
    Dataset,
    /// Leaderboards.
    Leaderboard,
    /// Papers.
    Paper,
    /// Methods.
    Method,
}

impl Listed {
    fn table(self) -> &'static str {
        match self {
            Self::Task => "tasks",
            Self::Dataset => "datasets",
            Self::Leaderboard => "leaderboards",
            Self::Paper => "papers",
            Self::Method => "methods",
        }
    }
}

/// Into how many chunks of up to `size` the pages of a kind fall.
///
/// # Errors
/// If the board cannot be read.
pub fn chunks(board: &Board, kind: Listed, size: u64) -> Result<u64, Error> {
    let query = format!("SELECT coalesce(max(id), 0) FROM {}", kind.table());
    let last: i64 = board.sql().one(&query, &[], |r| r.get(0))?;
    Ok((last as u64).div_ceil(size))
}

/// The addresses of one chunk, from 0.
///
/// # Errors
/// If the board cannot be read.
pub fn addresses(board: &Board, kind: Listed, chunk: u64, size: u64) -> Result<Vec<String>, Error> {
    let query = format!("SELECT slug FROM {} WHERE id > ?1 AND id <= ?2 ORDER BY id", kind.table());
    let bound = |chunk: u64| i64::try_from(chunk.saturating_mul(size)).unwrap_or(i64::MAX);
    Ok(board.sql().query(&query, params![bound(chunk), bound(chunk + 1)], |r| r.get(0))?)
}

/// Leaderboards with results, the oldest first.
///
/// # Errors
/// If the board cannot be read.
pub fn evaluations(board: &Board, part: Part) -> Result<Page<LeaderboardItem>, Error> {
    let sql = board.sql();
    let count = sql.ask("SELECT count(*) FROM leaderboards WHERE results > 0", &[])?;
    let rest = "WHERE l.results > 0 ORDER BY l.id LIMIT ?1 OFFSET ?2";
    let items = ask_leaderboards(sql, rest, params![part.limit(), part.offset()])?;
    let (count, items) = (count.one(|r| r.get::<i64>(0))?, leaderboards(sql, items)?);
    Ok(Page { count: count as u64, offset: part.offset, items })
}
