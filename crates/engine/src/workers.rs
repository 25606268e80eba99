//! Threads that take numbered pieces of work, with results in the order of the numbers.
//!
//! ```text
//! 3 threads, 2 pieces          thread A   piece 0 ---------+--- helped ---+-----|
//!                              thread B   piece 1 ----|    | (idle: C, B) |
//!                              thread C   idle        | idle
//! ```
//!
//! The same for several processes, each with a run of neighbouring pieces ([`Ranks::share`]).
//!
//! A thread without a piece is counted as idle. Operations that have parts of their own
//! ([`Idle::take`]) borrow idle threads for as long as they last. Either the parts and the order in
//! which they are added up depend on shapes alone, or parts are rows that need nothing of each
//! other: no result depends on who was idle.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use budwood_kernels::ops::elementwise;
use budwood_ranks::{Failed, Ranks};

use crate::threads::{Idle, in_order, lock};
use crate::{Context, Device};

/// One context a thread, and the other ranks of a job.
#[derive(Debug)]
pub struct Workers {
    contexts: Vec<Context>,
    gradients: Vec<Vec<f32>>,
    idle: Idle,
    ranks: Ranks,
}

impl Workers {
    /// Workers on `threads` threads (at least one).
    pub fn new(device: Device, threads: usize) -> Self {
        let n = threads.max(1);
        let idle = Idle::default();
        let contexts = (0..n).map(|_| Context::with_idle(device, idle.clone())).collect();
        Self { contexts, gradients: vec![Vec::new(); n], idle, ranks: Ranks::default() }
    }

    /// Workers of one rank of a job, whose others make the same calls.
    #[must_use]
    pub fn over(mut self, ranks: Ranks) -> Self {
        self.ranks = ranks;
        self
    }

