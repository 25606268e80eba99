//! What programs fetch beside the pages: changes, addresses, badges, files.

pub(crate) mod atom;
pub(crate) mod badge;
pub(crate) mod export;
pub(crate) mod file;
pub(crate) mod sitemap;
