//! Threads that take numbered pieces of work, with results in the order of the numbers.
//!
//! ```text
//! 3 threads, 2 pieces          thread A   piece 0 ---------+--- helped ---+-----|
//!                              thread B   piece 1 ----|    | (idle: C, B) |
//!                              thread C   idle        | idle
//! ```
//!
//! A thread without a piece is counted as idle. Operations that have parts of their own
//! ([`Idle::take`]) borrow idle threads for as long as they last. Either the parts and the order in
//! which they are added up depend on shapes alone, or parts are rows that need nothing of each
//! other: no result depends on who was idle.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::threads::{Idle, in_order, lock};
use crate::{Context, Device};

/// One context a thread.
#[derive(Debug)]
pub struct Workers {
    contexts: Vec<Context>,
    gradients: Vec<Vec<f32>>,
    idle: Idle,
}

impl Workers {
    /// Workers on `threads` threads (at least one).
    pub fn new(device: Device, threads: usize) -> Self {
        let n = threads.max(1);
        let idle = Idle::default();
        let contexts = (0..n).map(|_| Context::with_idle(device, idle.clone())).collect();
        Self { contexts, gradients: vec![Vec::new(); n], idle }
    }

    /// The contexts, for their counters.
    pub fn contexts(&self) -> &[Context] {
        &self.contexts
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.contexts.len()
    }

    /// Runs `work` for `0..n` and returns the results in that order.
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

    /// Runs `work` for `0..n`, each time with a vector of zeros as long as `total` to add gradients
    /// to, and adds these vectors to `total` in the order of the numbers: the sum is the same to
    /// the bit for any number of threads.
    pub fn accumulate<R: Send>(
        &mut self,
        n: usize,
        total: &mut [f32],
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
            let isa = place.context.device().isa();
            budwood_kernels::ops::elementwise::add(isa, total, place.gradient);
            results.extend(place.result.take());
        };
        in_order(&mut places, n, work, store, |place| place.context.idle.add(1));
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_results_do_not_depend_on_threads() {
        let sum = |threads: usize| {
            let mut total = vec![0.0; 3];
            let mut workers = Workers::new(Device::cpu(), threads);
            let results = workers.accumulate(50, &mut total, |_, i, g| {
                // Numbers whose sum depends on its order.
                g[0] = 1.0 / (i as f32 + 1.0);
                g[1] = if i % 2 == 0 { 1e8 } else { -1e8 + i as f32 };
                i
            });
            assert_eq!(results, (0..50).collect::<Vec<_>>());
            assert_eq!(workers.map(20, |_, i| i * i)[19], 361);
            total
        };
        assert_eq!(sum(1), sum(2));
        assert_eq!(sum(1), sum(3));
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        for bad in 0..4 {
            let run = || {
                let work = |_: &mut Context, i: usize, _: &mut [f32]| assert_ne!(i, bad);
                Workers::new(Device::cpu(), 3).accumulate(4, &mut [0.0], work);
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
        assert!(workers.accumulate(0, &mut [], |_, i, _| i).is_empty());
    }
}
