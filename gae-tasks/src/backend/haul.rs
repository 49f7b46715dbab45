//! What a lease has taken so far, and whose turn it is.

use std::collections::HashMap;
use std::time::Duration;

use super::lease::{Lease, Leased, LeasedTask, Room, Standing};
use crate::queue::QueueName;

/// How many bytes of payloads one lease brings: the task that reaches them is its last, so that one always fits.
pub(crate) const MAX_LEASED_BYTES: usize = 8 * 1024 * 1024;

/// So many tasks are worth a turn of their own: a turn costs about as much as half a task.
const WORTH_A_TURN: usize = 8;

/// What a lease has taken so far.
#[derive(Debug)]
pub(crate) struct Haul {
    room: Room,
    tasks: Vec<LeasedTask>,
    bytes: usize,
    /// How many more of the tasks of a bounded queue may be taken.
    bounds: HashMap<QueueName, usize>,
}

impl Haul {
    /// Nothing, for this lease.
    pub(crate) fn new(lease: &Lease) -> Self {
        Self { room: lease.room, tasks: Vec::new(), bytes: 0, bounds: lease.bounds.clone() }
    }

    pub(crate) fn tasks(&self) -> &[LeasedTask] {
        &self.tasks
    }

    /// How many more tasks of `standing` may be taken.
    pub(crate) fn room(&self, standing: Standing) -> usize {
        if self.is_full() { 0 } else { self.room.left(standing, &self.tasks) }
    }

    /// How many more tasks of `queue` may be taken, as far as its bound says.
    pub(crate) fn room_of(&self, queue: &QueueName) -> usize {
        self.bounds.get(queue).copied().unwrap_or(usize::MAX)
    }

    /// Whether its payloads are enough for one lease.
    const fn is_full(&self) -> bool {
        self.bytes >= MAX_LEASED_BYTES
    }

    pub(crate) fn add(&mut self, task: LeasedTask) {
        if let Some(bound) = self.bounds.get_mut(&task.spec.queue) {
            *bound = bound.saturating_sub(1);
        }
        self.bytes = self.bytes.saturating_add(task.payload.len());
        self.tasks.push(task);
    }

    /// The answer, where the next of the tasks that are not due becomes so after `next`.
    pub(crate) fn leased(self, next: Option<Duration>) -> Leased {
        let next = if self.is_full() { Some(Duration::ZERO) } else { next };
        Leased::new(self.tasks, next)
    }
}

/// The turns of the queues that have clear tasks due, in one lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    /// How many tasks a queue gives in its turn.
    pub(crate) length: usize,
    /// Which of the queues, which are in the order of their names, is the first.
    pub(crate) first: usize,
}

impl Turns {
    /// Those of a lease with room for so many tasks, where `due` has a queue's place by name: a turn is as long as is fair,
    /// or as it pays.
    pub(crate) fn new(room: usize, last_turn: Option<&QueueName>, due: &[&QueueName]) -> Self {
        let queues = due.len().max(1);
        let length = (room / queues).max(WORTH_A_TURN.min(room / WORTH_A_TURN)).max(1);
        let first = last_turn.map_or(0, |last| due.partition_point(|queue| *queue <= last)) % queues;
        Self { length, first }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<QueueName> {
        (0..count).map(|number| QueueName::new(format!("q{number:04}")).unwrap()).collect()
    }

    #[test]
    fn the_queue_after_the_last_one_is_next() {
        let names = names(3);
        let first = |last: Option<usize>, due: &[usize]| {
            let due: Vec<_> = due.iter().map(|place| &names[*place]).collect();
            Turns::new(10, last.map(|place| &names[place]), &due).first
        };
        assert_eq!([first(None, &[0, 1, 2]), first(Some(0), &[0, 1, 2]), first(Some(2), &[0, 1, 2])], [0, 1, 0]);
        assert_eq!([first(Some(1), &[0, 2]), first(Some(1), &[0, 1]), first(Some(0), &[])], [1, 0, 0]);
    }

    proptest! {
        #[test]
        fn a_turn_is_fair_or_short(room in 0..2_000_usize, queues in 1..2_000_usize) {
            let (names, length) = (names(queues), |names: &[QueueName]| Turns::new(room, None, &names.iter().collect::<Vec<_>>()).length);
            let length = length(&names);
            prop_assert!(length >= 1);
            prop_assert!(length <= (room / queues).max(WORTH_A_TURN), "{length}");
            prop_assert!(length * queues >= room.saturating_sub(queues), "one round is about all");
        }
    }
}
