//! What stands between clients and the board.

pub(crate) mod forms;
pub(crate) mod handles;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod house;
pub(crate) mod lane;
pub(crate) mod paced;
pub(crate) mod rate;
pub(crate) mod shares;
pub(crate) mod slow;
pub(crate) mod turns;
