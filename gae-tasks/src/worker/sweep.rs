//! The role that tidies: recovers leases that others lost, forgets what is old, reports tasks that are not run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::watch::Watch;
use super::{Crew, pause};
use crate::backend::{List, RouteStats, Sweep, TaskFilter};
use crate::task::TaskId;

/// How often tasks that are not run are looked for.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Most changes of each sort in one sweep.
const LIMIT: usize = 1000;

/// Tasks that were created later than so far ahead were created in the future.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How many tasks are read at a time when those of the future are counted.
const PAGE: usize = 100;

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
                self.watch.look(swept.held, asked, crew.clock.monotonic());
                if swept.recovered > 0 {
                    let (tasks, died) = (swept.recovered, swept.died);
                    tracing::warn!(tasks, died, "recovered the tasks of a worker that is gone");
                }
                forget_beside(crew, swept.attributes);
                Some(swept.recovered)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                tracing::error!(error = crate::outcome::chain(&error), "cannot sweep, trying again");
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
                return tracing::error!(%queue, error, "cannot store the retention of the queue, trying again");
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

/// Reports once each route that waits in the storage and that this worker does not run.
#[derive(Debug, Default)]
struct Reporter {
    told: HashSet<String>,
    last: Option<Duration>,
}

impl Reporter {
    /// Reports how many stored tasks were created in the future, as it looks where the clock was set back.
    async fn report_future(&self, crew: &Crew) {
        let soon = crew.clock.wall().plus(TOLERANCE);
        let (mut tasks, mut after) = (0, Some(TaskId::first_of(soon)));
        while after.is_some() {
            // Storage errors are reported by the sweep.
            let request = List { filter: TaskFilter::new(), after, limit: PAGE };
            let page = crew.pull.list(request).await.unwrap_or_default();
            tasks += page.iter().filter(|record| record.created > soon).count();
            after = page.last().map(|record| record.id);
        }
        if tasks > 0 {
            tracing::warn!(
                tasks,
                "stored tasks were created in the future: the clock was ahead, or is behind now; those with a time of \
                 their own wait for it by this clock, all others run at once"
            );
        }
    }

    async fn report(&mut self, crew: &Crew) {
        let now = crew.clock.monotonic();
        if self.last.is_some_and(|last| now.saturating_sub(last) < REPORT_INTERVAL) {
            return;
        }
        self.last = Some(now);
        // Storage errors are told by the sweep.
        let lines = crew.pull.stats(crew.clock.now()).await.unwrap_or_default();
        for line in lines.iter().filter(|line| line.stats.scheduled > 0) {
            let Some(problem) = problem(crew, line) else { continue };
            if self.told.insert(problem.clone()) {
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

/// Why the tasks of this line are not run here, if that needs somebody's attention.
fn problem(crew: &Crew, line: &RouteStats) -> Option<String> {
    match (crew.routes.contains(&line.route), crew.queues.contains(&line.queue)) {
        (true, true) if line.is_newer => Some(format!(
            "a newer version of gae-tasks stored these tasks of `{}`, or configured their queue `{}`: update this program",
            line.route.kind(),
            line.queue
        )),
        (false, true) => Some(crew.registry.explain_unroutable(line.route.kind().as_str(), line.route.shape())),
        (true, false) => Some(format!(
            "this worker does not serve their queue `{}`: unless another one does, add it to `.queues([..])`",
            line.queue
        )),
        // Another program's queue and tasks, or nothing to complain of.
        (false, false) | (true, true) => None,
    }
}
