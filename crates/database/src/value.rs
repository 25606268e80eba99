//! Values that go into statements, and rows that come out.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Display;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rusqlite::types::{ToSqlOutput, Value as SqliteValue, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

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
    /// Bytes.
    Bytes(&'a [u8]),
}

/// The values of a statement, each borrowed where it is large: `params![id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Bind::bind(&$value)),*] };
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

/// What can be a value of a statement: see [`params`](crate::params).
pub trait Bind {
    /// It as a value.
    fn bind(&self) -> Value<'_>;
}

macro_rules! bind {
    ($($kind:ty: $of:expr),*) => {$(
        impl Bind for $kind {
            fn bind(&self) -> Value<'_> {
                $of(self)
            }
        }
    )*};
}

bind!(
    i64: |x: &i64| Value::Integer(*x),
    bool: |x: &bool| Value::Integer((*x).into()),
    f64: |x: &f64| Value::Real(*x),
    str: Value::Text,
    String: Value::Text,
    [u8]: Value::Bytes,
    Vec<u8>: Value::Bytes
);

impl<T: Bind + ?Sized> Bind for &T {
    fn bind(&self) -> Value<'_> {
        (**self).bind()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn bind(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Bind::bind)
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Integer(n) => (*n).into(),
            Self::Real(x) => (*x).into(),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl From<Value<'_>> for SqliteValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(n) => Self::Integer(n),
            Value::Real(x) => Self::Real(x),
            Value::Text(text) => Self::Text(text.into()),
            Value::Bytes(bytes) => Self::Blob(bytes.into()),
        }
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
            Self::Integer(n) if *kind == Type::INT4 => i32::try_from(*n)?.to_sql(kind, out),
            Self::Integer(n) if *kind == Type::FLOAT8 => (*n as f64).to_sql(kind, out),
            // SQLite keeps no such number either.
            Self::Real(x) if x.is_nan() => Ok(IsNull::Yes),
            Self::Real(x) if *kind == Type::FLOAT8 => x.to_sql(kind, out),
            Self::Text(text) if *kind == Type::TEXT => escaped(text).to_sql(kind, out),
            // Words travel as they are written by whoever has them.
            Self::Bytes(bytes) if [Type::BYTEA, Type::TS_VECTOR].contains(kind) => {
                bytes.to_sql(kind, out)
            }
            other => Err(format!("{other:?} is no {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value as it travels to a server.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Encoded(Option<Bytes>);

impl Encoded {
    /// The values of a statement whose parameters are of these kinds.
    pub(crate) fn all(
        values: &[Value<'_>],
        kinds: &[Type],
    ) -> Result<Arc<[Self]>, Box<dyn StdError + Sync + Send>> {
        let encoded = |(i, value): (usize, &Value<'_>)| {
            let kind = kinds.get(i).ok_or("a statement has more values than parameters")?;
            let mut out = BytesMut::new();
            let is_null = matches!(value.to_sql(kind, &mut out)?, IsNull::Yes);
            Ok(Self((!is_null).then(|| out.freeze())))
        };
        values.iter().enumerate().map(encoded).collect()
    }
}

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
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
    Postgres(&'a tokio_postgres::Row),
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

    /// An error that says what is wrong with a value of this row.
    pub fn error(&self, reason: impl Display) -> Error {
        Error::content(self.place, reason)
    }

    fn is_null(&self, column: usize) -> Result<bool, Error> {
        match self.cells {
            Cells::Sqlite(cells) => {
                let value = cells.get_ref(column).map_err(|e| self.error(e))?;
                Ok(value == ValueRef::Null)
            }
            Cells::Postgres(cells) => {
                Ok(cells.try_get::<_, Option<Any>>(column).map_err(|e| self.error(e))?.is_none())
            }
        }
    }
}

/// Whatever a cell of a server holds.
struct Any;

impl FromSql<'_> for Any {
    fn from_sql(_: &Type, _: &[u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl<T: Column> Column for Option<T> {
    fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
        if row.is_null(column)? { Ok(None) } else { T::read(row, column).map(Some) }
    }
}

macro_rules! column {
    ($kind:ty, $of_server:expr) => {
        impl Column for $kind {
            fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
                match row.cells {
                    Cells::Sqlite(cells) => cells.get(column).map_err(|e| row.error(e)),
                    Cells::Postgres(cells) => {
                        cells.try_get(column).map($of_server).map_err(|e| row.error(e))
                    }
                }
            }
        }
    };
}

column!(f64, |x| x);
column!(String, unescaped);
column!(Vec<u8>, |x| x);
column!(i64, |Number(n)| n);
column!(bool, |Number(n)| n != 0);

impl Column for u32 {
    fn read(row: &Row<'_>, column: usize) -> Result<Self, Error> {
        let number: i64 = row.get(column)?;
        Self::try_from(number).map_err(|e| row.error(e))
    }
}

/// A whole number of any width, or a yes or no, as a server sends it.
struct Number(i64);

impl FromSql<'_> for Number {
    fn from_sql(kind: &Type, bytes: &[u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(match *kind {
            Type::BOOL => bool::from_sql(kind, bytes)?.into(),
            Type::INT4 => i32::from_sql(kind, bytes)?.into(),
            _ => i64::from_sql(kind, bytes)?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8].contains(kind)
    }
}

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
