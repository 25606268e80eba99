//! Training of vectors rather than answers: texts of a class are drawn together, those of several
//! apart, as in `SetFit` (Tunstall et al. 2022), with an adapter in the place of all weights.
//!
//! `SetFit` learns from pairs of texts, each of which is computed again in every pair. Here all
//! pairs of a batch are learned from at once: the vectors are computed first, then the gradient of
//! the loss with respect to each, then each text's gradient by itself (Gao et al. 2021).
//!
//! Weights half-way between the first and the last may know more than the last: of the rows less,
//! of what the model knew before more (Wortsman et al. 2022). Held-out rows say which are kept.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use budwood_base::random::Key;
use budwood_engine::Workers;
use budwood_model::{Adapter, Forward, Segment, Targets, plan_chunks, predict};

use super::definition::{Common, OnEvent};
use super::head_values::set_head;
use super::problem::{Problem, Vectors, Wanted, dot};
use super::strength;
use super::trial::{Ended, OnPairs};
use crate::{Error, Event, Optimizer, Outcome, Prepared, TrainConfig, answers};

/// Steps for 50 rows, and where they stop growing, with the root of the rows.
const STEPS: (f64, f64) = (100.0, 240.0);
/// How many times the method's rate: gradients of pairs are small, as cosines are.
const FASTER: f64 = 3.3;
/// Texts that a step begins with; each brings another one of its class. Many small steps are worth
/// more than few large ones of the same time (`docs/results.md`, "Training on pairs").
const ANCHORS: usize = 4;
/// Tokens of a step up to which what the way back needs is kept; of longer ones each chunk goes
/// forward twice, so that memory is that of a chunk a thread.
const KEPT_TOKENS: usize = 1024;

