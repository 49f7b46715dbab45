//! What workers and relays are set up with alike: how they lease tasks, and how they end.

use std::time::Duration;

use crate::backend::BoxFuture;

/// How a worker or a relay leases tasks, and how it ends.
pub(super) struct Terms {
    pub(super) grace: Duration,
    lease: Duration,
    poll_interval: Duration,
    pub(super) shutdown: BoxFuture<'static, ()>,
}

impl Terms {
    /// Returns how long a lease lasts unless it is extended.
    pub(super) const fn lease(&self) -> Duration {
        self.lease
    }

    /// Sets how long a lease lasts: at least a second.
    pub(super) fn set_lease(&mut self, duration: Duration) {
        self.lease = duration.max(Duration::from_secs(1));
    }

    /// Returns the time between two looks for tasks without a notification.
    pub(super) const fn poll_interval(&self) -> Duration {
        self.poll_interval
    }

    /// Sets the time between two looks: at least a millisecond.
    pub(super) fn set_poll_interval(&mut self, interval: Duration) {
        self.poll_interval = interval.max(Duration::from_millis(1));
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(8),
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            shutdown: Box::pin(std::future::pending()),
        }
    }
}
