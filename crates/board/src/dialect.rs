//! Words of statements that differ between the two systems. Full-text search has a file of its own.

use budwood_database::Connection;

use crate::error::OfDatabase;

/// Joins a table to papers `p` so that these are gone through from the newest on.
pub(crate) fn from_the_newest(sql: &Connection) -> &'static str {
    // A server's planner counts; SQLite's would begin with the table.
    if sql.is_server() { "JOIN" } else { "INDEXED BY papers_by_date CROSS JOIN" }
}

/// Tells a server's planner what the tables hold, after much was written.
pub(crate) fn settle(sql: &Connection) -> OfDatabase<()> {
    if sql.is_server() {
        sql.execute("ANALYZE", &[])?;
    }
    Ok(())
}
