//! Values that go into statements, and rows that come out.

use std::borrow::Cow;
use std::error::Error as StdError;

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};

use crate::Error;

/// A value of a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// A number, or a yes or no.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A text.
    Text(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Integer(n) => (*n).into(),
            Self::Real(x) => (*x).into(),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(n) if *kind == Type::BOOL => (*n != 0).to_sql(kind, out),
            Self::Integer(n) if *kind == Type::INT8 => n.to_sql(kind, out),
            Self::Real(x) if *kind == Type::FLOAT8 => x.to_sql(kind, out),
            Self::Text(text) if *kind == Type::TEXT => escaped(text).to_sql(kind, out),
            other => Err(format!("{other:?} is no {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// PostgreSQL holds no text with the sign of number 0, which data may have. It is written as this
/// sign, which stands for no letter, and a 0; the sign itself as two of them.
const ESCAPE: char = '\u{10FFFF}';

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return text.into();
    }
    let twice = text.replace(ESCAPE, &format!("{ESCAPE}{ESCAPE}"));
    twice.replace('\0', &format!("{ESCAPE}0")).into()
}

fn unescaped(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut whole = String::with_capacity(text.len());
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match sign {
            ESCAPE => whole.extend(signs.next().map(|next| if next == '0' { '\0' } else { next })),
            other => whole.push(other),
        }
    }
    whole
}

/// A row of an answer.
pub struct Row<'a> {
    pub(crate) place: &'a str,
    pub(crate) cells: Cells<'a>,
}

pub(crate) enum Cells<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

/// What a column is read as.
pub trait Column: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// If the column holds something else.
    fn read(row: &Row<'_>, column: usize) -> Result<Self, Error>;
}

impl Row<'_> {
    /// The value of a column, counted from 0.
    ///
    /// # Errors
    /// If it is of another kind.
    pub fn get<T: Column>(&self, column: usize) -> Result<T, Error> {
        T::read(self, column)
    }
}

macro_rules! column {
    ($kind:ty, $of_server:expr) => {
        impl Column for $kind {
            fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
                match row.cells {
                    Cells::Sqlite(cells) => {
                        cells.get(column).map_err(|e| Error::content(row.place, e))
                    }
                    Cells::Postgres(cells) => {
                        let found = cells.try_get(column).map($of_server);
                        found.map_err(|e| Error::content(row.place, e))
                    }
                }
            }
        }
    };
}

column!(i64, |x| x);
column!(bool, |x| x);
column!(f64, |x| x);
column!(Option<f64>, |x| x);
column!(String, unescaped);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "a\0b", "\u{10FFFF}", "\0\u{10FFFF}0\0\u{10FFFF}\u{10FFFF}0"] {
            let escaped = escaped(text);
            assert!(!escaped.contains('\0'));
            assert_eq!(unescaped(escaped.into_owned()), text);
        }
    }
}
