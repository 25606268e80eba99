//! What is shown of a task with classes.

use budwood_base::statistics::{Surest, surest};
use budwood_charts::{Axis, Chart, HeatMap, Point, Scale, Series};
use budwood_tasks::metric::classes::{Classes as Counted, confusion as counted};

use super::evaluated::{Classes, Part, columns, percent};
use crate::{Figure, Table};

/// Classes that a confusion matrix is drawn for.
const DRAWN: usize = 40;
/// Groups of probabilities.
const BINS: usize = 15;
/// Shares of the rows that coverage is shown for.
const STEPS: usize = 20;
/// Mistakes that are listed.
const MISTAKES: usize = 100;
/// Characters of a text in that list.
const TEXT: usize = 300;

impl Classes {
    /// The likeliest class of a row, and its probability.
    fn given(&self, row: usize) -> (u32, f32) {
        let all = (0u32..).zip(self.probabilities[row].iter().copied());
        all.fold((0, f32::NEG_INFINITY), |best, one| if one.1 > best.1 { one } else { best })
    }

    fn label(&self, class: u32) -> &str {
        self.labels.get(class as usize).map_or("", String::as_str)
    }

    /// The likeliest class of each row.
    fn all_given(&self) -> Vec<u32> {
        (0..self.right.len()).map(|row| self.given(row).0).collect()
    }

    /// Rows by right class, then by given class.
    fn confusion(&self) -> Option<Vec<Vec<u64>>> {
        counted(&self.all_given(), &self.right, self.labels.len())
    }
}

pub(super) fn by_class(classes: &Classes) -> Part {
    let of = Counted::of(&classes.all_given(), &classes.right, classes.labels.len(), 0);
    let row = |(c, label): (usize, &String)| {
        let [precision, recall, f1] = [of.precision(c), of.recall(c), of.f1(c)].map(percent);
        vec![label.clone(), precision, recall, f1, of.there(c).to_string()]
    };
    let table = Table {
        columns: columns(&["class", "precision", "recall", "F1", "rows"]),
        rows: classes.labels.iter().enumerate().map(row).collect(),
        caption: Vec::new(),
    };
    let note = "Precision: of the rows that were given the class, those that have it. Recall: of the \
        rows that have it, those that were given it. Undefined: there are no such rows.";
    Part { name: "classes", title: "Classes".into(), note: note.into(), table, figure: None }
}

/// Which class is taken for which; none where classes are too many.
pub(super) fn confusion(classes: &Classes) -> Option<Part> {
    let counts = classes.confusion()?;
    let mut names = vec!["right \\ given".to_string()];
    names.extend(classes.labels.iter().cloned());
    let row = |(label, counts): (&String, &Vec<u64>)| {
        [vec![label.clone()], counts.iter().map(ToString::to_string).collect()].concat()
    };
    let rows = classes.labels.iter().zip(&counts).map(row).collect();
    let table = Table { columns: names, rows, caption: Vec::new() };
    let figure = (classes.labels.len() <= DRAWN).then(|| {
        let short = |label: &String, most: usize| match label.chars().count() > most {
            true => label.chars().take(most - 1).chain(['…']).collect(),
            false => label.clone(),
        };
        let room = (560 / classes.labels.len().max(1) / 8).clamp(3, 8);
        let map = HeatMap {
            title: "Confusion".into(),
            caption: vec!["Rows of each right class by the class that they were given".into()],
            x_label: "given".into(),
            y_label: "right".into(),
            columns: classes.labels.iter().map(|l| short(l, room)).collect(),
            rows: classes.labels.iter().map(|l| short(l, 28)).collect(),
            digits: 0,
            values: counts.iter().map(|r| r.iter().map(|&n| Some(n as f64)).collect()).collect(),
        };
        Figure { name: "confusion".into(), svg: map.svg() }
    });
    let note = "Where one class is taken for another.";
    Some(Part { name: "confusion", title: "Confusion".into(), note: note.into(), table, figure })
}

/// A chart of shares over shares.
fn shares(title: &str, labels: (&str, &str), series: Vec<Series>) -> String {
    let axis = |label: &str| Axis { label: label.into(), scale: Scale::Linear };
    let (x, y) = (axis(labels.0), axis(labels.1));
    Chart { title: title.into(), caption: Vec::new(), x, y, series }.svg()
}

fn series(name: &str, points: Vec<(f64, f64, String)>, line: bool) -> Series {
    let point = |(x, y, note)| Point { x, y, low: None, high: None, note };
    let points = points.into_iter().map(point).collect();
    Series { name: name.into(), points, line, band: false }
}

