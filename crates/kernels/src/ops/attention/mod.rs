//! Scaled dot-product attention of one sequence: softmax(scale (Q Kᵀ + bias)) V for each head.
//! Vaswani et al. 2017, section 3.2.
//!
//! With h heads of width w, S_q queries and S_k keys, a head needs its probabilities
//! P `[S_q, S_k]` once in forward, and P and their gradient once in backward. There are two ways:
//!
//! | | [`whole`] | [`tiled`] |
//! |---|---|---|
//! | for | at most 256 keys | all else |
//! | saved for backward | P before dropout, `[h, S_q, S_k]` | two numbers a row, `[2, h, S_q]` |
//! | forward holds of P | 84 rows | a tile of 84 x 256 |
//! | backward | reads P | makes P again from maximum and inverse sum of each row |
//!
//! The second needs memory that grows with the length and not with its square (Rabe and Staats
//! 2021; Dao et al. 2022, algorithms 1 and 4); for short sequences the first has less to do. There
//! a window hides scores; in tiles it is cut out of their range, so that work grows with length x
//! window.
//!
//! A tile's bounds depend on places within the sequence alone, and so does the order of all sums: a
//! row does not depend on what else is in the batch. Dropout's element (head, i, j) has the place
//! `start + (head * S_q + i) * S_k + j` in both ways.
//!
//! Numbers that are not finite make the rows that see them not finite. Those of a query concern its
//! row alone.

mod description;
mod scores;
mod softmax;
pub mod tiled;
pub mod whole;

pub use description::{Attention, Bias, BiasGradient, Gradients, RowsMut, Shape, WHOLE_KEYS_MAX};
pub use softmax::softmax_rows;
