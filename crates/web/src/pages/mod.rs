//! The pages: one file each, plain functions from a board and a question to a reply.

mod about;
mod compare;
mod dataset;
mod log;
mod method;
mod paper;
mod result;
mod search;
pub(crate) mod sota;
mod start;
pub(crate) mod submit;
mod task;
mod theme;

use crate::route::Route;

/// All pages. Those with a name stand in the navigation, in this order.
pub(crate) const PAGES: &[&[Route]] = &[
    start::ROUTES,
    task::ROUTES,
    dataset::ROUTES,
    paper::ROUTES,
    method::ROUTES,
    log::ROUTES,
    submit::ROUTES,
    about::ROUTES,
    compare::ROUTES,
    result::ROUTES,
    search::ROUTES,
    sota::ROUTES,
    theme::ROUTES,
];
