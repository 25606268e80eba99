//! Ridge regression in closed form: for numbers, and for classes too many for logistic regression.

use super::problem::{Linear, Problem, Wanted, add_scaled, dot};

/// Weights that minimise `C * sum of squared errors + |W|^2` with a free bias: scikit-learn's
/// `Ridge(alpha=1/C)`. Classes are learned as 1 for the right one and 0 for the others.
pub(super) fn solve(problem: &Problem<'_>, c: f64) -> Linear {
    let (width, outputs) = (problem.vectors.width, problem.wanted.outputs());
    let n = problem.rows.len().max(1) as f64;
    let mut mean = vec![0.0; width];
    let mut bias = vec![0.0; outputs];
    let mut x = vec![0.0; width];
    for &row in problem.rows {
        read(&mut x, problem.vectors.row(row));
        add_scaled(&mut mean, 1.0 / n, &x);
        each_target(problem.wanted, row, |k, y| bias[k] += y / n);
    }
    // The lower triangle of X'X + I/C, and X'Y, both about the means.
    let mut matrix = vec![0.0; width * width];
    let mut right = vec![0.0; width * outputs];
    for &row in problem.rows {
        read(&mut x, problem.vectors.row(row));
        add_scaled(&mut x, -1.0, &mean);
        for i in 0..width {
            add_scaled(&mut matrix[i * width..=i * width + i], x[i], &x[..=i]);
        }
        // As the sum of x about its mean is 0, targets need not be centred.
        each_target(problem.wanted, row, |k, y| {
            add_scaled(&mut right[k * width..(k + 1) * width], y, &x);
        });
    }
    for i in 0..width {
        matrix[i * width + i] += 1.0 / c;
    }
    cholesky(&mut matrix, width);
    for (b, bias) in right.chunks_mut(width.max(1)).zip(&mut bias) {
        substitute(&matrix, b);
        *bias -= b.iter().zip(&mean).map(|(w, m)| w * m).sum::<f64>();
    }
    Linear { weights: right, bias }
}

fn read(x: &mut [f64], row: &[f32]) {
    x.iter_mut().zip(row).for_each(|(x, v)| *x = f64::from(*v));
}

/// The targets of a row that are not 0, with their places.
fn each_target(wanted: &Wanted, row: usize, mut each: impl FnMut(usize, f64)) {
    match wanted {
        Wanted::Classes(classes, _) => each(classes[row] as usize, 1.0),
        Wanted::Labels(labels, n) => {
            let own = labels[row * n..(row + 1) * n].iter().enumerate();
            own.filter(|(_, y)| **y != 0.0).for_each(|(k, y)| each(k, f64::from(*y)));
        }
        Wanted::Values(values) => each(0, values[row]),
    }
}

/// Replaces the lower triangle of a positive definite matrix by `L` with `L L' = matrix`.
fn cholesky(matrix: &mut [f64], n: usize) {
    for i in 0..n {
        let (above, own) = matrix.split_at_mut(i * n);
        for j in 0..=i {
            let sum = match j < i {
                true => dot(&own[..j], &above[j * n..j * n + j]),
                false => dot(&own[..j], &own[..j]),
            };
            own[j] = match j < i {
                true => (own[j] - sum) / above[j * n + j],
                // Above 0 but for rounding, as I/C was added.
                false => (own[j] - sum).max(f64::MIN_POSITIVE).sqrt(),
            };
        }
    }
}

/// Solves `L L' x = b` in place.
fn substitute(l: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        let sum = dot(&l[i * n..i * n + i], &b[..i]);
        b[i] = (b[i] - sum) / l[i * n + i];
    }
    for i in (0..n).rev() {
        b[i] /= l[i * n + i];
        let (before, own) = b.split_at_mut(i);
        add_scaled(before, -own[0], &l[i * n..i * n + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_labels_are_those_of_their_row() {
        let wanted = Wanted::Labels(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], 3);
        let of_row = |row| {
            let mut all = Vec::new();
            each_target(&wanted, row, |label, y| all.push((label, y)));
            all
        };
        assert_eq!([0, 1].map(|row| of_row(row)[..].to_vec()), [[(0, 1.0)], [(1, 1.0)]]);
        assert_eq!(of_row(2), [(0, 1.0), (2, 1.0)]);
    }
}
