//! Ranks, with ties as ties, and the line of the state of the art.

use crate::direction::Direction;

/// What is ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// The value; without one there is no rank.
    pub value: Option<f64>,
    /// 95 % interval, where it is known.
    pub interval: Option<(f64, f64)>,
    /// Days since 1970.
    pub day: Option<i64>,
    /// Whether it takes part.
    pub counts: bool,
}

impl Standing {
    /// Whether it is better than `other` by more than chance, as far as that is known: where both
    /// intervals are known they must not meet.
    fn beats(&self, other: &Self, direction: Direction) -> bool {
        let (Some(a), Some(b)) = (self.value, other.value) else { return false };
        if !direction.better(a, b) {
            return false;
        }
        match (self.interval, other.interval) {
            (Some((low, high)), Some((other_low, other_high))) => match direction {
                Direction::Higher => low > other_high,
                Direction::Lower => high < other_low,
            },
            _ => true,
        }
    }
}

/// The rank of each: 1 and the number of those that beat it, so that ties share a rank. None for
/// those that do not take part.
pub fn ranks(standings: &[Standing], direction: Direction) -> Vec<Option<u32>> {
    let mut order: Vec<usize> = (0..standings.len())
        .filter(|&i| standings[i].counts && standings[i].value.is_some())
        .collect();
    let value = |i: usize| standings[i].value.unwrap_or_default();
    order.sort_by(|&a, &b| match direction {
        Direction::Higher => value(b).total_cmp(&value(a)),
        Direction::Lower => value(a).total_cmp(&value(b)),
    });
    let mut ranks = vec![None; standings.len()];
    for (at, &i) in order.iter().enumerate() {
        // Only what stands before can beat it; without an interval that is everything with another
        // value.
        let beaten_by = if standings[i].interval.is_none() {
            order[..at].partition_point(|&j| direction.better(value(j), value(i)))
        } else {
            order[..at].iter().filter(|&&j| standings[j].beats(&standings[i], direction)).count()
        };
        ranks[i] = u32::try_from(beaten_by + 1).ok();
    }
    ranks
}

/// Who held the state of the art, by date: each is better than all before. Undated ones are left
/// out; of one day the best counts.
pub fn line(standings: &[Standing], direction: Direction) -> Vec<usize> {
    let mut dated: Vec<(i64, f64, usize)> = standings
        .iter()
        .enumerate()
        .filter(|(_, s)| s.counts)
        .filter_map(|(i, s)| Some((s.day?, s.value?, i)))
        .collect();
    dated.sort_by(|a, b| {
        let by_value = match direction {
            Direction::Higher => b.1.total_cmp(&a.1),
            Direction::Lower => a.1.total_cmp(&b.1),
        };
        a.0.cmp(&b.0).then(by_value).then(a.2.cmp(&b.2))
    });
    let mut best = None;
    let mut steps = Vec::new();
    for (_, value, i) in dated {
        if best.is_none_or(|b| direction.better(value, b)) {
            best = Some(value);
            steps.push(i);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Higher, Lower};

    fn standing(value: f64) -> Standing {
        Standing { value: Some(value), counts: true, ..Standing::default() }
    }

    #[test]
    fn equal_values_share_a_rank() {
        let all = [90.0, 95.0, 95.0, 80.0].map(standing);
        assert_eq!(ranks(&all, Higher), [Some(3), Some(1), Some(1), Some(4)]);
        assert_eq!(ranks(&all, Lower), [Some(2), Some(3), Some(3), Some(1)]);
    }

    #[test]
    fn intervals_that_meet_are_ties() {
        let with = |value: f64, half: f64| Standing {
            interval: Some((value - half, value + half)),
            ..standing(value)
        };
        let all = [with(90.0, 1.0), with(89.0, 1.0), with(80.0, 1.0), standing(85.0)];
        assert_eq!(ranks(&all, Higher), [Some(1), Some(1), Some(4), Some(3)]);
        // Ends that touch meet, whichever values are better.
        let touching = [with(90.0, 1.0), with(88.0, 1.0)];
        assert_eq!(ranks(&touching, Higher), [Some(1), Some(1)]);
        assert_eq!(ranks(&touching, Lower), [Some(1), Some(1)]);
        let absent = Standing { counts: false, ..standing(99.0) };
        assert_eq!(
            ranks(&[absent, standing(1.0), Standing::default()], Higher),
            [None, Some(1), None]
        );
    }

    #[test]
    fn the_line_goes_one_way() {
        let at = |day: i64, value: f64| Standing { day: Some(day), ..standing(value) };
        let all = [at(3, 7.0), at(1, 9.0), at(2, 9.5), at(4, 6.0), standing(1.0), at(4, 5.0)];
        assert_eq!(line(&all, Lower), [1, 0, 5]);
        assert_eq!(line(&all, Higher), [1, 2]);
    }
}