pub(super) fn reliability(classes: &Classes) -> Part {
    let mut bins = [(0u64, 0.0, 0u64); BINS];
    for (row, &right) in classes.right.iter().enumerate() {
        let (given, p) = classes.given(row);
        let bin = ((f64::from(p) * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].0 += 1;
        bins[bin].1 += f64::from(p);
        bins[bin].2 += u64::from(given == right);
    }
    let n: u64 = bins.iter().map(|b| b.0).sum();
    let gap: f64 = bins.iter().map(|(_, sure, hits)| (sure - *hits as f64).abs()).sum();
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    for (i, (count, sure, hits)) in bins.iter().enumerate().filter(|(_, b)| b.0 > 0) {
        let (sure, hit) = (sure / *count as f64, *hits as f64 / *count as f64);
        let range = format!("{:.3} to {:.3}", i as f64 / BINS as f64, (i + 1) as f64 / BINS as f64);
        rows.push(vec![range, count.to_string(), percent(sure), percent(hit)]);
        points.push((sure, hit, format!("{count} rows: {} right", percent(hit))));
    }
    let ideal = vec![(0.0, 0.0, String::new()), (1.0, 1.0, String::new())];
    let svg = shares(
        "Reliability",
        ("probability of the answer", "share of right answers"),
        vec![series("as it should be", ideal, true), series("this adapter", points, true)],
    );
    let table = Table {
        columns: columns(&["probability", "rows", "mean probability", "right"]),
        rows,
        caption: Vec::new(),
    };
    let note = format!(
        "How often answers of a probability are right. Expected calibration error: {}.",
        percent(gap / n.max(1) as f64)
    );
    let figure = Some(Figure { name: "reliability".into(), svg });
    Part { name: "reliability", title: "Reliability".into(), note, table, figure }
}

pub(super) fn coverage(classes: &Classes) -> Part {
    let n = classes.right.len();
    let row = |row: usize| {
        let (given, p) = classes.given(row);
        (p, given == classes.right[row])
    };
    let steps = (1..=STEPS).map(|step| (n * step).div_ceil(STEPS));
    let (mut lines, mut points) = (Vec::new(), Vec::new());
    for Surest { given, least, right } in surest((0..n).map(row).collect(), steps) {
        let (share, accuracy) = (given as f64 / n as f64, right as f64 / given as f64);
        lines.push(vec![percent(share), format!("{least:.3}"), percent(accuracy)]);
        points.push((share, accuracy, format!("probability from {least:.3}")));
    }
    let svg = shares(
        "Accuracy over coverage",
        ("share of rows that are answered, the surest first", "accuracy"),
        vec![series("this adapter", points, true)],
    );
    let table = Table {
        columns: columns(&["answered", "probability from", "accuracy"]),
        rows: lines,
        caption: Vec::new(),
    };
    let note = "What is gained by leaving unsure rows to people: `budwood predict --abstain-below \
        P` gives none where the probability is below P.";
    let figure = Some(Figure { name: "coverage".into(), svg });
    Part { name: "coverage", title: "Coverage".into(), note: note.into(), table, figure }
}

pub(super) fn mistakes(classes: &Classes, texts: &[String]) -> Part {
    let wrong = |row: usize| {
        let (given, p) = classes.given(row);
        (given != classes.right[row]).then_some((row, given, p))
    };
    let mut all: Vec<(usize, u32, f32)> = (0..classes.right.len()).filter_map(wrong).collect();
    all.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    let found = all.len();
    all.truncate(MISTAKES);
    let line = |&(row, given, p): &(usize, u32, f32)| {
        let text = texts.get(row).map_or("", String::as_str);
        let short: String = text.chars().take(TEXT).collect();
        let own = classes.probabilities[row].get(classes.right[row] as usize);
        vec![
            (row + 1).to_string(),
            short,
            classes.label(classes.right[row]).to_string(),
            classes.label(given).to_string(),
            format!("{p:.3}"),
            own.map_or(String::new(), |p| format!("{p:.3}")),
        ]
    };
    let table = Table {
        columns: columns(&["row", "input", "label", "given", "probability", "of the label"]),
        rows: all.iter().map(line).collect(),
        caption: Vec::new(),
    };
    let note = format!(
        "{found} of {} rows are answered otherwise than their labels say; here the {} of which the \
         adapter is surest. Look at their labels first: many may be wrong.",
        classes.right.len(),
        all.len()
    );
    let title = "Surest mistakes".into();
    Part { name: "mistakes", title, note, table, figure: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Classes {
        Classes {
            labels: vec!["a".into(), "b".into()],
            right: vec![0, 0, 1, 1],
            probabilities: vec![vec![0.9, 0.1], vec![0.2, 0.8], vec![0.4, 0.6], vec![0.7, 0.3]],
        }
    }

    #[test]
    fn numbers_are_those_counted_by_hand() {
        let classes = three();
        assert_eq!(classes.confusion().unwrap(), [[1, 1], [1, 1]]);
        let part = by_class(&classes);
        assert_eq!(part.table.rows[0], ["a", "50.0 %", "50.0 %", "50.0 %", "2"]);
        let part = mistakes(&classes, &["w".into(), "x".into(), "y".into(), "z".into()]);
        assert_eq!(part.table.rows[0], ["2", "x", "a", "b", "0.800", "0.200"]);
        assert_eq!(part.table.rows[1][0], "4");
        // The surest is right, then one wrong: 100 %, 50 %, 1 of 3, 2 of 4.
        let part = coverage(&classes);
        assert_eq!(part.table.rows[1], ["50.0 %", "0.800", "50.0 %"]);
        assert_eq!(part.table.rows[3], ["100.0 %", "0.600", "50.0 %"]);
        // Rows that nothing tells apart are answered together, whatever their order.
        let same = Classes { probabilities: vec![vec![0.6, 0.4]; 4], ..three() };
        assert_eq!(coverage(&same).table.rows, [["100.0 %", "0.600", "50.0 %"]]);
        // |0.9 - 1|, |0.8 - 0|, |0.6 - 1| and |0.7 - 0| in groups of their own.
        let part = reliability(&classes);
        assert!(part.note.contains("50.0 %"), "{}", part.note);
    }

    #[test]
    fn a_class_without_rows_is_undefined() {
        let classes = Classes { labels: vec!["a".into(), "b".into(), "c".into()], ..three() };
        let part = by_class(&classes);
        assert_eq!(part.table.rows[2], ["c", "undefined", "undefined", "undefined", "0"]);
        assert!(confusion(&classes).unwrap().figure.is_some());
    }
}
