//! The worker processes: started, killed, replaced, and at the end asked to stop.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::ledger::Ledger;

/// How long a worker may take to stop: more than its grace time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The worker processes. They are killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Crew {
    url: String,
    ledger: Arc<Ledger>,
    workers: Vec<Worker>,
    started: u32,
    pub(crate) kills: u64,
}

#[derive(Debug)]
struct Worker {
    number: u32,
    child: Child,
    reader: JoinHandle<()>,
}

impl Crew {
    pub(crate) fn start(url: &str, ledger: &Arc<Ledger>, count: u32) -> Result<Self> {
        let mut crew = Self {
            url: url.to_owned(),
            ledger: Arc::clone(ledger),
            workers: Vec::new(),
            started: 0,
            kills: 0,
        };
        for _ in 0..count {
            let worker = crew.worker()?;
            crew.workers.push(worker);
        }
        Ok(crew)
    }

    /// Kills any worker but the first, and starts another in its place.
    pub(crate) fn kill_one(&mut self, rng: &mut Rng) -> Result<()> {
        let victim = rng.usize(1..self.workers.len());
        self.workers[victim].child.kill()?;
        self.kills += 1;
        self.replace(victim)
    }

    /// Replaces workers that ended by themselves, which none should.
    pub(crate) fn check(&mut self) -> Result<()> {
        for place in 0..self.workers.len() {
            if let Some(status) = self.workers[place].child.try_wait()? {
                self.ledger.problem(format!("a worker ended by itself: {status}"));
                self.replace(place)?;
            }
        }
        Ok(())
    }

    /// The process ids, the spared one first.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.workers.iter().map(|worker| worker.child.id()).collect()
    }

    /// Asks all workers to stop, and waits for them.
    pub(crate) fn stop(mut self) -> Result<()> {
        for worker in &mut self.workers {
            drop(worker.child.stdin.take());
        }
        let begun = Instant::now();
        for mut worker in std::mem::take(&mut self.workers) {
            let status = loop {
                match worker.child.try_wait()? {
                    Some(status) => break Some(status),
                    None if begun.elapsed() > PATIENCE => break None,
                    None => std::thread::sleep(Duration::from_millis(20)),
                }
            };
            if !status.is_some_and(|status| status.success()) {
                self.ledger.problem(format!("a worker did not stop as it should: {status:?}"));
                _ = worker.child.kill();
            }
            worker.bury(&self.ledger)?;
        }
        Ok(())
    }

    fn replace(&mut self, place: usize) -> Result<()> {
        let worker = self.worker()?;
        std::mem::replace(&mut self.workers[place], worker).bury(&self.ledger)
    }

    fn worker(&mut self) -> Result<Worker> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--worker", &self.url]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C reaches the soak only, which then stops the workers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("cannot start a worker process")?;
        self.started += 1;
        let (number, ledger) = (self.started, Arc::clone(&self.ledger));
        ledger.worker_lives(number);
        let output = child.stdout.take().context("a worker without a pipe")?;
        let reader = std::thread::spawn(move || read(output, number, &ledger));
        Ok(Worker { number, child, reader })
    }
}

impl Worker {
    /// Waits until the worker is gone and everything it wrote is read.
    fn bury(mut self, ledger: &Ledger) -> Result<()> {
        self.child.wait()?;
        ledger.worker_is_gone(self.number);
        if self.reader.join().is_err() {
            ledger.problem("the reader of a pipe panicked");
        }
        Ok(())
    }
}

/// Passes on every whole line. A kill may have cut the last one.
fn read(output: ChildStdout, worker: u32, ledger: &Ledger) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|length| length > 0) {
        if let Some(whole) = line.strip_suffix('\n') {
            ledger.line(worker, whole);
        }
        line.clear();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // The worker may be gone already.
            _ = worker.child.kill();
            _ = worker.child.wait();
        }
    }
}
