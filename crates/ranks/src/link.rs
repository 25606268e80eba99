//! What ranks need of whatever connects them.

/// How ranks reach each other. All calls are made by all ranks, in the same order.
pub(crate) trait Link: Send + Sync {
    fn rank(&self) -> usize;
    fn size(&self) -> usize;
    /// What all ranks give, in their order; `counts` says how much that is of each.
    fn gather(&self, own: &[u8], counts: &[usize]) -> Vec<u8>;
    /// Gives numbers to a rank, which receives as many.
    fn send(&self, to: usize, numbers: &[f32]);
    fn receive(&self, from: usize, numbers: &mut [f32]);
    /// Gives the numbers of one rank to all.
    fn broadcast(&self, from: usize, numbers: &mut [f32]);
}
