//! The role that tidies: recovers leases that others lost, and forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::report::Reporter;
use super::watch::Watch;
use super::{Crew, pause};
use crate::backend::Sweep;
use crate::log;

/// Most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// Sweeps once, so that tasks of a worker that was killed are due at once, and from then on in the background.
///
/// Dropping the answer ends it.
pub(super) async fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut sweeper = Sweeper::default();
    sweeper.sweep(&crew).await;
    let mut background = JoinSet::new();
    background.spawn(async move {
        let mut reporter = Reporter::default();
        reporter.report_future(&crew).await;
        loop {
            reporter.report(&crew).await;
            crew.clock.sleep(sweeper.interval()).await;
            sweeper.sweep(&crew).await;
        }
    });
    background
}

/// Sweeps, and remembers what it saw of leases that others hold.
#[derive(Debug, Default)]
struct Sweeper {
    watch: Watch,
    /// Whether the retention that the client's builder stated is stored.
    is_raised: bool,
    failures: u32,
}

impl Sweeper {
    /// Sweeps until nothing is left that can be recovered by now.
    async fn sweep(&mut self, crew: &Arc<Crew>) {
        self.raise_retention(crew).await;
        let mut recovered = self.sweep_once(crew).await;
        while recovered.is_some_and(|tasks| tasks >= LIMIT as u64) || (recovered.is_some() && self.watch.has_lost()) {
            recovered = self.sweep_once(crew).await.filter(|tasks| *tasks > 0);
        }
    }

    /// Sweeps once; answers how many leases it recovered, if the storage answered.
    async fn sweep_once(&mut self, crew: &Arc<Crew>) -> Option<u64> {
        let request = Sweep { now: crew.clock.now(), lost: self.watch.lost(), limit: LIMIT };
        let asked = crew.clock.monotonic();
        match crew.pull.sweep(request).await {
            Ok(swept) => {
                self.failures = 0;
                // The worker knows which of its own leases it still works on.
                let of_others = swept.held.into_iter().filter(|held| !crew.held.contains(&held.lease));
                self.watch.look(of_others.collect(), asked, crew.clock.monotonic());
                if swept.recovered > 0 {
                    let (tasks, died) = (swept.recovered, swept.died);
                    log::say(|| tracing::warn!(tasks, died, "recovered the tasks of a worker that is gone"));
                }
                forget_beside(crew, swept.attributes);
                Some(swept.recovered)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let error = crate::outcome::chain(&error);
                log::say(|| tracing::error!(error, "cannot sweep, trying again"));
                None
            }
        }
    }

    /// Until the next sweep: longer while the storage is away.
    fn interval(&self) -> Duration {
        self.watch.interval().max(if self.failures > 0 { pause(self.failures) } else { Duration::ZERO })
    }

    /// Stores the retention that the client's builder stated with the queues that the worker serves.
    async fn raise_retention(&mut self, crew: &Crew) {
        if self.is_raised || !crew.retention.is_stated() {
            return;
        }
        for queue in crew.queues.iter() {
            if let Err(error) = crew.pull.raise_retention(queue.clone(), crew.retention).await {
                let error = crate::outcome::chain(&error);
                return log::say(
                    || tracing::error!(%queue, error, "cannot store the retention of the queue, trying again"),
                );
            }
        }
        self.is_raised = true;
    }
}

/// Deletes what was kept elsewhere for dead letters that are forgotten; nobody waits for that.
fn forget_beside(crew: &Arc<Crew>, attributes: Vec<Vec<u8>>) {
    if attributes.is_empty() {
        return;
    }
    let crew = Arc::clone(crew);
    tokio::spawn(async move {
        for attributes in attributes {
            crew.dispatcher.forget(&attributes).await;
        }
    });
}
