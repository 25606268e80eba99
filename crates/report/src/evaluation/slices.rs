//! Scores by length, and by columns of the data.

use std::collections::BTreeMap;

use super::bootstrap::intervals;
use super::evaluated::{Evaluated, Part, columns, number};
use crate::Table;

/// Groups of one column that are shown, the largest first.
const GROUPS: usize = 30;
/// Groups of lengths, of about equal size.
const LENGTHS: usize = 4;

/// Rows by the value of a column.
fn groups(name: &str, values: &[String]) -> Vec<(String, Vec<usize>)> {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, value) in values.iter().enumerate() {
        found.entry(value).or_default().push(row);
    }
    let mut all: Vec<_> =
        found.into_iter().map(|(value, rows)| (format!("{name} = {value}"), rows)).collect();
    all.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then(a.0.cmp(&b.0)));
    all.truncate(GROUPS);
    all
}

/// Rows by their lengths.
fn by_length(tokens: &[usize]) -> Vec<(String, Vec<usize>)> {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    let mut ends: Vec<usize> = (1..=LENGTHS)
        .filter_map(|i| sorted.get((sorted.len() * i / LENGTHS).max(1) - 1).copied())
        .collect();
    ends.dedup();
    let mut from = 0;
    let mut all = Vec::new();
    for end in ends {
        let rows: Vec<usize> =
            (0..tokens.len()).filter(|&r| (from..=end).contains(&tokens[r])).collect();
        let first = rows.iter().map(|&r| tokens[r]).min().unwrap_or(0);
        let name =
            if first == end { format!("{end} tokens") } else { format!("{first} to {end} tokens") };
        all.push((name, rows));
        from = end + 1;
    }
    all
}

pub(super) fn part(evaluated: &Evaluated<'_>) -> Option<Part> {
    let mut all = by_length(&evaluated.tokens);
    for (name, values) in &evaluated.slices {
        all.extend(groups(name, values));
    }
    if all.is_empty() {
        return None;
    }
    let line = |(name, rows): &(String, Vec<usize>)| {
        let own = |chosen: &[usize]| {
            let places: Vec<usize> = chosen.iter().map(|&i| rows[i]).collect();
            let mut scores = (evaluated.scores)(&places);
            scores.retain(|(name, _)| *name == evaluated.metric);
            scores
        };
        let found = intervals(rows.len(), &own);
        let (value, low, high) =
            found.first().map_or((f64::NAN, f64::NAN, f64::NAN), |i| (i.value, i.low, i.high));
        vec![name.clone(), rows.len().to_string(), number(value), number(low), number(high)]
    };
    let table = Table {
        columns: columns(&["rows", "number", &evaluated.metric, "95 % from", "to"]),
        rows: all.iter().map(line).collect(),
        caption: Vec::new(),
    };
    let note = "The score of parts of the rows. Parts with few rows have wide intervals: what lies \
        within them says nothing.";
    Some(Part { name: "slices", title: "Parts".into(), note: note.into(), table, figure: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_group_of_lengths() {
        for tokens in [vec![3; 5], vec![1, 2, 3], (0..100).collect(), vec![5, 5, 5, 9], vec![7]] {
            let groups = by_length(&tokens);
            let mut rows: Vec<usize> = groups.iter().flat_map(|(_, r)| r.clone()).collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..tokens.len()).collect::<Vec<_>>(), "{tokens:?}");
        }
        assert!(by_length(&[]).is_empty());
    }

    #[test]
    fn groups_of_a_column_are_the_largest_first() {
        let values: Vec<String> = ["x", "y", "y", "x", "y"].map(String::from).to_vec();
        let found = groups("from", &values);
        assert_eq!(found[0], ("from = y".to_string(), vec![1, 2, 4]));
        assert_eq!(found[1], ("from = x".to_string(), vec![0, 3]));
    }
}
