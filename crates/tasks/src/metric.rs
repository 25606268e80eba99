//! Scores of answers. Definitions as in scikit-learn and SciPy, degenerate cases included; those of
//! answers in a text and of entities have files of their own.

pub mod entities;
pub mod squad;

/// A score by name.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Kind of task that it fits.
    pub kind: &'static str,
    /// One line on what it is.
    pub summary: &'static str,
}

/// Metrics that are errors in the unit of the numbers: smaller is better, and they are no shares.
pub const ERRORS: &[&str] = &["rmse", "mae"];

/// Whether a score of that name is better than another.
pub fn is_better(name: &str, score: f64, than: f64) -> bool {
    if ERRORS.contains(&name) { score < than } else { score > than }
}

/// Why a score of that name is not a number: its definition divides by 0.
pub fn why_undefined(name: &str) -> &'static str {
    match name {
        "f1" | "macro_f1" | "micro_f1" => {
            "nothing of what is counted is there, nor was it answered"
        }
        "matthews" => "all answers are one class, or all rows are",
        "spearman" | "pearson" => "all answers are one number, or all rows are",
        "precision" => "none was answered",
        "recall" => "there is none",
        _ => "there is no such row",
    }
}

/// All metrics. A score that its definition leaves undefined is not a number.
pub const METRICS: &[Metric] = &[
    Metric { name: "accuracy", kind: "classification", summary: "share of right answers" },
    Metric { name: "f1", kind: "classification", summary: "F1 of the positive class, of two" },
    Metric { name: "macro_f1", kind: "classification", summary: "mean of all classes' F1" },
    Metric {
        name: "matthews",
        kind: "classification",
        summary: "Matthews' correlation coefficient",
    },
    Metric { name: "accuracy", kind: "image-classification", summary: "share of right answers" },
    Metric {
        name: "top5",
        kind: "image-classification",
        summary: "share of images whose class is among the five most likely",
    },
    Metric {
        name: "mean_class_accuracy",
        kind: "image-classification",
        summary: "mean over the classes of the share of right answers",
    },
    Metric { name: "macro_f1", kind: "image-classification", summary: "mean of all classes' F1" },
    Metric { name: "micro_f1", kind: "multilabel", summary: "F1 over all labels of all examples" },
    Metric { name: "macro_f1", kind: "multilabel", summary: "mean of all labels' F1" },
    Metric {
        name: "exact_match",
        kind: "multilabel",
        summary: "share of examples with all labels right",
    },
    Metric { name: "f1", kind: "question-answering", summary: "shared words, best right answer" },
    Metric {
        name: "exact_match",
        kind: "question-answering",
        summary: "share of questions answered exactly",
    },
    Metric { name: "f1", kind: "token-classification", summary: "F1 over all entities" },
    Metric {
        name: "precision",
        kind: "token-classification",
        summary: "share of found entities that are right",
    },
    Metric {
        name: "recall",
        kind: "token-classification",
        summary: "share of entities that were found",
    },
    Metric { name: "accuracy", kind: "token-classification", summary: "share of right words" },
    Metric { name: "spearman", kind: "regression", summary: "rank correlation" },
    Metric { name: "pearson", kind: "regression", summary: "linear correlation" },
    Metric {
        name: "rmse",
        kind: "regression",
        summary: "root of the mean squared error, in the unit of the numbers",
    },
    Metric {
        name: "mae",
        kind: "regression",
        summary: "mean absolute error, in the unit of the numbers",
    },
];

/// The metric that GLUE uses first for one of its tasks, else the kind's first.
pub fn default_metric(task: &str, kind: &str) -> &'static str {
    match (task, kind) {
        ("cola", _) => "matthews",
        ("mrpc" | "qqp", _) => "f1",
        (_, "regression") => "spearman",
        (_, "multilabel") => "micro_f1",
        (_, "question-answering" | "token-classification") => "f1",
        _ => "accuracy",
    }
}

/// All classification scores of predicted classes: `(name, value)`. `f1` only for two classes, of
/// the `positive` one.
///
/// # Panics
/// If the lengths differ or a class is not below `classes`.
pub fn classification(
    predicted: &[u32],
    expected: &[u32],
    classes: usize,
    positive: usize,
) -> Vec<(&'static str, f64)> {
    let confusion = confusion(predicted, expected, classes);
    let mut scores = vec![
        ("accuracy", accuracy(&confusion)),
        ("macro_f1", macro_f1(&confusion)),
        ("matthews", matthews(&confusion)),
    ];
    if classes == 2 {
        scores.push(("f1", class_f1(&confusion, positive)));
    }
    scores
}

