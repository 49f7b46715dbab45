//! The role that tidies: recovers leases that others lost, and forgets what is old.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::crew::Crew;
use super::report;
use super::watch::Watch;
use crate::backend::{QueueRecord, Sweep};
use crate::log;
use crate::queue::QueueName;

/// Most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// Sweeps once, so that tasks of a worker that was killed are due at once, and from then on in the
/// background.
///
/// Dropping the answer ends it.
pub(super) async fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut sweeper = Sweeper::default();
    sweeper.sweep(&crew).await;
    let mut background = JoinSet::new();
    // Apart: to look at all that is stored may take long.
    background.spawn(report::report(Arc::clone(&crew)));
    background.spawn(async move {
        loop {
            crew.clock.sleep(sweeper.watch.interval()).await;
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
    /// Sweeps until nothing is left that can be done by now.
    async fn sweep(&mut self, crew: &Arc<Crew>) {
        self.raise_retention(crew).await;
        let mut swept = self.sweep_once(crew).await;
        while swept.is_some_and(|swept| swept.more) || (swept.is_some() && self.watch.has_lost()) {
            // What the storage refuses is left to the next look.
            swept = self.sweep_once(crew).await.filter(|swept| swept.has_changed);
        }
    }

    /// Sweeps once; `None` if the storage did not answer.
    async fn sweep_once(&mut self, crew: &Arc<Crew>) -> Option<Sweeping> {
        let request = Sweep::new(crew.clock.now(), self.watch.lost(), LIMIT);
        let asked = crew.clock.monotonic();
        match crew.pull.sweep(request).await {
            Ok(swept) => {
                self.failures = 0;
                let has_changed = swept.recovered + swept.forgotten + swept.shortened > 0;
                // The worker knows which of its own leases it still works on.
                let of_others =
                    swept.held.into_iter().filter(|held| !crew.held.contains(&held.lease));
                self.watch.look(of_others.collect(), asked, crew.clock.monotonic());
                if swept.recovered > 0 {
                    let (tasks, died) = (swept.recovered, swept.died);
                    log::say(|| {
                        tracing::warn!(tasks, died, "recovered the tasks of a worker that is gone")
                    });
                }
                Some(Sweeping { has_changed, more: swept.more })
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.watch.missed();
                // Less and less often, as it is asked again soon.
                if self.failures.is_power_of_two() {
                    let error = crate::outcome::chain(&error);
                    log::say(|| tracing::error!(error, "cannot sweep, trying again"));
                }
                None
            }
        }
    }

    /// Stores the retention that the client's builder stated with the queues that the worker
    /// serves.
    async fn raise_retention(&mut self, crew: &Crew) {
        if !crew.retention.is_stated() {
            return;
        }
        let queues = if self.is_raised {
            made_anew(crew).await
        } else {
            crew.queues.iter().cloned().collect()
        };
        for queue in &queues {
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

/// The queues that another program has deleted, and that were made again since. One that
/// `put_queue` has given a shorter retention is none of them.
async fn made_anew(crew: &Crew) -> Vec<QueueName> {
    // The sweep reports what is wrong with the storage.
    let stored = crew.pull.queues().await.unwrap_or_default().into_iter();
    let is_unstated = |queue: &QueueRecord| {
        queue.config.as_ref().is_some_and(|config| {
            let (own, stated) = (config.own_retention(), crew.retention);
            stated.dead_letters.is_some() && own.dead_letters.is_none()
                || stated.tombstones.is_some() && own.tombstones.is_none()
        })
    };
    stored
        .filter(|queue| crew.queues.contains(&queue.name) && is_unstated(queue))
        .map(|queue| queue.name)
        .collect()
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy)]
struct Sweeping {
    has_changed: bool,
    /// Whether more is left to be done.
    more: bool,
}
