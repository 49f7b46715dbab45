//! A clock that goes faster than the machine's, and that a test steps for one process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::BoxFuture;
use gae_tasks::{Clock, Now, SystemClock, Timestamp};

/// A clock that agreed with the machine's at a moment and goes faster since; plus the seconds in a
/// file, if there is one.
#[derive(Debug, Clone)]
pub struct FastClock {
    agreed: Timestamp,
    speed: u32,
    steps: PathBuf,
}

impl FastClock {
    /// Creates a clock that agreed with the machine's at `agreed`, and goes `speed` times as fast.
    pub fn new(agreed: Timestamp, speed: u32, steps: impl Into<PathBuf>) -> Self {
        Self { agreed, speed, steps: steps.into() }
    }

    /// Sets clocks with this file `seconds` ahead, or back if negative. A concurrent reader reads
    /// the old or the new number.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn step(steps: &Path, seconds: i64) -> io::Result<()> {
        let new = steps.with_extension("new");
        fs::write(&new, seconds.to_string())?;
        fs::rename(new, steps)
    }

    fn time(&self) -> Timestamp {
        let passed = Timestamp::from(SystemTime::now()).since(self.agreed);
        let time = self.agreed.plus(passed.saturating_mul(self.speed));
        let steps = fs::read_to_string(&self.steps).ok();
        let seconds: i64 = steps.and_then(|steps| steps.parse().ok()).unwrap_or(0);
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { time.minus(distance) } else { time.plus(distance) }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Now {
        Now::At(self.time())
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic().saturating_mul(self.speed)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration / self.speed)
    }
}
