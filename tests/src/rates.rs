//! A queue with a rate and several worker processes: each attempt writes down when it began. What
//! was leased, by the storage's time, and what has begun is held against the rate.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use gae_tasks::{Client, Error, QueueConfig, TaskContext, deferred};

/// The queue.
pub const QUEUE: &str = "rated";

/// A handler starts so soon after its lease.
const SOON: i64 = 50_000;

/// Writes down when the attempt began.
#[deferred(queue = "rated")]
pub fn begin(log: String, #[context] cx: &TaskContext) -> io::Result<()> {
    let micros = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros());
    let line = format!("{} {micros}\n", cx.id());
    // One write, so that lines of several processes do not mix.
    OpenOptions::new().append(true).create(true).open(log)?.write_all(line.as_bytes())
}

/// Runs the tasks of the queue until a signal comes.
///
/// # Errors
/// The storage cannot be opened, or the worker is misconfigured.
pub async fn work(url: &str) -> Result<(), Error> {
    let tasks = Client::open(url).await?;
    tasks.worker().queues([QUEUE]).with_graceful_shutdown(gae_tasks::signals()).await
}

/// A rate, and a burst that leaves the workers a moment to come back for a token.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Dispatches a second.
    pub per_second: u32,
    /// The size of the bucket.
    pub burst: u32,
}

impl Rate {
    /// Configures the queue, and stores twice as many tasks as are dispatched in this time.
    ///
    /// # Errors
    /// The storage refuses it.
    pub async fn prepare(self, tasks: &Client, log: &Path, time: Duration) -> Result<(), Error> {
        let config = QueueConfig::new()
            .with_max_dispatches_per_second(self.per_second.into())
            .with_max_burst_size(self.burst);
        tasks.put_queue(QUEUE, config).await?;
        let count = u64::from(self.per_second) * time.as_secs() * 2;
        let log = log.display().to_string();
        tasks.defer_many((0..count).map(|_| begin::defer(&log))).await?;
        Ok(())
    }

    /// Holds leases and what has begun against the rate: in no window are more leases than the
    /// rate allows, nearly the whole rate is reached, and attempts begin soon after their leases.
    ///
    /// Leases are ids of tasks with times in microseconds, by the storage's clock.
    ///
    /// # Panics
    /// The rate was broken.
    pub fn check(self, leases: Vec<(String, i64)>, begun: &HashMap<String, i64>) {
        let waits = waits(&leases, begun);
        let mut times: Vec<_> = leases.into_iter().map(|(_, at)| at).collect();
        times.sort_unstable();
        self.check_windows(&times);
        let (rate, took) = self.reached(&times);
        let late = waits[waits.len() * 99 / 100];
        let last = waits[waits.len() - 1];
        println!("{} leases in {took:.1} s: {rate:.1} a second after the burst", times.len());
        println!(
            "99 of 100 attempts began within {late} µs of their lease, the last within {last}"
        );
        assert!(rate >= 0.97 * f64::from(self.per_second), "only {rate} a second");
        assert!(late <= SOON, "an attempt began {late} µs after its lease");
    }

    /// No window has more leases than rate × window + burst.
    fn check_windows(self, times: &[i64]) {
        let (rate, burst) = (i128::from(self.per_second), i128::from(self.burst));
        for (first, start) in times.iter().enumerate() {
            for (leases, end) in (1_i128..).zip(&times[first..]) {
                let most = rate * i128::from(end - start) + burst * 1_000_000;
                assert!(leases * 1_000_000 <= most, "{leases} leases from {start} to {end}");
            }
        }
    }

    /// The rate at which tasks were leased after the burst of the beginning, and for how long.
    fn reached(self, times: &[i64]) -> (f64, f64) {
        let after = &times[self.burst as usize..];
        let took = (after[after.len() - 1] - after[0]) as f64 / 1e6;
        ((after.len() - 1) as f64 / took, took)
    }
}

/// The times between lease and begin in microseconds, in ascending order. An attempt that has no
/// lease is a mistake of the test; the last leases may have begun nothing when the workers ended.
fn waits(leases: &[(String, i64)], begun: &HashMap<String, i64>) -> Vec<i64> {
    let leased: HashMap<_, _> = leases.iter().map(|(id, at)| (id, *at)).collect();
    assert_eq!(leased.len(), leases.len(), "no task was leased twice");
    let mut waits: Vec<_> = begun
        .iter()
        .map(|(id, began)| began - leased.get(id).expect("what has begun was leased"))
        .collect();
    assert!(waits.len() * 10 >= leases.len() * 9, "{} of {}", waits.len(), leases.len());
    waits.sort_unstable();
    waits
}

/// Reads when each attempt began.
///
/// # Errors
/// The log cannot be read.
pub fn read(log: &Path) -> io::Result<HashMap<String, i64>> {
    let text = fs::read_to_string(log)?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let attempt = |(id, micros): (&str, &str)| Some((id.to_owned(), micros.parse().ok()?));
    Ok(lines.filter_map(attempt).collect())
}

/// For how long a test watches the workers: 10 seconds, or as many as `RATE_SECONDS` says.
///
/// # Panics
/// The variable is no number.
pub fn watched() -> Duration {
    let seconds = std::env::var("RATE_SECONDS")
        .map_or(10, |text| text.parse().expect("RATE_SECONDS is a whole number"));
    Duration::from_secs(seconds)
}
