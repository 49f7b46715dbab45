//! The tasks that a lease has taken so far, and the length of a queue's turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::gate::{Gate, Opens};
use super::lease::{Lease, Leased, LeasedTask, Room, Standing};
use crate::queue::{QueueName, RetryConfig};

/// How many bytes of payloads one lease returns. The task that reaches this limit is the last, so
/// one task always fits.
pub(crate) const MAX_LEASED_BYTES: usize = 8 * 1024 * 1024;

/// The fewest tasks for which a turn pays: a turn costs about as much as two tasks.
const WORTH_A_TURN: usize = 32;

/// The tasks that a lease has taken so far.
#[derive(Debug)]
pub(crate) struct Haul {
    room: Room,
    tasks: Vec<LeasedTask>,
    bytes: usize,
    /// How many more tasks of each bounded queue may be taken.
    bounds: HashMap<QueueName, usize>,
    /// The gates of the queues with limits that had tasks due.
    gates: HashMap<QueueName, Gate>,
    /// How many of the tasks must start at once: they were watched, or their queues have limits.
    starting: usize,
}

impl Haul {
    /// Creates an empty haul for this lease.
    pub(crate) fn new(lease: &Lease) -> Self {
        Self {
            room: lease.room,
            tasks: Vec::new(),
            bytes: 0,
            bounds: lease.bounds.clone(),
            gates: HashMap::new(),
            starting: 0,
        }
    }

    /// Whether the limits of queues apply to this lease.
    pub(crate) const fn obeys_limits(&self) -> bool {
        self.room.obeys_limits
    }

    /// Applies the limits of a queue that has tasks due; called before any of them is taken.
    pub(crate) fn limit(&mut self, queue: QueueName, gate: Gate) {
        if self.obeys_limits() {
            self.gates.insert(queue, gate);
        }
    }

    /// The gate of `queue`, if its limits are [applied](Self::limit).
    pub(crate) fn gate(&self, queue: &QueueName) -> Option<&Gate> {
        self.gates.get(queue)
    }

