//! The loads that are measured.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use gae_tasks::{Client, Defer, deferred};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::latency::Latency;

/// The pause before a call, in which the worker becomes idle again.
const PAUSE: Duration = Duration::from_millis(2);

/// The moment from which those in arguments are counted.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

#[deferred(queue = "bench")]
async fn send_mail(
    sent: Duration,
    _user_id: u64,
    _to: String,
    _subject: String,
    #[state] meter: &Meter,
) {
    meter.began(EPOCH.elapsed().saturating_sub(sent));
}

/// A task like one that sends a welcome mail.
pub(crate) fn call() -> Defer {
    send_mail::defer(
        EPOCH.elapsed(),
        42,
        "someone@mail.example.org",
        "a subject that is forty characters long",
    )
}

/// What the handlers measure.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<(Mutex<Began>, Notify)>);

#[derive(Debug, Default)]
struct Began {
    tasks: u64,
    latency: Latency,
}

impl Meter {
    fn began(&self, latency: Duration) {
        let mut began = self.lock();
        began.tasks += 1;
        began.latency.record(latency);
        drop(began);
        self.0.1.notify_one();
    }

    /// The latencies since the last call.
    pub(crate) fn take(&self) -> Latency {
        std::mem::take(&mut *self.lock()).latency
    }

    /// Waits until this many tasks have begun since the last [`take`](Self::take).
    async fn reached(&self, tasks: u64) {
        while self.lock().tasks < tasks {
            self.0.1.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Began> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Defers one task after another to an idle worker; returns how long the answers took.
pub(crate) async fn one_by_one(
    tasks: &Client,
    meter: &Meter,
    concurrency: usize,
    count: u64,
) -> Result<Latency> {
    let worker = Worker::start(tasks, concurrency);
    let mut answers = Latency::default();
    for number in 1..=count {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        call().on(tasks).await?;
        answers.record(begun.elapsed());
        meter.reached(number).await;
    }
    worker.stop().await?;
    Ok(answers)
}

/// Runs many callers without a worker; returns how long each answer took, and how long all took.
pub(crate) async fn enqueue(
    tasks: &Client,
    count: u64,
    callers: u64,
) -> Result<(Latency, Duration)> {
    let begun = Instant::now();
    let mut set = JoinSet::new();
    for caller in 0..callers {
        let share = count / callers + u64::from(caller < count % callers);
        let tasks = tasks.clone();
        set.spawn(async move {
            let mut answers = Latency::default();
            for _ in 0..share {
                let begun = Instant::now();
                call().on(&tasks).await?;
                answers.record(begun.elapsed());
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = Latency::default();
    while let Some(caller) = set.join_next().await {
        answers.add(&caller??);
    }
    Ok((answers, begun.elapsed()))
}

/// Runs one worker until no task waits.
pub(crate) async fn drain(
    tasks: &Client,
    meter: &Meter,
    concurrency: usize,
    count: u64,
) -> Result<Duration> {
    let begun = Instant::now();
    let worker = Worker::start(tasks, concurrency);
    nothing_left(tasks, meter, count).await?;
    let took = begun.elapsed();
    worker.stop().await?;
    Ok(took)
}

/// Runs many callers and a worker at the same time, until no task is left.
pub(crate) async fn end_to_end(
    tasks: &Client,
    meter: &Meter,
    concurrency: usize,
    count: u64,
    callers: u64,
) -> Result<(Latency, Duration)> {
    let begun = Instant::now();
    let worker = Worker::start(tasks, concurrency);
    let (answers, _) = enqueue(tasks, count, callers).await?;
    nothing_left(tasks, meter, count).await?;
    let took = begun.elapsed();
    worker.stop().await?;
    Ok((answers, took))
}

/// Counting stored tasks slows the worker, so they are counted only after all have begun.
async fn nothing_left(tasks: &Client, meter: &Meter, count: u64) -> Result<()> {
    while meter.lock().tasks < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while tasks.stats().await?.open() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// A worker in the background.
struct Worker {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), gae_tasks::Error>>,
}

impl Worker {
    fn start(tasks: &Client, concurrency: usize) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { _ = stopped.await };
        let worker = tasks.worker().concurrency(concurrency).with_graceful_shutdown(shutdown);
        Self { stop, ended: tokio::spawn(worker.into_future()) }
    }

    async fn stop(self) -> Result<()> {
        // If the worker has failed, nobody listens: its error follows.
        _ = self.stop.send(());
        Ok(self.ended.await??)
    }
}
