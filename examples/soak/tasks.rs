//! The tasks, and the worker process that runs them and reports to the soak by standard output.

use std::fmt::Display;
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use gae_tasks::{Client, PermanentTaskFailure, TaskContext, deferred};
use tokio::sync::oneshot;

use crate::mix::checksum;

/// How long names stay blocked: short, so that the number of tombstones soon stops growing.
const TOMBSTONES: Duration = Duration::from_secs(20);

/// A client of the soak's queue, for the soak itself and for its workers.
pub(crate) async fn open(url: &str) -> Result<Client, gae_tasks::Error> {
    Client::builder().tombstone_retention(TOMBSTONES).open(url).await
}

/// Runs tasks until standard input ends: the soak has closed it, or is gone.
pub(crate) async fn work(url: &str) -> Result<()> {
    let tasks = open(url).await?;
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        // Input and errors are ignored: only the end counts.
        _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    let end = async move { _ = end.await };
    Ok(tasks.worker().concurrency(20).with_graceful_shutdown(end).await?)
}

/// Runs once. Deferred without options, with a name, or for later.
#[deferred(queue = "soak")]
pub(crate) async fn note(
    number: u64,
    due: SystemTime,
    takes: Duration,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    tokio::time::sleep(takes).await;
    end(number)
}

/// Fails `failures` times, then succeeds.
#[deferred(queue = "soak")]
pub(crate) async fn retry(
    number: u64,
    due: SystemTime,
    failures: u32,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    ensure!(cx.attempt() > failures, "attempt {} is to fail", cx.attempt());
    end(number)
}

/// Never succeeds: a dead letter after its last attempt.
#[deferred(queue = "soak", max_attempts = 2)]
pub(crate) async fn fail(number: u64, due: SystemTime, #[context] cx: &TaskContext) -> Result<()> {
    begin(number, due, cx)?;
    bail!("attempt {} fails, as all do", cx.attempt())
}

/// A dead letter after its first attempt.
#[deferred(queue = "soak")]
pub(crate) async fn refuse(
    number: u64,
    due: SystemTime,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    Err(PermanentTaskFailure::new("nobody can do this").into())
}

/// A plain function, on a thread of its own.
#[deferred(queue = "soak")]
pub(crate) fn compute(
    number: u64,
    due: SystemTime,
    rounds: u32,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    let bytes = number.to_le_bytes();
    let sum = (0..rounds).fold(0_u64, |sum, _| sum.wrapping_add(checksum(&bytes)));
    std::hint::black_box(sum);
    end(number)
}

/// Has a large payload, which must arrive whole.
#[deferred(queue = "soak-large")]
pub(crate) async fn carry(
    number: u64,
    due: SystemTime,
    bytes: Vec<u8>,
    sum: u64,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    if checksum(&bytes) != sum {
        tell(format_args!("wrong {number}"))?;
    }
    end(number)
}

/// Defers the task that does the work, under a name: a second attempt defers no second task.
#[deferred(queue = "soak")]
pub(crate) async fn hand_on(
    number: u64,
    due: SystemTime,
    #[context] cx: &TaskContext,
) -> Result<()> {
    begin(number, due, cx)?;
    note::defer(number, SystemTime::now(), Duration::ZERO)
        .named(format!("follow-{number}"))
        .await?;
    Ok(())
}

/// Reports that an attempt begins and, for the first attempt, how late or early it is.
fn begin(number: u64, due: SystemTime, cx: &TaskContext) -> Result<()> {
    if cx.attempt() > 1 {
        return tell(format_args!("again {number}"));
    }
    match due.elapsed() {
        Ok(late) => tell(format_args!("late {number} {}", late.as_micros())),
        Err(early) => tell(format_args!("early {number} {}", early.duration().as_micros())),
    }
}

/// Reports that the task has done its work.
fn end(number: u64) -> Result<()> {
    tell(format_args!("ended {number}"))
}

/// Writes one short line, which a pipe takes whole or not at all. What a pipe has taken survives a
/// kill.
fn tell(what: impl Display) -> Result<()> {
    let line = format!("{what}\n");
    Ok(std::io::stdout().lock().write_all(line.as_bytes())?)
}
