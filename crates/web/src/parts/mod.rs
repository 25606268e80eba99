//! Pieces that several pages show.

pub(crate) mod chart;
pub(crate) mod leaderboards;
pub(crate) mod link;
pub(crate) mod mark;
pub(crate) mod markdown;
pub(crate) mod number;
pub(crate) mod pager;
pub(crate) mod papers;
pub(crate) mod sparkline;
pub(crate) mod time;
