//! Threads that take numbered pieces of work, with results in the order of the numbers.
//!
//! ```text
//! 3 threads, 2 pieces          thread A   piece 0 ---------+--- helped ---+-----|
//!                              thread B   piece 1 ----|    | (idle: C, B) |
//!                              thread C   idle        | idle
//! ```
//!
//! A thread without a piece is counted as idle. Operations that have parts of their own
//! ([`Idle::take`]) borrow idle threads for as long as they last. Their parts and the order in
//! which parts are added up depend on shapes alone, so that no result depends on who was idle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

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

/// Computes pieces `0..n`, each into one of these places, of which each has a thread, and stores
/// them in the order of their numbers. A thread that has no piece left ends with `done`.
///
/// Pieces are begun in order, so that a piece that waits for its turn waits for pieces that are
/// being computed.
pub(crate) fn in_order<P: Send>(
    places: &mut [P],
    n: usize,
    work: impl Fn(&mut P, usize) + Sync,
    store: impl FnMut(&mut P, usize) + Send,
    done: impl Fn(&mut P) + Sync,
) {
    let started = AtomicUsize::new(0);
    let next = Mutex::new((0, store));
    let turn = Condvar::new();
    let failed = AtomicBool::new(false);
    let run = |place: &mut P| {
        // A thread that panics must not leave the others waiting for its turn.
        let _panics = OnPanic { failed: &failed, turn: &turn };
        loop {
            let i = started.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return done(place);
            }
            work(place, i);
            let mut next = lock(&next);
            while next.0 != i {
                if failed.load(Ordering::SeqCst) {
                    return;
                }
                next = turn
                    .wait_timeout(next, Duration::from_millis(100))
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .0;
            }
            next.1(place, i);
            next.0 += 1;
            drop(next);
            turn.notify_all();
        }
    };
    let run = &run;
    let threads = places.len().min(n);
    if let Some((first, rest)) = places[..threads].split_first_mut() {
        if rest.is_empty() {
            return run(first);
        }
        thread::scope(|scope| {
            for place in rest {
                scope.spawn(move || run(place));
            }
            run(first);
        });
    }
}

/// Threads of a group of workers that have nothing to do, and so can help those that have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Idle(Arc<AtomicUsize>);

impl Idle {
    fn set(&self, threads: usize) {
        self.0.store(threads, Ordering::SeqCst);
    }

    fn add(&self, threads: usize) {
        self.0.fetch_add(threads, Ordering::SeqCst);
    }

    /// Takes up to `most` of them, until what is returned is dropped.
    pub(crate) fn take(&self, most: usize) -> Helpers {
        let mut taken = 0;
        let take = |idle: usize| {
            taken = idle.min(most);
            Some(idle - taken)
        };
        // Never fails, as `take` gives a number always.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        Helpers { idle: self.clone(), taken }
    }
}

/// Threads that help with a piece of work.
pub(crate) struct Helpers {
    idle: Idle,
    taken: usize,
}

impl Helpers {
    /// How many threads there are with the one that is helped.
    pub(crate) fn threads(&self) -> usize {
        self.taken + 1
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.idle.add(self.taken);
    }
}

/// Runs `work` for each item, on up to `threads` threads, in no order.
pub fn for_each<T: Send>(
    threads: usize,
    items: impl ExactSizeIterator<Item = T> + Send,
    work: impl Fn(T) + Sync,
) {
    let threads = threads.min(items.len());
    let items = Mutex::new(items);
    let run = || {
        loop {
            let Some(item) = lock(&items).next() else { return };
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
}

/// Says that its thread panicked when it is dropped by a panic.
struct OnPanic<'a> {
    failed: &'a AtomicBool,
    turn: &'a Condvar,
}

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failed.store(true, Ordering::SeqCst);
            self.turn.notify_all();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
    fn each_item_is_met_once() {
        for threads in 1..4 {
            let mut items = [0; 37];
            for_each(threads, items.iter_mut(), |x| *x += 1);
            assert_eq!(items, [1; 37]);
        }
    }

    #[test]
    fn no_work_is_fine() {
        for_each(2, [0u8; 0].iter(), |_| unreachable!());
        let mut workers = Workers::new(Device::cpu(), 2);
        assert!(workers.map(0, |_, i| i).is_empty());
        assert!(workers.accumulate(0, &mut [], |_, i, _| i).is_empty());
    }
}
