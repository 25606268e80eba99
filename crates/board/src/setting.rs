//! Which data a leaderboard is measured on, and which results were measured on other data.

use budwood_database::{Connection, params};
use serde::Serialize;

use crate::Error;
use crate::state::{Change, change};

/// The data that a leaderboard names: one split of one data set, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedData {
    /// SHA-256 over the examples of the split.
    pub sha256: String,
    /// The split, in the words of [`split_key`].
    pub split: String,
}

/// A split's name for comparison: `validation` and its like are `dev`.
pub fn split_key(name: &str) -> String {
    let name = crate::text::key(name);
    match name.as_str() {
        "validation" | "valid" | "val" | "development" => "dev".into(),
        _ => name,
    }
}

/// A condition of SQL: the result is known to be of other data than those its leaderboard names.
/// `r` and `l` are the names of the two tables in the query.
pub(crate) fn elsewhere(r: &str, l: &str) -> String {
    format!(
        "coalesce({r}.data_sha256 <> {l}.data_sha256 OR {r}.split NOT IN ('', {l}.data_split), FALSE)"
    )
}

/// A condition of SQL: the result was scored on the data that its leaderboard names.
fn named(r: &str, l: &str) -> String {
    format!(
        "coalesce({r}.data_sha256 = {l}.data_sha256 AND {r}.split IN ('', {l}.data_split), FALSE)"
    )
}

/// Whether a result was scored on the data that its leaderboard names.
pub(crate) fn is_named(sql: &Connection, result: i64) -> Result<bool, Error> {
    let query = format!(
        "SELECT {} FROM results r JOIN leaderboards l ON l.id = r.leaderboard WHERE r.id = ?1",
        named("r", "l")
    );
    Ok(sql.one(&query, params![result], |r| r.get(0))?)
}

/// The data that a leaderboard names.
pub(crate) fn of(sql: &Connection, leaderboard: i64) -> Result<Option<NamedData>, Error> {
    Ok(sql.first(
        "SELECT data_sha256, data_split FROM leaderboards
             WHERE id = ?1 AND data_sha256 IS NOT NULL",
        params![leaderboard],
        |r| Ok(NamedData { sha256: r.get(0)?, split: r.get(1)? }),
    )?)
}

/// Sets the data of a leaderboard, and the states of its results with them: how many these are.
pub(crate) fn set(
    sql: &Connection,
    leaderboard: i64,
    data: Option<&NamedData>,
) -> Result<u64, Error> {
    let measured = |condition: &str| -> Result<Vec<i64>, Error> {
        let query = format!(
            "SELECT r.id FROM results r JOIN leaderboards l ON l.id = r.leaderboard
             WHERE l.id = ?1 AND {condition} ORDER BY r.id"
        );
        Ok(sql.query(&query, params![leaderboard], |r| r.get(0))?)
    };
    // First all are of another setting, then those that fit come back: no step leaves a state that
    // is not true.
    let before = measured("r.state = 're-evaluated'")?;
    for &result in &before {
        change(sql, result, Change::Unname)?;
    }
    sql.execute(
        "UPDATE leaderboards SET data_sha256 = ?2, data_split = ?3 WHERE id = ?1",
        params![leaderboard, data.map(|d| &d.sha256), data.map(|d| &d.split)],
    )?;
    let after = measured(&format!("r.state = 'other-setting' AND {}", named("r", "l")))?;
    for &result in &after {
        change(sql, result, Change::Name)?;
    }
    let moved = before.iter().filter(|r| !after.contains(r)).count()
        + after.iter().filter(|r| !before.contains(r)).count();
    Ok(moved as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_have_one_name() {
        for name in ["dev", " Validation", "val", "VALID", "development"] {
            assert_eq!(split_key(name), "dev");
        }
        assert_eq!((split_key("Test "), split_key("")), ("test".into(), String::new()));
    }
}
