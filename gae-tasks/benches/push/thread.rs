//! The CPU time of a thread and the core it may use, on Linux.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A thread of this process.
#[derive(Clone, Copy)]
pub(crate) struct Thread(u32);

impl Thread {
    pub(crate) fn current() -> Self {
        let link = fs::read_link("/proc/thread-self").expect("this benchmark needs Linux");
        Self(link.file_name().unwrap().to_str().unwrap().parse().unwrap())
    }

    /// Returns the CPU time that the thread has used.
    pub(crate) fn cpu(self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.0)).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    }

    /// Pins the thread to one core, if `taskset` is installed.
    pub(crate) fn pin(self, core: usize) -> Self {
        let core = core % std::thread::available_parallelism().map_or(1, usize::from);
        let mut taskset = Command::new("taskset");
        taskset.args(["-c", "-p", &core.to_string(), &self.0.to_string()]).stdout(Stdio::null());
        if taskset.status().is_err() {
            eprintln!("taskset is not installed: threads are not pinned");
        }
        self
    }
}
