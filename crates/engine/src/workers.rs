//! Threads that take numbered pieces of work, with results in the order of the numbers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::{Context, Device};

/// One context a thread.
#[derive(Debug)]
pub struct Workers {
    contexts: Vec<Context>,
    gradients: Vec<Vec<f32>>,
}

impl Workers {
    /// Workers on `threads` threads (at least one).
    pub fn new(device: Device, threads: usize) -> Self {
        let n = threads.max(1);
        Self {
            contexts: (0..n).map(|_| Context::new(device)).collect(),
            gradients: vec![Vec::new(); n],
        }
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
                    return;
                }
                let result = work(context, i);
                lock(&results)[i] = Some(result);
            }
        };
        let run = &run;
        let threads = self.contexts.len().min(n);
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

    /// Runs `work` for `0..n`, each time with a vector of zeros as long as `total` to add gradients
    /// to, and adds these vectors to `total` in the order of the numbers: the sum is the same to
    /// the bit for any number of threads.
    pub fn accumulate<R: Send>(
        &mut self,
        n: usize,
        total: &mut [f32],
        work: impl Fn(&mut Context, usize, &mut [f32]) -> R + Sync,
    ) -> Vec<R> {
        struct Merge<'a, R> {
            next: usize,
            total: &'a mut [f32],
            results: Vec<R>,
        }
        let (len, started) = (total.len(), AtomicUsize::new(0));
        let merge = Mutex::new(Merge { next: 0, total, results: Vec::with_capacity(n) });
        let turn = Condvar::new();
        let failed = AtomicBool::new(false);
        let run = |context: &mut Context, gradient: &mut Vec<f32>| {
            gradient.resize(len, 0.0);
            // A thread that panics must not leave the others waiting for its turn.
            let _panics = OnPanic { failed: &failed, turn: &turn };
            loop {
                let i = started.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    return;
                }
                gradient.fill(0.0);
                let result = work(context, i, gradient);
                let mut merge = lock(&merge);
                while merge.next != i {
                    if failed.load(Ordering::SeqCst) {
                        return;
                    }
                    merge = turn
                        .wait_timeout(merge, Duration::from_millis(100))
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .0;
                }
                let device = context.device();
                budwood_kernels::ops::elementwise::add(device.isa(), merge.total, gradient);
                merge.results.push(result);
                merge.next += 1;
                drop(merge);
                turn.notify_all();
            }
        };
        let run = &run;
        let threads = self.contexts.len().min(n);
        let mut pairs = self.contexts[..threads].iter_mut().zip(&mut self.gradients);
        if let Some((first, first_gradient)) = pairs.next() {
            thread::scope(|scope| {
                for (context, gradient) in pairs {
                    scope.spawn(move || run(context, gradient));
                }
                run(first, first_gradient);
            });
        }
        merge.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).results
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
