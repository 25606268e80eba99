//! A leaderboard to take away.

use budwood_board::Board;

use crate::ask::Ask;
use crate::fault::Fault;
use crate::reply::Reply;
