//! Threads of one operation: work in parts, stored in order, and who helps with it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

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
    pub(crate) fn set(&self, threads: usize) {
        self.0.store(threads, Ordering::SeqCst);
    }

    pub(crate) fn add(&self, threads: usize) {
        self.0.fetch_add(threads, Ordering::SeqCst);
    }

    /// How many there are now.
    pub(crate) fn threads(&self) -> usize {
        self.0.load(Ordering::SeqCst)
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

/// Working memory for each thread that takes part in an operation, reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Places<P>(Vec<P>);

impl<P: Default> Places<P> {
    /// Places for so many threads.
    pub(crate) fn places(&mut self, threads: usize) -> &mut [P] {
        if self.0.len() < threads {
            self.0.resize_with(threads, P::default);
        }
        &mut self.0[..threads]
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
    if threads < 2 {
        return run();
    }
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

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_met_once() {
        for threads in 1..4 {
            let mut items = [0; 37];
            for_each(threads, items.iter_mut(), |x| *x += 1);
            assert_eq!(items, [1; 37]);
        }
    }

    #[test]
    fn no_items_are_fine() {
        for_each(2, [0u8; 0].iter(), |_| unreachable!());
    }
}
