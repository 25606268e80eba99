//! What a database of ours consists of, on each of the two systems.

/// Tables with their versions.
pub struct Schema {
    /// The schema of PostgreSQL in which the tables lie.
    pub name: &'static str,
    /// What it is, for messages: "a store of runs".
    pub what: &'static str,
    /// What to do where something else is found.
    pub remedy: &'static str,
    /// Marks a file as ours.
    pub application: i64,
    /// The tables on SQLite.
    pub sqlite: Tables,
    /// The tables on PostgreSQL.
    pub postgres: Tables,
}

/// Tables, and how those of older versions become these.
pub struct Tables {
    /// What makes them.
    pub new: &'static str,
    /// What brings version 1 to 2, 2 to 3 and so on.
    pub steps: &'static [&'static str],
}

impl Tables {
    /// Version of the tables that this program makes.
    pub(crate) fn version(&self) -> i64 {
        1 + self.steps.len() as i64
    }

    /// The steps that an older version lacks.
    pub(crate) fn steps_after(&self, version: i64) -> &'static [&'static str] {
        let done = usize::try_from(version - 1).ok();
        done.and_then(|n| self.steps.get(n..)).unwrap_or_default()
    }
}