impl Common<'_> {
    /// Trains an adapter on pairs, and puts a probe on its vectors.
    ///
    /// # Errors
    /// If the targets are no classes, or an image cannot be decoded.
    pub(super) fn contrast(
        &self,
        workers: &mut Workers,
        (config, pairs): (&TrainConfig, OnPairs),
        train: &Prepared,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Ended, Error> {
        let classes = classes(train)?;
        let steps = steps(pairs.of_rows, classes.len());
        let (vectors, outcome) =
            self.contrasted(workers, (config, steps), (train, classes), on_event)?;
        if outcome.lost || outcome.interrupted {
            return Ok(if outcome.lost { Ended::Lost } else { Ended::Interrupted(outcome) });
        }
        match self.part_way(workers, (config, pairs), train, &vectors, 1.0) {
            Ok(adapter) => Ok(Ended::Trained(Box::new(adapter), outcome)),
            Err(Error::NotFinite { .. }) => Ok(Ended::Lost),
            Err(e) => Err(e),
        }
    }

    /// An adapter that went a share of the way from its first weights to those that training on
    /// pairs gave it, with a probe on the vectors that it gives there.
    ///
    /// # Errors
    /// If the vectors are not finite, or an image cannot be decoded.
    pub(super) fn part_way(
        &self,
        workers: &mut Workers,
        (config, pairs): (&TrainConfig, OnPairs),
        train: &Prepared,
        trained: &Adapter,
        share: f32,
    ) -> Result<Adapter, Error> {
        let mut adapter = self.new_adapter(config)?;
        let mut vectors = self.new_pooling(config)?;
        for part in trained.params.entries().iter().filter(|p| !p.name.starts_with("head.")) {
            let ends = &trained.params.values[part.slot.clone()];
            for of in [&mut adapter, &mut vectors] {
                let Some(slot) = of.params.get(&part.name).map(|p| p.slot.clone()) else {
                    continue;
                };
                for (value, end) in of.params.values[slot].iter_mut().zip(ends) {
                    *value = share * end + (1.0 - share) * *value;
                }
            }
        }
        vectors.refresh(self.base.device(), workers.threads());
        let given = answers(workers, self.base, &vectors, train)?.outputs;
        let targets = Targets::Classes(classes(train)?.to_vec());
        let vectors = Vectors::new(&given);
        let wanted = Wanted::of(&targets, self.head.outputs)?;
        let class_weights = config.class_weights.of(&targets)?;
        let rows: Vec<usize> = (0..given.len()).collect();
        let (vectors, class_weights) = (&vectors, &class_weights[..]);
        let problem = Problem { vectors, wanted: &wanted, rows: &rows, class_weights };
        let probe = strength::fit(&problem, pairs.strength, workers.threads());
        set_head(&mut adapter, &probe.on_raw(vectors));
        adapter.refresh(self.base.device(), workers.threads());
        Ok(adapter)
    }

    /// An adapter whose head gives the vectors, trained on pairs.
    fn contrasted(
        &self,
        workers: &mut Workers,
        (config, steps): (&TrainConfig, usize),
        (train, classes): (&Prepared, &[u32]),
        on_event: &mut OnEvent<'_>,
    ) -> Result<(Adapter, Outcome), Error> {
        let base = self.base;
        let learning_rate = FASTER * config.learning_rate;
        let config = &TrainConfig { learning_rate, ..config.clone() };
        let begin = Instant::now();
        let mut outcome = Outcome::of_no_step();
        let mut adapter = self.new_pooling(config)?;
        let on = (base.device(), workers.threads());
        let mut optimizer = Optimizer::new(config.optimizer.clone(), adapter.params.len());
        let head =
            adapter.params.get("head.out.weight").map(|p| p.slot.clone()).unwrap_or_default();
        let identity = adapter.params.values[head.clone()].to_vec();
        let key = Key::new(config.seed).named("pairs");
        let mut gradient = vec![0.0; adapter.params.len()];
        for step in 0..steps {
            let rows = batch(classes, step, key);
            let lengths: Vec<usize> = rows.iter().map(|&i| train.length(i)).collect();
            let chunks = chunks(&lengths);
            let batches = chunks.iter().map(|chunk| train.batch(&rows[chunk.clone()]));
            let batches = batches.collect::<Result<Vec<_>, Error>>()?;
            let keep = lengths.iter().sum::<usize>() <= KEPT_TOKENS;
            let kept: Vec<_> = chunks.iter().map(|_| Mutex::new(None)).collect();
            let place = |i: usize| kept[i].lock().unwrap_or_else(PoisonError::into_inner);
            let outputs = workers.rows(chunks.len(), |cx, i| {
                Ok::<_, Error>(match keep {
                    true => {
                        let forward = Forward::new(cx, base, &adapter, &batches[i], None);
                        let outputs = forward.outputs();
                        *place(i) = Some(forward);
                        outputs
                    }
                    false => {
                        let sequences = 0..chunks[i].len();
                        let segment = Segment { adapter: Some(&adapter), sequences };
                        predict(cx, base, &batches[i], &[segment])
                    }
                })
            })?;
            let right: Vec<u32> = rows.iter().map(|&row| classes[row]).collect();
            let (loss, d) = loss(&outputs, &right);
            gradient.fill(0.0);
            workers.accumulate(chunks.len(), &mut gradient, |cx, i, gradient| {
                let again = || Forward::new(cx, base, &adapter, &batches[i], None);
                let kept = place(i).take();
                let forward = kept.unwrap_or_else(again);
                forward.backward(cx, &d[chunks[i].clone()].concat(), gradient);
                // The loss is known: it is that of all texts together.
                Ok::<_, Error>(0.0)
            })?;
            drop(kept);
            // The head stays the identity: neither the gradient nor the decay of weights moves it.
            gradient[head.clone()].fill(0.0);
            let rate = config.rate(step, steps);
            let norm = optimizer.step(on, &mut adapter.params, &gradient, rate);
            adapter.params.values[head.clone()].copy_from_slice(&identity);
            adapter.refresh(on.0, on.1);
            (outcome.steps, outcome.kept_step) = (step + 1, step + 1);
            let epoch = step * ANCHORS.min(classes.len()) / classes.len().max(1) + 1;
            let (step, examples) = (step + 1, rows.len());
            if !loss.is_finite() || !norm.is_finite() {
                outcome.lost = true;
                break;
            }
            let event = Event::Step { step, steps, epoch, loss, rate, examples, norm };
            if workers.ranks().any(on_event(event).is_break())? {
                outcome.interrupted = true;
                break;
            }
        }
        outcome.seconds = begin.elapsed().as_secs_f64();
        Ok((adapter, outcome))
    }
}

/// The class of each row.
fn classes(train: &Prepared) -> Result<&[u32], Error> {
    let Some(Targets::Classes(classes)) = &train.targets else {
        let message = "--recipe contrastive is for tasks where an example has one class";
        return Err(Error::Usage(message.into()));
    };
    Ok(classes)
}

/// The chunks of a step: two at least, so that two threads have work.
fn chunks(lengths: &[usize]) -> Vec<Range<usize>> {
    match plan_chunks(lengths).as_slice() {
        [whole] if whole.len() > 1 => vec![0..whole.len() / 2, whole.len() / 2..whole.len()],
        planned => planned.to_vec(),
    }
}

/// Steps for `rows` of a run's `of` rows, which are seen as often as all would be.
fn steps(of: usize, rows: usize) -> usize {
    let all = (STEPS.0 * (of as f64 / 50.0).sqrt()).clamp(STEPS.0, STEPS.1).round();
    (all * rows as f64 / of.max(1) as f64).ceil() as usize
}

