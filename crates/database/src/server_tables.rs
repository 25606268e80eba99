//! The tables on a PostgreSQL server.

use crate::Error;
use crate::connection::{Connection, System};
use crate::schema::Schema;
use crate::session::Found;

/// Makes the tables, or brings those of an older version to this one. Who may only read needs no
/// more than tables of this version.
pub(crate) fn prepare(
    connection: &Connection,
    migrated: fn(&Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    let System::Postgres(remote) = &connection.system else { return Ok(()) };
    let schema = connection.schema;
    let found = || remote.session.borrow_mut().found(&remote.server, schema);
    let known = schema.postgres.version();
    if matches!(found()?, Found::Tables(version) if version == known) {
        return Ok(());
    }
    let transaction = connection.begin()?;
    // Another process may have made them meanwhile.
    let before = found()?;
    connection.batch(&script(schema, &before))?;
    if matches!(before, Found::Tables(_)) {
        migrated(connection)?;
    }
    transaction.commit()
}

/// Whether the tables that are there are of this version; none if there are none.
pub(crate) fn are_there(connection: &Connection) -> Result<Option<bool>, Error> {
    let System::Postgres(remote) = &connection.system else { return Ok(None) };
    let found = remote.session.borrow_mut().found(&remote.server, connection.schema)?;
    Ok(match found {
        Found::Tables(version) => Some(version == connection.schema.postgres.version()),
        _ => None,
    })
}

/// What makes the tables of what was found.
fn script(schema: &Schema, found: &Found) -> String {
    let (name, known) = (schema.name, schema.postgres.version());
    if let Found::Tables(version) = found {
        return schema.postgres.steps_after(*version).concat()
            + &format!("UPDATE version SET version = {known};");
    }
    let make = match found {
        Found::Nothing => format!("CREATE SCHEMA {name};"),
        _ => String::new(),
    };
    make + schema.postgres.new
        + &format!(
            "CREATE TABLE version (application BIGINT NOT NULL, version BIGINT NOT NULL);
             INSERT INTO version VALUES ({}, {known});",
            schema.application
        )
}
