//! How many tasks a queue with limits may give: a pure function of its limits, its bucket, its
//! leases and the time, so that every backend dispatches alike.

use std::time::Duration;

use crate::queue::{Bucket, RateLimits};
use crate::time::Timestamp;

/// What a queue with limits may give in one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    limits: RateLimits,
    /// The bucket of a queue with a rate, as of the lease.
    bucket: Option<Bucket>,
    /// The number of tasks of the queue that are leased.
    live: usize,
    /// Whether the bucket must be stored.
    is_changed: bool,
}

/// When a queue with limits gives a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// At once.
    Now,
    /// When the bucket has its next token.
    After(Duration),
    /// When a lease of the queue ends. The bucket may be empty then.
    WhenOneEnds,
}

impl Gate {
    /// Creates the gate of a queue at `now`. A queue of which no bucket is stored has a full one;
    /// `live` is the number of its tasks that are leased.
    pub(crate) fn new(
        limits: RateLimits,
        stored: Option<Bucket>,
        live: usize,
        now: Timestamp,
    ) -> Self {
        let filled = |_| match stored {
            Some(bucket) => bucket.filled(limits, now),
            None => Bucket::full(limits, now),
        };
        let bucket = limits.rate().map(filled);
        // From a time that is still to come nothing flows in, so the bucket counts from now on.
        let is_changed = bucket.is_some() && stored.is_some_and(|stored| stored.is_ahead_of(now));
        Self { limits, bucket, live, is_changed }
    }

    /// Returns how many more tasks the queue may give now.
    pub(crate) fn gives(&self) -> usize {
        let tokens = self.bucket.map_or(usize::MAX, Bucket::tokens);
        tokens.min(self.places())
    }

    /// Returns when the queue gives its next task.
    pub(crate) fn opens(&self) -> Opens {
        match self.bucket {
            _ if self.places() == 0 => Opens::WhenOneEnds,
            Some(bucket) if bucket.tokens() == 0 => Opens::After(bucket.wait(self.limits)),
            _ => Opens::Now,
        }
    }

    /// Records that a task was leased: it takes a token.
    pub(crate) fn give(&mut self) {
        self.bucket = self.bucket.map(|bucket| bucket.without(1));
        self.is_changed |= self.bucket.is_some();
        self.live = self.live.saturating_add(1);
    }

    /// Records that a task was leased that was made due by hand: it runs beyond the limits, and
    /// counts for the others.
    pub(crate) fn force(&mut self) {
        self.live = self.live.saturating_add(1);
    }

    /// Whether a lease takes a token.
    pub(crate) const fn has_rate(&self) -> bool {
        self.bucket.is_some()
    }

    /// Whether the leases of the queue must be counted.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.limits.concurrent().is_some()
    }

    /// Returns the bucket if it must be stored: tokens were taken, or the clock was set back.
    pub(crate) fn changed_bucket(&self) -> Option<Bucket> {
        self.bucket.filter(|_| self.is_changed)
    }

    /// Returns how many more tasks of the queue may run beside those that do.
    fn places(&self) -> usize {
        let most = self.limits.concurrent();
        most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(self.live)
        })
    }
}

/// Returns the bucket after leases that took so many tokens were given back without an attempt;
/// `None` if there is nothing to store: the queue has no rate, or its bucket is full.
pub(crate) fn given_back(
    limits: RateLimits,
    stored: Option<Bucket>,
    tokens: usize,
    now: Timestamp,
) -> Option<Bucket> {
    let stored = stored.filter(|_| limits.rate().is_some() && tokens > 0)?;
    Some(stored.filled(limits, now).with(limits, tokens))
}

#[cfg(test)]
mod tests;
