//! The queues with limits that give nothing now, as far as this process knows: nobody asks for
//! their rows before that can have changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::queue::QueueName;

/// After this time a queue is asked again whatever is known of it: others may have changed that
/// without a word.
const SLOW: Duration = Duration::from_secs(1);

/// The pauses after somebody else had locked the row of a queue: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(250)];

/// Why a queue gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// Its bucket has no token for so long.
    Empty(Duration),
    /// It runs all that it may.
    Full,
    /// Somebody else has locked its row.
    Locked,
}

/// What a process knows at the time when it asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The count of changes of queues.
    pub(super) changes: i64,
    /// How often workers were woken.
    pub(super) wakeups: u64,
}

/// The queues that give nothing now.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<HashMap<QueueName, Wait>>);

#[derive(Debug)]
struct Wait {
    denial: Denial,
    since: Moment,
    noted: Instant,
    /// How long from then on the queue gives nothing.
    left: Duration,
}

impl Waits {
    fn waits(&self) -> MutexGuard<'_, HashMap<QueueName, Wait>> {
        // Every change is a whole one, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why a queue is not to be asked yet; one whose row is locked counts as empty.
    pub(super) fn denial(&self, queue: &QueueName, now: Moment) -> Option<Denial> {
        let waits = self.waits();
        let wait = waits.get(queue).filter(|wait| wait.since.changes == now.changes)?;
        let waited = wait.noted.elapsed();
        if waited >= wait.left.min(SLOW) {
            return None;
        }
        match wait.denial {
            Denial::Full if wait.since.wakeups != now.wakeups => None,
            Denial::Full => Some(Denial::Full),
            Denial::Empty(_) | Denial::Locked => Some(Denial::Empty(wait.left - waited)),
        }
    }

    /// Whether the queue gave nothing when it was asked last.
    pub(super) fn has(&self, queue: &QueueName) -> bool {
        self.waits().contains_key(queue)
    }

    /// Remembers that a queue gives nothing, and returns for how long.
    pub(super) fn note(&self, queue: &QueueName, denial: Denial, since: Moment) -> Duration {
        let mut waits = self.waits();
        let locked = waits.get(queue).filter(|wait| wait.denial == Denial::Locked);
        let left = match denial {
            Denial::Empty(left) => left,
            Denial::Full => SLOW,
            Denial::Locked => locked.map_or(PAUSES[0], |wait| (wait.left * 2).min(PAUSES[1])),
        };
        waits.insert(queue.clone(), Wait { denial, since, noted: Instant::now(), left });
        left
    }

    /// Forgets a queue, which gives tasks again.
    pub(super) fn forget(&self, queue: &QueueName) {
        self.waits().remove(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    const NOW: Moment = Moment { changes: 7, wakeups: 3 };

    fn queue() -> QueueName {
        QueueName::new("q").unwrap()
    }

    #[test]
    fn an_empty_bucket_is_not_asked_before_its_time_or_other_limits() {
        let (waits, queue) = (Waits::default(), queue());
        assert!(waits.denial(&queue, NOW).is_none() && !waits.has(&queue));
        waits.note(&queue, Denial::Empty(HOUR), NOW);
        let told = waits.denial(&queue, Moment { wakeups: 4, ..NOW });
        assert!(matches!(told, Some(Denial::Empty(left)) if left > HOUR / 2), "{told:?}");
        assert_eq!(waits.denial(&queue, Moment { changes: 8, ..NOW }), None);
        waits.note(&queue, Denial::Empty(Duration::ZERO), NOW);
        assert!(waits.denial(&queue, NOW).is_none() && waits.has(&queue));
        waits.forget(&queue);
        assert!(!waits.has(&queue));
    }

    #[test]
    fn a_full_queue_is_asked_once_workers_are_woken() {
        let (waits, queue) = (Waits::default(), queue());
        waits.note(&queue, Denial::Full, NOW);
        assert_eq!(waits.denial(&queue, NOW), Some(Denial::Full));
        assert_eq!(waits.denial(&queue, Moment { wakeups: 4, ..NOW }), None);
    }

    #[test]
    fn a_queue_is_asked_after_a_while_whatever_is_known() {
        let (waits, queue) = (Waits::default(), queue());
        for denial in [Denial::Empty(HOUR), Denial::Full] {
            waits.note(&queue, denial, NOW);
            assert!(waits.denial(&queue, NOW).is_some());
            let early = Instant::now().checked_sub(SLOW).expect("the machine runs for longer");
            waits.waits().get_mut(&queue).unwrap().noted = early;
            assert_eq!(waits.denial(&queue, NOW), None, "{denial:?}");
        }
    }

    #[test]
    fn a_row_that_stays_locked_is_asked_for_less_and_less_often() {
        let (waits, queue) = (Waits::default(), queue());
        let pauses: Vec<_> = (0..8).map(|_| waits.note(&queue, Denial::Locked, NOW)).collect();
        assert!(pauses.is_sorted() && pauses[0] == PAUSES[0] && pauses[7] == PAUSES[1]);
        waits.note(&queue, Denial::Empty(HOUR), NOW);
        assert_eq!(waits.note(&queue, Denial::Locked, NOW), PAUSES[0]);
    }
}
