//! The role that tidies: recovers leases that others lost, forgets what is old, tells of tasks nobody can run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Crew;
use crate::backend::Sweep;

/// How often lost leases are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often unroutable tasks are looked for.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// Sweeps once, so that tasks of a worker that was killed are due at once, and from then on in the background.
///
/// Dropping the answer ends it.
pub(super) async fn start(crew: Arc<Crew>) -> JoinSet<()> {
    sweep(&crew).await;
    let mut background = JoinSet::new();
    background.spawn(async move {
        let mut reporter = Reporter::default();
        loop {
            reporter.report(&crew).await;
            crew.clock.sleep(INTERVAL).await;
            sweep(&crew).await;
        }
    });
    background
}

async fn sweep(crew: &Crew) {
    let request = Sweep {
        now: crew.clock.now(),
        dead_letters: crew.retention.dead_letters,
        tombstones: crew.retention.tombstones,
        limit: LIMIT,
    };
    match crew.pull.sweep(request).await {
        Ok(swept) if swept.recovered > 0 => {
            tracing::warn!(tasks = swept.recovered, died = swept.died, "recovered the tasks of a worker that is gone");
        }
        Ok(_) => {}
        Err(error) => tracing::error!(error = crate::outcome::chain(&error), "cannot sweep, trying again"),
    }
}

/// Tells once of each route that waits here and that this worker does not run.
#[derive(Debug, Default)]
struct Reporter {
    told: HashSet<String>,
    last: Option<Duration>,
}

impl Reporter {
    async fn report(&mut self, crew: &Crew) {
        let now = crew.clock.monotonic();
        if self.last.is_some_and(|last| now.saturating_sub(last) < REPORT_INTERVAL) {
            return;
        }
        self.last = Some(now);
        // Storage errors are told by the sweep.
        for line in crew.pull.stats(crew.clock.now()).await.unwrap_or_default() {
            let problem = match (crew.routes.contains(&line.route), crew.queues.contains(&line.queue)) {
                (false, true) => crew.registry.explain_unroutable(line.route.kind().as_str(), line.route.shape()),
                (true, false) => format!(
                    "this worker does not serve their queue `{}`: unless another one does, add it to `.queues([..])`",
                    line.queue
                ),
                // Another program's queue and tasks, or nothing to complain of.
                (false, false) | (true, true) => continue,
            };
            if line.stats.scheduled > 0 && self.told.insert(problem.clone()) {
                tracing::error!(
                    queue = %line.queue,
                    kind = %line.route.kind(),
                    tasks = line.stats.scheduled,
                    "tasks wait that are not run here: {problem}"
                );
            }
        }
    }
}
