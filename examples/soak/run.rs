//! The soak from its start to its verdict.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use gae_tasks::{Client, QueueConfig, RetryConfig};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::callers::Callers;
use crate::crew::Crew;
use crate::ledger::Ledger;
use crate::sample::{Sampler, told};
use crate::{Arguments, growth, letters, tasks};

/// How often a line is printed and dead letters are taken.
const LINE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(1);

/// The pause before a kill, in milliseconds.
const KILL: std::ops::Range<u64> = 500..4_000;

/// How long the last tasks may take after the last kill.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the output of a worker may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);

/// Runs the soak, and returns its exit code.
pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    println!(
        "{:.1} minutes, {} tasks/s, {} workers; seed {seed}: draw the same again with --seed \
         {seed}",
        arguments.minutes.as_secs_f64() / 60.0,
        arguments.rate,
        arguments.workers
    );
    let folder = folder(arguments.dir.as_deref())?;
    let file = folder.path().join("tasks.db");
    let url = format!("sqlite:{}", file.display());
    let tasks = tasks::open(&url).await?;
    let retry = RetryConfig::new().with_min_backoff(Duration::from_millis(50));
    tasks.put_queue("soak", QueueConfig::new().with_retry(retry)).await?;

    let ledger = Arc::new(Ledger::default());
    let crew = Crew::start(&url, &ledger, arguments.workers)?;
    let sampler = Sampler::start(file.clone());
    let callers = Callers::start(&tasks, &ledger, arguments.rate, seed);
    let mut soak = Soak { tasks, ledger, crew, sampler, rng: Rng::with_seed(seed) };
    soak.load(arguments.minutes).await?;
    callers.stop().await;
    soak.drain().await?;
    soak.verdict(&file)
}

fn folder(dir: Option<&Path>) -> Result<TempDir> {
    const PREFIX: &str = "gae-tasks-soak-";
    let made = dir
        .map_or_else(|| TempDir::with_prefix(PREFIX), |dir| TempDir::with_prefix_in(PREFIX, dir));
    made.context("cannot make a folder for the queue")
}

struct Soak {
    tasks: Client,
    ledger: Arc<Ledger>,
    crew: Crew,
    sampler: Sampler,
    rng: Rng,
}

impl Soak {
    /// Kills workers, takes samples and prints them while tasks are deferred.
    async fn load(&mut self, lasts: Duration) -> Result<()> {
        let mut end = std::pin::pin!(tokio::time::sleep(lasts));
        let mut signals = std::pin::pin!(gae_tasks::signals());
        let mut line = tokio::time::interval(LINE);
        let mut look = tokio::time::interval(LOOK);
        line.tick().await; // The first tick comes at once.
        let mut kill = std::pin::pin!(tokio::time::sleep(self.next_kill()));
        loop {
            tokio::select! {
                () = &mut end => return Ok(()),
                () = &mut signals => return Ok(()),
                _ = line.tick() => self.sampler.take(&self.ledger, &self.crew),
                _ = look.tick() => self.look().await?,
                () = &mut kill => {
                    self.crew.kill_one(&mut self.rng)?;
                    kill.set(tokio::time::sleep(self.next_kill()));
                }
            }
        }
    }

    fn next_kill(&mut self) -> Duration {
        Duration::from_millis(self.rng.u64(KILL))
    }

    async fn look(&mut self) -> Result<()> {
        self.crew.check()?;
        letters::take(&self.tasks, &self.ledger).await
    }

    /// Waits for the open tasks.
    async fn drain(&mut self) -> Result<()> {
        println!(
            "no more tasks are deferred, nobody is killed: waiting for {} tasks",
            self.ledger.len()
        );
        let begun = Instant::now();
        let mut last_stored = begun;
        loop {
            let stats = self.tasks.stats().await?;
            let (stored, is_struck_off) = (stats.open() + stats.dead, self.ledger.len() == 0);
            if stored > 0 {
                last_stored = Instant::now();
            }
            // Output in the pipes arrives meanwhile. A task neither stored nor reported is lost.
            if stored == 0 && (is_struck_off || last_stored.elapsed() > ARRIVAL) {
                break;
            }
            if begun.elapsed() > PATIENCE {
                self.ledger
                    .problem(format!("after {PATIENCE:?} tasks are still stored: {stats:?}"));
                break;
            }
            self.look().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.sampler.take(&self.ledger, &self.crew);
        Ok(())
    }

    /// Stops the workers, prints what was seen, and returns the exit code.
    fn verdict(self, file: &Path) -> Result<ExitCode> {
        let Self { tasks, ledger, crew, sampler, .. } = self;
        let kills = crew.kills;
        crew.stop()?;
        drop(tasks);
        check_file(file, &ledger)?;
        let lost = ledger.len();
        if lost > 0 {
            ledger.problem(format!("{lost} tasks are lost, among them {:?}", ledger.some_open()));
        }
        summary(&ledger, &sampler, kills);
        let growth = growth::judge(&sampler.samples);
        growth.iter().for_each(|growth| {
            println!("  {}{}", growth.text, if growth.is_too_much { ": GROWS" } else { "" })
        });
        let grows = growth.iter().any(|growth| growth.is_too_much);
        let pages = ledger.pages();
        for problem in &pages.problems {
            println!("  PROBLEM: {problem}");
        }
        let passed = pages.counts.problems == 0 && !grows;
        println!("{}", if passed { "PASSED: no task was lost" } else { "FAILED" });
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Checks that the kills did not damage the file.
fn check_file(file: &Path, ledger: &Ledger) -> Result<()> {
    let found: String =
        Connection::open(file)?.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
    if found != "ok" {
        ledger.problem(format!("the file is damaged: {found}"));
    }
    Ok(())
}

fn summary(ledger: &Ledger, sampler: &Sampler, kills: u64) {
    let counts = ledger.counts();
    println!("\nin {:.0} s, with {kills} kills:", sampler.elapsed().as_secs_f64());
    println!(
        "  {} tasks deferred, {} worked, {} died as planned",
        counts.deferred, counts.ended, counts.died
    );
    println!(
        "  {} retries; {} tasks worked a second time, {} of them though no worker of theirs was \
         killed",
        counts.retries, counts.repeated, counts.without_need
    );
    for (what, latency) in [("answer", &sampler.answers), ("start", &sampler.starts)] {
        println!("  {what} in ms, p50 p95 p99 max: {}", told(latency));
    }
}
