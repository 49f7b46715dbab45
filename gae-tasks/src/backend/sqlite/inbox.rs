//! The queue of calls to the writer: callers put calls in, and the writer takes out enough for one
//! good transaction.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::call::Work;

/// The most tasks of one transaction: more would make the first of them wait.
const MAX_WEIGHT: usize = 4_096;

/// About the time it takes to wake a thread: the writer is still awake for a call that comes within
/// it.
const SPIN: Duration = Duration::from_micros(50);

/// The callers' side.
#[derive(Debug, Clone)]
pub(super) struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// The number of pending calls, readable without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Pending {
    work: Vec<Box<dyn Work>>,
    weight: usize,
    /// The number of calls for which the writer sleeps; zero while the writer is awake and need not
    /// be woken.
    wanted: usize,
    closed: bool,
    /// Whether the writer must look for news.
    rung: bool,
}

impl Inbox {
    pub(super) fn new() -> (Self, Outlet) {
        let shared = Arc::<Shared>::default();
        (Self(Arc::clone(&shared)), Outlet(shared))
    }

    /// Hands over a call; the call is dropped if the writer's side is gone.
    pub(super) fn put(&self, call: Box<dyn Work>) {
        let mut pending = self.0.lock();
        if pending.closed {
            return;
        }
        pending.weight += call.weight();
        pending.work.push(call);
        self.0.count.store(pending.work.len(), Ordering::Relaxed);
        if pending.wanted > 0 && pending.work.len() >= pending.wanted {
            pending.wanted = 0;
            drop(pending);
            self.0.arrived.notify_one();
        }
    }

    /// Whether no call is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) == 0
    }

    /// Makes the writer look for news, once it has nothing else to do.
    pub(super) fn ring(&self) {
        let mut pending = self.0.lock();
        pending.rung = true;
        let is_asleep = pending.wanted > 0;
        drop(pending);
        if is_asleep {
            self.0.arrived.notify_one();
        }
    }

    /// Makes the writer end once it has taken out all pending calls.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// What ended a wait for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    Calls,
    /// Somebody has rung.
    Ring,
    /// The wait was long enough.
    Nothing,
    /// No more calls can come.
    End,
}

/// The writer's side. When dropped, also by a panic, it drops all pending and later calls.
#[derive(Debug)]
pub(super) struct Outlet(Arc<Shared>);

