//! A list of values as a parameter of a server's statement.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::value::Value;

/// Values of one kind, written as they will travel.
#[derive(Debug)]
pub(crate) struct List {
    kind: Type,
    count: i32,
    has_none: bool,
    /// Of each its length, or -1 for none, and its bytes.
    bytes: BytesMut,
}

impl List {
    pub(crate) fn of(kind: Type) -> Self {
        Self { kind, count: 0, has_none: false, bytes: BytesMut::new() }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, value: &Value<'_>) -> Result<(), Box<dyn Error + Sync + Send>> {
        let place = self.bytes.len();
        self.bytes.put_i32(-1);
        match value.to_sql(&self.kind, &mut self.bytes)? {
            IsNull::Yes => self.has_none = true,
            IsNull::No => {
                let length = i32::try_from(self.bytes.len() - place - 4)?;
                self.bytes[place..place + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
        self.count += 1;
        Ok(())
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl ToSql for List {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        const DIMENSIONS: i32 = 1;
        const FIRST: i32 = 1;
        out.put_i32(DIMENSIONS);
        out.put_i32(self.has_none.into());
        out.put_u32(self.kind.oid());
        out.put_i32(self.count);
        out.put_i32(FIRST);
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
