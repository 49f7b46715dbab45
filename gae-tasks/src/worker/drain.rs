//! The role that ends a worker: waits for attempts, cancels those that can be cancelled, records
//! every outcome.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::crew::Crew;
use super::keep::Keeper;
use super::settle::Settler;
use crate::backend::{BoxFuture, Settlement, Verdict};
use crate::log;

/// The time after the grace time in which cancelled attempts may end and the last outcomes may be
/// recorded.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// The signal to shut down, and the time that is left after the signal.
pub(super) struct Shutdown {
    crew: Arc<Crew>,
    signal: BoxFuture<'static, ()>,
    grace: Duration,
    /// When the signal came, by the monotonic clock.
    signalled: Option<Duration>,
}

impl Shutdown {
    pub(super) fn new(crew: Arc<Crew>, signal: BoxFuture<'static, ()>, grace: Duration) -> Self {
        Self { crew, signal, grace, signalled: None }
    }

    /// Waits for the signal to shut down; no task starts after the signal.
    pub(super) async fn signalled(&mut self) {
        if self.signalled.is_some() {
            return;
        }
        self.signal.as_mut().await;
        self.signalled = Some(self.crew.clock.monotonic());
        self.crew.waiting.close();
        let running = self.crew.waiting.running();
        log::say(|| tracing::info!(running, "shutting down: no more tasks are leased"));
    }

    /// Does `work` unless the signal has come. If the signal comes during `work`, only the grace
    /// time is left.
    pub(super) async fn lets<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        if self.signalled.is_some() {
            return None;
        }
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = self.signalled() => {}
        }
        self.within(Duration::ZERO, work).await
    }

    /// The output of `done`, if `done` is ready at most `more` after the grace time.
    async fn within<T>(&mut self, more: Duration, done: impl Future<Output = T>) -> Option<T> {
        let now = self.crew.clock.monotonic();
        let end = self.signalled.unwrap_or(now).saturating_add(self.grace).saturating_add(more);
        tokio::select! {
            biased;
            done = done => Some(done),
            () = self.crew.clock.sleep(end.saturating_sub(now)) => None,
        }
    }
}

/// The work that remains when a worker ends.
pub(super) struct Remaining {
    pub(super) runners: JoinSet<()>,
    pub(super) settler: Settler,
    pub(super) keeper: Keeper,
}

/// Ends the attempts and records their outcomes within the grace time. Attempts that are cancelled
/// at the end of the grace time, and outcomes that are not recorded by then, have [`LAST_WORDS`]
/// more. An attempt that did not end is released and not counted.
///
/// An attempt that cannot be stopped (a plain function, or an async one that computes without
/// awaiting) keeps its lease; otherwise another worker would run the task at the same time. The
/// attempt goes on in the background until it returns or the process ends.
pub(super) async fn finish(mut shutdown: Shutdown, remaining: Remaining) {
    let crew = &Arc::clone(&shutdown.crew);
    for task in crew.waiting.take_all() {
        remaining.settler.send(Settlement::new(task.lease, Verdict::Release));
    }
    if shutdown.within(Duration::ZERO, nothing_runs(crew)).await.is_none() {
        let running = crew.waiting.running();
        log::say(|| {
            tracing::warn!(running, "the grace time is over: running attempts are cancelled")
        });
        crew.held.cancel_all();
        shutdown.within(LAST_WORDS, nothing_runs(crew)).await;
    }
    let all_recorded = if crew.waiting.running() == 0 {
        shutdown.within(LAST_WORDS, remaining.finish()).await.is_some()
    } else {
        // The settler has used up all of the time already.
        leave_behind(crew, remaining);
        crew.held.all_recorded()
    };
    if !all_recorded {
        log::say(|| {
            tracing::error!(
                "not every outcome is recorded, as the storage does not answer or a transaction of \
                 the application has locked a task: tasks that have ended may run again"
            )
        });
    }
}

/// Keeps the leases of attempts that go on, and records their outcomes.
fn leave_behind(crew: &Arc<Crew>, remaining: Remaining) {
    let running = crew.waiting.running();
    log::say(|| {
        tracing::warn!(
            running,
            "attempts that cannot be stopped go on in the background; their leases are kept as \
             long as this process lives"
        );
    });
    let crew = Arc::clone(crew);
    tokio::spawn(async move {
        nothing_runs(&crew).await;
        remaining.finish().await;
    });
}

impl Remaining {
    /// Ends the idle runners, records the remaining outcomes, and keeps leases until then.
    async fn finish(self) {
        let Self { mut runners, settler, keeper } = self;
        runners.shutdown().await;
        settler.finish().await;
        keeper.finish().await;
    }
}

async fn nothing_runs(crew: &Crew) {
    while crew.waiting.running() > 0 {
        crew.waiting.moved.notified().await;
    }
}
