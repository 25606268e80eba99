//! Enumerations in the database, by the names that they have in JSON.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Error, ToSql};
use serde_json::Value;

use crate::date::DateSource;
use crate::direction::{Direction, DirectionSource};
use crate::state::State;
use crate::token::Role;

macro_rules! by_name {
    ($($kind:ty),*) => {$(
        impl ToSql for $kind {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                match serde_json::to_value(self) {
                    Ok(Value::String(name)) => Ok(name.into()),
                    _ => Err(Error::InvalidQuery),
                }
            }
        }

        impl FromSql for $kind {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let name = Value::String(value.as_str()?.into());
                serde_json::from_value(name).map_err(|_| FromSqlError::InvalidType)
            }
        }
    )*};
}

by_name!(DateSource, Direction, DirectionSource, Role, State);
