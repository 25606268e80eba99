//! The strength of the probe's regularisation, chosen by cross-validation.

use std::sync::{Mutex, PoisonError};

use budwood_base::random::Key;
use budwood_engine::for_each;

use super::calibrate;
use super::probe::NEARLY;
use super::problem::{Linear, Problem, Vectors, Wanted};

/// Strengths that are tried, from the most regularised on.
const STRENGTHS: [f64; 11] =
    [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0];
const FOLDS: usize = 5;
/// Rows from which on one fold is enough.
const MANY: usize = 2000;
/// Rows below which the folds are drawn several times.
const FEW: usize = 200;
const REPEATS: usize = 4;
/// The strength where no row can say which suits: each class has one row.
const UNKNOWN: f64 = 100.0;

/// Which fold each row is in: `0..folds`, as many rows of each class in each as can be. Rows that
/// the model reads alike are in one fold, as they would give each other away: `alike` has for each
/// row the first one like it. Only where all are alike they part.
pub(crate) fn folds(wanted: &Wanted, alike: &[usize], folds: usize, key: Key) -> Vec<usize> {
    let n = wanted.rows();
    let mut order = key.permutation(n);
    let differ = alike.iter().any(|&first| first != 0);
    if differ {
        order.retain(|&row| alike[row] == row);
    }
    if let Wanted::Classes(classes, _) = wanted {
        order.sort_by_key(|&row| classes[row]);
    }
    let mut fold = vec![0; n];
    order.into_iter().enumerate().for_each(|(place, row)| fold[row] = place % folds.max(1));
    if differ {
        (0..n).for_each(|row| fold[row] = fold[alike[row]]);
    }
    fold
}

/// The rows that are in a fold, and those that are not.
pub(crate) fn split(fold: &[usize], of: usize) -> (Vec<usize>, Vec<usize>) {
    (0..fold.len()).partition(|&row| fold[row] == of)
}

/// Those of some rows whose class is among the others' too. No model of the others can give the
/// rest their class: they would only say that a model should never be sure.
fn answerable(wanted: &Wanted, held_out: &[usize], seen: &[usize]) -> Vec<usize> {
    let Wanted::Classes(classes, count) = wanted else { return held_out.to_vec() };
    let mut known = vec![false; *count];
    seen.iter().for_each(|&row| known[classes[row] as usize] = true);
    held_out.iter().copied().filter(|&row| known[classes[row] as usize]).collect()
}

/// Outputs of a model for some rows.
fn outputs(model: &Linear, vectors: &Vectors, rows: &[usize]) -> Vec<Vec<f64>> {
    rows.iter().map(|&row| model.outputs(vectors.row(row))).collect()
}

/// How far a model is from what is wanted: the mean loss; the share of wrong answers where classes
/// are learned by ridge regression, whose outputs are no logits.
fn distance(problem: &Problem<'_>, model: &Linear, rows: &[usize]) -> f64 {
    let wanted = problem.wanted;
    let of = |&row: &usize| {
        let mut y = model.outputs(problem.vectors.row(row));
        match wanted {
            Wanted::Classes(classes, _) if problem.is_too_large() => {
                let right = y[classes[row] as usize];
                f64::from(u8::from(y.iter().any(|&x| x > right)))
            }
            _ => wanted.loss(row, &mut y),
        }
    };
    rows.iter().map(of).sum::<f64>()
}

