//! What stands between clients and the board.

pub(crate) mod forms;
pub(crate) mod headers;
pub(crate) mod lane;
pub(crate) mod rate;
pub(crate) mod shares;
pub(crate) mod slow;
pub(crate) mod turns;
