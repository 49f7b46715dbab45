//! The samples that are taken and printed every ten seconds.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::crew::Crew;
use crate::latency::Latency;
use crate::ledger::{Counts, Ledger};

/// Bytes of a MiB.
pub(crate) const MIB: u64 = 1024 * 1024;

/// What was seen at one moment, in bytes; `None` where the system does not report the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    /// Resident memory of the spared worker, of the largest other worker, and of the soak itself.
    pub(crate) spared: Option<u64>,
    pub(crate) others: Option<u64>,
    pub(crate) own: Option<u64>,
    pub(crate) file: Option<u64>,
    pub(crate) log: Option<u64>,
}

/// Takes samples and prints them.
#[derive(Debug)]
pub(crate) struct Sampler {
    file: PathBuf,
    begun: Instant,
    last: Duration,
    before: Counts,
    /// The latencies of the whole soak.
    pub(crate) answers: Latency,
    pub(crate) starts: Latency,
    pub(crate) samples: Vec<Sample>,
}

impl Sampler {
    pub(crate) fn start(file: PathBuf) -> Self {
        println!(
            "answer: from the call of `defer` to its answer; start: from when a task was due to \
             its handler; in ms"
        );
        println!(
            "memory: of the spared worker, the largest other one, the soak itself; file: the \
             queue, its log; in MiB"
        );
        println!(
            "{:>6} {:>8} {:>8} {:>6} {:>24} {:>28} {:>16} {:>12} {:>6} {:>8}",
            "s",
            "defers/s",
            "ends/s",
            "open",
            "answer p50 p95 p99 max",
            "start p50 p95 p99 max",
            "memory",
            "file",
            "kills",
            "repeated"
        );
        let none = Latency::default;
        Self {
            file,
            begun: Instant::now(),
            last: Duration::ZERO,
            before: Counts::default(),
            answers: none(),
            starts: none(),
            samples: Vec::new(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn take(&mut self, ledger: &Ledger, crew: &Crew) {
        let sample = self.measure(crew);
        self.samples.push(sample);
        let open = ledger.len();
        let mut pages = ledger.pages();
        let (answers, starts) =
            (std::mem::take(&mut pages.answers), std::mem::take(&mut pages.starts));
        let counts = pages.counts;
        drop(pages);
        let seconds = (sample.at - self.last).as_secs_f64().max(0.001);
        let rate = |now: u64, before: u64| (now - before) as f64 / seconds;
        let over = |counts: &Counts| counts.ended + counts.died;
        println!(
            "{:>6.0} {:>8.0} {:>8.0} {:>6} {:>24} {:>28} {:>16} {:>12} {:>6} {:>8}",
            sample.at.as_secs_f64(),
            rate(counts.deferred, self.before.deferred),
            rate(over(&counts), over(&self.before)),
            open,
            told(&answers),
            told(&starts),
            [sample.spared, sample.others, sample.own].map(mib).join(" "),
            [sample.file, sample.log].map(mib).join(" "),
            crew.kills,
            counts.repeated,
        );
        self.answers.add(&answers);
        self.starts.add(&starts);
        (self.last, self.before) = (sample.at, counts);
    }

    fn measure(&self, crew: &Crew) -> Sample {
        let ids = crew.ids();
        let size = |suffix: &str| {
            let mut path = self.file.clone().into_os_string();
            path.push(suffix);
            Some(std::fs::metadata(path).ok()?.len())
        };
        Sample {
            at: self.elapsed(),
            spared: ids.first().copied().and_then(resident),
            others: ids.iter().skip(1).copied().filter_map(resident).max(),
            own: resident(std::process::id()),
            file: size(""),
            log: size("-wal"),
        }
    }
}

/// The percentiles of a latency, as text.
pub(crate) fn told(latency: &Latency) -> String {
    latency.percentiles().map(|value| format!("{value:.1}")).join(" ")
}

/// Bytes in MiB, as text.
pub(crate) fn mib(bytes: Option<u64>) -> String {
    bytes.map_or("n/a".to_owned(), |bytes| format!("{:.1}", bytes as f64 / MIB as f64))
}

/// The resident memory of a process, on Linux.
fn resident(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
