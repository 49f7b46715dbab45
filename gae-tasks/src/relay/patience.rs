//! How long a relay waits for a destination that does not create tasks of a queue.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::queue::QueueName;

/// The pause after the first failure; it doubles with each failure of the same task.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);

/// The queues whose tasks cannot be created at the moment, and those whose tasks could be.
#[derive(Debug)]
pub(super) struct Patience {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// What is known of queues.
#[derive(Debug, Default)]
struct Known {
    troubled: HashMap<QueueName, Trouble>,
    /// Those of which a task was ever created.
    succeeded: HashSet<QueueName>,
}

/// A queue whose last task could not be created.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    /// Notified when a task of the queue is created.
    is_over: Arc<Notify>,
}

impl Patience {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Records that a task of `queue` could not be created. Returns whether that is worth a line in
    /// the log: at a falling rate, as many tasks may be tried.
    pub(super) fn failed(&self, queue: &QueueName) -> bool {
        let mut known = self.lock();
        let trouble = known.troubled.entry(queue.clone()).or_default();
        trouble.failures = trouble.failures.saturating_add(1);
        trouble.failures.is_power_of_two()
    }

    /// Records that a task of `queue` was created; those that wait are tried again. Returns whether
    /// there were failures before.
    pub(super) fn succeeded(&self, queue: &QueueName) -> bool {
        let mut known = self.lock();
        if !known.succeeded.contains(queue) {
            known.succeeded.insert(queue.clone());
        }
        let ended = known.troubled.remove(queue);
        drop(known);
        if let Some(trouble) = &ended {
            trouble.is_over.notify_waiters();
        }
        ended.is_some()
    }

    /// Whether a task of `queue` was ever created.
    pub(super) fn has_succeeded(&self, queue: &QueueName) -> bool {
        self.lock().succeeded.contains(queue)
    }

    /// Waits before a task of `queue` is tried again after so many failures: less long if another
    /// task of the queue is created meanwhile, but never hardly at all, because that task may be
    /// another sort of task.
    pub(super) async fn rest(&self, queue: &QueueName, failures: u32) {
        self.clock.sleep(FIRST).await;
        let Some(is_over) =
            self.lock().troubled.get(queue).map(|trouble| Arc::clone(&trouble.is_over))
        else {
            return;
        };
        tokio::select! {
            () = is_over.notified() => {}
            () = self.clock.sleep(pause(failures).saturating_sub(FIRST)) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses = [1, 2, 3, 6, 7, 8, u32::MAX].map(|failures| pause(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60, 60]);
    }

    #[test]
    fn failures_are_logged_at_a_falling_rate_until_a_task_is_created() {
        let patience = Patience::new(Arc::new(SystemClock));
        let (queue, other) = (QueueName::DEFAULT, QueueName::from_static("other"));
        let logged: Vec<_> = (0..9).map(|_| patience.failed(&queue)).collect();
        assert_eq!(logged, [true, true, false, true, false, false, false, true, false]);
        assert!(!patience.succeeded(&other) && !patience.failed(&queue));
        assert!(patience.succeeded(&queue) && !patience.succeeded(&queue));
        assert!(patience.failed(&queue));
        assert!(patience.has_succeeded(&queue), "whatever has failed since");
        assert!(!patience.has_succeeded(&QueueName::from_static("never")));
    }
}
