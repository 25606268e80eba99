//! What a tuning method is, for the table of methods.

use budwood_base::method::MethodPart;

use super::merging::Merge;
use super::options::{OptionSpec, Options};
use crate::builder::Builder;
use crate::error::ModelError;

/// A tuning method.
pub struct Method {
    /// Its name in specifications.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The year of its publication.
    pub year: i64,
    /// The address of the paper that it comes from; empty where there is none.
    pub url: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// One line on what it is and where it comes from.
    pub summary: &'static str,
    /// Its options with their defaults.
    pub options: &'static [OptionSpec],
    /// Small specifications of it, all that changes its arithmetic among them: every test of
    /// methods runs each of them on every family.
    pub examples: &'static [&'static str],
    /// Whether it trains the model's own products, whose weights must then be held in f32.
    pub needs_f32: bool,
    /// Puts its parameters and sites into an adapter.
    pub(crate) build: fn(&Options<'_>, &mut Builder<'_>) -> Result<(), ModelError>,
    /// How what it trained becomes weights of the model.
    pub(crate) merge: Merge,
}

impl Method {
    /// The options in force where a specification gives these.
    pub(crate) fn options(&self, part: &MethodPart) -> Result<Options<'_>, ModelError> {
        Options::new(self.name, self.options, part)
    }

    /// Why its adapters cannot be merged into a model's weights; `None` where they can, though an
    /// option may prevent it.
    pub fn cannot_merge(&self) -> Option<&'static str> {
        match self.merge {
            Merge::Beside(reason, _) => Some(reason),
            Merge::Weights(_) => None,
        }
    }
}

/// A union of methods with a name of its own.
pub struct Union {
    /// Its name in specifications.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The year of its publication.
    pub year: i64,
    /// The address of the paper that it comes from; empty where there is none.
    pub url: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// One line on what it is and where it comes from.
    pub summary: &'static str,
    /// What it stands for.
    pub members: &'static str,
    /// Small specifications of it, all that changes its arithmetic among them: every test of
    /// methods runs each of them on every family.
    pub examples: &'static [&'static str],
}
