//! The clock that the client, the worker and the push service read, so that tests can move it.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::backend::BoxFuture;
use crate::time::{Now, Timestamp};

/// A source of time; [`SystemClock`] except in tests.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// What "now" means in requests to the backend.
    fn now(&self) -> Now;

    /// The wall clock of this process, for times that the storage only records: when an attempt
    /// began.
    fn wall(&self) -> Timestamp {
        self.now().resolve(|| SystemTime::now().into())
    }

    /// Time since some fixed moment; never goes back, whatever happens to the wall clock.
    fn monotonic(&self) -> Duration;

    /// Waits until [`monotonic`](Self::monotonic) has advanced by `duration`.
    ///
    /// Called inside a tokio runtime with timers.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The clock of the machine: requests use the storage's time, tokio measures durations.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now::Storage
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
