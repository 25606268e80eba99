//! What somebody may have meant.

/// The candidate that needs the fewest edits (Levenshtein).
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let distance = |candidate: &str| {
        let target: Vec<char> = candidate.chars().collect();
        let mut row: Vec<usize> = (0..=target.len()).collect();
        for (i, a) in name.chars().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in target.iter().enumerate() {
                let substitute = diagonal + usize::from(a != *b);
                diagonal = row[j + 1];
                row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[target.len()]
    };
    candidates.min_by_key(|c| distance(c)).unwrap_or_default().to_string()
}