/// All image classification scores of the outputs for each class: `(name, value)`.
///
/// # Panics
/// If the lengths differ or a class is not below the number of outputs.
pub fn image_classification(outputs: &[Vec<f32>], expected: &[u32]) -> Vec<(&'static str, f64)> {
    let classes = outputs.first().map_or(0, Vec::len);
    let first = |row: &Vec<f32>| (0..classes).find(|&c| rank(row, c) == 0).unwrap_or(0) as u32;
    let predicted: Vec<u32> = outputs.iter().map(first).collect();
    let confusion = confusion(&predicted, expected, classes);
    vec![
        ("accuracy", accuracy(&confusion)),
        ("top5", top_k(outputs, expected, 5)),
        ("mean_class_accuracy", mean_class_accuracy(&confusion)),
        ("macro_f1", macro_f1(&confusion)),
    ]
}

/// Share of the examples whose class has one of the `k` largest outputs; of equal ones the first
/// counts as larger.
///
/// # Panics
/// If the lengths differ or a class is not below the number of outputs.
pub fn top_k(outputs: &[Vec<f32>], expected: &[u32], k: usize) -> f64 {
    assert_eq!(outputs.len(), expected.len());
    let hits = outputs.iter().zip(expected).filter(|(row, e)| rank(row, **e as usize) < k).count();
    ratio(hits as f64, outputs.len() as f64)
}

/// Classes that come before one in the order of their outputs.
fn rank(row: &[f32], class: usize) -> usize {
    let before = |(c, x): (usize, &f32)| *x > row[class] || (*x == row[class] && c < class);
    row.iter().enumerate().filter(|&(c, x)| before((c, x))).count()
}

/// The mean recall of the classes that occur among the expected: scikit-learn's balanced accuracy.
fn mean_class_accuracy(confusion: &[Vec<u64>]) -> f64 {
    let there = |row: &[u64]| row.iter().sum::<u64>();
    let recall = |(c, row): (usize, &Vec<u64>)| row[c] as f64 / there(row) as f64;
    let occur = confusion.iter().enumerate().filter(|(_, row)| there(row) > 0);
    let recalls: Vec<f64> = occur.map(recall).collect();
    ratio(recalls.iter().sum(), recalls.len() as f64)
}

/// A ratio; not a number where there is nothing to divide by.
fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { f64::NAN } else { part / whole }
}

/// All scores of predicted sets of labels, each in order: `(name, value)`; as scikit-learn's with
/// `zero_division=0` for single labels in the macro mean.
///
/// # Panics
/// If the lengths differ or a label is not below `labels`.
pub fn multilabel(
    predicted: &[Vec<u32>],
    expected: &[Vec<u32>],
    labels: usize,
) -> Vec<(&'static str, f64)> {
    assert_eq!(predicted.len(), expected.len());
    // Of each label: right, predicted, expected.
    let mut counts = vec![[0u64; 3]; labels];
    for (p, e) in predicted.iter().zip(expected) {
        p.iter().for_each(|&l| counts[l as usize][1] += 1);
        e.iter().for_each(|&l| counts[l as usize][2] += 1);
        p.iter().filter(|l| e.contains(l)).for_each(|&l| counts[l as usize][0] += 1);
    }
    let f1 = |[right, predicted, expected]: [u64; 3]| match predicted + expected {
        0 => 0.0,
        sum => 2.0 * right as f64 / sum as f64,
    };
    let total = counts.iter().fold([0; 3], |t, c| [t[0] + c[0], t[1] + c[1], t[2] + c[2]]);
    let exact = predicted.iter().zip(expected).filter(|(p, e)| p == e).count() as f64;
    let micro = ratio(2.0 * total[0] as f64, (total[1] + total[2]) as f64);
    vec![
        ("micro_f1", micro),
        ("macro_f1", counts.iter().map(|&c| f1(c)).sum::<f64>() / labels.max(1) as f64),
        ("exact_match", ratio(exact, expected.len() as f64)),
    ]
}

/// All regression scores: `(name, value)`; the errors in the unit of the numbers.
///
/// # Panics
/// If the lengths differ.
pub fn regression(predicted: &[f32], expected: &[f32]) -> Vec<(&'static str, f64)> {
    let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| f64::from(x)).collect() };
    let (p, e) = (wide(predicted), wide(expected));
    let errors = || p.iter().zip(&e).map(|(p, e)| p - e);
    let (n, squares) = (p.len() as f64, errors().map(|x| x * x).sum());
    let absolute = errors().map(f64::abs).sum();
    vec![
        ("spearman", spearman(&p, &e)),
        ("pearson", pearson(&p, &e)),
        ("rmse", ratio(squares, n).sqrt()),
        ("mae", ratio(absolute, n)),
    ]
}