    /// The processes that work together.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The contexts, for their counters.
    pub fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.contexts.len()
    }

    /// Runs `work` for `0..n`, on this process alone, and returns the results in that order.
    pub fn map<R: Send>(
        &mut self,
        n: usize,
        work: impl Fn(&mut Context, usize) -> R + Sync,
    ) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<R>>> = Mutex::new((0..n).map(|_| None).collect());
        let run = |context: &mut Context| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    return context.idle.add(1);
                }
                let result = work(context, i);
                lock(&results)[i] = Some(result);
            }
        };
        let run = &run;
        let threads = self.start(n);
        match &mut self.contexts[..threads] {
            [] => {}
            [one] => run(one),
            [first, rest @ ..] => thread::scope(|scope| {
                for context in rest {
                    scope.spawn(move || run(context));
                }
                run(first);
            }),
        }
        let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.into_iter().flatten().collect()
    }

    /// How many threads take `n` pieces of work; the others are idle and help them.
    fn start(&mut self, n: usize) -> usize {
        let threads = self.contexts.len().min(n);
        self.idle.set(self.contexts.len() - threads);
        threads
    }

    /// Runs `work` for `0..n`, each rank a part of it, and returns the rows of all in that order.
    ///
    /// # Errors
    /// If a rank has failed; the first of `work` on this one.
    pub fn rows<E: From<Failed> + Send>(
        &mut self,
        n: usize,
        work: impl Fn(&mut Context, usize) -> Result<Vec<Vec<f32>>, E> + Sync,
    ) -> Result<Vec<Vec<f32>>, E> {
        let share = self.ranks.share(n);
        let own = self.map(share.len(), |cx, i| work(cx, share.start + i));
        let own: Result<Vec<_>, E> = own.into_iter().collect();
        Ok(self.ranks.rows(own?.into_iter().flatten().collect())?)
    }

    /// Runs `work` for `0..n`, each rank a part of it, each time with a vector of zeros as long as
    /// `total` to add gradients to, and adds these vectors to `total` in the order of the numbers:
    /// the sum is the same to the bit for any number of threads and ranks. Returns the sum of the
    /// results, in that order too.
    ///
    /// The first rank needs a vector for each thread. The others wait for the sum so far, and need
    /// one for each of their pieces.
    ///
    /// # Errors
    /// If a rank has failed; the first of `work` on this one.
    pub fn accumulate<E: From<Failed> + Send>(
        &mut self,
        n: usize,
        total: &mut [f32],
        work: impl Fn(&mut Context, usize, &mut [f32]) -> Result<f64, E> + Sync,
    ) -> Result<f64, E> {
        let share = self.ranks.share(n);
        let isa = self.contexts[0].device().isa();
        let add = |total: &mut [f32], piece: &[f32]| elementwise::add(isa, total, piece);
        let work = |cx: &mut Context, i: usize, g: &mut [f32]| work(cx, share.start + i, g);
        let results = match self.ranks.is_first() {
            true => self.added(share.len(), total, add, work),
            false => self.kept(share.len(), total.len(), work),
        };
        let results = results.into_iter().collect::<Result<Vec<f64>, E>>()?;
        let own: Vec<u8> = results.iter().flat_map(|x| x.to_le_bytes()).collect();
        let all = self.ranks.exchange(&own)?.concat();
        let sum = all.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).sum();
        let pieces = if self.ranks.is_first() { 0 } else { share.len() };
        self.ranks.sum(total, &self.gradients[..pieces], add);
        Ok(sum)
    }

    /// Adds the vectors of `0..n` to `total` as their turns come.
    fn added<R: Send>(
        &mut self,
        n: usize,
        total: &mut [f32],
        add: impl Fn(&mut [f32], &[f32]) + Sync,
        work: impl Fn(&mut Context, usize, &mut [f32]) -> R + Sync,
    ) -> Vec<R> {
        struct Place<'a, R> {
            context: &'a mut Context,
            gradient: &'a mut Vec<f32>,
            result: Option<R>,
        }
        let len = total.len();
        let threads = self.start(n);
        let contexts = self.contexts[..threads].iter_mut();
        let mut places: Vec<_> = contexts
            .zip(&mut self.gradients)
            .map(|(context, gradient)| Place { context, gradient, result: None })
            .collect();
        let mut results = Vec::with_capacity(n);
        let work = |place: &mut Place<'_, R>, i: usize| {
            place.gradient.clear();
            place.gradient.resize(len, 0.0);
            place.result = Some(work(place.context, i, place.gradient));
        };
        let store = |place: &mut Place<'_, R>, _: usize| {
            add(total, place.gradient);
            results.extend(place.result.take());
        };
        in_order(&mut places, n, work, store, |place| place.context.idle.add(1));
        results
    }

    /// Leaves the vectors of `0..n`, each of this length, in `gradients`.
    fn kept<R: Send>(
        &mut self,
        n: usize,
        len: usize,
        work: impl Fn(&mut Context, usize, &mut [f32]) -> R + Sync,
    ) -> Vec<R> {
        let mut gradients = std::mem::take(&mut self.gradients);
        if gradients.len() < n {
            gradients.resize_with(n, Vec::new);
        }
        let places: Vec<Mutex<&mut Vec<f32>>> = gradients.iter_mut().map(Mutex::new).collect();
        let results = self.map(n, |cx, i| {
            let mut gradient = lock(&places[i]);
            gradient.clear();
            gradient.resize(len, 0.0);
            work(cx, i, &mut gradient)
        });
        drop(places);
        self.gradients = gradients;
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_results_do_not_depend_on_threads() {
        let sum = |threads: usize, ranks: Ranks| {
            let mut total = vec![0.0; 3];
            let mut workers = Workers::new(Device::cpu(), threads).over(ranks);
            let result = workers.accumulate(50, &mut total, |_, i, g| {
                // Numbers whose sum depends on its order.
                g[0] = 1.0 / (i as f32 + 1.0);
                g[1] = if i % 2 == 0 { 1e8 } else { -1e8 + i as f32 };
                Ok::<_, Failed>(1e16 / (i as f64 - 20.5))
            });
            let rows = workers.rows(20, |_, i| Ok::<_, Failed>(vec![vec![i as f32]; i % 3]));
            let expected = (0..20).flat_map(|i| vec![vec![i as f32]; i % 3]);
            assert_eq!(rows.unwrap(), expected.collect::<Vec<_>>());
            assert_eq!(workers.map(20, |_, i| i * i)[19], 361);
            (total, result.unwrap().to_bits())
        };
        let one = sum(1, Ranks::default());
        for threads in 1..4 {
            assert_eq!(sum(threads, Ranks::default()), one);
            for size in 2..5 {
                thread::scope(|scope| {
                    let rank = |ranks| scope.spawn(move || sum(threads, ranks));
                    let all: Vec<_> = Ranks::simulated(size).into_iter().map(rank).collect();
                    for rank in all {
                        assert_eq!(rank.join().unwrap(), one, "{size} ranks of {threads} threads");
                    }
                });
            }
        }
    }

    /// Ranks that have no piece take part too.
    #[test]
    fn an_error_of_one_rank_is_that_of_all() {
        let on = |ranks: &Ranks| {
            let mut workers = Workers::new(Device::cpu(), 2).over(ranks.clone());
            workers.accumulate(3, &mut [0.0; 9], |_, i, _| match i {
                2 => Err(Failed { rank: 9, size: 9, message: "bad".into() }),
                _ => Ok(1.0),
            })
        };
        thread::scope(|scope| {
            for ranks in Ranks::simulated(4) {
                scope.spawn(move || {
                    let failed = on(&ranks).unwrap_err();
                    assert_eq!(failed.message, if ranks.rank() == 3 { "bad" } else { "it failed" });
                    assert_eq!(ranks.end(Some("it failed")).unwrap().rank, 3);
                });
            }
        });
        assert_eq!(on(&Ranks::default()).unwrap_err().message, "bad");
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for bad in 0..4 {
            let run = || {
                let work = |_: &mut Context, i: usize, _: &mut [f32]| {
                    assert_ne!(i, bad);
                    Ok::<_, Failed>(0.0)
                };
                Workers::new(Device::cpu(), 3).accumulate(4, &mut [0.0], work)
            };
            assert!(std::panic::catch_unwind(run).is_err());
        }
    }

    #[test]
    fn idle_threads_are_lent_and_come_back() {
        let mut workers = Workers::new(Device::cpu(), 5);
        let lent = workers.map(2, |cx, _| cx.idle.take(usize::MAX).threads());
        assert!(lent.iter().all(|threads| (1..=5).contains(threads)), "{lent:?}");
        assert!(lent.iter().max() >= Some(&4), "three threads had nothing to do: {lent:?}");
        // As many as there are threads, when nothing is done.
        assert_eq!(workers.idle.take(usize::MAX).threads(), 5 + 1);
        // A thread alone has no help.
        assert_eq!(Context::new(Device::cpu()).idle.take(9).threads(), 1);
    }

    #[test]
    fn no_work_is_fine() {
        let mut workers = Workers::new(Device::cpu(), 2);
        assert!(workers.map(0, |_, i| i).is_empty());
        assert!(workers.accumulate(0, &mut [], |_, _, _| Ok::<_, Failed>(1.0)).unwrap() == 0.0);
    }
}