impl Outlet {
    /// Returns the number of pending calls.
    pub(super) fn len(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Stays awake for a moment, in which a call may come.
    pub(super) fn linger(&self) {
        let begun = Instant::now();
        while self.len() == 0 && begun.elapsed() < SPIN {
            thread::yield_now();
        }
    }

    /// Sleeps until a call is pending or none can come any more; at most for `patience`, if set.
    pub(super) fn wait(&self, patience: Option<Duration>) -> Arrival {
        let mut pending = self.0.lock();
        let mut is_over = false;
        while pending.work.is_empty() && !pending.closed && !is_over && !pending.rung {
            pending.wanted = 1;
            pending = match patience {
                None => self.0.arrived.wait(pending).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.0.arrived.wait_timeout(pending, patience);
                    let (pending, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                    is_over = waited.timed_out();
                    pending
                }
            };
        }
        pending.wanted = 0;
        match pending.work.is_empty() {
            false => Arrival::Calls,
            true if pending.closed => Arrival::End,
            true if std::mem::take(&mut pending.rung) => Arrival::Ring,
            true => Arrival::Nothing,
        }
    }

    /// Waits until `calls` calls are pending; returns early if the first comes within [`SPIN`].
    /// Waits at most for `patience`.
    pub(super) fn wait_for(&self, calls: usize, patience: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < SPIN.min(patience) {
            if self.len() > 0 {
                return;
            }
            thread::yield_now();
        }
        let mut pending = self.0.lock();
        while pending.work.len() < calls && !pending.closed {
            let Some(left) = patience.checked_sub(begun.elapsed()) else { break };
            pending.wanted = calls;
            pending = self
                .0
                .arrived
                .wait_timeout(pending, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        pending.wanted = 0;
    }

    /// Moves pending calls into `group`, as many as fit into a transaction.
    pub(super) fn take(&self, group: &mut Vec<Box<dyn Work>>) {
        let mut pending = self.0.lock();
        if pending.weight <= MAX_WEIGHT && group.is_empty() {
            pending.weight = 0;
            self.0.count.store(0, Ordering::Relaxed);
            mem::swap(&mut pending.work, group);
            return;
        }
        let (mut count, mut taken) = (0, 0);
        while taken < MAX_WEIGHT
            && let Some(call) = pending.work.get(count)
        {
            taken += call.weight();
            count += 1;
        }
        group.extend(pending.work.drain(..count));
        pending.weight -= taken;
        self.0.count.store(pending.work.len(), Ordering::Relaxed);
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.close();
        let dropped = mem::take(&mut self.0.lock().work);
        // Dropped outside the lock, because dropping a call wakes its caller.
        drop(dropped);
    }
}

impl Shared {
    fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Call, Request};
    use super::super::connection::Durability;
    use super::super::database::Database;
    use super::super::error::Fault;
    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(60);

    struct Weighs(usize);

    impl Request for Weighs {
        type Output = ();
        const DURABILITY: Durability = Durability::Normal;

        fn weight(&self) -> usize {
            self.0
        }

        fn perform(&mut self, _: &mut Database) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn put(inbox: &Inbox, weights: impl IntoIterator<Item = usize>) {
        weights.into_iter().for_each(|weight| inbox.put(Call::new(Weighs(weight)).0));
    }

    /// Returns the weights of the taken calls, and how many calls and tasks are left.
    fn take(outlet: &Outlet) -> (Vec<usize>, usize, usize) {
        let mut group = Vec::new();
        outlet.take(&mut group);
        (group.iter().map(|call| call.weight()).collect(), outlet.len(), outlet.0.lock().weight)
    }

    #[test]
    fn a_transaction_is_as_heavy_as_it_may_be_and_by_one_call_more_at_most() {
        let (inbox, outlet) = Inbox::new();
        put(&inbox, [2_000; 4]);
        assert_eq!(take(&outlet), (vec![2_000; 3], 1, 2_000));
        assert_eq!(take(&outlet), (vec![2_000], 0, 0));
        put(&inbox, [MAX_WEIGHT, 1]);
        assert_eq!(take(&outlet), (vec![MAX_WEIGHT], 1, 1));
        put(&inbox, [MAX_WEIGHT - 1]);
        assert_eq!(take(&outlet), (vec![1, MAX_WEIGHT - 1], 0, 0));
        put(&inbox, [MAX_WEIGHT * 2]);
        assert_eq!(take(&outlet), (vec![MAX_WEIGHT * 2], 0, 0), "at least one");
    }

    #[test]
    fn what_comes_later_is_added_to_a_group() {
        let (inbox, outlet) = Inbox::new();
        let mut group = Vec::new();
        for weight in [1, 2] {
            put(&inbox, [weight]);
            outlet.take(&mut group);
        }
        assert_eq!(group.iter().map(|call| call.weight()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn so_many_calls_are_waited_for() {
        let (inbox, outlet) = Inbox::new();
        let begun = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                outlet.wait_for(2, LONG);
                outlet.len()
            });
            while inbox.0.lock().wanted != 2 {
                thread::yield_now();
            }
            put(&inbox, [1]);
            assert_eq!(inbox.0.lock().wanted, 2, "one call wakes nobody");
            put(&inbox, [1]);
            assert_eq!(waiting.join().unwrap(), 2);
        });
        outlet.wait_for(2, LONG);
        assert_eq!(inbox.0.lock().wanted, 0, "no thread needs to be woken");
        assert!(begun.elapsed() < LONG / 2, "it was not woken");
    }

    #[test]
    fn who_waits_for_calls_is_told_when_there_are_none() {
        let (inbox, outlet) = Inbox::new();
        assert_eq!(outlet.wait(Some(Duration::from_millis(1))), Arrival::Nothing);
        put(&inbox, [1]);
        assert_eq!((outlet.wait(Some(LONG)), outlet.wait(None)), (Arrival::Calls, Arrival::Calls));
        take(&outlet);
        inbox.close();
        assert_eq!(outlet.wait(Some(LONG)), Arrival::End);
    }

    #[test]
    fn who_rings_wakes_the_writer_once() {
        let (inbox, outlet) = Inbox::new();
        inbox.ring();
        assert_eq!(outlet.wait(None), Arrival::Ring);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| outlet.wait(None));
            while inbox.0.lock().wanted != 1 {
                thread::yield_now();
            }
            inbox.ring();
            assert_eq!(waiting.join().unwrap(), Arrival::Ring);
        });
        assert_eq!(outlet.wait(Some(Duration::ZERO)), Arrival::Nothing);
        assert!(!inbox.0.lock().rung);
    }

    #[test]
    fn a_wait_ends_with_its_patience_and_when_nothing_can_come() {
        let (inbox, outlet) = Inbox::new();
        let begun = Instant::now();
        outlet.wait_for(1, Duration::from_millis(1));
        outlet.wait_for(1, Duration::ZERO);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| outlet.wait_for(1, LONG));
            while inbox.0.lock().wanted != 1 {
                thread::yield_now();
            }
            inbox.close();
            waiting.join().unwrap();
        });
        outlet.wait_for(1, LONG);
        assert!(begun.elapsed() < LONG / 2 && outlet.wait(None) == Arrival::End);
    }
}