/// Counts by `[expected][predicted]`.
///
/// # Panics
/// If the lengths differ or a class is not below `classes`.
pub fn confusion(predicted: &[u32], expected: &[u32], classes: usize) -> Vec<Vec<u64>> {
    assert_eq!(predicted.len(), expected.len());
    let mut counts = vec![vec![0; classes]; classes];
    for (&p, &e) in predicted.iter().zip(expected) {
        counts[e as usize][p as usize] += 1;
    }
    counts
}

/// Precision, recall, F1 and number of examples of one class; not a number where a share has no
/// denominator.
pub fn class_scores(confusion: &[Vec<u64>], class: usize) -> (f64, f64, f64, u64) {
    let hits = confusion[class][class] as f64;
    let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
    let there: u64 = confusion[class].iter().sum();
    let share = |n: u64| ratio(hits, n as f64);
    (share(predicted), share(there), class_f1(confusion, class), there)
}

fn class_f1(confusion: &[Vec<u64>], class: usize) -> f64 {
    let hits = confusion[class][class] as f64;
    let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
    let there: u64 = confusion[class].iter().sum();
    ratio(2.0 * hits, (predicted + there) as f64)
}

fn accuracy(confusion: &[Vec<u64>]) -> f64 {
    let total: u64 = confusion.iter().flatten().sum();
    let hits: u64 = (0..confusion.len()).map(|i| confusion[i][i]).sum();
    ratio(hits as f64, total as f64)
}

/// The mean F1 of the classes that occur among the expected or the predicted, as scikit-learn.
fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let occurs = |c: &usize| {
        confusion[*c].iter().sum::<u64>() + confusion.iter().map(|row| row[*c]).sum::<u64>() > 0
    };
    let classes: Vec<usize> = (0..confusion.len()).filter(occurs).collect();
    let sum: f64 = classes.iter().map(|&c| class_f1(confusion, c)).sum();
    ratio(sum, classes.len() as f64)
}

/// Gorodkin's generalisation to several classes; not a number where a variance is 0.
fn matthews(confusion: &[Vec<u64>]) -> f64 {
    let n = confusion.len();
    let expected: Vec<f64> = confusion.iter().map(|row| row.iter().sum::<u64>() as f64).collect();
    let predicted: Vec<f64> =
        (0..n).map(|c| confusion.iter().map(|row| row[c]).sum::<u64>() as f64).collect();
    let hits: f64 = (0..n).map(|c| confusion[c][c] as f64).sum();
    let total: f64 = expected.iter().sum();
    let cross: f64 = expected.iter().zip(&predicted).map(|(a, b)| a * b).sum();
    let square = |x: &[f64]| total * total - x.iter().map(|x| x * x).sum::<f64>();
    let denominator = (square(&expected) * square(&predicted)).sqrt();
    ratio(hits * total - cross, denominator)
}

/// Pearson's correlation; not a number where a variance is 0, as SciPy.
///
/// # Panics
/// If the lengths differ.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        xy += (x - mx) * (y - my);
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
    }
    ratio(xy, (xx * yy).sqrt()).clamp(-1.0, 1.0)
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.
///
/// # Panics
/// If the lengths differ.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    pearson(&ranks(x), &ranks(y))
}

fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut ranks = vec![0.0; x.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..].iter().take_while(|&&i| x[i] == x[order[start]]).count().max(1);
        let rank = start as f64 + (equal as f64 - 1.0) / 2.0;
        order[start..start + equal].iter().for_each(|&i| ranks[i] = rank);
        start += equal;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(scores: &[(&str, f64)], name: &str) -> f64 {
        scores.iter().find(|(n, _)| *n == name).unwrap().1
    }

    /// Expected values: `accuracy_score`, `f1_score(average='macro')`, `matthews_corrcoef` of
    /// scikit-learn 1.9, `spearmanr` and `pearsonr` of SciPy 1.17 on these very lists.
    #[test]
    fn scores_match_the_reference_libraries() {
        let expected = [0, 1, 2, 2, 1, 0, 1, 2, 0, 0];
        let predicted = [0, 2, 2, 2, 1, 0, 0, 1, 0, 2];
        let s = classification(&predicted, &expected, 3, 1);
        assert!((value(&s, "accuracy") - 0.6).abs() < 1e-12);
        assert!((value(&s, "macro_f1") - 0.573_809_523_809_523_8).abs() < 1e-12);
        assert!((value(&s, "matthews") - 0.400_047_345_682_831_35).abs() < 1e-12);
        let e = [1, 0, 1, 1, 0, 0, 1, 0];
        let p = [1, 0, 0, 1, 1, 0, 1, 1];
        let s = classification(&p, &e, 2, 1);
        assert!((value(&s, "f1") - 0.666_666_666_666_666_6).abs() < 1e-12);
        assert!((value(&s, "matthews") - 0.258_198_889_747_161_1).abs() < 1e-12);
        let x = [0.1, 0.5, 0.5, 2.0, -1.0, 3.5, 0.5];
        let y = [1.0, 2.0, 2.5, 4.0, 0.0, 3.0, 2.5];
        let s = regression(&x, &y);
        assert!((value(&s, "spearman") - 0.934_946_990_008_457_2).abs() < 1e-9, "{s:?}");
        assert!((value(&s, "pearson") - 0.787_399_111_689_716_5).abs() < 1e-12, "{s:?}");
    }

    /// Expected values: `f1_score` (micro, macro) and `accuracy_score` of scikit-learn 1.9 on these
    /// indicator matrices.
    #[test]
    fn sets_of_labels_match_the_reference_library() {
        let expected = [vec![0, 1], vec![], vec![2], vec![1], vec![0, 2, 3]];
        let predicted = [vec![0], vec![1], vec![2], vec![1], vec![0, 1, 2]];
        let s = multilabel(&predicted, &expected, 4);
        assert!((value(&s, "micro_f1") - 0.714_285_714_285_714_3).abs() < 1e-12);
        assert!((value(&s, "macro_f1") - 0.6).abs() < 1e-12);
        assert!((value(&s, "exact_match") - 0.4).abs() < 1e-12);
    }

    /// Expected values: `accuracy_score`, `top_k_accuracy_score`, `balanced_accuracy_score` and
    /// `f1_score(average='macro')` of scikit-learn 1.9 on these very numbers.
    #[test]
    fn scores_of_images_match_the_reference_library() {
        let output = |i: u64, c: u64| ((i * 37 + c * 101 + i * c * 13) % 97) as f32 / 10.0;
        let rows: Vec<Vec<f32>> = (0..12).map(|i| (0..8).map(|c| output(i, c)).collect()).collect();
        let expected = [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 2, 2];
        let s = image_classification(&rows, &expected);
        assert!((value(&s, "accuracy") - 0.16666666666666666).abs() < 1e-12, "{s:?}");
        assert!((value(&s, "top5") - 0.75).abs() < 1e-12, "{s:?}");
        assert!((value(&s, "mean_class_accuracy") - 0.10714285714285714).abs() < 1e-12, "{s:?}");
        assert!((value(&s, "macro_f1") - 0.10416666666666666).abs() < 1e-12, "{s:?}");
        assert_eq!(top_k(&rows, &expected, 8), 1.0);
        assert_eq!(top_k(&[vec![1.0, 1.0]], &[1], 1), 0.0, "of equal outputs the first counts");
    }

    #[test]
    fn undefined_scores_are_no_numbers() {
        // scikit-learn warns and gives 0 (or what `zero_division` says), SciPy gives no number.
        let s = classification(&[1, 1, 1], &[1, 1, 1], 2, 0);
        assert!(value(&s, "matthews").is_nan() && value(&s, "f1").is_nan());
        assert_eq!((value(&s, "accuracy"), value(&s, "macro_f1")), (1.0, 1.0));
        let s = classification(&[1, 1, 1], &[0, 1, 1], 2, 0);
        assert_eq!(value(&s, "f1"), 0.0, "the class is there: its F1 is 0");
        assert!(spearman(&[1.0, 1.0], &[0.0, 1.0]).is_nan());
        assert!(value(&multilabel(&[vec![]], &[vec![]], 2), "micro_f1").is_nan());
        assert!(value(&regression(&[], &[]), "rmse").is_nan());
        let (p, r, f1, n) = class_scores(&[vec![0, 2], vec![0, 3]], 0);
        assert!(p.is_nan() && r == 0.0 && f1 == 0.0 && n == 2);
    }

    /// Expected values: `f1_score(pos_label=0)`, `root_mean_squared_error` and
    /// `mean_absolute_error` of scikit-learn 1.9.
    #[test]
    fn the_positive_class_is_chosen_and_errors_are_in_the_unit() {
        let (e, p) = ([1, 0, 1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0, 1, 1]);
        let of = |positive| value(&classification(&p, &e, 2, positive), "f1");
        assert!((of(1) - 2.0 / 3.0).abs() < 1e-12);
        assert!((of(0) - 4.0 / 7.0).abs() < 1e-12);
        let s = regression(&[100_000.0, 200_000.0], &[101_000.0, 203_000.0]);
        assert!((value(&s, "rmse") - 5_000_000f64.sqrt()).abs() < 1e-9);
        assert_eq!(value(&s, "mae"), 2000.0);
        assert!(is_better("rmse", 1.0, 2.0) && is_better("f1", 2.0, 1.0));
    }
}
