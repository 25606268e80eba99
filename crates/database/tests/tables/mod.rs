//! The tables of these tests, and where they are.

use std::ffi::OsStr;

use budwood_database::{Address, Kind, Schema, Tables};

pub(crate) static SCHEMA: Kind = Kind {
    schema: Schema {
        name: "budwood_test",
        what: "a test",
        remedy: "give another",
        application: 77,
        sqlite: Tables { new: "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT);", steps: &[] },
        postgres: Tables { new: "CREATE TABLE t (id BIGINT PRIMARY KEY, word TEXT);", steps: &[] },
    },
    migrated: |_| Ok(()),
};

pub(crate) fn address(text: &str) -> Address {
    Address::parse(OsStr::new(text)).unwrap()
}
