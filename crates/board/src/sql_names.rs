//! Enumerations in the database, by the names that they have in JSON.

use budwood_database::{Bind, Column, Error, Row, Value};

use crate::date::DateSource;
use crate::direction::{Direction, DirectionSource};
use crate::state::State;
use crate::token::Role;

macro_rules! by_name {
    ($($kind:ty),*) => {$(
        impl Bind for $kind {
            fn bind(&self) -> Value<'_> {
                Value::Text(self.name())
            }
        }

        impl Column for $kind {
            fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
                let name: String = row.get(column)?;
                serde_json::from_value(name.into()).map_err(|e| row.error(e))
            }
        }
    )*};
}

by_name!(DateSource, Direction, DirectionSource, Role, State);
