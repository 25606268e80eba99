//! Lines of comments and pages that are too wide to read.

use std::fs;
use std::path::Path;

use crate::files;

/// Columns of a line.
const WIDEST: usize = 100;

/// Every line of a comment or of a page that is too long.
pub(crate) fn long_lines(root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files::below(root, &["rs", "md"]) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let is_page = file.extension().is_some_and(|e| e == "md");
        let lines = if is_page { page(&text) } else { comments(&text) };
        let name = file.strip_prefix(root).unwrap_or(&file).display();
        faults.extend(lines.iter().map(|(line, n)| format!("{name}:{line}: {n} columns")));
    }
    faults
}

/// Tables may be wider.
fn comments(text: &str) -> Vec<(usize, usize)> {
    let is_prose = |line: &str| {
        let comment = line.trim_start().strip_prefix("//");
        comment.is_some_and(|c| !c.trim_start_matches(['/', '!', ' ']).starts_with('|'))
    };
    numbered(text).filter(|(_, line)| is_prose(line)).filter_map(long).collect()
}

/// Tables and blocks of code may be wider, and so may a line that is one address.
fn page(text: &str) -> Vec<(usize, usize)> {
    let mut in_code = false;
    let is_prose = |line: &str| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        !(in_code || line.starts_with('|') || !line.trim().contains(' '))
    };
    let mut is_prose = is_prose;
    numbered(text).filter(|(_, line)| is_prose(line)).filter_map(long).collect()
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn long((number, line): (usize, &str)) -> Option<(usize, usize)> {
    let columns = line.chars().count();
    (columns > WIDEST).then_some((number, columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_prose_counts() {
        let long = "x ".repeat(60);
        let text = format!("// {long}\nlet a = 1; {long}\n    //! | {long} |");
        assert_eq!(comments(&text), [(1, 123)]);
        let text = format!("{long}\n| {long} |\n```\n{long}\n```\n{}\n", "x".repeat(200));
        assert_eq!(page(&text), [(1, 120)]);
    }
}
