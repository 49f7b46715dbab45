//! The limits of queues: their buckets, and how many of their tasks are leased.

use super::{Held, Store};
use crate::backend::gate::{self, Gate};
use crate::backend::haul::Haul;
use crate::queue::{QueueName, RateLimits};
use crate::time::Timestamp;

impl Store {
    /// Returns the limits of a queue, if it has any that dispatching has to respect.
    fn limits(&self, queue: &QueueName) -> Option<RateLimits> {
        let config = self.queues.get(queue)?.config.as_ref()?;
        Some(config.limits()).filter(RateLimits::limits)
    }

    /// Returns the gate of a queue with limits.
    pub(super) fn gate(&self, queue: &QueueName, now: Timestamp) -> Option<Gate> {
        let limits = self.limits(queue)?;
        let (bucket, live) =
            self.limited.get(queue).map_or((None, 0), |stored| (stored.bucket, stored.live));
        Some(Gate::new(limits, bucket, live, now))
    }

    /// Stores the buckets from which a lease has taken tokens.
    pub(super) fn keep_buckets(&mut self, haul: &Haul) {
        for (queue, gate) in haul.gates() {
            if let Some(bucket) = gate.changed_bucket() {
                self.limited.entry(queue.clone()).or_default().bucket = Some(bucket);
            }
        }
    }

    /// Counts a lease of a queue in that bounds how many of its tasks run at a time.
    pub(super) fn count_in(&mut self, queue: &QueueName) {
        self.limited.entry(queue.clone()).or_default().live += 1;
    }

    /// Counts a lease that has ended out.
    pub(super) fn count_out(&mut self, queue: &QueueName, held: &Held) {
        if held.is_counted
            && let Some(limited) = self.limited.get_mut(queue)
        {
            limited.live = limited.live.saturating_sub(1);
            self.has_opened |=
                self.limits(queue).is_some_and(|limits| limits.concurrent().is_some());
        }
    }

    /// Counts the leases that a queue gave before it bounded how many of its tasks run at a time.
    pub(super) fn count_earlier(&mut self, queue: &QueueName) {
        if self.limits(queue).is_none_or(|limits| limits.concurrent().is_none()) {
            return;
        }
        let mut earlier = 0;
        for stored in self.tasks.values_mut().filter(|stored| stored.task.spec.queue == *queue) {
            if let Some(held) = stored.lease.as_mut().filter(|held| !held.is_counted) {
                held.is_counted = true;
                earlier += 1;
            }
        }
        self.limited.entry(queue.clone()).or_default().live += earlier;
    }

    /// Gives the token of a lease back under which no attempt was made.
    pub(super) fn give_back(&mut self, queue: &QueueName, now: Timestamp) {
        let Some(limits) = self.limits(queue) else { return };
        if let Some(limited) = self.limited.get_mut(queue)
            && let Some(bucket) = gate::given_back(limits, limited.bucket, 1, now)
        {
            limited.bucket = Some(bucket);
            self.has_opened = true;
        }
    }
}
