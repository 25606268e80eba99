//! What attention is of, and what it gives.

use crate::ops::gemm::MatRef;
use crate::ops::lanes::LANES;

/// Keys of the longest sequence that goes [`super::whole`].
pub const WHOLE_KEYS_MAX: usize = 256;

/// Distance of the rows of scores: room for whole blocks, and not a power of two, so that rows fall
/// into different sets of the cache.
pub(super) const ROW: usize = WHOLE_KEYS_MAX + LANES;

/// Attention of one layer. `M` is a matrix of computed rows.
///
/// Query i and key j of a sequence are |i - j| apart. The keys of a prefix stand before those of
/// the sequence: they have no position, are seen by every query and have no bias.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, M = MatRef<'a>> {
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// What scores are multiplied by.
    pub scale: f32,
    /// A query sees the keys that are at most so far away; all without a window.
    pub window: Option<usize>,
    /// What places add to scores.
    pub bias: Bias<'a, M>,
}

/// What the distance j - i of key j and query i adds to their score.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, M = MatRef<'a>> {
    /// Nothing.
    None,
    /// A number of each head and distance, after scaling (MPNet; T5, Raffel et al. 2020).
    Distance {
        /// `[heads, 2 reach + 1]`, by distance from `-reach` on; distances beyond the reach are
        /// those at its ends.
        table: &'a [f32],
    },
    /// Two products with rows that depend on the distance, before scaling (DeBERTa, He et al. 2021,
    /// section 3.1).
    Disentangled {
        /// Keys of the positions, `[rows, heads * head_dim]`, that the queries meet ("content to
        /// position").
        c2p: Option<M>,
        /// Queries of the positions, of the same shape, that the keys meet ("position to content").
        p2c: Option<M>,
        /// The row of each distance, `[2 reach + 1]`, from `-reach` on; distances beyond the reach
        /// are those at its ends.
        rows: &'a [u16],
    },
}

/// Where gradients of [`Bias`] are added; what is not wanted is not computed.
#[derive(Debug, Default)]
pub enum BiasGradient<'a, M = RowsMut<'a>> {
    /// Nowhere.
    #[default]
    None,
    /// That of the table.
    Distance(&'a mut [f32]),
    /// Those of the keys and queries of the positions. Those of the sequence's own queries and keys
    /// never depend on what is wanted here.
    Disentangled {
        /// That of `c2p`.
        c2p: Option<M>,
        /// That of `p2c`.
        p2c: Option<M>,
    },
}

/// Rows of a matrix, to write.
#[derive(Debug)]
pub struct RowsMut<'a> {
    /// From the first element on.
    pub data: &'a mut [f32],
    /// Distance of the rows.
    pub stride: usize,
}

impl<'a, M> Attention<'a, M> {
    /// That of Vaswani et al.: scores are divided by the root of the head's width.
    pub fn plain(heads: usize, head_dim: usize) -> Self {
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { heads, head_dim, scale, window: None, bias: Bias::None }
    }

    /// The same with other matrices.
    pub fn map<N>(self, matrix: impl Fn(M) -> N) -> Attention<'a, N> {
        let Self { heads, head_dim, scale, window, bias } = self;
        let bias = match bias {
            Bias::None => Bias::None,
            Bias::Distance { table } => Bias::Distance { table },
            Bias::Disentangled { c2p, p2c, rows } => {
                Bias::Disentangled { c2p: c2p.map(&matrix), p2c: p2c.map(&matrix), rows }
            }
        };
        Attention { heads, head_dim, scale, window, bias }
    }

    /// Numbers that forward saves of a sequence for backward.
    pub fn saved(&self, queries: usize, keys: usize) -> usize {
        self.heads * queries * if self.is_tiled(keys) { 2 } else { keys }
    }

    /// Whether a sequence goes [`super::tiled`], not [`super::whole`]. Backward then reads what
    /// forward gave.
    pub fn is_tiled(&self, keys: usize) -> bool {
        keys > WHOLE_KEYS_MAX
    }

    /// The window, where it hides something.
    pub(super) fn narrow_window(&self, queries: usize) -> Option<usize> {
        self.window.filter(|&window| window < queries.saturating_sub(1))
    }

    /// The rows of one head.
    pub(super) fn head<'m>(
        &self,
        data: &'m [f32],
        head: usize,
        rows: usize,
        stride: usize,
    ) -> MatRef<'m> {
        MatRef::new(&data[head * self.head_dim..], rows, self.head_dim, stride)
    }
}

/// The shape of one sequence. Queries, keys and values are rows of matrices in which head `h` has
/// columns `h * head_dim..`.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of queries.
    pub queries: usize,
    /// Number of keys and values; those beyond the number of queries are a prefix.
    pub keys: usize,
    /// Distance of the rows of queries.
    pub query_stride: usize,
    /// Distance of the rows of keys and of values.
    pub key_stride: usize,
    /// Distance of the rows of the output.
    pub out_stride: usize,
}

impl Shape {
    /// Keys before those of the sequence.
    pub(super) fn prefix(&self) -> usize {
        assert!(self.keys >= self.queries, "{} keys for {} queries", self.keys, self.queries);
        self.keys - self.queries
    }
}

/// Where gradients are written, laid out as what they are of; that of the bias is added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Those of queries.
    pub q: &'a mut [f32],
    /// Those of keys.
    pub k: &'a mut [f32],
    /// Those of values.
    pub v: &'a mut [f32],
    /// That of the bias.
    pub bias: BiasGradient<'a>,
}
