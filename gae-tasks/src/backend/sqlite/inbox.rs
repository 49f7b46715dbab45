//! What waits for the writer: callers put it in, the writer takes out as much as makes one good transaction.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::call::Work;

/// Most tasks of one transaction: more would make the first of them wait.
const MAX_WEIGHT: usize = 4_096;

/// Being woken takes a thread about as long: a call that comes sooner finds the writer awake.
const SPIN: Duration = Duration::from_micros(50);

/// The callers' side.
#[derive(Debug, Clone)]
pub(super) struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// How many calls are pending, to be looked at without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Pending {
    work: Vec<Box<dyn Work>>,
    weight: usize,
    /// How many calls the writer sleeps for; zero while it is awake, and need not be woken.
    wanted: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new() -> (Self, Outlet) {
        let shared = Arc::<Shared>::default();
        (Self(Arc::clone(&shared)), Outlet(shared))
    }

    /// Hands over a call; it is dropped if nobody will take it out any more.
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

    /// Lets the writer end once it has taken out what is in.
    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// The writer's side; dropped, also by a panic, it drops what is in and all that is put in later.
#[derive(Debug)]
pub(super) struct Outlet(Arc<Shared>);

impl Outlet {
    /// How many calls are in.
    pub(super) fn len(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Sleeps until a call is in; `false` when none can come any more.
    pub(super) fn wait(&self) -> bool {
        let mut pending = self.0.lock();
        while pending.work.is_empty() && !pending.closed {
            pending.wanted = 1;
            pending = self.0.arrived.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        pending.wanted = 0;
        !pending.work.is_empty()
    }

    /// Waits for the first call of those that come soon, or else for so many; as long as `patience` at most.
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
            pending = self.0.arrived.wait_timeout(pending, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        pending.wanted = 0;
    }

    /// Moves into `group` what is in, as much as fits a transaction.
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
        // Outside of the lock: their callers are told of it.
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
