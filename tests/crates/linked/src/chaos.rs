//! Tasks for the test that kills processes: each attempt logs its begin and its end, with the time.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process;
use std::time::{Duration, Instant, SystemTime};

use gae_tasks::deferred;

/// Works for about `micros`.
#[deferred(queue = "chaos")]
pub(super) fn record(log: String, number: u32, micros: u64) -> io::Result<()> {
    append(&log, &format!("begin {number} {}", process::id()))?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_micros(micros) {
        std::thread::yield_now();
    }
    append(&log, &format!("end {number} {}", process::id()))
}

/// Kills its process at every attempt.
#[deferred(queue = "chaos")]
pub(super) fn poison(log: String, number: u32) -> io::Result<()> {
    append(&log, &format!("begin {number} {}", process::id()))?;
    append(&log, &format!("killed 0 {}", process::id()))?;
    process::abort()
}

/// Appends one line in one write, so that lines of several processes do not mix.
fn append(log: &str, line: &str) -> io::Result<()> {
    let micros = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros());
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)?
        .write_all(format!("{line} {micros}\n").as_bytes())
}