/// The rows of a step: some in an order drawn anew for each pass, each with another one of its
/// class.
fn batch(classes: &[u32], step: usize, key: Key) -> Vec<usize> {
    let n = classes.len();
    let each = ANCHORS.min(n);
    let a_pass = n.div_ceil(each);
    let order = key.named("order").child((step / a_pass) as u64).permutation(n);
    let start = step % a_pass * each;
    let key = key.named("partners").child(step as u64);
    let mut rows = Vec::with_capacity(2 * each);
    for i in 0..each {
        let anchor = order[(start + i) % n];
        rows.push(anchor);
        let others: Vec<usize> =
            (0..n).filter(|&o| o != anchor && classes[o] == classes[anchor]).collect();
        if !others.is_empty() {
            let place = (key.uniform(i as u64) * others.len() as f64) as usize;
            rows.push(others[place.min(others.len() - 1)]);
        }
    }
    rows
}

/// The loss of vectors with their classes, and its gradient for each: the mean over pairs of one
/// class of `(1 - cosine)^2`, and over pairs of two classes of `cosine^2`.
fn loss(vectors: &[Vec<f32>], classes: &[u32]) -> (f64, Vec<Vec<f32>>) {
    let unit = |v: &Vec<f32>| {
        let wide: Vec<f64> = v.iter().map(|&x| f64::from(x)).collect();
        let length = dot(&wide, &wide).sqrt().max(f64::MIN_POSITIVE);
        (wide.iter().map(|x| x / length).collect::<Vec<f64>>(), length)
    };
    let units: Vec<(Vec<f64>, f64)> = vectors.iter().map(unit).collect();
    let pairs = || (0..units.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let alike = |i: usize, j: usize| classes[i] == classes[j];
    let same = pairs().filter(|&(i, j)| alike(i, j)).count().max(1) as f64;
    let other = pairs().filter(|&(i, j)| !alike(i, j)).count().max(1) as f64;
    let mut d: Vec<Vec<f64>> = units.iter().map(|(u, _)| vec![0.0; u.len()]).collect();
    let mut total = 0.0;
    for (i, j) in pairs() {
        let cosine = dot(&units[i].0, &units[j].0);
        let (away, count) = if alike(i, j) { (cosine - 1.0, same) } else { (cosine, other) };
        total += away * away / count;
        let slope = 2.0 * away / count;
        for (a, b) in [(i, j), (j, i)] {
            let ((u, length), (v, _)) = (&units[a], &units[b]);
            let pull = u.iter().zip(v).map(|(u, v)| slope * (v - cosine * u) / length);
            d[a].iter_mut().zip(pull).for_each(|(d, x)| *d += x);
        }
    }
    (total, d.into_iter().map(|row| row.into_iter().map(|x| x as f32).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(n: usize) -> Vec<Vec<f32>> {
        let x = |i: usize, j: usize| (0.3 + i as f32 * 2.7 + j as f32 * 1.3).sin();
        (0..n).map(|i| (0..5).map(|j| x(i, j)).collect()).collect()
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let vectors = some(6);
        let classes = [0, 1, 0, 2, 2, 1];
        let (_, d) = loss(&vectors, &classes);
        for (i, j) in [(0, 0), (1, 3), (4, 2), (5, 4)] {
            let moved = |by: f32| {
                let mut vectors = vectors.clone();
                vectors[i][j] += by;
                loss(&vectors, &classes).0
            };
            let expected = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((f64::from(d[i][j]) - expected).abs() < 1e-4, "{} {expected}", d[i][j]);
        }
    }

    #[test]
    fn the_loss_is_0_where_classes_are_at_right_angles() {
        let vectors = vec![vec![2.0, 0.0], vec![1.0, 0.0], vec![0.0, 3.0], vec![0.0, 0.5]];
        assert!(loss(&vectors, &[0, 0, 1, 1]).0 < 1e-12);
        // One pair of four vectors' two is apart, and two of four that should be are together.
        let (found, _) = loss(&vectors, &[0, 1, 0, 1]);
        assert!((found - (1.0 + 0.5)).abs() < 1e-12, "{found}");
    }

    #[test]
    fn steps_grow_with_the_root_of_the_rows() {
        assert_eq!([1, 50, 200, 450, 100_000].map(|n| steps(n, n)), [100, 100, 200, 240, 240]);
    }

    #[test]
    fn a_part_of_the_rows_is_seen_as_often_as_all_are() {
        assert_eq!((steps(50, 33), steps(48, 32), steps(450, 300)), (66, 67, 160));
    }

    #[test]
    fn each_row_is_an_anchor_in_each_pass_and_brings_its_class() {
        let classes: Vec<u32> = (0..21).map(|i| if i == 20 { 9 } else { i % 3 }).collect();
        let mut seen = vec![0; 21];
        for step in 0..classes.len().div_ceil(ANCHORS) {
            let rows = batch(&classes, step, Key::new(3));
            let mut rest = &rows[..];
            while let [anchor, after @ ..] = rest {
                seen[*anchor] += 1;
                rest = after;
                if classes[*anchor] != 9 {
                    assert!(classes[rest[0]] == classes[*anchor] && rest[0] != *anchor);
                    rest = &rest[1..];
                }
            }
        }
        assert!(seen.iter().all(|&n| n >= 1), "{seen:?}");
    }
}
