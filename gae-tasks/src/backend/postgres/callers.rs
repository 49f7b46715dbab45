//! The callers whose tasks wait to be stored together.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::error::Fault;
use super::rows::{MOST, bytes};
use crate::backend::NewTask;
use crate::error::Error;
use crate::task::Deferred;
use crate::time::Now;

/// The least number of connections with which two flushes run at a time: one waits for its commit
/// while the other is written. With fewer, nothing would be left for those who run tasks.
const ENOUGH: u32 = 3;

/// For how long a flush waits for the next caller, in a transaction that has begun: a caller that
/// stores one task after the other comes back at once, and need not wait for the beginning.
const PAUSE: Duration = Duration::from_millis(20);

/// The same while another flush waits too: one is enough for callers that come now and then.
const SHORT_PAUSE: Duration = Duration::from_millis(1);

/// How many tasks wait at most.
const WAITING: usize = 20_000;

/// The result for each task of a caller.
pub(super) type Stored = Result<Vec<Result<Deferred, Error>>, Fault>;

/// The callers whose tasks wait to be stored together.
#[derive(Debug)]
pub(super) struct Callers {
    state: Mutex<State>,
    /// Signalled for each caller that is added.
    added: Notify,
    /// How many flushes run at a time.
    most_running: usize,
}

#[derive(Debug, Default)]
struct State {
    callers: VecDeque<Caller>,
    tasks: usize,
    running: usize,
    /// How many of the flushes that run wait for a caller.
    idle: usize,
}

/// A caller with its tasks.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) now: Now,
    pub(super) tasks: Vec<NewTask>,
    pub(super) answer: oneshot::Sender<Stored>,
}

impl Callers {
    /// Creates callers whose tasks are stored by a process with this many connections.
    pub(super) fn new(connections: u32) -> Self {
        let most_running = if connections < ENOUGH { 1 } else { 2 };
        Self { state: Mutex::default(), added: Notify::new(), most_running }
    }

    /// Adds a caller, and returns whether another flush is to begin; returns the caller if too many
    /// wait.
    pub(super) fn add(&self, caller: Caller) -> Result<bool, Caller> {
        let mut state = self.state();
        if state.tasks + caller.tasks.len() > WAITING {
            return Err(caller);
        }
        state.tasks += caller.tasks.len();
        state.callers.push_back(caller);
        // One that waits takes them, unless they are too many for it.
        let is_free = state.idle == 0 || state.tasks > MOST.0;
        let begins = is_free && state.running < self.most_running;
        state.running += usize::from(begins);
        drop(state);
        self.added.notify_one();
        Ok(begins)
    }

    /// Whether a flush should go on in its connection: somebody waits, or may soon, and others have
    /// connections enough.
    pub(super) fn may_come(&self) -> bool {
        self.most_running > 1 || self.is_waiting()
    }

    /// Waits until somebody does, but not for long.
    pub(super) async fn come(&self) {
        let idle = Idle::new(self);
        let coming = async {
            while !self.is_waiting() {
                self.added.notified().await;
            }
        };
        _ = timeout(idle.limit(), coming).await;
    }

    fn is_waiting(&self) -> bool {
        !self.state().callers.is_empty()
    }

    /// Returns the callers of the next transaction, which have one moment. If there are none, the
    /// flush that asks is over.
    pub(super) fn take(&self) -> Option<Vec<Caller>> {
        let mut state = self.state();
        let Some(now) = state.callers.front().map(|caller| caller.now) else {
            state.running -= 1;
            return None;
        };
        let (mut taken, mut size) = (Vec::new(), (0, 0));
        while let Some(caller) = state.callers.front().filter(|caller| caller.now == now) {
            let tasks = caller.tasks.len();
            size = (size.0 + tasks, size.1 + bytes(&caller.tasks));
            if !taken.is_empty() && (size.0 > MOST.0 || size.1 > MOST.1) {
                break;
            }
            state.tasks -= tasks;
            taken.extend(state.callers.pop_front());
        }
        Some(taken)
    }

    /// Ends a flush in its midst. Those who wait get no answer if there is no other.
    pub(super) fn give_up(&self) {
        let mut state = self.state();
        state.running -= 1;
        if state.running == 0 {
            state.callers.clear();
            state.tasks = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a flush as one that waits, until this is dropped.
struct Idle<'a> {
    callers: &'a Callers,
    /// Whether no other flush waited before.
    is_only: bool,
}

impl<'a> Idle<'a> {
    fn new(callers: &'a Callers) -> Self {
        let mut state = callers.state();
        state.idle += 1;
        let is_only = state.idle == 1;
        drop(state);
        Self { callers, is_only }
    }

    /// For how long to wait.
    const fn limit(&self) -> Duration {
        if self.is_only { PAUSE } else { SHORT_PAUSE }
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.callers.state().idle -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds a caller without tasks, and returns whether a flush begins.
    fn begins(callers: &Callers) -> bool {
        let (answer, _) = oneshot::channel();
        callers.add(Caller { now: Now::Storage, tasks: Vec::new(), answer }).unwrap()
    }

    fn begun(connections: u32) -> usize {
        let callers = Callers::new(connections);
        (0..5).filter(|_| begins(&callers)).count()
    }

    #[test]
    fn flushes_leave_a_connection_for_those_who_run_tasks() {
        assert_eq!((begun(2), begun(3), begun(8)), (1, 2, 2));
    }

    #[test]
    fn a_flush_that_waits_takes_the_next_caller() {
        let callers = Callers::new(8);
        assert!(begins(&callers));
        let idle = Idle::new(&callers);
        assert!(!begins(&callers));
        drop(idle);
        assert!(begins(&callers));
    }

    #[test]
    fn one_flush_that_waits_for_long_is_enough() {
        let callers = Callers::new(8);
        let [first, other] = [Idle::new(&callers), Idle::new(&callers)];
        assert_eq!((first.limit(), other.limit()), (PAUSE, SHORT_PAUSE));
        drop((first, other));
        assert_eq!(Idle::new(&callers).limit(), PAUSE);
    }
}
