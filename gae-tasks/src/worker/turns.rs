//! The queues that had the last turns: those after them are next in the following leases.

use crate::backend::{LeasedTask, Standing};
use crate::queue::QueueName;

/// The queues that had the last turns.
///
/// Leases for queues with limits only have turns of their own. A lease for all queues mostly ends
/// with the same queue, whose tasks are leased ahead, and its free runners go to the first queue
/// with limits after that: if leases for queues with limits went on from there, they would never
/// come to the last ones.
#[derive(Debug, Default)]
pub(super) struct LastTurns {
    /// The queue that had the last turn in a lease for all queues.
    of_all: Option<QueueName>,
    /// The queue that had the last turn in a lease for queues with limits only.
    of_limited: Option<QueueName>,
}

impl LastTurns {
    /// Returns the queue that had the last turn in a lease of this sort.
    pub(super) fn of(&self, is_reserved: bool) -> Option<QueueName> {
        if is_reserved { self.of_limited.clone() } else { self.of_all.clone() }
    }

    /// Records the tasks of a lease, in their order: whether it was for queues with limits only.
    pub(super) fn note(&mut self, tasks: &[LeasedTask], is_reserved: bool) {
        let has_turn = |task: &&LeasedTask| {
            if is_reserved { task.at_once } else { task.standing == Standing::Clear }
        };
        if let Some(task) = tasks.iter().rfind(has_turn) {
            let last = if is_reserved { &mut self.of_limited } else { &mut self.of_all };
            *last = Some(task.spec.queue.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::waiting::tests::task;
    use super::*;

    fn clear(queue: &str) -> LeasedTask {
        task(queue, 1, Standing::Clear)
    }

    fn at_once(queue: &str) -> LeasedTask {
        LeasedTask { at_once: true, ..clear(queue) }
    }

    /// The queues that had the last turns, in leases for all queues and in the others.
    fn last(turns: &LastTurns) -> [Option<String>; 2] {
        [false, true].map(|is_reserved| turns.of(is_reserved).map(|queue| queue.to_string()))
    }

    fn names(of_all: &str, of_limited: &str) -> [Option<String>; 2] {
        [of_all, of_limited].map(|name| Some(name.to_owned()))
    }

    #[test]
    fn the_last_clear_task_had_the_last_turn() {
        let mut turns = LastTurns::default();
        assert_eq!(last(&turns), [None, None]);
        turns.note(&[task("c", 1, Standing::Marked), clear("a"), clear("b")], false);
        turns.note(&[], false);
        assert_eq!(last(&turns), [Some("b".to_owned()), None]);
    }

    #[test]
    fn a_lease_for_all_queues_leaves_the_turns_of_queues_with_limits_as_they_are() {
        let mut turns = LastTurns::default();
        for (queue, next) in [("a", "b"), ("b", "c")] {
            turns.note(&[at_once(queue)], true);
            turns.note(&[at_once("a"), clear("bulk")], false);
            assert_eq!(last(&turns), names("bulk", queue), "{next} is next");
        }
    }
}
