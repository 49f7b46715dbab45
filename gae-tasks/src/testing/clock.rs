//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::backend::BoxFuture;
use crate::clock::Clock;
use crate::time::{Now, Timestamp};

/// A clock that stands still until [`advance`](Self::advance) moves it. Clones are the same clock.
///
/// ```standalone_crate
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), gae_tasks::Error> {
/// use std::time::Duration;
/// use gae_tasks::testing::ManualClock;
/// use gae_tasks::{Client, deferred};
///
/// #[deferred]
/// async fn remind(user_id: u64) {}
///
/// let clock = ManualClock::new();
/// let tasks = Client::builder().clock(clock.clone()).open("memory:").await?;
/// remind::defer(42).after(Duration::from_secs(3600)).on(&tasks).await?;
///
/// assert_eq!(tasks.drain().await?, 0);
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(tasks.drain().await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<Moment>>);

#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that stands at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(Timestamp::from_micros(1_767_225_600_000_000))
    }

    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(Moment { wall: now, monotonic: Duration::ZERO })))
    }

    /// What the clock says.
    pub fn time(&self) -> Timestamp {
        self.0.borrow().wall
    }

    /// Lets time pass: all that waits for it goes on.
    pub fn advance(&self, duration: Duration) {
        self.0.send_modify(|moment| {
            moment.wall = moment.wall.plus(duration);
            moment.monotonic += duration;
        });
    }

    /// Sets the wall clock, forwards or backwards, without any time passing: an administrator, or NTP.
    pub fn step_to(&self, now: Timestamp) {
        self.0.send_modify(|moment| moment.wall = now);
    }

    /// How many parties wait for this clock now; lets a test know that a worker has gone to sleep.
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now::At(self.time())
    }

    fn monotonic(&self) -> Duration {
        self.0.borrow().monotonic
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.monotonic().saturating_add(duration);
        let mut moments = self.0.subscribe();
        Box::pin(async move {
            if moments.wait_for(|moment| moment.monotonic >= until).await.is_err() {
                // Nobody is left to move the clock.
                std::future::pending().await
            }
        })
    }
}
