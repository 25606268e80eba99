//! Statements whose rows may wait for one another.

/// A statement that adds a row, and on a server many rows at once.
pub struct Addition {
    /// The table.
    pub table: &'static str,
    /// Whether rows of other tables refer to its rows, which therefore go before them.
    pub is_referred_to: bool,
    /// The statement for one row, with its values as `?1`, `?2` and so on.
    pub one: &'static str,
    /// What stands before the rows of a server's statement, and after them.
    pub many: [&'static str; 2],
}

/// Rows of one statement that wait.
pub(crate) struct Waiting {
    pub(crate) addition: &'static Addition,
    pub(crate) rows: String,
}
