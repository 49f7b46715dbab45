//! The limits of a queue: how fast its tasks are dispatched, and how many run at a time.

use serde::{Deserialize, Serialize};

/// The limits of a queue; a limit that is not set does not apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RateLimits {
    rate: Option<Rate>,
    burst: Option<u32>,
    concurrent: Option<u32>,
}

/// Dispatches in a million seconds: a whole number, so that every backend computes the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Rate(u64);

impl Rate {
    /// The highest rate that is stored, in dispatches a second.
    pub(crate) const MAX_PER_SECOND: u32 = 1_000_000;

    /// Creates the rate of so many dispatches `per_second`, rounded to a millionth. What is not a
    /// positive number becomes zero, which [`QueueConfig`](super::QueueConfig) reports as a
    /// problem.
    pub(crate) const fn per_second(per_second: f64) -> Self {
        Self((per_second * 1e6 + 0.5) as u64)
    }

    /// The dispatches in a million seconds.
    pub(crate) const fn micros(self) -> u64 {
        self.0
    }

    /// The dispatches a second.
    pub(crate) const fn as_per_second(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl RateLimits {
    /// No limits.
    pub(crate) const NONE: Self = Self { rate: None, burst: None, concurrent: None };

    /// These limits with a rate.
    pub(crate) const fn with_rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// These limits with a size of the token bucket.
    pub(crate) const fn with_burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// These limits without a size of the token bucket.
    pub(crate) const fn without_burst(mut self) -> Self {
        self.burst = None;
        self
    }

    /// These limits with a number of tasks that run at a time.
    pub(crate) const fn with_concurrent(mut self, concurrent: u32) -> Self {
        self.concurrent = Some(concurrent);
        self
    }

    /// The rate, if set.
    pub(crate) const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// The size of the token bucket, if set.
    pub(crate) const fn burst(&self) -> Option<u32> {
        self.burst
    }

    /// The number of tasks that run at a time, if set.
    pub(crate) const fn concurrent(&self) -> Option<u32> {
        self.concurrent
    }

    /// Whether a limit is set that dispatching has to respect. A size of the bucket alone limits
    /// nothing.
    pub(crate) const fn limits(&self) -> bool {
        self.rate.is_some() || self.concurrent.is_some()
    }

    /// These limits with those that are set in `other`.
    pub(crate) const fn merged(mut self, other: Self) -> Self {
        if other.rate.is_some() {
            self.rate = other.rate;
        }
        if other.burst.is_some() {
            self.burst = other.burst;
        }
        if other.concurrent.is_some() {
            self.concurrent = other.concurrent;
        }
        self
    }
}
