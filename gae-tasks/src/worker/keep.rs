//! The role that extends leases, on a thread of its own, so that a busy handler cannot starve it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::crew::{Crew, pause};
use crate::backend::Extend;
use crate::error::Error;
use crate::log;

/// A sleep that ends later than this part of a lease means that the process stood still.
const LATE: u32 = 10;

/// How often in a lease this worker asks whether anybody has committed anything.
const SAMPLES: u32 = 6;

/// How often this worker looks whether tasks that it holds were cancelled by another process.
const CANCEL_LOOK: Duration = Duration::from_millis(500);

/// How long such a look may take.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);

/// The shortest sleep between looks at expiring leases.
const SHORTEST: Duration = Duration::from_millis(10);

/// The thread that extends leases; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Keeper {
    pub(super) fn start(crew: Arc<Crew>) -> Result<Self, Error> {
        let (stop, to_be_stopped) = oneshot::channel::<()>();
        let (ended, stopped) = oneshot::channel();
        let backend = crew.pull.capabilities().backend;
        let failed = |source: std::io::Error| Error::Storage {
            backend,
            problem: "cannot be watched: the thread that extends leases cannot be started"
                .to_owned(),
            source: source.into(),
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = to_be_stopped => {}
                    () = keep(&crew) => {}
                    () = expire(&crew) => {}
                    () = stand_still(&crew) => {}
                    () = heed_cancels(&crew) => {}
                }
            });
            // Dropped before the end is signalled; otherwise this thread might drop the backend
            // while the program ends.
            drop(crew);
            _ = ended.send(());
        };
        thread::Builder::new().name("gae-tasks-keep".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self { stop, stopped })
    }

    /// Ends the thread, and waits until the thread has dropped the backend.
    pub(super) async fn finish(self) {
        drop(self.stop);
        _ = self.stopped.await;
    }
}

async fn keep(crew: &Crew) {
    let mut failures = 0;
    loop {
        let interval =
            if failures == 0 { crew.lease / 3 } else { pause(failures).min(crew.lease / 3) };
        crew.clock.sleep(interval).await;
        match extend(crew).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot extend leases, trying again"));
            }
        }
    }
}

/// Cancels attempts at the moment when their leases expire, whatever the state of the storage: a
/// worker that has seen a lease unchanged for its whole duration takes the lease no earlier.
///
/// If this worker itself was frozen, others may have been frozen with it. The leases are then
/// extended first, if that is still possible; attempts go on until the result is known.
async fn expire(crew: &Crew) {
    let mut has_stood_still = false;
    loop {
        let begun = crew.clock.monotonic();
        let left = |asked: Duration| asked.saturating_add(crew.lease).saturating_sub(begun);
        let until_next =
            || crew.held.oldest().map_or(Duration::MAX, left).clamp(SHORTEST, crew.lease / 3);
        let sleep = if has_stood_still { crew.lease / LATE } else { until_next() };
        crew.clock.sleep(sleep).await;
        let late = crew.clock.monotonic().saturating_sub(begun.saturating_add(sleep));
        // Only once in a row: on a machine that is always late, leases must still expire.
        has_stood_still = late > crew.lease / LATE && !has_stood_still;
        if let Some(limit) = crew.overdue().filter(|_| !has_stood_still) {
            crew.held.cancel_overdue(limit);
        }
    }
}

/// Does not count the time in which nobody has committed anything: a long transaction of the
/// application keeps this worker from extending its leases, and all others from seeing time pass.
async fn stand_still(crew: &Crew) {
    if crew.pull.capabilities().home.is_none() {
        // No application has transactions there, so all time counts.
        return std::future::pending().await;
    }
    let mut last = None;
    loop {
        crew.clock.sleep((crew.lease / SAMPLES).max(SHORTEST)).await;
        if crew.held.oldest().is_none() {
            last = None;
            continue;
        }
        let asked = crew.clock.monotonic();
        let commits = crew.pull.commits();
        if let Some((before, since)) = last
            && commits == Some(before)
        {
            crew.held.stood_still(asked.saturating_sub(since));
        }
        last = commits.map(|commits| (commits, crew.clock.monotonic()));
    }
}

/// Has attempts end whose tasks were cancelled: at once where this process cancels them. Other
/// processes are not asked by the client's clock but by tokio's: they do not know it. Where no
/// lease is held, nothing is asked.
async fn heed_cancels(crew: &Crew) {
    let mut requested = crew.pull.cancels();
    loop {
        if let Ok(Err(_)) = timeout(CANCEL_LOOK, requested.changed()).await {
            // The backend is gone with its sender.
            sleep(CANCEL_LOOK).await;
        }
        if crew.held.is_empty() {
            continue;
        }
        // The sweep reports storage errors.
        if let Ok(Ok(cancelled)) = timeout(CANCEL_PATIENCE, crew.pull.cancelled()).await {
            crew.held.cancel(&cancelled);
        }
    }
}

async fn extend(crew: &Crew) -> Result<(), Error> {
    let leases = crew.held.all();
    if leases.is_empty() {
        return Ok(());
    }
    let asked = crew.clock.monotonic();
    let request = Extend::new(crew.clock.now(), leases.clone(), crew.lease);
    let held = tokio::select! {
        held = crew.pull.extend(request) => held?,
        () = crew.clock.sleep(crew.lease / 3) => return Err(no_answer(crew)),
    };
    for (lease, held) in leases.iter().zip(held) {
        if held {
            crew.held.extended(lease, asked);
        } else {
            crew.held.lose(lease);
        }
    }
    Ok(())
}

/// The error for a storage that hangs; a later answer would be useless.
fn no_answer(crew: &Crew) -> Error {
    let backend = crew.pull.capabilities().backend;
    let problem = "has not answered for a third of the lease time".to_owned();
    Error::Storage { backend, problem, source: "no answer".into() }
}
