//! A clock that a test sets for one process or for several, without privileges.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use gae_tasks::backend::BoxFuture;
use gae_tasks::{Clock, Now, SystemClock, Timestamp};

/// The machine's wall clock plus the seconds in a file, or the storage's own clock while there is
/// no file; the monotonic clock is the machine's.
#[derive(Debug, Clone)]
pub struct FileClock(PathBuf);

impl FileClock {
    /// Returns the clock of a file.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self(file.into())
    }

    /// Returns the file.
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// Sets the clock `seconds` ahead of the machine's, or behind if negative. A concurrent reader
    /// reads the old or the new offset.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        super::orders::replace(&self.0, &seconds.to_string())
    }

    fn offset(&self) -> Option<i64> {
        match fs::read_to_string(&self.0) {
            Ok(seconds) => {
                Some(seconds.parse().expect("the clock's file holds a whole number of seconds"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => panic!("cannot read the clock's file: {error}"),
        }
    }
}

impl Clock for FileClock {
    fn now(&self) -> Now {
        let Some(offset) = self.offset() else { return Now::Storage };
        let time = Timestamp::from(SystemTime::now());
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