    /// The gates of the queues with limits, after what was taken so far.
    pub(crate) fn gates(&self) -> impl Iterator<Item = (&QueueName, &Gate)> {
        self.gates.iter()
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn tasks(&self) -> &[LeasedTask] {
        &self.tasks
    }

    /// Returns how many more tasks of `standing` may be taken.
    pub(crate) fn room(&self, standing: Standing) -> usize {
        if self.is_full() { 0 } else { self.room.left(standing, &self.tasks) }
    }

    /// Returns how many more tasks of `queue` its bound, its limits and the free runners allow.
    pub(crate) fn room_of(&self, queue: &QueueName) -> usize {
        match self.gates.get(queue) {
            None if self.room.is_reserved => 0,
            None => self.bound_of(queue),
            Some(gate) => self.bound_of(queue).min(gate.gives()).min(self.startable()),
        }
    }

    /// Like [`room_of`](Self::room_of), for tasks that were made due by hand: they run beyond the
    /// limits.
    pub(crate) fn room_of_forced(&self, queue: &QueueName) -> usize {
        let is_limited = self.gates.contains_key(queue);
        let room = if is_limited { self.startable() } else { usize::MAX };
        if self.room.is_reserved && !is_limited { 0 } else { self.bound_of(queue).min(room) }
    }

    /// Returns how many tasks `queue` gives in a turn, however long turns are. If its limits allow
    /// none, it gives those that were made due by hand.
    #[cfg(feature = "sqlite")]
    pub(crate) fn room_of_turn(&self, queue: &QueueName) -> usize {
        match self.room_of(queue) {
            0 => self.room_of_forced(queue),
            most => most,
        }
    }

    /// Whether `queue` would give another task if another runner was free.
    pub(crate) fn holds_back(&self, queue: &QueueName) -> bool {
        let gives = |gate: &Gate| gate.gives() > 0;
        self.startable() == 0
            && self.bound_of(queue) > 0
            && self.gates.get(queue).is_some_and(gives)
    }

    /// Returns when `queue` may give another task; at once, if it has no limits.
    #[cfg(feature = "sqlite")]
    pub(crate) fn opens_of(&self, queue: &QueueName) -> Opens {
        self.gates.get(queue).map_or(Opens::Now, Gate::opens)
    }

    /// Like [`holds_back`](Self::holds_back), for tasks that were made due by hand.
    pub(crate) fn holds_back_forced(&self, queue: &QueueName) -> bool {
        self.startable() == 0 && self.bound_of(queue) > 0 && self.gates.contains_key(queue)
    }

    fn bound_of(&self, queue: &QueueName) -> usize {
        self.bounds.get(queue).copied().unwrap_or(usize::MAX)
    }

    /// Returns how many more free runners there are.
    pub(crate) const fn startable(&self) -> usize {
        self.room.startable.saturating_sub(self.starting)
    }

    /// Whether the payloads fill the lease.
    const fn is_full(&self) -> bool {
        self.bytes >= MAX_LEASED_BYTES
    }

    pub(crate) fn add(&mut self, mut task: LeasedTask) {
        if let Some(gate) = self.gates.get_mut(&task.spec.queue) {
            (task.at_once, task.paid) = (true, gate.has_rate() && !task.forced);
            if task.forced { gate.force() } else { gate.give() }
        }
        self.starting += usize::from(task.at_once || task.standing != Standing::Clear);
        if let Some(bound) = self.bounds.get_mut(&task.spec.queue) {
            *bound = bound.saturating_sub(1);
        }
        self.bytes = self.bytes.saturating_add(task.payload.len());
        self.tasks.push(task);
    }

    /// Returns how long until the first of the queues with limits gives its next task, among those
    /// that wait for a token.
    pub(crate) fn opens(&self) -> Option<Duration> {
        let wait = |gate: &Gate| match gate.opens() {
            Opens::After(wait) => Some(wait),
            Opens::Now | Opens::WhenOneEnds => None,
        };
        self.gates.values().filter_map(wait).min()
    }

    /// Returns the answer. `next` is the time until a further task becomes due, to which the
    /// limits of queues are added; `retry_of` returns how a queue retries failed tasks, if its
    /// configuration says.
    pub(crate) fn leased(
        mut self,
        next: Option<Duration>,
        retry_of: impl Fn(&QueueName) -> Option<RetryConfig>,
    ) -> Leased {
        // Tasks of a queue are adjacent, so nearly all of them share one `Arc`.
        let mut last: Option<(QueueName, Option<Arc<RetryConfig>>)> = None;
        for task in &mut self.tasks {
            let queue = &task.spec.queue;
            let known = last.take().filter(|(known, _)| known == queue);
            let of_queue = known.unwrap_or_else(|| (queue.clone(), retry_of(queue).map(Arc::new)));
            task.retry.clone_from(&of_queue.1);
            last = Some(of_queue);
        }
        let next = next.into_iter().chain(self.opens()).min();
        let next = if self.is_full() { Some(Duration::ZERO) } else { next };
        Leased::new(self.tasks, next)
    }
}

/// Returns how many tasks a queue gives in its turn: a fair share of `room` among the `queues` that
/// have due tasks, but no fewer than pay for a turn.
pub(crate) fn turn_length(room: usize, queues: usize) -> usize {
    (room / queues.max(1)).max(least(room))
}

/// Returns a number of queues with due tasks that makes turns as short as possible.
#[cfg(any(test, feature = "sqlite"))]
pub(crate) fn many_queues(room: usize) -> usize {
    room / least(room) + 1
}

fn least(room: usize) -> usize {
    WORTH_A_TURN.min(room / 8).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_turn_is_a_share_of_the_lease_or_a_few_tasks() {
        let lengths = [1, 2, 10, 100, 5_000].map(|queues| turn_length(1_000, queues));
        assert_eq!(lengths, [1_000, 500, 100, 32, 32]);
        assert_eq!(
            [turn_length(50, 10), turn_length(16, 10), turn_length(1, 9), turn_length(0, 0)],
            [6, 2, 1, 1]
        );
    }

    proptest! {
        #[test]
        fn more_than_many_queues_make_no_turn_shorter(
            room in 0..2_000_usize,
            more in 0..2_000_usize,
        ) {
            let many = many_queues(room);
            prop_assert_eq!(turn_length(room, many), turn_length(room, many + more));
            prop_assert!(
                turn_length(room, many) * many >= room,
                "one round of turns fills the lease"
            );
        }
    }
}
