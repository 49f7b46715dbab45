//! The queues of a client that are known to be relayed, and where to.

use std::sync::{Arc, PoisonError, RwLock};

use crate::queue::QueueName;
use crate::relay::Destination;

/// The queues that are known to be relayed, each with its destination.
#[derive(Debug, Default)]
pub(super) struct Relays(RwLock<Vec<(QueueName, Arc<Destination>)>>);

impl Relays {
    /// Adds that a queue is relayed to `destination`.
    pub(super) fn add(&self, queue: &QueueName, destination: &Arc<Destination>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(other, to)| other == queue && to.is(destination)) {
            known.push((queue.clone(), Arc::clone(destination)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.with(<[_]>::is_empty)
    }

    /// The destinations of the queues for which `is_wanted` is true.
    pub(super) fn of(&self, is_wanted: impl Fn(&QueueName) -> bool) -> Vec<Arc<Destination>> {
        let to = |(_, to): &(_, Arc<Destination>)| Arc::clone(to);
        self.with(|known| known.iter().filter(|(queue, _)| is_wanted(queue)).map(to).collect())
    }

    fn with<T>(&self, look: impl FnOnce(&[(QueueName, Arc<Destination>)]) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
