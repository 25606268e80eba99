//! Distances between tokens: which bucket each falls into, and tables of numbers by bucket as
//! tables by distance.
//!
//! A distance is the key's place less the query's. Tables by distance hold those from `-reach` to
//! `reach`; farther ones count as these.

/// Distances that have rows of disentangled attention at most.
pub const DISTANCES_MOST: usize = 1 << 20;

/// The bucket of each distance from `-reach` to `reach`, as in T5 and MPNet: one half of the
/// buckets is for keys behind the query; half of each half is for one distance each, the others
/// grow with the logarithm.
pub fn bias_buckets(buckets: usize, reach: usize) -> Vec<u16> {
    let (half, exact) = (buckets / 2, buckets / 4);
    let bucket = |distance: usize| {
        if distance < exact {
            return distance;
        }
        // In 32 bits, as there: where the logarithm is near a whole number, rounding decides.
        let far = (distance as f32 / exact as f32).ln();
        let most = (reach as f64 / exact as f64).ln() as f32;
        (exact + (far / most * (half - exact) as f32) as usize).min(half - 1)
    };
    let before = (1..=reach).rev().map(bucket);
    let behind = (1..=reach).map(|distance| half + bucket(distance));
    before.chain([0]).chain(behind).map(|bucket| bucket as u16).collect()
}

/// `[heads, distances]` from a table `[buckets, heads]`.
pub(crate) fn by_distance(table: &[f32], heads: usize, buckets: &[u16]) -> Vec<f32> {
    let head = |head: usize| buckets.iter().map(move |&b| table[b as usize * heads + head]);
    (0..heads).flat_map(head).collect()
}

/// Adds the gradient of [`by_distance`]'s table.
pub(crate) fn by_distance_backward(d: &[f32], heads: usize, buckets: &[u16], d_table: &mut [f32]) {
    for (head, row) in d.chunks(buckets.len()).enumerate() {
        for (d, &bucket) in row.iter().zip(buckets) {
            d_table[bucket as usize * heads + head] += d;
        }
    }
}

/// The row of a table `[2 span, ...]` for each distance from `-n` to `n` of disentangled attention,
/// where `n` is the smallest distance from which on rows stay, at most `most`. With `reach`, the
/// rows of distances beyond half of a side's grow with the logarithm up to that distance.
pub fn disentangled_rows(span: usize, reach: Option<usize>, most: usize) -> Vec<u16> {
    let bucket = |distance: usize| -> usize {
        let middle = span / 2;
        match reach {
            Some(reach) if distance > middle => {
                let part = |n: usize| (n as f32 / middle as f32).ln();
                let far = part(distance) / part(reach - 1) * (middle - 1) as f32;
                far.ceil() as usize + middle
            }
            _ => distance,
        }
    };
    // There, distances are the query's place less the key's.
    let behind = |distance: usize| span.saturating_sub(bucket(distance));
    let before = |distance: usize| (span + bucket(distance)).min(2 * span - 1);
    let stays = |&n: &usize| behind(n) == 0 && before(n) == 2 * span - 1;
    let n = (1..most).find(stays).unwrap_or(most);
    let rows = (1..=n).rev().map(before).chain([span]).chain((1..=n).map(behind));
    rows.map(|row| row as u16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of one bucket, as `MPNetEncoder.relative_position_bucket` of `transformers` 4.57.6
    /// gives them for 32 buckets and 128 places.
    #[test]
    fn buckets_of_biases_are_those_of_mpnet() {
        let buckets = bias_buckets(32, 128);
        let first = |bucket: u16| buckets.iter().position(|&b| b == bucket).unwrap() as i64 - 128;
        let behind: Vec<i64> = (17..32).map(first).collect();
        assert_eq!(behind, [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]);
        assert_eq!((buckets[128], buckets[127], buckets[0], buckets[256]), (0, 1, 15, 31));
    }

    /// As `make_log_bucket_position` and what `DisentangledSelfAttention` makes of it, at the sizes
    /// of DeBERTa-v3.
    #[test]
    fn rows_of_disentangled_attention_are_those_of_deberta() {
        let rows = disentangled_rows(256, Some(512), 4096);
        let n = (rows.len() / 2) as i64;
        let row = |distance: i64| rows[(distance + n) as usize];
        // Distances here are the key's place less the query's.
        assert_eq!((row(0), row(1), row(-1), row(127), row(-128)), (256, 255, 257, 129, 384));
        assert_eq!((row(129), row(-129), row(-511), row(511), row(512)), (127, 385, 511, 1, 0));
        // Where each distance has a row, they stay from the span on.
        assert_eq!(disentangled_rows(3, None, 100), [5, 5, 4, 3, 2, 1, 0]);
    }
}
