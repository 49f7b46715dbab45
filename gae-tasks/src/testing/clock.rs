//! A clock that only a test moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
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
pub struct ManualClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    moment: watch::Sender<Moment>,
    /// The monotonic times at which the current sleepers wake.
    wakings: Mutex<Vec<Duration>>,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// Creates a clock that stands at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::at(Timestamp::from_micros(1_767_225_600_000_000))
    }

    /// Creates a clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        let moment = watch::Sender::new(Moment { wall: now, monotonic: Duration::ZERO });
        Self(Arc::new(Shared { moment, wakings: Mutex::default() }))
    }

    /// Returns the wall clock time.
    pub fn time(&self) -> Timestamp {
        self.0.moment.borrow().wall
    }

    /// Moves the clock forward by `duration` and wakes the sleepers whose time has come.
    pub fn advance(&self, duration: Duration) {
        self.0.moment.send_modify(|moment| {
            moment.wall = moment.wall.plus(duration);
            moment.monotonic += duration;
        });
    }

    /// Sets the wall clock forwards or backwards without moving the monotonic clock, as an
    /// administrator or NTP does.
    pub fn step_to(&self, now: Timestamp) {
        self.0.moment.send_modify(|moment| moment.wall = now);
    }

    /// Returns the number of sleepers whose time has not come, so that a test can wait until a
    /// worker sleeps.
    ///
    /// A sleeper whose time has come does not count, even if its thread has not woken yet.
    pub fn sleepers(&self) -> usize {
        let now = self.monotonic();
        self.0.wakings().iter().filter(|waking| **waking > now).count()
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
        self.0.moment.borrow().monotonic
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = self.monotonic().saturating_add(duration);
        let mut moments = self.0.moment.subscribe();
        let sleeper = Sleeper::new(&self.0, until);
        Box::pin(async move {
            let _sleeper = sleeper;
            if moments.wait_for(|moment| moment.monotonic >= until).await.is_err() {
                // All handles of the clock are gone, so the clock never moves again.
                std::future::pending().await
            }
        })
    }
}

impl Shared {
    fn wakings(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.wakings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts as asleep until it is dropped.
#[derive(Debug)]
struct Sleeper {
    clock: Weak<Shared>,
    until: Duration,
}

impl Sleeper {
    fn new(clock: &Arc<Shared>, until: Duration) -> Self {
        clock.wakings().push(until);
        Self { clock: Arc::downgrade(clock), until }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let Some(clock) = self.clock.upgrade() else { return };
        let mut wakings = clock.wakings();
        if let Some(index) = wakings.iter().position(|waking| *waking == self.until) {
            wakings.swap_remove(index);
        }
    }
}
