//! What stands between clients and the board.

pub(crate) mod forms;
pub(crate) mod headers;
pub(crate) mod rate;