/// The strength whose models do best on rows that they have not seen.
pub(crate) fn choose(
    vectors: &Vectors,
    (wanted, alike): (&Wanted, &[usize]),
    class_weights: &[f32],
    key: Key,
    threads: usize,
) -> f64 {
    let n = wanted.rows();
    // With many rows the strength matters less and costs more: every second one is tried on one
    // fold.
    let (repeats, used, step) = match n {
        0..FEW => (REPEATS, FOLDS, 1),
        FEW..MANY => (1, FOLDS, 1),
        _ => (1, 1, 2),
    };
    let drawn: Vec<Vec<usize>> =
        (0..repeats as u64).map(|r| folds(wanted, alike, FOLDS, key.child(r))).collect();
    let tasks: Vec<(usize, usize)> =
        (0..repeats).flat_map(|r| (0..used).map(move |f| (r, f))).collect();
    let losses = Mutex::new(vec![None; tasks.len()]);
    // Several fits run beside each other, or one fit on all threads.
    let inner = if tasks.len() == 1 { threads } else { 1 };
    for_each(threads, tasks.iter().enumerate(), |(task, &(repeat, fold))| {
        let (held_out, rows) = split(&drawn[repeat], fold);
        let held_out = answerable(wanted, &held_out, &rows);
        if held_out.is_empty() {
            return;
        }
        let problem = Problem { vectors, wanted, rows: &rows, class_weights };
        let mut model: Option<Linear> = None;
        let mut found = [f64::INFINITY; STRENGTHS.len()];
        for (loss, &c) in found.iter_mut().zip(&STRENGTHS).step_by(step) {
            let solved = problem.solve_within(NEARLY, c, model.as_ref(), inner);
            *loss = distance(&problem, &solved, &held_out);
            model = Some(solved);
        }
        losses.lock().unwrap_or_else(PoisonError::into_inner)[task] = Some(found);
    });
    let losses = losses.into_inner().unwrap_or_else(PoisonError::into_inner);
    let losses: Vec<[f64; STRENGTHS.len()]> = losses.into_iter().flatten().collect();
    let total = |i: usize| losses.iter().map(|l| l[i]).sum::<f64>();
    let best = (0..STRENGTHS.len()).min_by(|&a, &b| total(a).total_cmp(&total(b)));
    best.filter(|_| !losses.is_empty()).map_or(UNKNOWN, |best| STRENGTHS[best])
}

/// A probe of some rows, and its outputs for the others.
pub(crate) fn fit(problem: &Problem<'_>, c: f64, threads: usize) -> Linear {
    let mut model = problem.solve(c, threads);
    if let (Wanted::Classes(classes, _), true) = (problem.wanted, problem.is_too_large()) {
        // Outputs between 0 and 1 become logits.
        let outputs = outputs(&model, problem.vectors, problem.rows);
        let right: Vec<u32> = problem.rows.iter().map(|&row| classes[row]).collect();
        let factor = 1.0 / calibrate::temperature(&outputs, &right);
        model.weights.iter_mut().chain(&mut model.bias).for_each(|w| *w *= factor);
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes of `each` rows in a circle, a little away from their centres.
    fn circle(classes: usize, each: usize) -> (Vectors, Wanted) {
        let row = |i: usize| {
            let (class, noise) = (i % classes, 0.3 * (i as f64 * 5.3).sin());
            let angle = (class as f64 + noise) / classes as f64 * std::f64::consts::TAU;
            vec![angle.cos() as f32, angle.sin() as f32, (i as f64 * 2.9).sin() as f32 * 0.1]
        };
        let rows: Vec<_> = (0..classes * each).map(row).collect();
        let right = (0..classes * each).map(|i| (i % classes) as u32).collect();
        (Vectors::new(&rows), Wanted::Classes(right, classes))
    }

    fn chosen((vectors, wanted): &(Vectors, Wanted)) -> f64 {
        let alike: Vec<usize> = (0..wanted.rows()).collect();
        choose(vectors, (wanted, &alike), &[], Key::new(1), 2)
    }

    #[test]
    fn rows_that_are_alike_are_in_one_fold() {
        let wanted = Wanted::Classes((0..40).map(|row| row % 2).collect(), 2);
        let of = |alike: &[usize]| folds(&wanted, alike, 3, Key::new(4));
        let apart: Vec<usize> = (0..40).collect();
        let found = of(&apart);
        assert!((0..3).all(|fold| found.iter().filter(|f| **f == fold).count() >= 12));
        // The same ten rows four times.
        let alike: Vec<usize> = (0..40).map(|row| row % 10).collect();
        let found = of(&alike);
        assert!((0..40).all(|row| found[row] == found[row % 10]), "{found:?}");
        assert!((0..3).all(|fold| found.contains(&fold)), "{found:?}");
        // Where there is nothing to tell rows apart, there is nothing to give away.
        assert!((0..3).all(|fold| of(&[0; 40]).contains(&fold)));
    }

    /// Rows that are alone in their class want the most regularised model of all.
    #[test]
    fn rows_that_are_alone_in_their_class_do_not_choose() {
        assert_eq!(chosen(&circle(12, 1)), UNKNOWN);
        let (vectors, wanted) = circle(6, 8);
        let alone = chosen(&(vectors.clone(), wanted.clone()));
        assert!(alone >= 10.0, "{alone}");
        // The same rows, 20 of which get classes of their own.
        let Wanted::Classes(mut right, _) = wanted else { unreachable!() };
        (0..20).for_each(|i| right[i] = 6 + i as u32);
        let mixed = chosen(&(vectors, Wanted::Classes(right, 26)));
        assert!(mixed >= 10.0, "{mixed}");
    }
}
