//! Which examples stand in which batch.

use budwood_base::random::Key;
use serde::{Deserialize, Serialize};

/// How large a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchSize {
    /// So many examples.
    Examples(usize),
    /// As many examples as fit into so many tokens, at least one.
    Tokens(usize),
}

/// Batches of one epoch of training: examples in random order, those of like length together,
/// batches in random order. `lengths` are the tokens of each example.
pub fn training(lengths: &[usize], size: BatchSize, key: Key, drop_last: bool) -> Vec<Vec<usize>> {
    let order = key.named("order").permutation(lengths.len());
    // Like lengths are sought among fifty batches, so that an epoch stays random as a whole.
    let window = 50
        * match size {
            BatchSize::Examples(n) => n,
            BatchSize::Tokens(n) => {
                let mean = lengths.iter().sum::<usize>() / lengths.len().max(1);
                (n / mean.max(1)).max(1)
            }
        };
    let mut batches = Vec::new();
    for part in order.chunks(window.max(1)) {
        let mut part = part.to_vec();
        part.sort_by_key(|&i| lengths[i]);
        batches.extend(cut(&part, lengths, size));
    }
    if drop_last && let BatchSize::Examples(n) = size {
        batches.retain(|b| b.len() == n);
    }
    let order = key.named("batches").permutation(batches.len());
    order.into_iter().map(|i| std::mem::take(&mut batches[i])).collect()
}

/// Batches for evaluation: all examples, longest first, so that memory is asked for once.
pub fn evaluation(lengths: &[usize], size: BatchSize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    cut(&order, lengths, size)
}

fn cut(order: &[usize], lengths: &[usize], size: BatchSize) -> Vec<Vec<usize>> {
    match size {
        BatchSize::Examples(n) => order.chunks(n.max(1)).map(<[usize]>::to_vec).collect(),
        BatchSize::Tokens(n) => {
            let (mut batches, mut batch, mut tokens) = (Vec::new(), Vec::new(), 0);
            for &i in order {
                if !batch.is_empty() && tokens + lengths[i] > n {
                    batches.push(std::mem::take(&mut batch));
                    tokens = 0;
                }
                batch.push(i);
                tokens += lengths[i];
            }
            if !batch.is_empty() {
                batches.push(batch);
            }
            batches
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_one_batch() {
        let lengths: Vec<usize> = (0..1003).map(|i| 5 + i * 7 % 40).collect();
        for size in [BatchSize::Examples(32), BatchSize::Tokens(512)] {
            let plan = training(&lengths, size, Key::new(1), false);
            let mut all = plan.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..1003));
            assert_eq!(plan, training(&lengths, size, Key::new(1), false));
            assert_ne!(plan, training(&lengths, size, Key::new(2), false));
            if let BatchSize::Tokens(n) = size {
                assert!(plan.iter().all(|b| b.iter().map(|&i| lengths[i]).sum::<usize>() <= n));
            }
            assert_eq!(evaluation(&lengths, size).concat().len(), 1003);
        }
        let dropped = training(&lengths, BatchSize::Examples(32), Key::new(1), true);
        assert!(dropped.iter().all(|b| b.len() == 32) && dropped.len() == 31);
    }

    #[test]
    fn lengths_are_alike_within_a_batch() {
        let lengths: Vec<usize> = (0..3200).map(|i| 5 + i * 7 % 100).collect();
        let plan = training(&lengths, BatchSize::Examples(32), Key::new(1), false);
        let waste: usize = plan
            .iter()
            .map(|b| {
                let longest = b.iter().map(|&i| lengths[i]).max().unwrap_or(0);
                b.iter().map(|&i| longest - lengths[i]).sum::<usize>()
            })
            .sum();
        assert!(waste * 20 < lengths.iter().sum::<usize>(), "{waste}");
    }
}
