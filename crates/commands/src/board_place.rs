//! The boards that commands are given.

use std::ffi::OsStr;

use budwood_board::Place;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// Reads the place of a board. What is wrong with it is said without repeating it, as it may hold a
/// password.
#[derive(Clone)]
pub(crate) struct BoardPlace;

impl TypedValueParser for BoardPlace {
    type Value = Place;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Place, clap::Error> {
        Place::parse(value).map_err(|error| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(command)
        })
    }
}
