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
    assert_eq!((rank(&[1.0, 1.0], 0), rank(&[1.0, 1.0], 1)), (0, 1), "the first of equal outputs");
}

#[test]
fn undefined_scores_are_no_numbers() {
    // scikit-learn warns and gives 0 (or what `zero_division` says), SciPy gives no number.
    let s = classification(&[1, 1, 1], &[1, 1, 1], 2, 0);
    assert!(value(&s, "matthews").is_nan() && value(&s, "f1").is_nan());
    assert_eq!((value(&s, "accuracy"), value(&s, "macro_f1")), (1.0, 1.0));
    let s = classification(&[1, 1, 1], &[0, 1, 1], 2, 0);
    assert_eq!(value(&s, "f1"), 0.0, "the class is there: its F1 is 0");
    assert!(value(&regression(&[1.0, 1.0], &[0.0, 1.0]), "spearman").is_nan());
    assert!(value(&multilabel(&[vec![]], &[vec![]], 2), "micro_f1").is_nan());
    assert!(value(&regression(&[], &[]), "rmse").is_nan());
    let of = Classes::of_counts(&[vec![0, 2], vec![0, 3]], 0);
    assert!(of.precision(0).is_nan() && of.recall(0) == 0.0 && of.f1(0) == 0.0 && of.there(0) == 2);
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

/// Expected values: `balanced_accuracy_score` of scikit-learn 1.9 on these very lists; it warns
/// that 1 is given in the third, and leaves it out.
#[test]
fn balanced_accuracy_matches_the_reference_library() {
    let of = |expected: &[u32], predicted: &[u32]| {
        value(&classification(predicted, expected, 3, 0), "balanced_accuracy")
    };
    let three = of(&[0, 1, 2, 2, 1, 0, 1, 2, 0, 0], &[0, 2, 2, 2, 1, 0, 0, 1, 0, 2]);
    assert!((three - 0.583_333_333_333_333_4).abs() < 1e-12, "{three}");
    let uneven = of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    assert!((uneven - 0.611_111_111_111_111).abs() < 1e-12, "{uneven}");
    let absent = of(&[0, 0, 0, 2, 2], &[0, 1, 0, 2, 0]);
    assert!((absent - 0.583_333_333_333_333_3).abs() < 1e-12, "{absent}");
    assert!(of(&[], &[]).is_nan());
}

#[test]
fn every_kind_of_task_has_metrics_of_different_names() {
    for task in crate::task::TASKS {
        let names: Vec<_> = of_kind(task.name).map(|m| m.name).collect();
        assert!(!names.is_empty(), "{}", task.name);
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
    }
    for metric in METRICS {
        let same = METRICS.iter().filter(|m| m.name == metric.name);
        assert!(same.clone().all(|m| m.title == metric.title && m.scale == metric.scale));
        let known = |kind: &&str| crate::task::TASKS.iter().any(|t| t.name == *kind);
        assert!(metric.kinds.iter().all(known), "{}", metric.name);
        // A share is best at 1; less is better of errors and perplexity. What is equal is not.
        let error = ["rmse", "mae", "perplexity"].contains(&metric.name);
        assert_eq!(is_error(metric.name), error, "{}", metric.name);
        assert_eq!(is_better(metric.name, 0.5, 1.0), error, "{}", metric.name);
        assert_eq!(is_better(metric.name, 1.0, 0.5), !error, "{}", metric.name);
        assert!(!is_better(metric.name, 0.5, 0.5), "{}", metric.name);
    }
}

/// Four places, of which each word of two was as likely as the other: two words are left.
#[test]
fn perplexity_is_how_many_words_are_left() {
    let counts = |loss, right, places| words::Counts { loss, right, places };
    let scores = masked_lm([counts(3.0 * 2f64.ln(), 1, 3), counts(2f64.ln(), 1, 1)].into_iter());
    assert!((value(&scores, "perplexity") - 2.0).abs() < 1e-12, "{scores:?}");
    assert_eq!(value(&scores, "accuracy"), 0.5);
    let none = masked_lm(std::iter::empty());
    assert!(none.iter().all(|(_, value)| value.is_nan()), "{none:?}");
}

#[test]
fn tasks_of_glue_are_judged_as_there() {
    let first = |task, kind| default_metric(task, kind);
    assert_eq!(first("cola", "classification"), "matthews");
    assert_eq!(first("mrpc", "classification"), "f1");
    assert_eq!(first("qqp", "classification"), "f1");
    assert_eq!(first("sst2", "classification"), "accuracy");
    assert_eq!(first("photos", "image-classification"), "accuracy");
    assert_eq!(first("x", "multilabel"), "micro_f1");
    assert_eq!(first("x", "regression"), "spearman");
    assert_eq!(first("x", "question-answering"), "f1");
    assert_eq!(first("x", "token-classification"), "f1");
}

/// A table of all pairs of these classes would be 80 GB.
#[test]
fn many_classes_take_little() {
    let expected: Vec<u32> = (0..100_000).collect();
    let predicted: Vec<u32> = expected.iter().map(|c| c / 2 * 2).collect();
    let s = classification(&predicted, &expected, 100_000, 0);
    // Every second is right; its F1 is 2/3, as two rows were given it.
    assert_eq!((value(&s, "accuracy"), value(&s, "balanced_accuracy")), (0.5, 0.5));
    assert!((value(&s, "macro_f1") - 1.0 / 3.0).abs() < 1e-12);
}
