//! Statements whose rows may wait for one another.

/// A statement that adds a row, and on a server many rows at once.
pub struct Addition {
    /// The table.
    pub table: &'static str,
    /// Whether rows of other tables refer to its rows, which therefore go before them.
    pub is_referred_to: bool,
    /// The statement for one row, with its values as `?1`, `?2` and so on.
    pub one: &'static str,
    /// What stands before the rows of a server's statement, and after them; none where that is what
    /// stands around the values of `one`.
    pub many: Option<[&'static str; 2]>,
}

impl Addition {
    /// What stands around the rows of a server's statement.
    pub(crate) fn around(&self) -> [&'static str; 2] {
        self.many.unwrap_or_else(|| {
            let begin = self.one.find("(?1").unwrap_or(self.one.len());
            let end = self.one[begin..].find(')').map_or(self.one.len(), |at| begin + at + 1);
            [&self.one[..begin], &self.one[end..]]
        })
    }
}

/// Rows of one statement that wait.
pub(crate) struct Waiting {
    pub(crate) addition: &'static Addition,
    pub(crate) rows: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_the_values_of_one_do() {
        let add = |one| Addition { table: "t", is_referred_to: false, one, many: None }.around();
        assert_eq!(
            add("INSERT INTO t (a, b) VALUES (?1, ?2)"),
            ["INSERT INTO t (a, b) VALUES ", ""]
        );
        let [before, after] = add("INSERT INTO t (a) VALUES (?1) ON CONFLICT DO NOTHING");
        assert_eq!([before, after], ["INSERT INTO t (a) VALUES ", " ON CONFLICT DO NOTHING"]);
    }
}
