//! What programs fetch beside the pages: changes, addresses, badges, files.

mod atom;
mod badge;
mod export;
mod file;
mod sitemap;

use crate::route::Route;

/// All of them.
pub(crate) const FEEDS: &[&[Route]] =
    &[atom::ROUTES, badge::ROUTES, export::ROUTES, file::ROUTES, sitemap::ROUTES];
