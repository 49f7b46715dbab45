//! The role that sweeps: recovers leases that other workers lost, and deletes old records.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::crew::Crew;
use super::report;
use super::watch::Watch;
use crate::backend::{QueueRecord, Sweep};
use crate::log;
use crate::queue::QueueName;

/// The most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// Sweeps once, so that the tasks of a killed worker are due at once, and then goes on in the
/// background.
///
/// Dropping the returned set ends the sweeps.
pub(super) async fn start(crew: Arc<Crew>) -> JoinSet<()> {
    let mut sweeper = Sweeper::default();
    sweeper.sweep(&crew).await;
    let mut background = JoinSet::new();
    // In a task of its own: looking at all stored tasks may take long.
    background.spawn(report::report(Arc::clone(&crew)));
    background.spawn(async move {
        loop {
            crew.clock.sleep(sweeper.pause()).await;
            sweeper.sweep(&crew).await;
            #[cfg(feature = "cron")]
            crew.swept.notify_one();
        }
    });
    background
}

/// Sweeps, and remembers the leases that other workers hold.
#[derive(Debug, Default)]
struct Sweeper {
    watch: Watch,
    /// Whether the retention that the client's builder stated is stored.
    is_raised: bool,
    /// How long the storage would like to rest before the next sweep.
    rest: Duration,
    failures: u32,
}

impl Sweeper {
    /// Returns the time until the next sweep.
    fn pause(&self) -> Duration {
        self.watch.interval().max(self.rest)
    }

    /// Sweeps until there is nothing left to do.
    async fn sweep(&mut self, crew: &Arc<Crew>) {
        self.raise_retention(crew).await;
        let mut swept = self.sweep_once(crew).await;
        while swept.is_some_and(|swept| swept.more) || (swept.is_some() && self.watch.has_lost()) {
            // If the storage fails, the rest is left to the next sweep.
            swept = self.sweep_once(crew).await.filter(|swept| swept.has_changed);
        }
    }

    /// Sweeps once; `None` if the storage did not answer.
    async fn sweep_once(&mut self, crew: &Arc<Crew>) -> Option<Sweeping> {
        let request = Sweep::new(crew.clock.now(), self.watch.lost(), LIMIT);
        let asked = crew.clock.monotonic();
        match crew.pull.sweep(request).await {
            Ok(swept) => {
                (self.failures, self.rest) = (0, swept.rest);
                let has_changed = swept.recovered + swept.forgotten + swept.shortened > 0;
                // The worker knows which of its own leases it still works on.
                let of_others =
                    swept.held.into_iter().filter(|held| !crew.held.contains(&held.lease));
                self.watch.look(of_others.collect(), asked, crew.clock.monotonic());
                if swept.recovered > 0 {
                    let (tasks, died) = (swept.recovered, swept.died);
                    log::say(|| {
                        tracing::warn!(
                            tasks,
                            died,
                            "recovered the tasks of a worker or relay that is gone"
                        )
                    });
                }
                Some(Sweeping { has_changed, more: swept.more })
            }
            Err(error) => {
                (self.failures, self.rest) = (self.failures.saturating_add(1), Duration::ZERO);
                self.watch.missed();
                // Logged at a falling rate, as sweeps repeat soon.
                if self.failures.is_power_of_two() {
                    let error = crate::outcome::chain(&error);
                    log::say(|| tracing::error!(error, "cannot sweep, trying again"));
                }
                None
            }
        }
    }

    /// Stores the retention of the client's builder with the queues that the worker serves.
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
                return log::say(|| {
                    tracing::error!(
                        %queue, error,
                        "cannot store the retention of the queue, trying again"
                    )
                });
            }
        }
        self.is_raised = true;
    }
}

/// The queues that another program deleted and that were created again since. A queue whose
/// retention `put_queue` shortened is not among them.
async fn made_anew(crew: &Crew) -> Vec<QueueName> {
    // The sweep reports storage errors.
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

/// The state of a sweep.
#[derive(Debug, Clone, Copy)]
struct Sweeping {
    has_changed: bool,
    /// Whether more is left to do.
    more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_has_the_rest_that_it_asks_for() {
        let usual = Watch::default().interval();
        for (rest, pause) in [(Duration::ZERO, usual), (usual / 2, usual), (usual * 5, usual * 5)] {
            assert_eq!(Sweeper { rest, ..Sweeper::default() }.pause(), pause);
        }
    }
}
