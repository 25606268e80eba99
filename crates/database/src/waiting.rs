//! Statements whose rows may wait for one another.

use tokio_postgres::Statement;

use crate::list::List;

/// A statement that adds a row, and on a server many rows at once.
pub struct Addition {
    /// The table.
    pub table: &'static str,
    /// Whether rows of other tables refer to its rows, which therefore go before them.
    pub is_referred_to: bool,
    /// The statement for one row, with its values as `?1`, `?2` and so on.
    pub one: &'static str,
    /// A server's statement for many rows, with lists of those values; none where it is that of
    /// `one`, an `INSERT ... VALUES`.
    pub many: Option<&'static str>,
}

impl Addition {
    /// The statement of `one` for lists whose values are of these kinds.
    pub(crate) fn of_lists(&self, kinds: &[&str]) -> String {
        let (before, values) = self.one.split_once("VALUES").unwrap_or((self.one, ""));
        let after = values.split_once(')').map_or("", |(_, after)| after);
        let lists = kinds.iter().enumerate();
        let lists: Vec<_> =
            lists.map(|(i, kind)| format!("CAST(?{} AS {kind}[])", i + 1)).collect();
        // Their order is that in which they came.
        format!("{before}SELECT * FROM unnest({}){after}", lists.join(", "))
    }
}

/// Rows of one statement that wait, a list for each column.
pub(crate) struct Waiting {
    pub(crate) addition: &'static Addition,
    pub(crate) statement: Statement,
    pub(crate) lists: Vec<List>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stand_where_the_values_of_one_do() {
        let of = |one| Addition { table: "t", is_referred_to: false, one, many: None };
        assert_eq!(
            of("INSERT INTO t (a, b) VALUES (?1, ?2)").of_lists(&["int8", "text"]),
            "INSERT INTO t (a, b) SELECT * FROM unnest(CAST(?1 AS int8[]), CAST(?2 AS text[]))"
        );
        assert_eq!(
            of("INSERT INTO t (a) VALUES (?1) ON CONFLICT DO NOTHING").of_lists(&["int8"]),
            "INSERT INTO t (a) SELECT * FROM unnest(CAST(?1 AS int8[])) ON CONFLICT DO NOTHING"
        );
    }
}
