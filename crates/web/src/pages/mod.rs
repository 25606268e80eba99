//! The pages: one file each, a plain function from a board and a question to a reply.

pub(crate) mod about;
pub(crate) mod compare;
pub(crate) mod dataset;
pub(crate) mod log;
pub(crate) mod method;
pub(crate) mod paper;
pub(crate) mod result;
pub(crate) mod search;
pub(crate) mod sota;
pub(crate) mod start;
pub(crate) mod submit;
pub(crate) mod task;
