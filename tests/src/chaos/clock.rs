//! A clock that the test sets, for one process or for several: no process needs a privilege for a wrong clock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::BoxFuture;
use gae_tasks::{Clock, Now, SystemClock, Timestamp};

/// The machine's clock plus the seconds that a file holds; it measures time as the machine does.
#[derive(Debug, Clone)]
pub struct FileClock(PathBuf);

impl FileClock {
    /// The clock of a file; without the file it is right.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// Sets the clock so many seconds ahead of the machine's, or behind it if negative. A reader gets the old time or
    /// the new one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        super::orders::replace(&self.0, &seconds.to_string())
    }

    fn offset(&self) -> i64 {
        match fs::read_to_string(&self.0) {
            Ok(seconds) => {
                seconds.parse().expect("the clock's file holds a whole number of seconds")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => panic!("the clock's file cannot be read: {error}"),
        }
    }
}

impl Clock for FileClock {
    fn now(&self) -> Now {
        let time = Timestamp::from(SystemTime::now());
        let offset = self.offset();
        let distance = Duration::from_secs(offset.unsigned_abs());
        Now::At(if offset < 0 { time.minus(distance) } else { time.plus(distance) })
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}
